//! Where a registry is: its URL without the credentials that were written in it.

use http::Uri;

use crate::secret::Secret;

/// The names of Docker Hub: the one that images have, and those that the registry is asked by.
pub(crate) const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A URL of a registry, taken apart.
pub(crate) struct RegistryUrl {
    /// Scheme, host, port and path; without a slash at the end.
    pub(crate) url: String,
    /// Host and, where it was written, port; in lower case.
    pub(crate) host: String,
    /// User and password.
    pub(crate) login: Option<(String, Secret)>,
}

impl RegistryUrl {
    /// None for what is no absolute URL. Query and fragment are dropped, as Distribution does.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority()?.as_str();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let host = host.to_ascii_lowercase();
        let login = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            (percent_decoded(name), Secret::new(percent_decoded(password)))
        });
        let url = format!("{}://{host}{}", uri.scheme_str()?, uri.path().trim_end_matches('/'));
        Some(Self { url, host, login })
    }
}

/// Whether a host is Docker Hub's.
pub(crate) fn is_docker_hub(host: &str) -> bool {
    let name = host.strip_suffix(":443").unwrap_or(host);
    DOCKER_HUB.contains(&name)
}

/// A text with its `%xx` replaced; one that would not be UTF-8 stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| *first == b'%' && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_loses_its_login_and_what_no_registry_has() {
        for (text, url, host, login) in [
            ("https://Quay.io", "https://quay.io", "quay.io", None),
            ("http://[::1]:5000/", "http://[::1]:5000", "[::1]:5000", None),
            ("https://h/a/docker/?x#y", "https://h/a/docker", "h", None),
            ("https://u:p%40ss:w@h", "https://h", "h", Some(("u", "p@ss:w"))),
            ("https://u%3a%zz:100%@h", "https://h", "h", Some(("u:%zz", "100%"))),
            ("https://u@h", "https://h", "h", Some(("u", ""))),
        ] {
            let parsed = RegistryUrl::parse(text).unwrap();
            let found = parsed.login.as_ref().map(|(name, word)| (name.as_str(), word.reveal()));
            assert_eq!((&*parsed.url, &*parsed.host, found), (url, host, login), "{text}");
        }
        for bad in ["", "quay.io", "/v2/", "https://a b"] {
            assert!(RegistryUrl::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn docker_hub_has_several_names() {
        assert!(is_docker_hub("registry-1.docker.io") && is_docker_hub("docker.io:443"));
        assert!(!is_docker_hub("docker.io:5000") && !is_docker_hub("hub.docker.io"));
    }
}
