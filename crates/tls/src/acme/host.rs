//! The names that certificates are ordered for.

use crate::TlsError;

/// A DNS name in lower case without a final dot, fit to be a file's name. Names without a dot are
/// let through: a private authority may know them.
pub(super) fn parse(host: &str) -> Result<String, TlsError> {
    let refuse = |reason| {
        // It may be a URL with a user and a password.
        let host = match host.rsplit_once('@') {
            Some((_, rest)) => format!("***@{rest}"),
            None => host.to_owned(),
        };
        Err(TlsError::BadHost { host, reason })
    };
    let name = host.trim().trim_end_matches('.').to_ascii_lowercase();
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.contains("://") || name.contains('/') {
        return refuse("write only the host name, without https:// and path");
    }
    if name.parse::<std::net::IpAddr>().is_ok() {
        return refuse("it is an IP address; certificates are for DNS names");
    }
    if name.contains(':') {
        return refuse("write only the host name, without the port");
    }
    if name.contains('*') {
        return refuse("wildcards need a challenge by DNS, which is not built; list the names");
    }
    if !name.is_ascii() {
        return refuse("write the name in its ASCII form, which starts with xn--");
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return refuse("it is no DNS name");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalized() {
        assert_eq!(parse("Registry.Example.com.").unwrap(), "registry.example.com");
        assert_eq!(parse("localhost").unwrap(), "localhost");
    }

    #[test]
    fn everything_else_is_refused_with_what_to_write() {
        for (host, part) in [
            ("", "empty"),
            ("https://r.example.com", "without https://"),
            ("r.example.com:443", "without the port"),
            ("192.168.1.5", "IP address"),
            ("::1", "IP address"),
            ("*.example.com", "wildcards"),
            ("bücher.example", "xn--"),
            ("../../etc/passwd", "path"),
            ("a..b", "no DNS name"),
            ("a b", "no DNS name"),
        ] {
            let error = parse(host).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(host), "{host}: {error}");
        }
    }

    #[test]
    fn no_password_in_a_message() {
        for host in ["https://u:hunter2@r.example.com", "u:hunter2@r.example.com"] {
            let error = parse(host).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("***@r.example.com"), "{error}");
        }
    }
}
