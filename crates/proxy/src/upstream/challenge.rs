//! What a 401 asks for (RFC 9110, section 11.6.1; the token specification of the registries).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// How an upstream wants to know who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// With name and password.
    Basic,
    /// With a token from elsewhere.
    Bearer(Bearer),
}

/// Where a token is had, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bearer {
    /// The token service's URL.
    pub(crate) realm: String,
    /// The name of the service that is asked.
    pub(crate) service: Option<String>,
    /// What the token is to allow.
    pub(crate) scope: Option<String>,
}

impl Challenge {
    /// The challenge to meet: `Bearer` rather than `Basic`, of those that there are.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        let all: Vec<_> = values.filter_map(|value| value.to_str().ok()).flat_map(parse).collect();
        let bearer = all.iter().filter(|(scheme, _)| scheme == "bearer").find_map(|(_, of)| {
            let get =
                |name: &str| of.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            Some(Bearer { realm: get("realm")?, service: get("service"), scope: get("scope") })
        });
        let basic = || all.iter().any(|(scheme, _)| scheme == "basic").then_some(Self::Basic);
        bearer.map(Self::Bearer).or_else(basic)
    }
}

type Parameters = Vec<(String, String)>;

/// Schemes and parameters, names in lower case. What can't be read ends the list.
fn parse(value: &str) -> Vec<(String, Parameters)> {
    let mut all: Vec<(String, Parameters)> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        if end == 0 {
            return all;
        }
        let word = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let Some(behind) = rest.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            all.push((word, Vec::new()));
            continue;
        };
        let Some((text, behind)) = parameter(behind.trim_start_matches([' ', '\t'])) else {
            return all;
        };
        rest = behind;
        if let Some((_, parameters)) = all.last_mut() {
            parameters.push((word, text));
        }
    }
}

/// A token or a quoted string, and what is behind it.
fn parameter(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        Challenge::of(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer(Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }))
    }

    #[test]
    fn challenges_as_they_are_met() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#;
        let expected = bearer(
            "https://auth.docker.io/token",
            Some("registry.docker.io"),
            Some("repository:library/alpine:pull"),
        );
        assert_eq!(of(&[hub]), expected);
        assert_eq!(of(&["Basic realm=\"x\"", hub]), expected, "in two headers");
        assert_eq!(of(&[&format!("Basic realm=\"a, b\", {hub}")]), expected, "in one header");
        assert_eq!(of(&["Basic realm=\"Registry Realm\""]), Some(Challenge::Basic));
        assert_eq!(
            of(&["bearer REALM=https://a/t , service=x"]),
            bearer("https://a/t", Some("x"), None)
        );
        assert_eq!(of(&[r#"Bearer realm="a\"b",error="x""#]), bearer("a\"b", None, None));
    }

    #[test]
    fn what_is_no_challenge() {
        for value in
            ["", ",", "=", "Bearer", "Bearer service=\"x\"", "Bearer realm=\"x", "Negotiate"]
        {
            assert_eq!(of(&[value]), None, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(text in "[ -~]{0,80}") {
            let _ = parse(&text);
        }
    }
}
