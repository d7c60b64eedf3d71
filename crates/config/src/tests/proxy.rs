//! `proxy`: what an upstream is when everything that was left out is filled in, and what is refused.

use std::time::Duration;

use super::*;

fn proxy(lines: &str) -> Proxy {
    clean(&with(&format!("proxy: {lines}")), &[]).proxy
}

/// The host names that mean each upstream.
fn host_names(lines: &str) -> Vec<Vec<String>> {
    proxy(lines).upstreams.into_iter().map(|upstream| upstream.ns).collect()
}

const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

#[test]
fn what_names_no_upstream_is_off() {
    for lines in ["", "{}", "{remoteurl: ''}", "{upstreams: []}", "{upstreams: }"] {
        assert!(proxy(lines).upstreams.is_empty(), "{lines}");
    }
    assert!(clean(&with(""), &[]).proxy.upstreams.is_empty());
    let found = warnings(&with("proxy:\n  remoteurl: ''\n  ttl: 1h\n  maxsize: 5GB"), &[]);
    let expected = "has no effect without `remoteurl` or `upstreams`";
    assert_eq!(
        found,
        [
            format!("config.yml:6:8: proxy.ttl: {expected}"),
            format!("config.yml:7:12: proxy.maxsize: {expected}")
        ]
    );
}

#[test]
fn distribution_s_upstream_is_one_for_every_name() {
    let proxy = proxy(
        "{remoteurl: 'https://registry-1.docker.io/', username: u, password: '012', ttl: 0, cachewritetimeout: 1m}",
    );
    let [upstream] = &proxy.upstreams[..] else { panic!("{proxy:?}") };
    assert_eq!(upstream.name, "registry-1.docker.io");
    assert_eq!(upstream.remote.urls, ["https://registry-1.docker.io"]);
    assert_eq!((upstream.prefix.as_str(), upstream.ns.len()), ("", 0));
    let password = Secret::new("012");
    assert_eq!(upstream.remote.credentials, Credentials::Login { username: "u".into(), password });
    assert!(upstream.library && !upstream.forward_auth && !upstream.remote.tls.insecure);
    let caching = Caching {
        ttl: None,
        tag_ttl: Duration::ZERO,
        negative_ttl: Duration::from_secs(10),
        stale_if_error: Duration::from_secs(8760 * 3600),
        offline: false,
        prefetch: Prefetch::Nothing,
    };
    assert_eq!(upstream.caching, caching);
    assert_eq!(proxy.cache_write_timeout, Duration::from_secs(60));
    assert_eq!((proxy.size_bytes_max, proxy.low_water_percent), (None, 90));
    assert_eq!(upstream.remote.registry().as_deref(), Some("docker.io"));
}

#[test]
fn an_upstream_has_what_it_says_and_else_what_all_have() {
    let proxy = proxy(
        "{ttl: 48h, tagttl: 1m, negativettl: 0, staleiferror: 0s, offline: true, prefetch: layers, maxsize: 1.5GiB, lowwater: 80, keep: 'prod/**', local: ['team/**', own], upstreams: [
  {prefix: quay.io, url: 'https://Quay.io/'},
  {name: two, prefix: a/b, ns: [B.example:5000], urls: ['http://b:5000/x', 'https://c'], library: true,
   ttl: 0, tagttl: 2m, negativettl: 3s, staleiferror: 4h, offline: false, prefetch: none, forwardauth: true,
   allow: ['x/**'], deny: [x/y], rewrite: [{from: o, to: p/q}, {from: r}, {to: s}],
   tls: {rootcas: ca.pem, certificate: c, key: k, insecure: true}}]}",
    );
    assert_eq!((proxy.size_bytes_max, proxy.low_water_percent), (Some(3 << 29), 80));
    assert_eq!(
        (proxy.keep, proxy.local),
        (vec!["prod/**".into()], vec!["team/**".into(), "own".into()])
    );
    let [quay, two] = &proxy.upstreams[..] else { panic!() };
    assert_eq!((quay.name.as_str(), &*quay.ns), ("quay.io", &["quay.io".to_owned()][..]));
    assert!(!quay.library && quay.caching.offline);
    assert_eq!(quay.caching.prefetch, Prefetch::Layers);
    assert_eq!(quay.caching.ttl, Some(Duration::from_secs(48 * 3600)));
    assert_eq!(quay.caching.tag_ttl, Duration::from_secs(60));
    assert_eq!((quay.caching.negative_ttl, quay.caching.stale_if_error), Default::default());
    assert_eq!((quay.remote.tls.clone(), quay.remote.credentials.clone()), Default::default());

    assert_eq!((two.name.as_str(), two.prefix.as_str()), ("two", "a/b"));
    assert_eq!(
        (&*two.ns, &*two.remote.urls),
        (&["b.example:5000".into()][..], &["http://b:5000/x".into(), "https://c".into()][..])
    );
    let caching = Caching {
        ttl: None,
        tag_ttl: Duration::from_secs(120),
        negative_ttl: Duration::from_secs(3),
        stale_if_error: Duration::from_secs(4 * 3600),
        offline: false,
        prefetch: Prefetch::Nothing,
    };
    assert_eq!(two.caching, caching);
    assert!(two.library && two.forward_auth && two.remote.tls.insecure);
    assert_eq!(two.remote.tls.root_cas, [std::path::PathBuf::from("ca.pem")]);
    assert!(two.remote.tls.certificate.is_some() && two.remote.tls.key.is_some());
    assert_eq!((&*two.allow, &*two.deny), (&["x/**".into()][..], &["x/y".into()][..]));
    let rewrite = |from: &str, to: &str| Rewrite { from: from.into(), to: to.into() };
    assert_eq!(two.rewrite, [rewrite("o", "p/q"), rewrite("r", ""), rewrite("", "s")]);
    assert_eq!(two.remote.registry().as_deref(), Some("b:5000"));
}

