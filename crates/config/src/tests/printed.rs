//! The printed configuration.

use super::*;

#[test]
fn zero_config_prints_what_is_in_force() {
    let printed = Config::zero_config().print();
    for line in [
        "version: 0.1\n",
        "log:\n  accesslog:\n    disabled: false\n  level: info\n  formatter: text\n",
        "  filesystem:\n    rootdirectory: ./wharf-data\n    maxthreads: 100\n",
        "    uploadpurging:\n      enabled: true\n      age: 168h0m0s\n      interval: 24h0m0s\n",
        "  addr: :5000\n",
        "  storagedriver:\n    enabled: true\n    interval: 10s\n    threshold: 3\n",
    ] {
        assert!(printed.contains(line), "{line}\nin\n{printed}");
    }
    for absent in ["redis:", "proxy:", "notifications:", "\nauth:", "policy:", "loglevel"] {
        assert!(!printed.contains(absent), "{absent} in\n{printed}");
    }
}

#[test]
fn a_value_names_its_variable_and_secrets_are_masked() {
    let text = with(
        "http:\n  secret: s3cr3t\nproxy:\n  remoteurl: https://u:pw@h/\n  upstreams:\n    - {prefix: a, urls: ['https://u:pw@a/', 'https://u:pw@b/']}",
    );
    let printed = clean(&text, &[("REGISTRY_HTTP_ADDR", ":6000")]).print();
    assert!(printed.contains("  addr: :6000 # REGISTRY_HTTP_ADDR\n"), "{printed}");
    assert!(printed.contains("  secret: \"***\"\n"), "{printed}");
    assert!(printed.contains("  remoteurl: \"https://***@h/\"\n"), "{printed}");
    assert!(printed.contains("        - \"https://***@b/\"\n"), "{printed}");
    assert!(!printed.contains("pw"), "{printed}");
}

#[test]
fn what_is_printed_loads_as_the_same() {
    let text = with(
        "log:
  level: debug
  fields: {a: '5', b: 5, 'c d': \"x\\ty\\n\\\"z\\\\ \\u0007\", e: 'yes', f: on, g: 'null', h: '', i: ' x', '8': '- x', j: '#x', k: 'a: b', l: '1_0', n: '1.5', o: 1.5, m: 'ä', '~': '~'}
http:
  headers: {X-A: ['max-age=1; b', '*', '0123', \"q'\\\"\"], X-B: [], X-C: x}
health:
  tcp: [{addr: 'a:1'}, {addr: 'b:2', interval: 3s}]
  storagedriver: true
validation:
  manifests: {urls: {allow: ['^https?://(a|b)\\.example/']}}",
    );
    let text = text.replace("  storagedriver: true\n", "  storagedriver: {enabled: true}\n");
    let once = clean(&text, &[("REGISTRY_CATALOG_MAXENTRIES", "5")]);
    let twice = clean(&once.print(), &[]);
    let without_origin = once.print().replace(" # REGISTRY_CATALOG_MAXENTRIES", "");
    assert_eq!(without_origin, twice.print());
    assert_eq!(once.log.fields, twice.log.fields);
    assert_eq!(once.http.headers, twice.http.headers);
    assert_eq!(once.health.tcp, twice.health.tcp);
}

#[test]
fn locations_are_known() {
    let config = clean(&with("http:\n  addr: :1"), &[("REGISTRY_LOG_LEVEL", "info")]);
    let place = Location::File { path: "config.yml".into(), line: 5, column: 9 };
    assert_eq!(config.location("http.addr"), place);
    assert_eq!(config.location("log.level"), Location::Variable("REGISTRY_LOG_LEVEL".to_owned()));
    assert_eq!(config.location("tags.maxtags"), Location::Builtin);
    assert_eq!(config.location("no.such.key"), Location::Builtin);
}
