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

/// Parameters that credentials stand in, of the OAuth2 grants of token services and of RFC 6750,
/// section 2.3. They belong into a body or a header; but a client may have sent them before it was
/// told so.
const SECRETS: [&str; 6] =
    ["password", "refresh_token", "access_token", "client_secret", "token", "id_token"];

/// A request target for a log: what comes with the names of [`SECRETS`] is masked.
pub(crate) fn masked(target: &str) -> Cow<'_, str> {
    let is_secret = |pair: &str| {
        let key = pair.split_once('=').map_or(pair, |(key, _)| key);
        SECRETS.iter().any(|name| decode(key).trim().eq_ignore_ascii_case(name))
    };
    match target.split_once('?') {
        Some((path, query)) if query.split('&').any(is_secret) => {
            let shown: Vec<_> = query
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some((key, _)) if is_secret(pair) => Cow::Owned(format!("{key}=***")),
                    _ => Cow::Borrowed(pair),
                })
                .collect();
            Cow::Owned(format!("{path}?{}", shown.join("&")))
        }
        _ => Cow::Borrowed(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_shows_no_credentials() {
        for (given, shown) in [
            (
                "/v2/_token?scope=a&password=p&service=s",
                "/v2/_token?scope=a&password=***&service=s",
            ),
            ("/v2/?access_token=a=b", "/v2/?access_token=***"),
            ("/?refresh_token=x&refresh_token=y", "/?refresh_token=***&refresh_token=***"),
            ("/?Pass%77ord=p&+password=p", "/?Pass%77ord=***&+password=***"),
            ("/?a=b?password=p", "/?a=b?password=p"),
            ("/v2/password=p/x?n=1", "/v2/password=p/x?n=1"),
            ("/?password", "/?password"),
            ("/v2/", "/v2/"),
            ("*", "*"),
        ] {
            assert_eq!(masked(given), shown);
        }
    }

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
