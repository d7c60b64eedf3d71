//! Checks of single values: each says what is wrong and what to write instead.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Uri, uri::Authority};
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};

use crate::{limits, size};

/// An absolute `http://` or `https://` URL, or nothing.
pub(crate) fn url(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let advice = "write an absolute URL such as https://registry.example.com";
    let uri: Uri = text.parse().map_err(|error| format!("is not a URL ({error}); {advice}"))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(()),
        Some("http" | "https") => Err(format!("the URL has no host; {advice}")),
        Some(_) => Err(format!("the URL's scheme must be http or https; {advice}")),
        None => Err(format!("the URL has no scheme; {advice}")),
    }
}

/// An absolute URL that clients get to see, so that there may be no password in it.
pub(crate) fn public_url(text: &str) -> Result<(), String> {
    url(text)?;
    let has_user = text
        .parse::<Uri>()
        .is_ok_and(|uri| uri.authority().is_some_and(|authority| authority.as_str().contains('@')));
    match has_user {
        true => Err("may not hold a user or a password".to_owned()),
        false => Ok(()),
    }
}

/// A file or a directory, and not a URL: a message about a path would show its password.
pub(crate) fn path(text: &str) -> Result<(), String> {
    if is_url(text) {
        return Err("is a URL; a path must stand here".to_owned());
    }
    Ok(())
}

/// A file, or an `http://` or `https://` URL.
pub(crate) fn path_or_url(text: &str) -> Result<(), String> {
    let begins_as_url = ["http:", "https:"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    });
    if begins_as_url || is_url(text) { url(text) } else { Ok(()) }
}

/// The address of a server that is connected to.
pub(crate) fn host_port(text: &str) -> Result<(), String> {
    let advice = "write host:port such as redis.example.com:6379 or [::1]:6379";
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("has no port; {advice}"))?;
    if port.parse::<u16>().is_err() {
        return Err(format!("the port must be a number up to 65535; {advice}"));
    }
    let is_bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    if is_url(text) || (!is_bracketed && host.contains([':', '/', '@', '[', ']', ' '])) {
        return Err(format!("is no host and port; {advice}"));
    }
    Ok(())
}

/// What Redis takes as the name of a connection.
pub(crate) fn client_name(text: &str) -> Result<(), String> {
    match text.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(()),
        false => Err("may hold only ASCII letters, digits and signs, and no space".to_owned()),
    }
}

/// Whether a text is meant as a URL, where it may be a path as well.
pub(crate) fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// Compiles a regular expression.
pub(crate) fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(limits::REGEX_SIZE_BYTES_MAX).build().map_err(|error| {
        let line = error.to_string();
        let reason = line.lines().last().unwrap_or_default().trim();
        format!("is not a regular expression: {}", reason.trim_start_matches("error: "))
    })
}

