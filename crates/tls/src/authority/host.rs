//! Whom a certificate is for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A name or address that clients call a server by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A DNS name in lower case; the first label may be `*`.
    Name(String),
    /// An IP address.
    Address(IpAddr),
}

/// Why something is no host, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is no host name or address: {hint}")]
pub struct HostError {
    given: String,
    hint: String,
}

impl Host {
    /// Whether it stands for many names.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Name(name) if name.starts_with('*'))
    }

    /// As in a URL before the port: IPv6 addresses in brackets.
    #[must_use]
    pub fn in_url(&self) -> String {
        match self {
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(given: &str) -> Result<Self, HostError> {
        let refuse = |hint: String| Err(HostError { given: shown(given), hint });
        let text = given.trim();
        if text.is_empty() {
            return refuse(
                "write a name such as nas.lan, or an address such as 192.168.1.10".into(),
            );
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if text.contains('/') || text.contains('@') {
            let host = host_of_url(text);
            return refuse(format!("write only the host{}", suggestion(host)));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let host = rest.split(']').next().unwrap_or(rest);
            return refuse(format!(
                "write the address without brackets and port{}",
                suggestion(host)
            ));
        }
        if let Some((host, _)) = text.split_once(':') {
            return refuse(format!(
                "write it without the port: a certificate is good for all of them{}",
                suggestion(host)
            ));
        }
        if !text.is_ascii() {
            return refuse("write the name in its ASCII form, which starts with xn--".into());
        }
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        let labels = name.strip_prefix("*.").unwrap_or(&name);
        if labels.contains('*') {
            return refuse("'*' can only stand for the whole first label, as in *.lan".into());
        }
        if name.len() > 253 || !labels.split('.').all(is_label) {
            return refuse(
                "names are made of letters, digits, '-' and '.', such as nas.lan".into(),
            );
        }
        if labels
            .split('.')
            .next_back()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
        {
            return refuse("it looks like an IP address and is none".into());
        }
        Ok(Self::Name(name))
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A URL without what may be a password.
fn shown(given: &str) -> String {
    match (given.split_once("://"), given.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        _ => given.to_owned(),
    }
}

fn host_of_url(text: &str) -> &str {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split('/').next().unwrap_or(text);
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => text.split(':').next().unwrap_or(text),
    }
}

fn suggestion(host: &str) -> String {
    match host.parse::<Host>() {
        Ok(host) => format!(", {host}"),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_wildcards() {
        for (given, shown) in [
            ("NAS.lan", "nas.lan"),
            ("nas", "nas"),
            ("*.home.example.", "*.home.example"),
            ("192.168.1.10", "192.168.1.10"),
            ("fd00::10", "fd00::10"),
            (" nas.lan ", "nas.lan"),
        ] {
            assert_eq!(given.parse::<Host>().unwrap().to_string(), shown);
        }
        assert!("*.lan".parse::<Host>().unwrap().is_wildcard());
        assert_eq!("fd00::10".parse::<Host>().unwrap().in_url(), "[fd00::10]");
    }

    #[test]
    fn what_is_no_host_is_refused_with_what_to_write() {
        for (given, hint) in [
            ("", "write a name such as nas.lan"),
            ("  ", "write a name such as nas.lan"),
            ("https://nas.lan:5000/v2/", "only the host, nas.lan"),
            ("nas.lan:5000", "without the port: a certificate is good for all of them, nas.lan"),
            ("192.168.1.10:5000", "without the port"),
            ("[fd00::10]:5000", "without brackets and port, fd00::10"),
            ("nas.lan/images", "only the host, nas.lan"),
            ("a b", "letters, digits"),
            ("-nas", "letters, digits"),
            ("a..b", "letters, digits"),
            ("n*s.lan", "whole first label"),
            ("*", "whole first label"),
            ("192.168.1", "looks like an IP address"),
            ("bücher.lan", "xn--"),
        ] {
            let error = given.parse::<Host>().unwrap_err().to_string();
            assert!(error.contains(hint), "{given}: {error}");
        }
        let error = "https://me:hunter2@nas.lan".parse::<Host>().unwrap_err().to_string();
        assert!(!error.contains("hunter2") && error.contains("nas.lan"), "{error}");
    }
}
