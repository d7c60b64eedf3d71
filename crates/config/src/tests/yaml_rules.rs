//! How the file is read, row by row of what Distribution's parser does.

use std::time::Duration;

use super::*;

#[test]
fn unknown_key_warns_with_place_and_nearest() {
    let text = with("http:\n  adr: :5000\nxyzzy: 1\nlog:\n  levle: debug");
    assert_eq!(
        warnings(&text, &[]),
        [
            "config.yml:5:3: http.adr: unknown key, ignored; did you mean `addr`?",
            "config.yml:6:1: xyzzy: unknown key, ignored",
            "config.yml:8:3: log.levle: unknown key, ignored; did you mean `level`?",
        ]
    );
}

#[test]
fn duplicate_key_last_wins_and_warns_with_both_lines() {
    let text = with("http:\n  addr: :1\n  addr: :2\nhttp:\n  addr: :3");
    let loaded = load_with(&text, &[]).unwrap();
    assert_eq!(loaded.config.http.listen, Listen::Tcp { host: None, port: 3 });
    let lines: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "config.yml:6:3: addr: the key stands twice, in line 5 and in line 6; the last one is used",
            "config.yml:7:1: http: the key stands twice, in line 4 and in line 7; the last one is used",
        ]
    );
}

#[test]
fn only_the_first_document_is_read() {
    let text = format!("{}---\nhttp: {{addr: ':9'}}\n", with("http: {addr: ':1'}"));
    let loaded = load_with(&text, &[]).unwrap();
    assert_eq!(loaded.config.http.listen, Listen::Tcp { host: None, port: 1 });
    assert_eq!(loaded.warnings.len(), 1);
    // What stands in later documents isn't even looked at.
    assert_eq!(warnings(&format!("{}---\n[", with("")), &[]).len(), 1);
}