/// A pattern of repositories' names.
pub(crate) fn repository_pattern(text: &str) -> Result<(), String> {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/*?".contains(c);
    let advice = "is no pattern of repositories: write a name, with * for any text without a slash \
                  and ** for any text";
    pattern(text, is_good, advice)
}

/// A pattern of tags.
pub(crate) fn tag_pattern(text: &str) -> Result<(), String> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "._-*?".contains(c);
    pattern(text, is_good, "is no pattern of tags: write a tag, with * for any text")
}

fn pattern(text: &str, is_good: impl Fn(char) -> bool, advice: &str) -> Result<(), String> {
    let has_length = (1..=limits::PATTERN_BYTES_MAX).contains(&text.len());
    if has_length && text.chars().all(is_good) { Ok(()) } else { Err(advice.to_owned()) }
}

/// The first components of repositories' names, such as `mirrors/quay`, or nothing.
pub(crate) fn repository_path(text: &str) -> Result<(), String> {
    let path = format!("^{REPOSITORY_COMPONENT}(/{REPOSITORY_COMPONENT})*$");
    let is_path = Regex::new(&path).is_ok_and(|path| path.is_match(text));
    match text.is_empty() || (is_path && text.len() <= limits::PATTERN_BYTES_MAX) {
        true => Ok(()),
        false => {
            Err("is no part of a repository's name; write lower-case letters and digits, such \
                      as ghcr.io or mirrors/quay, without a slash at either end"
                .to_owned())
        }
    }
}

/// One component of a repository's name (OCI distribution-spec, "Pulling manifests").
const REPOSITORY_COMPONENT: &str = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*";

/// The URL of a registry, where nothing is asked for yet.
pub(crate) fn registry_url(text: &str) -> Result<(), String> {
    url(text)?;
    if text.is_empty() || !text.contains(['?', '#']) {
        return Ok(());
    }
    Err("may not hold a query or a fragment; write the registry's own URL".to_owned())
}

/// The name of a registry in the names of images: a host, perhaps with its port.
pub(crate) fn registry_host(text: &str) -> Result<(), String> {
    let is_authority = text.parse::<Authority>().is_ok_and(|authority| authority.host() != "");
    match is_authority && !text.contains(['@', '*']) {
        true => Ok(()),
        false => Err("is no name of a registry; write a host such as ghcr.io or nas.lan:5000, \
                      without a scheme and a path"
            .to_owned()),
    }
}

/// What logs and metrics call an upstream.
pub(crate) fn upstream_name(text: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-:/[]".contains(c);
    match text.len() <= limits::PATTERN_BYTES_MAX && text.chars().all(is_plain) {
        true => Ok(()),
        false => Err("may hold only letters, digits and `._-:/`, such as hub".to_owned()),
    }
}

/// What logs, metrics and the command line call a job. It is part of paths, too.
pub(crate) fn job_name(text: &str) -> Result<(), String> {
    let is_name = Regex::new("^[a-z0-9]+([._-][a-z0-9]+)*$").is_ok_and(|name| name.is_match(text));
    match is_name && text.len() <= limits::JOB_NAME_BYTES_MAX {
        true => Ok(()),
        false => Err(format!(
            "is no name of a job: write lower-case letters and digits with single `.`, `_` or `-` \
             between them, such as to-edge, {} characters at most",
            limits::JOB_NAME_BYTES_MAX
        )),
    }
}

/// A range of versions, as the comparators of cargo.
pub(crate) fn version_range(text: &str) -> Result<(), String> {
    let advice = "write one such as `>=1.2, <2`, `^1.4` or `~1.4.2`";
    match semver::VersionReq::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("is no range of versions ({error}); {advice}")),
    }
}

/// A platform, such as `linux/arm64` or `linux/arm/v7`.
pub(crate) fn platform(text: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let parts: Vec<&str> = text.split('/').collect();
    let are_parts = parts.iter().all(|part| !part.is_empty() && part.chars().all(is_plain));
    match (2..=3).contains(&parts.len()) && are_parts && text.len() <= limits::PATTERN_BYTES_MAX {
        true => Ok(()),
        false => Err("is no platform; write os/architecture, perhaps with /variant, such as \
                      linux/amd64 or linux/arm/v7"
            .to_owned()),
    }
}

/// A number of bytes that is more than nothing, or nothing written at all.
pub(crate) fn positive_size(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    match size::bytes(text) {
        Some(1..) => Ok(()),
        Some(0) => Err("must be more than nothing; leave it out for no limit".to_owned()),
        None => Err("is no size; write bytes such as 100GiB or 500MB".to_owned()),
    }
}

/// A regular expression.
pub(crate) fn regular_expression(text: &str) -> Result<(), String> {
    compile(text).map(|_| ())
}

/// The name of an HTTP header (RFC 9110, section 5.1).
pub(crate) fn header_name(text: &str) -> Result<(), String> {
    HeaderName::from_bytes(text.as_bytes())
        .map(|_| ())
        .map_err(|_| "is not a legal HTTP header name".to_owned())
}

/// The value of an HTTP header (RFC 9110, section 5.5). The error doesn't quote it.
pub(crate) fn header_value(text: &str) -> Result<(), String> {
    HeaderValue::from_str(text)
        .map(|_| ())
        .map_err(|_| "holds a character that is not legal in an HTTP header value".to_owned())
}

/// A path prefix of the API.
pub(crate) fn prefix(text: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    if !text.chars().all(is_plain) {
        return Err("may hold only letters, digits and `/-._~`, such as /registry/".to_owned());
    }
    if text.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("may not hold `.` or `..` as a path segment".to_owned());
    }
    Ok(())
}

/// A regular-looking absolute URL path.
pub(crate) fn absolute_path(text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(());
    }
    Err("must start with `/`".to_owned())
}

/// A right that `auth.htpasswd.anonymous` can give away.
pub(crate) fn anonymous_right(text: &str) -> Result<(), String> {
    match text {
        "pull" | "catalog" => Ok(()),
        _ => Err("is no right that can be given to everybody; known are pull, catalog".to_owned()),
    }
}

/// An IP address or a network, such as `10.0.0.0/8`.
pub(crate) fn network(text: &str) -> Result<(), String> {
    let advice = "is not an address or a network; write 10.0.0.1, 10.0.0.0/8 or fd00::/8";
    parse_network(text).map(|_| ()).ok_or_else(|| advice.to_owned())
}

/// An address is a network of its own.
pub(crate) fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// A cipher suite by Go's name.
pub(crate) fn cipher_suite(text: &str) -> Result<(), String> {
    if CIPHER_SUITES.contains(&text) {
        return Ok(());
    }
    Err(format!("unknown TLS cipher suite; known are {}", CIPHER_SUITES.join(", ")))
}

/// A JWS signing algorithm that a token may carry (RFC 7518, section 3.1; RFC 8037).
pub(crate) fn signing_algorithm(text: &str) -> Result<(), String> {
    if SIGNING_ALGORITHMS.contains(&text) {
        return Ok(());
    }
    Err(format!("unknown signing algorithm; known are {}", SIGNING_ALGORITHMS.join(", ")))
}

/// Go's names of cipher suites, as Distribution knows them.
const CIPHER_SUITES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
];

const SIGNING_ALGORITHMS: &[&str] = &[
    "EdDSA", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512",
    "PS256", "PS384", "PS512",
];
