//! What is refused at the start, and what is not.

use super::*;

fn refused(text: &str) -> Vec<String> {
    let loaded = load_with(text, &[]).unwrap_or_else(|errors| panic!("{errors}\nof {text}"));
    loaded.config.unsupported().iter().map(|found| found.key.clone()).collect()
}

#[test]
fn unbuilt_features_are_refused_by_name() {
    for (lines, keys) in [
        ("middleware: {storage: [{name: cloudback}]}", &["middleware.storage"][..]),
        ("middleware: {registry: [{name: x, disabled: false}]}", &["middleware.registry"]),
        ("middleware: {repository: [{disabled: true}, {name: x}]}", &["middleware.repository"]),
        ("log: {hooks: [{type: mail}]}", &["log.hooks"]),
    ] {
        assert_eq!(refused(&with(lines)), keys, "{lines}");
    }
    let schema1 = with("compatibility: {schema1: {enabled: true}}");
    assert_eq!(refused(&schema1), ["compatibility.schema1.enabled"]);
    for (driver, parameters) in [("swift", "{authurl: a}"), ("oss", "{bucket: b}")] {
        let text = format!("version: 0.1\nstorage: {{{driver}: {parameters}}}\n");
        assert_eq!(refused(&text), [format!("storage.{driver}")]);
    }
}

#[test]
fn built_and_harmless_things_are_not_refused() {
    let text = with(
        "  delete: {enabled: true}
  maintenance: {readonly: {enabled: true}, uploadpurging: {enabled: true}}
  cache: {blobdescriptor: redis}
  redirect: {disable: true}
  tag: {concurrencylimit: 3}
auth: {htpasswd: {realm: r, path: p, anonymous: [pull]}}
http:
  addr: localhost:5000
  host: https://example.com
  prefix: /p/
  secret: s
  relativeurls: true
  draintimeout: 10s
  headers: {A: [b]}
  http2: {disabled: true}
  h2c: {enabled: true}
  tls: {minimumtls: tls1.2, certificate: c, key: k, clientcas: [ca]}
  debug: {addr: ':5001', prometheus: {enabled: true}}
health:
  storagedriver: {enabled: true}
  file: [{file: f}]
  http: [{uri: 'http://h'}]
  tcp: [{addr: 'h:1'}]
log: {level: debug, hooks: [{disabled: true}]}
notifications: {endpoints: [{disabled: true}, {url: 'http://h'}], events: {includereferences: true}}
middleware: {storage: [{name: x, disabled: true}]}
redis: {addrs: ['h:1', 'h:2'], password: x, mastername: m, tls: {rootcas: [ca]}}
proxy: {remoteurl: 'https://h', upstreams: [{prefix: a, url: 'https://a'}]}
catalog: {maxentries: 5}
tags: {maxtags: 5}
validation: {manifests: {urls: {allow: [x]}}}
policy: {repository: {classes: [image]}}",
    );
    assert_eq!(refused(&text), Vec::<String>::new());
}

#[test]
fn the_refusal_says_where_and_what_to_do() {
    let text = with("log:\n  hooks:\n    - {type: mail}");
    let config = load_with(&text, &[]).unwrap().config;
    let lines: Vec<String> = config.unsupported().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "config.yml:6:7: log.hooks: mail hooks are not built yet; leave the hook out or set `disabled: true`"
        ]
    );
    let variables = [("REGISTRY_LOG_HOOKS_0_TYPE", "mail")];
    let config = load_with(&with(""), &variables).unwrap().config;
    let expected = Location::Variable("REGISTRY_LOG_HOOKS_0_TYPE".to_owned());
    assert_eq!(config.unsupported()[0].location, expected);
}

#[test]
fn check_reports_everything_the_gravest_first() {
    let text = with("xyz: 1\nlog: {hooks: [{type: mail}]}\ntags: {maxtags: -1}");
    let found = check(&Source::new("config.yml", text), &Environment::default());
    let lines: Vec<(Severity, &str)> =
        found.iter().map(|found| (found.severity, found.key.as_str())).collect();
    assert_eq!(
        lines,
        [
            (Severity::Error, "log.hooks"),
            (Severity::Error, "tags.maxtags"),
            (Severity::Warning, "xyz"),
        ]
    );
}