#[test]
fn version() {
    for (first_line, shown) in [
        ("", r#"unsupported version: """#),
        ("version: 0.2\n", r#"unsupported version: "0.2""#),
        ("version: '1'\n", r#"unsupported version: "1""#),
        ("version: [0.1]\n", r#"unsupported version: """#),
    ] {
        let errors = errors(&format!("{first_line}storage: inmemory\n"), &[]);
        assert!(errors.iter().any(|line| line.contains(shown)), "{errors:?}");
    }
    clean("version: '0.1'\nstorage: inmemory\n", &[]);
    clean("version: 0.1\nstorage: inmemory\n", &[]);
}

#[test]
fn booleans_of_yaml_1_1() {
    for (text, expected) in [
        ("y", true),
        ("Y", true),
        ("yes", true),
        ("Yes", true),
        ("on", true),
        ("ON", true),
        ("true", true),
        ("True", true),
        ("'true'", true),
        ("n", false),
        ("no", false),
        ("NO", false),
        ("off", false),
        ("false", false),
        ("FALSE", false),
        ("~", false),
        ("", false),
    ] {
        let config = clean(&with(&format!("http:\n  relativeurls: {text}")), &[]);
        assert_eq!(config.http.relative_urls, expected, "{text}");
    }
    let errors = errors(&with("http:\n  relativeurls: maybe"), &[]);
    assert_eq!(
        errors,
        ["config.yml:5:17: http.relativeurls: `maybe` is no boolean; write true or false"]
    );
}

#[test]
fn integers_of_yaml_1_1() {
    for (text, expected) in [
        ("5", 5),
        ("0777", 511),
        ("0o777", 511),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("'7'", 7),
        ("+7", 7),
        ("0", 0),
    ] {
        let config = clean(&with(&format!("tags:\n  maxtags: {text}")), &[]);
        assert_eq!(config.tags.max_tags, expected, "{text}");
    }
    for text in ["-1", "x", "1.5", "08", "--1", "0x", "99999999999999999999", "[1]", "1 2"] {
        let errors = errors(&with(&format!("tags:\n  maxtags: {text}")), &[]);
        assert!(errors[0].starts_with("config.yml:5:12: tags.maxtags: "), "{text}: {errors:?}");
    }
    // Not negative there, but here zero and less mean the default.
    assert_eq!(clean(&with("catalog: {maxentries: -1}"), &[]).catalog.max_entries, 1000);
}

#[test]
fn durations_of_go() {
    let seconds = Duration::from_secs;
    for (text, expected) in [
        ("10s", seconds(10)),
        ("1h30m", seconds(5400)),
        ("168h", seconds(168 * 3600)),
        ("1.5s", Duration::from_millis(1500)),
        (".5s", Duration::from_millis(500)),
        ("250ms", Duration::from_millis(250)),
        ("2us", Duration::from_micros(2)),
        ("2µs", Duration::from_micros(2)),
        ("5ns", Duration::from_nanos(5)),
        ("+1m", seconds(60)),
        ("10000000000", seconds(10)),
        ("10_000_000_000", seconds(10)),
        ("0", seconds(0)),
        ("", seconds(0)),
    ] {
        let config = clean(&with(&format!("http:\n  draintimeout: {text}")), &[]);
        assert_eq!(config.http.drain_timeout, expected, "{text}");
    }
    for text in ["-1s", "1d", "10 s", "s", "1..5s", ".s", "1h-5m", "99999999999h", "-", "1s5"] {
        let errors = errors(&with(&format!("http:\n  draintimeout: '{text}'")), &[]);
        assert!(
            errors[0].starts_with("config.yml:5:17: http.draintimeout: "),
            "{text}: {errors:?}"
        );
    }
    let warnings = warnings(&with("http:\n  draintimeout: 10"), &[]);
    assert!(warnings[0].contains("`10` without a unit is 10 nanoseconds"), "{warnings:?}");
}

#[test]
fn texts_are_taken_as_written() {
    for text in ["0123", "1e3", "0x10", "yes", "1_000", "12345678901234567890", "1.0"] {
        let config = clean(&with(&format!("http:\n  secret: {text}")), &[]);
        assert_eq!(config.http.secret.unwrap().reveal(), text);
        // Also where Distribution has an untyped map.
        let driver = format!("  s3:\n    region: r\n    bucket: {text}\n    secretkey: {text}");
        let config = clean(&format!("version: 0.1\nstorage:\n{driver}\n"), &[]);
        let Driver::S3(s3) = config.storage.driver else { panic!() };
        assert_eq!(s3.secret_key.unwrap().reveal(), text);
        assert_eq!(s3.bucket, text);
    }
}

#[test]
fn bare_driver_and_auth() {
    let config = clean("version: 0.1\nstorage: inmemory\nauth: none\n", &[]);
    assert!(matches!(config.storage.driver, Driver::InMemory));
    assert_eq!(config.auth, Auth::None);
    let config = clean("version: 0.1\nstorage: filesystem\n", &[]);
    let Driver::Filesystem(filesystem) = config.storage.driver else { panic!() };
    assert_eq!(filesystem.root_directory.to_str(), Some("/var/lib/registry"));
    assert_eq!(filesystem.max_threads, 100);
}

#[test]
fn driver_is_one_and_known() {
    for (text, expected) in [
        (
            "version: 0.1\n",
            "config.yml:1:1: storage: no storage configuration provided; name one driver, such as `filesystem` with its `rootdirectory`",
        ),
        (
            "version: 0.1\nstorage:\n  delete: {enabled: true}\n",
            "config.yml:3:3: storage: no storage configuration provided; name one driver, such as `filesystem` with its `rootdirectory`",
        ),
        (
            "version: 0.1\nstorage:\n  filesystem:\n  inmemory:\n",
            "config.yml:4:3: storage: must name exactly one storage driver, but there are `filesystem` (config.yml:3:3) and `inmemory` (config.yml:4:3)",
        ),
    ] {
        // The section's own place is its first key, as it has no text of its own.
        assert_eq!(errors(text, &[]), [expected]);
    }
    let unknown = errors("version: 0.1\nstorage:\n  filesytem: {}\n", &[]);
    let expected = "config.yml:3:3: storage.filesytem: unknown storage driver or key; did you mean `filesystem`?";
    assert!(unknown[0].starts_with(expected), "{unknown:?}");
    let unknown = errors("version: 0.1\nstorage: tape\n", &[]);
    assert!(unknown[0].starts_with("config.yml:2:10: storage.tape: unknown storage driver"));
}

#[test]
fn auth_is_one_known_and_complete() {
    let two = with("auth:\n  silly: {realm: r, service: s}\n  htpasswd: {realm: r, path: p}");
    assert_eq!(
        errors(&two, &[]),
        [
            "config.yml:6:3: auth: must name exactly one auth type, but there are `silly` (config.yml:5:3) and `htpasswd` (config.yml:6:3)"
        ]
    );
    assert!(errors(&with("auth: ldap"), &[])[0].contains("auth.ldap: unknown auth type"));
    for (auth, missing) in [
        ("silly: {realm: r}", "auth.silly.service: must be set"),
        ("htpasswd: {path: p}", "auth.htpasswd.realm: must be set"),
        ("htpasswd: {realm: p, path: ''}", "auth.htpasswd.path: must be set"),
        ("token: {realm: r, service: s, jwks: j}", "auth.token.issuer: must be set"),
        ("token: {realm: r, service: s, issuer: i}", "auth.token.rootcertbundle: must be set"),
    ] {
        let errors = errors(&with(&format!("auth:\n  {auth}")), &[]);
        assert!(errors[0].contains(missing), "{auth}: {errors:?}");
    }
}

#[test]
fn wrong_values_are_errors_with_their_place() {
    for (lines, expected) in [
        (
            "log:\n  level: loud",
            "5:10: log.level: `loud` must be one of [error, warn, info, debug]",
        ),
        ("loglevel: loud", "4:11: log.level: `loud` must be one of [error, warn, info, debug]"),
        (
            "log:\n  formatter: xml",
            "5:14: log.formatter: `xml` must be one of [text, json, logstash]",
        ),
        ("http:\n  net: udp", "5:8: http.net: `udp` must be one of [tcp, unix]"),
        ("http:\n  addr: 5000", "5:9: http.addr: `5000` has no port"),
        (
            "http:\n  addr: ::1:5000",
            "5:9: http.addr: `::1:5000` an IPv6 address must stand in brackets",
        ),
        ("http:\n  addr: '[::1:5000'", "5:9: http.addr: `[::1:5000` has no IPv6 address"),
        ("http:\n  addr: :65536", "5:9: http.addr: `:65536` the port must be a number"),
        ("http:\n  net: unix", "http.addr: must be a path when `net` is unix"),
        ("http:\n  debug: {addr: x}", "5:17: http.debug.addr: `x` has no port"),
        ("http:\n  host: example.com", "5:9: http.host: `example.com` the URL has no scheme"),
        ("http:\n  host: ftp://x", "5:9: http.host: `ftp://x` the URL's scheme must be http"),
        ("http:\n  host: 'http://a b'", "5:9: http.host: `http://a b` is not a URL"),
        ("http:\n  prefix: /a b/", "5:11: http.prefix: `/a b/` may hold only"),
        ("http:\n  prefix: /../x", "5:11: http.prefix: `/../x` may not hold"),
        (
            "http:\n  headers: {'a b': [c]}",
            "5:13: http.headers.a b: is not a legal HTTP header name",
        ),
        ("http:\n  headers: {a: [\"x\\ny\"]}", "5:17: http.headers.a.0: holds a character"),
        ("http:\n  headers: [a]", "5:12: http.headers: expects a mapping of names to values"),
        ("http:\n  tls: {minimumtls: tls9}", "5:21: http.tls.minimumtls: `tls9` must be one of"),
        ("http:\n  tls: {clientauth: no}", "5:21: http.tls.clientauth: `no` must be one of"),
        (
            "http:\n  tls: {ciphersuites: [X]}",
            "5:24: http.tls.ciphersuites.0: `X` unknown TLS cipher",
        ),
        ("http:\n  tls: {certificate: c}", "5:22: http.tls.key: must be set too"),
        (
            "http: {tls: {certificate: c, key: k, letsencrypt: {cachefile: d, hosts: [h]}}}",
            "http.tls.letsencrypt: cannot specify both",
        ),
        ("http: {tls: {letsencrypt: {cachefile: d}}}", "letsencrypt.hosts: must be set"),
        ("http: {trustedproxies: [proxy]}", "is not an address or a network"),
        ("auth: {htpasswd: {realm: r, path: p, anonymous: [push]}}", "known are pull, catalog"),
        ("http: 5", "4:7: http: expects a mapping with keys such as addr, net, host, prefix, …"),
        ("http: [5]", "4:7: http: expects a mapping"),
        ("log:\n  hooks: x", "5:10: log.hooks: expects a list"),
        ("log:\n  fields: {a: [1]}", "5:15: log.fields.a: expects a single value, not a list"),
        (
            "validation:\n  manifests: {urls: {allow: ['(']}}",
            "5:30: validation.manifests.urls.allow.0: `(` is not a regular",
        ),
        (
            "validation:\n  manifests: {indexes: {platforms: some}}",
            "5:36: validation.manifests.indexes.platforms: `some` must be one of [all, none, list]",
        ),
        (
            "validation:\n  manifests: {references: x}",
            "5:27: validation.manifests.references: `x` must be one of",
        ),
        (
            "proxy:\n  remoteurl: docker.io",
            "5:14: proxy.remoteurl: `docker.io` the URL has no scheme",
        ),
        (
            "proxy:\n  remoteurl: https://u:hunter2@h h",
            "5:14: proxy.remoteurl: `https://***@h h` is not a URL",
        ),
        ("proxy: {exec: {command: c}, username: u}", "4:15: proxy.exec: excludes `proxy.username`"),
        ("tags:\n  maxtags: -1", "5:12: tags.maxtags: `-1` must be 0 or more"),
        (
            "notifications:\n  endpoints: [{name: n}]",
            "5:15: notifications.endpoints.0.url: must be set",
        ),
        (
            "  cache: {blobdescriptor: redis}",
            "4:27: storage.cache.blobdescriptor: `redis` needs `redis.addrs`",
        ),
        (
            "redis: {addrs: ['h:1', redis]}",
            "4:24: redis.addrs.1: `redis` has no port; write host:port",
        ),
        (
            "redis: {addrs: ['redis://u:hunter2@h:1']}",
            "redis.addrs.0: `redis://***@h:1` is no host and port; write host:port",
        ),
        ("redis: {addr: 'h:x'}", "redis.addrs.0: `h:x` the port must be a number up to 65535"),
        ("redis: {clientname: a b}", "4:21: redis.clientname: `a b` may hold only ASCII"),
        ("redis: {tls: {key: k}}", "4:20: redis.tls.certificate: must be set too, as `key` is"),
        (
            "  maintenance: {uploadpurging: {interval: 0s}}",
            "4:43: storage.maintenance.uploadpurging.interval: must be more",
        ),
        (
            "  maintenance: {scrub: {enabled: true, interval: 0s}}",
            "4:50: storage.maintenance.scrub.interval: must be more than nothing; to turn the scrub",
        ),
        (
            "  maintenance: {uploadpurging: x}",
            "4:32: storage.maintenance.uploadpurging: expects a mapping",
        ),
    ] {
        let errors = errors(&with(lines), &[]);
        assert!(errors[0].contains(expected), "{lines}\n{errors:?}");
        assert_eq!(errors.len(), 1, "{errors:?}");
    }
}

#[test]
fn all_errors_come_out_at_once() {
    let text = "version: 9\nlog: {level: x}\nhttp: {addr: y}\ntags: {maxtags: z}\n";
    let errors = errors(text, &[]);
    assert_eq!(errors.len(), 5, "{errors:?}");
}

#[test]
fn the_scrub_is_off_and_then_has_a_month() {
    let scrub = clean(&with(""), &[]).storage.scrub;
    assert!(!scrub.enabled);
    let scrub = clean(&with("  maintenance: {scrub: true}"), &[]).storage.scrub;
    assert!(scrub.enabled);
    assert_eq!((scrub.interval, scrub.rate), (Duration::from_secs(720 * 3600), 10 << 20));
    let variable = ("REGISTRY_STORAGE_MAINTENANCE_SCRUB_RATE", "0");
    let text = with("  maintenance: {scrub: {enabled: true, interval: 24h}}");
    let scrub = clean(&text, &[variable]).storage.scrub;
    assert_eq!((scrub.interval, scrub.rate), (Duration::from_secs(24 * 3600), 0));
}

#[test]
fn what_panics_in_distribution_works() {
    let config = clean(&with("  maintenance: {uploadpurging: {age: 1h}}"), &[]);
    let purging = &config.storage.upload_purging;
    assert!(purging.enabled && !purging.dry_run);
    assert_eq!(purging.age, Duration::from_secs(3600));
    assert_eq!(purging.interval, Duration::from_secs(24 * 3600));
    let config = clean(&with("  maintenance: {uploadpurging: {enabled: false}}"), &[]);
    assert!(!config.storage.upload_purging.enabled);
    let config = clean(&with("  maintenance: {uploadpurging: false, readonly: true}"), &[]);
    assert!(!config.storage.upload_purging.enabled && config.storage.read_only);
    for delete in ["{enabled: 'true'}", "{enabled: yes}", "true"] {
        assert!(clean(&with(&format!("  delete: {delete}")), &[]).storage.deletion.manifests);
    }
    assert!(!clean(&with("  redirect: {}"), &[]).storage.redirect_disabled);
    assert!(!clean(&with("  redirect:"), &[]).storage.redirect_disabled);
    assert!(clean(&with("  maintenance: {readonly: {enabled: true}}"), &[]).storage.read_only);
}

#[test]
fn what_may_be_deleted_follows_enabled_unless_it_is_said() {
    let deletion = |text: &str| clean(&with(text), &[]).storage.deletion;
    for (text, expected) in [
        ("", [false; 4]),
        ("  delete: true", [true, true, true, false]),
        ("  delete: {enabled: true, blobs: false}", [true, true, false, false]),
        ("  delete: {tags: true}", [true, false, false, false]),
        ("  delete: {manifests: yes, repositories: yes}", [false, true, false, true]),
        ("  delete: {enabled: true, tags:, repositories: true}", [true; 4]),
    ] {
        let Deletion { tags, manifests, blobs, repositories } = deletion(text);
        assert_eq!([tags, manifests, blobs, repositories], expected, "{text}");
    }
    let text = with("  delete: true");
    let config = clean(&text, &[("REGISTRY_STORAGE_DELETE_TAGS", "false")]);
    assert!(!config.storage.deletion.tags && config.storage.deletion.manifests);
}

#[test]
fn space_that_stays_free() {
    let min = |text: &str| clean(&with(text), &[]).storage.free_space;
    assert_eq!(min(""), FreeSpace::Default);
    assert_eq!(min("  maintenance: {freespace: {min: 0}}"), FreeSpace::Bytes(0));
    assert_eq!(min("  maintenance: {freespace: {min: 5%}}"), FreeSpace::Millionths(50_000));
    let errors = errors(&with("  maintenance: {freespace: {min: some}}"), &[]);
    assert!(errors[0].contains("storage.maintenance.freespace.min"), "{errors:?}");
    assert!(errors[0].contains("write bytes such as 512MiB"), "{errors:?}");
}

#[test]
fn purging_is_on_without_a_word_about_it() {
    let purging = clean(&with(""), &[]).storage.upload_purging;
    assert!(purging.enabled);
    assert_eq!(purging.age, Duration::from_secs(168 * 3600));
}

#[test]
fn descriptor_cache() {
    for (lines, expected) in [
        ("", None),
        ("  cache: {blobdescriptor: ''}", None),
        ("  cache: {blobdescriptor: inmemory}", Some(DescriptorCache::InMemory)),
        ("  cache: {layerinfo: inmemory}", Some(DescriptorCache::InMemory)),
        ("  cache: {blobdescriptor: redis}\nredis: {addr: 'h:1'}", Some(DescriptorCache::Redis)),
    ] {
        assert_eq!(clean(&with(lines), &[]).storage.descriptor_cache, expected, "{lines}");
    }
    let text = with("  cache: {blobdescriptor: tape}");
    assert!(warnings(&text, &[])[0].contains("is no known cache, so there is none"));
    assert_eq!(load_with(&text, &[]).unwrap().config.storage.descriptor_cache, None);
}

#[test]
fn what_redis_can_t_be_told_draws_a_warning() {
    assert_eq!(
        warnings(&with("redis: {addrs: ['h:1'], poolsize: 5}"), &[]),
        [
            "config.yml:4:16: redis.addrs: has no effect without `storage.cache.blobdescriptor: redis`"
        ]
    );
    let cache = "  cache: {blobdescriptor: redis}\n";
    for (redis, keys) in [
        ("addr: h:1, db: 3, clientname: n, protocol: 3, readtimeout: 1s, maxretries: -1", &[][..]),
        ("addr: h:1, db: 0, readonly: false, poolfifo: no, disableindentity: off", &[]),
        ("addrs: [h:1, h:2], mastername: m, db: 3, clientname: n, sentinelusername: u", &[]),
        ("addrs: [h:1, h:2], db: 3, clientname: n", &["redis.clientname", "redis.db"]),
        ("addrs: [h:1, h:2], db: 0", &[]),
        ("addr: h:1, protocol: 4", &["redis.protocol"]),
        (
            "addr: h:1, sentinelusername: u, sentinelpassword: p",
            &["redis.sentinelpassword", "redis.sentinelusername"],
        ),
        (
            "addr: h:1, poolsize: 5, pooltimeout: 1s, minidleconns: 1, maxidleconns: 1, \
             maxactiveconns: 1, connmaxidletime: 1s, connmaxlifetime: 1s, maxredirects: 3, \
             identitysuffix: s, poolfifo: true, contexttimeoutenabled: true, readonly: true, \
             routebylatency: true, routerandomly: true, disableidentity: true, unstableresp3: true",
            &[
                "redis.connmaxidletime",
                "redis.connmaxlifetime",
                "redis.contexttimeoutenabled",
                "redis.disableidentity",
                "redis.identitysuffix",
                "redis.maxactiveconns",
                "redis.maxidleconns",
                "redis.maxredirects",
                "redis.minidleconns",
                "redis.poolfifo",
                "redis.poolsize",
                "redis.pooltimeout",
                "redis.readonly",
                "redis.routebylatency",
                "redis.routerandomly",
                "redis.unstableresp3",
            ],
        ),
    ] {
        let text = with(&format!("{cache}redis: {{{redis}}}"));
        let loaded = load_with(&text, &[]).unwrap_or_else(|errors| panic!("{errors}\nof {redis}"));
        let mut found: Vec<&str> = loaded.warnings.iter().map(|w| w.key.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, keys, "{redis}");
    }
}

#[test]
fn old_spellings() {
    assert_eq!(clean(&with("loglevel: DEBUG"), &[]).log.level, LogLevel::Debug);
    let both = with("loglevel: debug\nlog: {level: error}");
    assert_eq!(load_with(&both, &[]).unwrap().config.log.level, LogLevel::Error);
    assert_eq!(warnings(&both, &[]).len(), 1);

    let redis = "redis: {pool: {maxidle: 16, maxactive: 64, idletimeout: 300s}}";
    let redis = clean(&with(redis), &[]).redis;
    assert_eq!((redis.max_idle_conns, redis.max_active_conns), (Some(16), Some(64)));
    assert_eq!(redis.conn_max_idle_time, Some(Duration::from_secs(300)));
    let redis = clean(&with("  cache: {layerinfo: redis}\nredis: {addr: h:1}"), &[]).redis;
    assert_eq!(redis.addrs, ["h:1"]);

    let text = with("  cache:\n    layerinfo: redis\n    blobdescriptor: inmemory");
    let loaded = load_with(&text, &[]).unwrap();
    assert_eq!(loaded.config.storage.descriptor_cache, Some(DescriptorCache::InMemory));
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn removed_sections_warn() {
    let text =
        with("compatibility: {schema1: {signingkeyfile: k}}\nreporting: {bugsnag: {apikey: k}}");
    assert_eq!(
        warnings(&text, &[]),
        [
            "config.yml:4:16: compatibility: was removed in Distribution 3 and has no effect",
            "config.yml:5:12: reporting: was removed in Distribution 3 and has no effect",
        ]
    );
}

#[test]
fn validation_switch() {
    for (lines, expected) in [
        ("", true),
        ("{disabled: true}", false),
        ("{disabled: true, enabled: true}", true),
        ("{enabled: false}", true),
        ("{disabled: false}", true),
    ] {
        let config = clean(&with(&format!("validation: {lines}")), &[]);
        assert_eq!(config.validation.enabled, expected, "{lines}");
    }
    let text = with(
        "validation:\n  manifests:\n    references: lenient\n    urls: {allow: ['^https://ok/'], deny: [evil]}\n    indexes:\n      platforms: List\n      platformlist: [{architecture: amd64, os: linux}]",
    );
    let validation = clean(&text, &[]).validation;
    assert_eq!(validation.references, ReferencePolicy::Lenient);
    assert!(validation.url_allow[0].is_match("https://ok/x"));
    assert!(validation.url_deny[0].is_match("x evil y"));
    let platform = Platform { architecture: "amd64".to_owned(), os: "linux".to_owned() };
    assert_eq!(validation.index_platforms, IndexPlatforms::List(vec![platform]));
}

#[test]
fn addresses() {
    let tcp = |host: Option<&str>, port| Listen::Tcp { host: host.map(str::to_owned), port };
    for (text, expected) in [
        ("", tcp(None, 0)),
        (":5000", tcp(None, 5000)),
        ("0.0.0.0:5000", tcp(Some("0.0.0.0"), 5000)),
        ("[::]:5000", tcp(Some("::"), 5000)),
        ("[fe80::1%eth0]:5000", tcp(Some("fe80::1%eth0"), 5000)),
        ("localhost:5000", tcp(Some("localhost"), 5000)),
        ("localhost:", tcp(Some("localhost"), 0)),
        (":https", tcp(None, 443)),
    ] {
        let config = clean(&with(&format!("http:\n  addr: '{text}'")), &[]);
        assert_eq!(config.http.listen, expected, "{text}");
    }
    let config = clean(&with("http: {net: unix, addr: /run/wharf.sock}"), &[]);
    assert_eq!(config.http.listen, Listen::Unix("/run/wharf.sock".into()));
}

#[test]
fn prefixes_have_one_form() {
    for (text, expected) in [
        ("''", ""),
        ("/", ""),
        ("registry", "/registry"),
        ("/registry/", "/registry"),
        ("//a//b/", "/a/b"),
    ] {
        let config = clean(&with(&format!("http:\n  prefix: {text}")), &[]);
        assert_eq!(config.http.prefix, expected, "{text}");
    }
}

#[test]
fn headers_keep_order_and_case() {
    let text = with("http:\n  headers:\n    X-B: [one, two]\n    x-a: three");
    let expected = [
        ("X-B".to_owned(), vec!["one".to_owned(), "two".to_owned()]),
        ("x-a".to_owned(), vec!["three".to_owned()]),
    ];
    assert_eq!(clean(&text, &[]).http.headers, expected);
}

#[test]
fn log_fields_are_typed() {
    let text = with("log:\n  fields: {a: x, b: 5, c: '5', d: true, e: 1.5, f: y}");
    let values: Vec<FieldValue> =
        clean(&text, &[]).log.fields.into_iter().map(|(_, value)| value).collect();
    let text = |text: &str| FieldValue::Text(text.to_owned());
    let expected = [
        text("x"),
        FieldValue::Integer(5),
        text("5"),
        FieldValue::Boolean(true),
        FieldValue::Float(1.5),
        text("y"),
    ];
    assert_eq!(values, expected);
}

#[test]
fn anchors_and_merges() {
    let text = with(
        "health:\n  tcp:\n    - &base {addr: 'a:1', interval: 5s}\n    - <<: *base\n      addr: b:2\n    - {<<: [*base, {addr: 'c:3', threshold: 9}]}",
    );
    let tcp = clean(&text, &[]).health.tcp;
    let five = Duration::from_secs(5);
    assert_eq!((tcp[1].addr.as_str(), tcp[1].interval), ("b:2", five));
    assert_eq!((tcp[2].addr.as_str(), tcp[2].interval, tcp[2].threshold), ("a:1", five, 9));
}

#[test]
fn broken_yaml_says_where() {
    for (text, place) in [
        ("version: 0.1\nstorage: [\n", "config.yml:"),
        ("version: 0.1\n\tstorage: x\n", "config.yml:1:"),
        ("a: *nowhere\n", "config.yml:1:4: not valid YAML"),
        ("[1, 2]\n", "config.yml:1:1: "),
        ("just text\n", "config.yml:1:1: "),
        ("{[a]: b}\n", "not valid YAML: a key must be a plain word"),
        ("<<: 5\n", "not valid YAML: `<<` merges"),
        ("a: &a [*a]\n", "an alias may not stand inside its own anchor"),
        ("", "unsupported version"),
        ("# nothing\n", "unsupported version"),
    ] {
        let errors = errors(text, &[]);
        assert!(errors[0].contains(place), "{text:?}: {errors:?}");
    }
}

#[test]
fn line_ends_marks_and_directives_of_other_editors() {
    let text = with("http:\n  addr: :1");
    for text in [
        text.replace('\n', "\r\n"),
        format!("\u{feff}{text}"),
        format!("%YAML 1.1\n---\n{text}...\n"),
        format!("# first\n---\n{text}"),
    ] {
        assert_eq!(clean(&text, &[]).http.listen, Listen::Tcp { host: None, port: 1 });
    }
}

#[test]
fn keys_in_capitals_are_unknown_but_recognised() {
    let warnings = warnings(&with("HTTP: {addr: ':1'}"), &[]);
    assert_eq!(warnings, ["config.yml:4:1: HTTP: unknown key, ignored; did you mean `http`?"]);
}

#[test]
fn drivers_have_what_they_need() {
    for (driver, missing) in [
        ("s3: {region: r}", "config.yml:3:3: storage.s3.bucket: must be set"),
        (
            "s3: {bucket: b}",
            "config.yml:3:3: storage.s3.region: must be set, unless `regionendpoint` is",
        ),
        ("s3aws: {region: r}", "config.yml:3:3: storage.s3aws.bucket: must be set"),
        ("azure: {container: c}", "config.yml:3:3: storage.azure.accountname: must be set"),
        ("gcs:", "config.yml:3:3: storage.gcs.bucket: must be set"),
    ] {
        assert_eq!(errors(&format!("version: 0.1\nstorage:\n  {driver}\n"), &[]), [missing]);
    }
}

#[test]
fn metrics_need_their_switch_and_the_listener() {
    let debug = |lines: &str| with(&format!("http: {{debug: {lines}}}"));
    let off = clean(&debug("{addr: ':1', prometheus: {path: /m}}"), &[]).http;
    assert_eq!((off.debug.is_some(), off.prometheus_path), (true, None));
    let on = clean(&debug("{addr: ':1', prometheus: {path: /m, enabled: true}}"), &[]).http;
    assert_eq!(on.prometheus_path.as_deref(), Some("/m"));
    for lines in [
        "{clientcas: [c]}",
        "{letsencrypt: {hosts: [h]}}",
        "{certificate: c, key: k, clientauth: require-and-verify-client-cert}",
        "{certificate: c, key: k, clientcas: [], clientauth: request-client-cert}",
    ] {
        let found = warnings(&with(&format!("http: {{tls: {lines}}}")), &[]);
        assert!(found[0].contains("has no effect without"), "{found:?}");
    }
    let alone = warnings(&debug("{prometheus: {enabled: true}}"), &[]);
    assert!(alone[0].contains("has no effect without `http.debug.addr`"));
}
