//! No secret in print, Debug, warnings or errors.

use super::*;
use crate::{
    schema::{Kind, Section},
    sections::ROOT,
};

const SENTINEL: &str = "hunter2-sentinel";

/// Dotted paths of all secret keys; `0` is the first element of a list.
fn secret_paths(section: &'static Section, prefix: &str, found: &mut Vec<(String, Kind)>) {
    for key in section.keys {
        let path = format!("{prefix}{}", key.name);
        match key.kind {
            Kind::Section(child) => secret_paths(child, &format!("{path}."), found),
            Kind::List(child) => secret_paths(child, &format!("{path}.0."), found),
            Kind::Secret
            | Kind::Headers { secret: true }
            | Kind::TextMap { secret: true }
            | Kind::Any { secret: true } => {
                found.push((path, key.kind));
            }
            _ => {}
        }
    }
}

#[test]
fn every_secret_is_masked_everywhere() {
    let mut paths = Vec::new();
    secret_paths(&ROOT, "", &mut paths);
    assert!(paths.len() >= 20, "{}", paths.len());
    for (path, kind) in paths {
        let variable = format!("REGISTRY_{}", path.replace('.', "_").to_ascii_uppercase());
        let value = match kind {
            Kind::Secret => SENTINEL.to_owned(),
            Kind::Headers { .. } => format!("{{Authorization: [{SENTINEL}]}}"),
            Kind::TextMap { .. } => format!("{{a: {SENTINEL}}}"),
            _ => format!("{{a: {{b: [{SENTINEL}]}}}}"),
        };
        let driver = path.strip_prefix("storage.").and_then(|rest| rest.split('.').next());
        let mut variables = vec![(variable.as_str(), value.as_str())];
        variables.extend(driver.map(|driver| ("REGISTRY_STORAGE", driver)));
        let source = Source::new("config.yml", with(""));
        let (config, findings) = crate::load::build(&source, &variables.into_iter().collect());
        let printed = config.print();
        assert!(printed.contains("\"***\""), "{path}: {printed}");
        assert!(!printed.contains(SENTINEL), "{path}: {printed}");
        assert!(!format!("{config:?}").contains(SENTINEL), "{path}");
        assert!(!format!("{findings:?}").contains(SENTINEL), "{path}: {findings:?}");
    }
}

/// Where a file is expected, and where a URL is public.
#[test]
fn a_url_in_another_place_is_refused_without_its_password() {
    let token = |key: &str| format!("auth: {{token: {{realm: r, service: s, issuer: i, {key}}}}}");
    for scheme in ["ftp://", "file://", "htp://", "http:", "HTTPS:/", "http:////"] {
        let url = format!("'{scheme}u:hunter2-sentinel@h/jwks'");
        let errors = errors(&with(&token(&format!("jwks: {url}"))), &[]).join("\n");
        assert!(errors.contains("auth.token.jwks: `") && errors.contains("***@h"), "{errors}");
        assert!(!errors.contains(SENTINEL), "{errors}");
    }
    let url = "'https://u:hunter2-sentinel@h/x'";
    for (lines, key) in [
        (token(&format!("rootcertbundle: {url}")), "auth.token.rootcertbundle"),
        (format!("auth: {{htpasswd: {{realm: r, path: {url}}}}}"), "auth.htpasswd.path"),
        (format!("http: {{tls: {{certificate: {url}, key: k}}}}"), "http.tls.certificate"),
        (format!("http: {{tls: {{certificate: c, key: {url}}}}}"), "http.tls.key"),
        (format!("http: {{tls: {{clientcas: [{url}]}}}}"), "http.tls.clientcas.0"),
        (format!("http: {{tls: {{letsencrypt: {{cachefile: {url}, hosts: [h]}}}}}}"), "cachefile"),
        (format!("http: {{host: {url}}}"), "http.host"),
    ] {
        let errors = errors(&with(&lines), &[]).join("\n");
        assert!(errors.contains(&format!("{key}: `https://***@h/x`")), "{errors}");
        assert!(!errors.contains(SENTINEL), "{errors}");
    }
}

#[test]
fn the_scheme_of_a_key_set_s_url_may_be_written_in_any_case() {
    for scheme in ["http", "HTTP", "hTTps"] {
        let lines = format!(
            "auth: {{token: {{realm: r, service: s, issuer: i, jwks: '{scheme}://u:hunter2-sentinel@h/'}}}}"
        );
        let config = clean(&with(&lines), &[]);
        let Auth::Token(token) = &config.auth else { panic!("{:?}", config.auth) };
        assert!(matches!(token.jwks, Some(KeySet::Url(_))), "{token:?}");
        assert!(!format!("{token:?} {}", config.print()).contains(SENTINEL));
    }
}

#[test]
fn errors_about_secrets_dont_quote_them() {
    for lines in [
        "http: {secret: [hunter2-sentinel]}",
        "http: hunter2-sentinel",
        "redis: hunter2-sentinel",
        "proxy: {password: {a: hunter2-sentinel}}",
        "proxy: {remoteurl: 'https://u:hunter2-sentinel@'}",
        "proxy: {remoteurl: 'ftp://u:hunter2-sentinel@h'}",
        "proxy: {upstreams: [{url: 'https://u:hunter2-sentinel@h', username: u, password: p}]}",
        "proxy: {upstreams: [{url: 'ftp://u:hunter2-sentinel@h'}]}",
        "proxy: {upstreams: [{urls: ['https://u:hunter2-sentinel@h/?', 'https://u@h']}]}",
        "proxy: {upstreams: [{url: 'https://h', ns: ['https://u:hunter2-sentinel@h']}]}",
        "proxy: {upstreams: [{url: 'https://h', prefix: 'https://u:hunter2-sentinel@h'}]}",
        "proxy: {upstreams: [{url: 'https://h', acr: {clientsecret: hunter2-sentinel}}]}",
        "notifications: {endpoints: [{url: 'http://h', headers: {A: [\"hunter2-sentinel\\n\"]}}]}",
        "notifications: {endpoints: [{url: 'http://h', headers: hunter2-sentinel}]}",
        "proxy: {password: *hunter2-sentinel}",
        "proxy: {password: @hunter2-sentinel}",
    ] {
        let errors = errors(&with(lines), &[]);
        assert!(!errors.join("\n").contains(SENTINEL), "{errors:?}");
    }
    for (name, value) in [
        ("REGISTRY_HTTP", "hunter2-sentinel"),
        ("REGISTRY_PROXY", "{password: [hunter2-sentinel"),
        ("REGISTRY_PROXY", "{password: *hunter2-sentinel}"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_A", "[*hunter2-sentinel]"),
    ] {
        let errors = errors(&with(""), &[(name, value)]);
        assert!(!errors.join("\n").contains(SENTINEL), "{errors:?}");
    }
}

#[test]
fn environments_show_names_only() {
    let environment = Environment::from_iter([("REGISTRY_HTTP_SECRET", SENTINEL)]);
    assert_eq!(format!("{environment:?}"), r#"{"REGISTRY_HTTP_SECRET"}"#);
    assert!(!format!("{:?}", Source::new("p", format!("http: {SENTINEL}"))).contains(SENTINEL));
}