#[test]
fn what_is_fetched_ahead_is_one_of_three_words() {
    for (word, expected) in
        [("none", Prefetch::Nothing), ("layers", Prefetch::Layers), ("all", Prefetch::All)]
    {
        let remote = proxy(&format!("{{remoteurl: 'https://h', prefetch: {word}}}"));
        assert_eq!(remote.upstreams[0].caching.prefetch, expected);
        let own = format!("{{upstreams: [{{prefix: p, url: 'https://h', prefetch: {word}}}]}}");
        assert_eq!(proxy(&own).upstreams[0].caching.prefetch, expected);
    }
    let found = errors(&with("proxy: {remoteurl: 'https://h', prefetch: some}"), &[]);
    assert!(found.len() == 1 && found[0].contains("proxy.prefetch"), "{found:?}");
}

#[test]
fn credentials_are_read_in_every_way() {
    let credentials = |lines: &str| {
        let proxy = proxy(&format!("{{upstreams: [{{{lines}}}]}}"));
        proxy.upstreams.into_iter().next().unwrap().remote.credentials
    };
    let login = |username: &str, password: &str| Credentials::Login {
        username: username.into(),
        password: Secret::new(password),
    };
    let helper =
        |lifetime| Credentials::Helper(CredentialHelper { command: "pass".into(), lifetime });
    let aws = "url: 'https://1.dkr.ecr.eu-west-1.amazonaws.com'";
    for (lines, expected) in [
        ("url: 'https://h'".to_owned(), Credentials::Anonymous),
        ("url: 'https://h', username: u, password: p".to_owned(), login("u", "p")),
        ("url: 'https://u:p%40@h'".to_owned(), login("u", "p@")),
        ("urls: ['https://u:p@h', 'https://u:p@i']".to_owned(), login("u", "p")),
        ("url: 'https://h', exec: {command: pass}".to_owned(), helper(None)),
        (
            "url: 'https://h', exec: {command: pass, lifetime: 0}".to_owned(),
            helper(Some(Duration::ZERO)),
        ),
        (format!("{aws}, ecr: {{}}"), Credentials::Ecr { region: "eu-west-1".into() }),
        (format!("{aws}, ecr: {{region: x}}"), Credentials::Ecr { region: "x".into() }),
        ("url: 'https://h', gar:".to_owned(), Credentials::Gar { key_file: None }),
        (
            "url: 'https://h', gar: {keyfile: k}".to_owned(),
            Credentials::Gar { key_file: Some("k".into()) },
        ),
        (
            "url: 'https://h', acr: {tenant: t, clientid: i, clientsecret: s}".to_owned(),
            Credentials::Acr {
                tenant: "t".into(),
                client_id: "i".into(),
                client_secret: Secret::new("s"),
            },
        ),
    ] {
        assert_eq!(credentials(&lines), expected, "{lines}");
    }
    let text = with("proxy: {remoteurl: 'https://u:p@h', username: v, password: q}");
    let loaded = load_with(&text, &[]).unwrap();
    assert_eq!(loaded.config.proxy.upstreams[0].remote.credentials, login("v", "q"));
    let url = proxy("{remoteurl: 'https://u:p@h/x'}").upstreams.remove(0);
    assert_eq!(
        (url.remote.urls, url.remote.credentials),
        (vec!["https://h/x".to_owned()], login("u", "p"))
    );
}

