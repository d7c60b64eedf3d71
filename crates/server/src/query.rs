//! The query part of a request target.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The parameters of a query, decoded one by one as they are asked for. Only ever read from the
/// URL: a body sent as `application/x-www-form-urlencoded`, curl's default, is still the content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// The query of a URI; absent is the same as empty.
    pub(crate) fn of(uri: &'a http::Uri) -> Self {
        Self(uri.query().unwrap_or_default())
    }

    /// The first value of a parameter. A value that is not UTF-8 has its odd bytes replaced, which
    /// no grammar of a registry accepts.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// The first value of a parameter unless it is empty.
    pub(crate) fn get_filled(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Every value of a repeated parameter, in order.
    pub(crate) fn all<'n>(
        &self,
        name: &'n str,
    ) -> impl Iterator<Item = Cow<'a, str>> + use<'a, 'n> {
        self.0.split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key) == name).then(|| decode(value))
        })
    }
}

/// Decodes one key or value: `+` is a space, `%XX` a byte (WHATWG URL,
/// "application/x-www-form-urlencoded parsing").
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let uri: http::Uri =
            "/v2/?digest=sha256%3Aab&tag=a&tag=b+c&empty=&_state=a-_%3D%3D&n".parse().unwrap();
        let query = Query::of(&uri);
        assert_eq!(query.get("digest").as_deref(), Some("sha256:ab"));
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(query.get("empty").as_deref(), Some(""));
        assert_eq!(query.get_filled("empty"), None);
        assert_eq!(query.get("_state").as_deref(), Some("a-_=="));
        assert_eq!(query.get("n").as_deref(), Some(""));
        assert_eq!(query.get("absent"), None);
    }
}