#[test]
fn host_names_follow_from_the_prefix() {
    for (item, expected) in [
        ("prefix: docker.io, url: 'https://h'", &HUB[..]),
        ("prefix: ghcr.io, url: 'https://h'", &["ghcr.io"]),
        ("prefix: ghcr.io, ns: [a, 'b:5000'], url: 'https://h'", &["a", "b:5000"]),
        ("prefix: mirrors, url: 'https://ghcr.io'", &[]),
        ("prefix: mirrors/ghcr.io, url: 'https://ghcr.io'", &[]),
        ("url: 'https://ghcr.io'", &[]),
    ] {
        assert_eq!(host_names(&format!("{{upstreams: [{{{item}}}]}}")), [expected], "{item}");
    }
}

#[test]
fn beside_others_the_upstream_without_a_prefix_is_the_registry_that_it_is() {
    let hub = "remoteurl: 'https://registry-1.docker.io'";
    let ghcr = "{prefix: ghcr.io, url: 'https://ghcr.io'}";
    assert_eq!(host_names(&format!("{{{hub}, upstreams: [{ghcr}]}}")), [&HUB[..], &["ghcr.io"]]);
    let items = format!("[{ghcr}, {{url: 'https://quay.io:443'}}]");
    assert_eq!(host_names(&format!("{{upstreams: {items}}}")), [["ghcr.io"], ["quay.io:443"]]);
    // What another one is called by stays with that.
    let item = "{prefix: docker.io, ns: [docker.io], url: 'https://h'}";
    let names = host_names(&format!("{{{hub}, upstreams: [{item}]}}"));
    assert_eq!(names, [&HUB[1..], &HUB[..1]]);
}

#[test]
fn lists_are_set_by_variables() {
    let text = with("proxy: {upstreams: [{prefix: a, url: 'https://a'}]}");
    let config = clean(
        &text,
        &[
            ("REGISTRY_PROXY_MAXSIZE", "10GB"),
            ("REGISTRY_PROXY_LOCAL_0", "own/**"),
            ("REGISTRY_PROXY_UPSTREAMS_0_PASSWORD", "0123"),
            ("REGISTRY_PROXY_UPSTREAMS_0_USERNAME", "u"),
            ("REGISTRY_PROXY_UPSTREAMS_1", "{prefix: b, url: 'https://b'}"),
            ("REGISTRY_PROXY_UPSTREAMS_1_TLS_ROOTCAS_0", "ca.pem"),
            ("REGISTRY_PROXY_UPSTREAMS_1_REWRITE_0_TO", "x"),
        ],
    );
    let Proxy { upstreams, size_bytes_max, local, .. } = config.proxy;
    assert_eq!((size_bytes_max, local), (Some(10_000_000_000), vec!["own/**".to_owned()]));
    let password = Secret::new("0123");
    assert_eq!(
        upstreams[0].remote.credentials,
        Credentials::Login { username: "u".into(), password }
    );
    assert_eq!((upstreams[1].prefix.as_str(), upstreams[1].rewrite.len()), ("b", 1));
    assert_eq!(upstreams[1].remote.tls.root_cas.len(), 1);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (item, expected) in [
        ("{prefix: a}", "6:7: proxy.upstreams.0.url: must be set, or `urls`"),
        ("{url: 'https://a', urls: ['https://b']}", "6:32: proxy.upstreams.0.urls: excludes `url`"),
        ("{urls: ['https://a', '']}", "6:28: proxy.upstreams.0.urls.1: may not be empty"),
        (
            "{urls: ['https://a', b.example]}",
            "upstreams.0.urls.1: `b.example` the URL has no scheme",
        ),
        ("{urls: ['https://a/?x=1']}", "upstreams.0.urls.0: `https://a/?***` may not hold a query"),
        ("{urls: ['https://u:p@a', 'https://a']}", "urls.1: holds another user than the first one"),
        ("{url: 'https://a', prefix: /a}", "6:34: proxy.upstreams.0.prefix: `/a` is no part of"),
        ("{url: 'https://a', prefix: A}", "upstreams.0.prefix: `A` is no part of"),
        ("{url: 'https://a', prefix: a//b}", "upstreams.0.prefix: `a//b` is no part of"),
        ("{url: 'https://a', prefix: a_}", "upstreams.0.prefix: `a_` is no part of"),
        (
            "{url: 'https://a', ns: 'a/b'}",
            "6:30: proxy.upstreams.0.ns.0: `a/b` is no name of a registry",
        ),
        ("{url: 'https://a', ns: '*'}", "upstreams.0.ns.0: `*` is no name of a registry"),
        ("{url: 'https://a', name: a b}", "upstreams.0.name: `a b` may hold only"),
        ("{url: 'https://a', allow: A}", "upstreams.0.allow.0: `A` is no pattern of repositories"),
        (
            "{url: 'https://a', denny: a}",
            "upstreams.0.denny: unknown setting or key; did you mean `deny`?",
        ),
        ("{url: 'https://a', rewrite: [{}]}", "upstreams.0.rewrite.0.from: must be set, or `to`"),
        (
            "{url: 'https://a', rewrite: [{from: a/, to: b}]}",
            "upstreams.0.rewrite.0.from: `a/` is no part",
        ),
        (
            "{url: 'https://a', tls: {key: k}}",
            "6:37: proxy.upstreams.0.tls.certificate: must be set too, as `key` is",
        ),
        (
            "{url: 'https://a', tls: {certificate: k}}",
            "upstreams.0.tls.key: must be set too, as `certificate`",
        ),
        (
            "{url: 'https://a', username: u}",
            "6:36: proxy.upstreams.0.password: must be set too, as `username`",
        ),
        ("{url: 'https://a', exec: {lifetime: 1h}}", "upstreams.0.exec.command: must be set"),
        (
            "{url: 'https://a', ecr: {}}",
            "6:31: proxy.upstreams.0.ecr.region: must be set: the host",
        ),
        (
            "{url: 'https://a', acr: {tenant: t, clientid: i}}",
            "upstreams.0.acr.clientsecret: must be set",
        ),
        (
            "{url: 'https://a', gar: {}, username: u, password: p}",
            "6:31: proxy.upstreams.0.gar: excludes `proxy.upstreams.0.username`",
        ),
        (
            "{url: 'https://a', gar: {}, ecr: {region: r}}",
            "upstreams.0.gar: excludes `proxy.upstreams.0.ecr`",
        ),
        (
            "{url: 'https://u:p@a', gar: {}}",
            "6:13: proxy.upstreams.0.url: holds a user, which excludes `proxy.upstreams.0.gar`",
        ),
        (
            "{urls: ['https://u:p@a'], gar: {}}",
            "6:14: proxy.upstreams.0.urls: holds a user, which excludes",
        ),
        ("{url: 'https://a', ttl: -1s}", "upstreams.0.ttl: `-1s` must not be negative"),
    ] {
        let found = errors(&with(&format!("proxy:\n  upstreams:\n    - {item}")), &[]);
        assert!(found[0].contains(expected), "{item}\n{found:?}");
        assert_eq!(found.len(), 1, "{item}\n{found:?}");
    }
    for (lines, expected) in [
        (
            "{remoteurl: 'https://h', maxsize: lots}",
            "proxy.maxsize: `lots` is no size; write bytes such as 100GiB",
        ),
        ("{remoteurl: 'https://h', maxsize: 0}", "proxy.maxsize: `0` must be more than nothing"),
        ("{remoteurl: 'https://h', maxsize: 5%}", "proxy.maxsize: `5%` is no size"),
        (
            "{remoteurl: 'https://h', maxsize: 1GB, lowwater: 0}",
            "proxy.lowwater: `0` must be 1 or more",
        ),
        (
            "{remoteurl: 'https://h', maxsize: 1GB, lowwater: 101}",
            "proxy.lowwater: `101` must be 100 or less",
        ),
        (
            "{remoteurl: 'https://h', keep: ['A']}",
            "proxy.keep.0: `A` is no pattern of repositories",
        ),
        (
            "{remoteurl: 'https://h', local: ['']}",
            "proxy.local.0: `` is no pattern of repositories",
        ),
    ] {
        let found = errors(&with(&format!("proxy: {lines}")), &[]);
        assert!(found[0].contains(expected), "{lines}\n{found:?}");
        assert_eq!(found.len(), 1, "{lines}\n{found:?}");
    }
}

#[test]
fn no_two_upstreams_have_the_same_names() {
    for (lines, expected) in [
        (
            "remoteurl: https://h\n  upstreams:\n    - {url: 'https://a'}",
            "config.yml:7:7: proxy.upstreams.0.prefix: must be set: `proxy.remoteurl` has the empty one",
        ),
        (
            "upstreams:\n    - {url: 'https://a'}\n    - {url: 'https://b'}",
            "config.yml:7:7: proxy.upstreams.1.prefix: must be set: `proxy.upstreams.0` has the empty one",
        ),
        (
            "upstreams:\n    - {url: 'https://a', prefix: a.io}\n    - {url: 'https://b', prefix: a.io}",
            "config.yml:7:34: proxy.upstreams.1.prefix: `a.io` is that of `proxy.upstreams.0`, too; write another one",
        ),
        (
            "upstreams:\n    - {url: 'https://a', prefix: a}\n    - {url: 'https://b', prefix: b, name: a}",
            "config.yml:7:43: proxy.upstreams.1.name: `a` is that of `proxy.upstreams.0`, too; write another one",
        ),
        (
            "upstreams:\n    - {url: 'https://a', prefix: docker.io}\n    - {url: 'https://b', prefix: b, ns: [x, INDEX.docker.io]}",
            "config.yml:7:41: proxy.upstreams.1.ns: `index.docker.io` is that of `proxy.upstreams.0`, too; write another one",
        ),
        (
            "remoteurl: https://a.io\n  upstreams:\n    - {url: 'https://a.io', prefix: a.io}",
            "config.yml:7:7: proxy.upstreams.0.name: `a.io` is that of `proxy.remoteurl`, too; write another one",
        ),
    ] {
        assert_eq!(errors(&with(&format!("proxy:\n  {lines}")), &[]), [expected], "{lines}");
    }
    let items = "[{url: 'https://h', prefix: a, ns: [x, x]}, {url: 'https://h', prefix: a/b}]";
    assert_eq!(proxy(&format!("{{upstreams: {items}}}")).upstreams.len(), 2);
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let upstream = "upstreams: [{url: 'https://a', prefix: a}]";
    for (lines, expected) in [
        (format!("username: u, {upstream}"), "proxy.username: has no effect without `remoteurl`"),
        (
            format!("exec: {{command: c}}, {upstream}"),
            "proxy.exec: has no effect without `remoteurl`",
        ),
        (
            "remoteurl: 'https://h', username: u".to_owned(),
            "proxy.username: has no effect without `password`",
        ),
        (
            "remoteurl: 'https://h', password: u".to_owned(),
            "proxy.password: has no effect without `username`",
        ),
        (
            "remoteurl: 'https://u:p@h', username: v, password: q".to_owned(),
            "proxy.remoteurl: holds a user, who has no effect beside `proxy.username`",
        ),
        (
            "remoteurl: 'https://h', lowwater: 5".to_owned(),
            "proxy.lowwater: has no effect without `maxsize`",
        ),
        (
            "upstreams: [{url: 'http://a', tls: {insecure: true}}]".to_owned(),
            "proxy.upstreams.0.tls: has no effect: no URL of this registry is https",
        ),
    ] {
        let found = warnings(&with(&format!("proxy: {{{lines}}}")), &[]);
        assert!(found.len() == 1 && found[0].contains(expected), "{lines}: {found:?}");
    }
}

#[test]
fn what_is_printed_is_read_as_the_same() {
    let text = "proxy: {remoteurl: 'https://h', maxsize: 5GB, upstreams: [{urls: ['https://a', 'https://b'], prefix: a, ecr: {region: r}, rewrite: [{to: x}], deny: ['**']}]}";
    let once = clean(&with(text), &[]);
    let twice = clean(&once.print(), &[]);
    assert_eq!(once.print(), twice.print());
    assert_eq!(format!("{:?}", once.proxy), format!("{:?}", twice.proxy));
    assert!(once.print().contains("  lowwater: 90\n"), "{}", once.print());
    assert!(!clean(&with("proxy: {remoteurl: 'https://h'}"), &[]).print().contains("lowwater"));
}

#[test]
fn what_the_documentation_shows_loads() {
    let page = include_str!("../../../../docs/mirror.md");
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).collect();
    let blocks = blocks.iter().filter_map(|block| block.split("```").next());
    let configurations: Vec<&str> = blocks.filter(|block| block.contains("proxy:\n")).collect();
    let [whole, distribution] = configurations[..] else { panic!("{configurations:?}") };
    assert_eq!(clean(whole, &[]).proxy.upstreams.len(), 4);
    assert_eq!(clean(&with(distribution), &[]).proxy.upstreams.len(), 1);
}
