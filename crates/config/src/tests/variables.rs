//! What variables do, row by row of Distribution's algorithm, and what works only here.

use std::time::Duration;

use super::*;

const FILESYSTEM: &str = "\
version: 0.1
log:
  level: info
storage:
  filesystem:
    rootdirectory: /data
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
http:
  addr: :5000
  headers:
    X-Foo: [old]
";

#[test]
fn scalars() {
    let config = clean(
        FILESYSTEM,
        &[
            ("REGISTRY_LOG_LEVEL", "debug"),
            ("REGISTRY_HTTP_ADDR", "localhost:1"),
            ("REGISTRY_HTTP_SECRET", "12345"),
            ("REGISTRY_HTTP_RELATIVEURLS", "yes"),
            ("REGISTRY_HTTP_DRAINTIMEOUT", "1m"),
            ("REGISTRY_HTTP_HOST", "https://example.com"),
            ("REGISTRY_PROXY_REMOTEURL", "https://h"),
            ("REGISTRY_PROXY_TTL", "0"),
            ("OTHER_HTTP_ADDR", ":9"),
            ("registry_HTTP_ADDR", ":9"),
        ],
    );
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.http.listen, Listen::Tcp { host: Some("localhost".to_owned()), port: 1 });
    assert_eq!(config.http.secret.unwrap().reveal(), "12345");
    assert!(config.http.relative_urls);
    assert_eq!(config.http.drain_timeout, Duration::from_secs(60));
    assert_eq!(config.http.host.as_deref(), Some("https://example.com"));
    assert_eq!(config.proxy.upstreams[0].caching.ttl, None);
}

#[test]
fn replacing_the_section_switches_the_driver() {
    let config = clean(
        FILESYSTEM,
        &[
            ("REGISTRY_STORAGE_S3_BUCKET", "b"),
            ("REGISTRY_STORAGE_S3_REGION", "r"),
            ("REGISTRY_STORAGE_S3_SECRETKEY", "0123"),
            ("REGISTRY_STORAGE", "s3"),
        ],
    );
    let Driver::S3(s3) = config.storage.driver else { panic!() };
    assert_eq!((s3.bucket.as_str(), s3.region.as_str()), ("b", "r"));
    assert_eq!(s3.secret_key.unwrap().reveal(), "0123");
    // All of the file's section is gone.
    assert!(!config.storage.deletion.manifests);
    assert_eq!(config.storage.descriptor_cache, None);
}

#[test]
fn a_second_driver_is_refused_with_the_way_out() {
    let errors = errors(
        FILESYSTEM,
        &[("REGISTRY_STORAGE_S3_BUCKET", "b"), ("REGISTRY_STORAGE_S3_REGION", "r")],
    );
    assert_eq!(
        errors,
        [
            "environment variable REGISTRY_STORAGE_S3_BUCKET: storage: must name exactly one storage driver, but there are `filesystem` (config.yml:5:3) and `s3` (environment variable REGISTRY_STORAGE_S3_BUCKET); to use `s3` set REGISTRY_STORAGE=s3 too, which replaces the whole `storage` section"
        ]
    );
}

#[test]
fn the_same_driver_is_filled_in() {
    let config = clean(FILESYSTEM, &[("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/other")]);
    let Driver::Filesystem(filesystem) = config.storage.driver else { panic!() };
    assert_eq!(filesystem.root_directory.to_str(), Some("/other"));
    assert!(config.storage.deletion.manifests);
}

#[test]
fn auth_by_variables() {
    let realm = ("REGISTRY_AUTH_HTPASSWD_REALM", "basic");
    let path = ("REGISTRY_AUTH_HTPASSWD_PATH", "/htpasswd");
    let expected = Auth::Htpasswd {
        realm: "basic".to_owned(),
        path: "/htpasswd".into(),
        anonymous: Anonymous::default(),
    };
    let silly = with("auth: {silly: {realm: r, service: s}}");
    let replace = ("REGISTRY_AUTH", "htpasswd");
    assert_eq!(clean(FILESYSTEM, &[replace, realm, path]).auth, expected);
    assert_eq!(clean(FILESYSTEM, &[realm, path]).auth, expected);
    assert_eq!(clean(&silly, &[replace, realm, path]).auth, expected);
    assert_eq!(clean(&silly, &[("REGISTRY_AUTH", "")]).auth, Auth::None);
    let errors = errors(&silly, &[realm, path]);
    assert!(errors[0].contains("set REGISTRY_AUTH=htpasswd too"), "{errors:?}");
}

#[test]
fn nested_maps_that_panic_or_vanish_in_distribution() {
    let file = format!("{FILESYSTEM}\n");
    let in_file = FILESYSTEM.replace(
        "  delete:",
        "  maintenance:\n    uploadpurging: {enabled: true, age: 1h, interval: 1h, dryrun: false}\n    readonly: {enabled: false}\n  delete:",
    );
    for text in [file, in_file] {
        let config = clean(
            &text,
            &[
                ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true"),
                ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "2h"),
                ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_DRYRUN", "true"),
                ("REGISTRY_STORAGE_DELETE_ENABLED", "false"),
                ("REGISTRY_STORAGE_REDIRECT_DISABLE", "true"),
                ("REGISTRY_STORAGE_TAG_CONCURRENCYLIMIT", "7"),
            ],
        );
        let storage = config.storage;
        assert!(storage.read_only && storage.upload_purging.dry_run && storage.redirect_disabled);
        assert_eq!(storage.upload_purging.age, Duration::from_secs(7200));
        assert!(!storage.deletion.manifests);
        assert_eq!(storage.tag_concurrency_limit, 7);
    }
    let whole = [("REGISTRY_STORAGE_MAINTENANCE_READONLY", r#"{"enabled":true}"#)];
    assert!(clean(FILESYSTEM, &whole).storage.read_only);
    let bare = [("REGISTRY_STORAGE_MAINTENANCE_READONLY", "true")];
    assert!(clean(FILESYSTEM, &bare).storage.read_only);
}

#[test]
fn empty_value_unsets() {
    let config = clean(FILESYSTEM, &[("REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR", "")]);
    assert_eq!(config.storage.descriptor_cache, None);
    let config = clean(FILESYSTEM, &[("REGISTRY_LOG_LEVEL", ""), ("REGISTRY_HTTP_ADDR", "")]);
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(config.http.listen, Listen::Tcp { host: None, port: 0 });
}

#[test]
fn lists() {
    let config = clean(
        FILESYSTEM,
        &[
            ("REGISTRY_HTTP_TLS_CERTIFICATE", "c.pem"),
            ("REGISTRY_HTTP_TLS_KEY", "k.pem"),
            ("REGISTRY_HTTP_TLS_CLIENTCAS_0", "a.pem"),
            ("REGISTRY_HTTP_TLS_CLIENTCAS_1", "b.pem"),
            ("REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR", "redis"),
            ("REGISTRY_REDIS_ADDRS", r#"["h:1", "h:2"]"#),
            ("REGISTRY_REDIS_ADDRS_1", "h:3"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL", "https://h/"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME", "n"),
            ("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_AUTHORIZATION", "[Bearer t]"),
        ],
    );
    let authorities: Vec<_> =
        config.http.tls.client_cas.iter().map(|p| p.to_str().unwrap()).collect();
    assert_eq!(authorities, ["a.pem", "b.pem"]);
    assert_eq!(config.redis.addrs, ["h:1", "h:3"]);
    let endpoint = &config.notifications.endpoints[0];
    assert_eq!((endpoint.name.as_str(), endpoint.url.reveal()), ("n", "https://h/"));
    assert_eq!(endpoint.headers[0].0, "authorization");
    assert_eq!(endpoint.headers[0].1[0].reveal(), "Bearer t");
}

#[test]
fn twelve_elements_are_applied_by_number() {
    let names: Vec<String> =
        (0..12).map(|n| format!("REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS_{n}")).collect();
    let hosts: Vec<String> = (0..12).map(|n| format!("h{n}")).collect();
    let mut variables: Vec<_> =
        names.iter().map(String::as_str).zip(hosts.iter().map(String::as_str)).collect();
    variables.push(("REGISTRY_HTTP_TLS_LETSENCRYPT_CACHEFILE", "d"));
    assert_eq!(clean(FILESYSTEM, &variables).http.tls.lets_encrypt.hosts, hosts);
}

#[test]
fn wrong_indices() {
    for (name, expected) in [
        ("REGISTRY_HTTP_TLS_CLIENTCAS_1", "undefined index 1: the list has 0 elements"),
        ("REGISTRY_HTTP_TLS_CLIENTCAS_X", "`X` is no index of the list"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS_URL", "`URL` is no index of the list"),
        ("REGISTRY_HTTP_TLS_CLIENTCAS_99999999999999999999999", "is no index of the list"),
    ] {
        let errors = errors(FILESYSTEM, &[(name, "x")]);
        let place = format!("environment variable {name}: ");
        assert!(errors[0].starts_with(&place) && errors[0].contains(expected), "{errors:?}");
    }
}

#[test]
fn free_names() {
    let config = clean(
        FILESYSTEM,
        &[
            ("REGISTRY_HTTP_HEADERS_X-FOO", "[new]"),
            ("REGISTRY_HTTP_HEADERS_X-Bar", "[a, b]"),
            ("REGISTRY_HTTP_HEADERS_X-Bar_1", "c"),
            ("REGISTRY_LOG_FIELDS_SERVICE", "s"),
            ("REGISTRY_LOG_FIELDS_MY_FIELD", "5"),
        ],
    );
    let texts = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let expected =
        [("X-Foo".to_owned(), texts(&["new"])), ("x-bar".to_owned(), texts(&["a", "c"]))];
    assert_eq!(config.http.headers, expected);
    assert_eq!(config.log.fields.len(), 2);
    assert!(config.log.fields.contains(&("my_field".to_owned(), FieldValue::Integer(5))));
    // The variables of `REGISTRY_HTTP_HEADERS` as a whole replace the file's.
    let config = clean(FILESYSTEM, &[("REGISTRY_HTTP_HEADERS", "{A: [b]}")]);
    assert_eq!(config.http.headers, [("A".to_owned(), texts(&["b"]))]);
}

#[test]
fn both_spellings() {
    for name in ["REGISTRY_HEALTH_FILECHECKERS_0_FILE", "REGISTRY_HEALTH_FILE_0_FILE"] {
        let config = clean(FILESYSTEM, &[(name, "/down")]);
        assert_eq!(config.health.file[0].file.to_str(), Some("/down"));
    }
    for name in ["REGISTRY_HEALTH_HTTPCHECKERS_0_URI", "REGISTRY_HEALTH_HTTP_0_URI"] {
        assert_eq!(
            clean(FILESYSTEM, &[(name, "http://h")]).health.http[0].uri.reveal(),
            "http://h"
        );
    }
    for name in ["REGISTRY_HEALTH_TCPCHECKERS_0_ADDR", "REGISTRY_HEALTH_TCP_0_ADDR"] {
        assert_eq!(clean(FILESYSTEM, &[(name, "h:1")]).health.tcp[0].addr, "h:1");
    }
    for name in [
        "REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES",
        "REGISTRY_NOTIFICATIONS_EVENTS_INCLUDEREFERENCES",
    ] {
        assert!(clean(FILESYSTEM, &[(name, "true")]).notifications.include_references);
    }
    for name in
        ["REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_ADDR", "REGISTRY_LOG_HOOKS_0_OPTIONS_SMTP_ADDR"]
    {
        assert_eq!(clean(FILESYSTEM, &[(name, "h:25")]).log.hooks[0].smtp_addr, "h:25");
    }
    for name in ["REGISTRY_REDIS_ADDRS", "REGISTRY_REDIS_OPTIONS_ADDRS", "REGISTRY_REDIS_ADDR"] {
        let cache = ("REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR", "redis");
        assert_eq!(clean(FILESYSTEM, &[cache, (name, "[h:1]")]).redis.addrs, ["h:1"]);
    }
    assert_eq!(clean(FILESYSTEM, &[("REGISTRY_REDIS_OPTIONS_DB", "3")]).redis.db, 3);
    for name in
        ["REGISTRY_COMPATIBILITY_SCHEMA1_TRUSTKEY", "REGISTRY_COMPATIBILITY_SCHEMA1_SIGNINGKEYFILE"]
    {
        assert_eq!(warnings(FILESYSTEM, &[(name, "k")]).len(), 1);
    }
    let lists = [("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW", "['^https://']")];
    assert_eq!(clean(FILESYSTEM, &lists).validation.url_allow.len(), 1);
}

#[test]
fn names_with_underscores_and_nested_credentials() {
    for name in ["MAX_RETRIES", "MAXRETRIES"] {
        let name = format!("REGISTRY_STORAGE_AZURE_{name}");
        let config = clean(
            FILESYSTEM,
            &[
                ("REGISTRY_STORAGE", "azure"),
                ("REGISTRY_STORAGE_AZURE_ACCOUNTNAME", "a"),
                ("REGISTRY_STORAGE_AZURE_CONTAINER", "c"),
                (name.as_str(), "9"),
                ("REGISTRY_STORAGE_AZURE_RETRY_DELAY", "2s"),
                ("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "client_secret"),
                ("REGISTRY_STORAGE_AZURE_CREDENTIALS_SECRET", "007"),
            ],
        );
        let Driver::Azure(azure) = config.storage.driver else { panic!() };
        assert_eq!((azure.max_retries, azure.retry_delay), (9, Duration::from_secs(2)));
        let credentials = azure.credentials.unwrap();
        assert_eq!(credentials.kind, "client_secret");
        assert_eq!(credentials.secret.unwrap().reveal(), "007");
    }
    let config = clean(
        FILESYSTEM,
        &[
            ("REGISTRY_STORAGE", "gcs"),
            ("REGISTRY_STORAGE_GCS_BUCKET", "b"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_PRIVATE_KEY", "x"),
        ],
    );
    let Driver::Gcs(gcs) = config.storage.driver else { panic!() };
    assert!(!gcs.credentials.is_empty());
}

#[test]
fn values_that_yaml_takes_for_something_else() {
    for (value, expected) in [
        ("*star", "*star"),
        ("a: b", "a: b"),
        ("[x", "[x"),
        ("%percent", "%percent"),
        ("@at", "@at"),
        ("'quoted'", "quoted"),
        ("\"0123\"", "0123"),
        ("0123", "0123"),
        ("{a: b}", "{a: b}"),
    ] {
        let config = clean(FILESYSTEM, &[("REGISTRY_HTTP_SECRET", value)]);
        assert_eq!(config.http.secret.unwrap().reveal(), expected, "{value}");
    }
    let variables = [("REGISTRY_HTTP_SECRET", "abc #def")];
    let warnings = warnings(FILESYSTEM, &variables);
    assert!(warnings[0].contains("is a comment in YAML") && !warnings[0].contains("def"));
}

#[test]
fn wrong_values_name_the_variable() {
    for (name, value, expected) in [
        ("REGISTRY_HTTP_RELATIVEURLS", "x", "http.relativeurls: `x` is no boolean"),
        ("REGISTRY_LOG_LEVEL", "x", "log.level: `x` must be one of"),
        ("REGISTRY_LOGLEVEL", "x", "log.level: `x` must be one of"),
        ("REGISTRY_HTTP_HEADERS", "x", "http.headers: expects a mapping"),
        ("REGISTRY_HTTP_HEADERS", "[x", "http.headers: the value is not valid YAML"),
        ("REGISTRY_HTTP", "x", "http: expects a mapping"),
        ("REGISTRY_STORAGE", "tape", "storage.tape: unknown storage driver"),
        ("REGISTRY_STORAGE", "", "storage: no storage configuration provided"),
    ] {
        let text = FILESYSTEM.replace("  level: info\n", "  formatter: text\n");
        let errors = errors(&text, &[(name, value)]);
        let expected = format!("environment variable {name}: {expected}");
        assert!(errors[0].starts_with(&expected), "{errors:?}");
    }
}

#[test]
fn unknown_variables_warn_with_the_nearest() {
    for (name, hint) in [
        ("REGISTRY_HTTP_ADR", "; did you mean REGISTRY_HTTP_ADDR?"),
        ("REGISTRY_HTP_ADDR", "; did you mean REGISTRY_HTTP_ADDR?"),
        ("REGISTRY_LOG_LEVEL_X", "; did you mean REGISTRY_LOG_LEVEL?"),
        ("REGISTRY_HEALTH_FILE_0_FIEL", "; did you mean REGISTRY_HEALTH_FILE_0_FILE?"),
        ("REGISTRY_SOMETHING_ELSE_ALTOGETHER", ""),
        ("REGISTRY_", ""),
    ] {
        let expected = format!("environment variable {name}: unrecognized, ignored{hint}");
        assert_eq!(warnings(FILESYSTEM, &[(name, "x")]), [expected]);
    }
    let version = warnings(FILESYSTEM, &[("REGISTRY_VERSION", "0.2")]);
    assert!(version[0].contains("a variable can't change the version"));
}

#[test]
fn an_unknown_variable_changes_nothing() {
    let with = load_with(FILESYSTEM, &[("REGISTRY_REDIS_NOSUCH", "x")]).unwrap();
    let without = load_with(FILESYSTEM, &[]).unwrap();
    assert_eq!(with.config.print(), without.config.print());
}

#[test]
fn service_variables_are_passed_over() {
    let names = [
        "REGISTRY_PORT",
        "REGISTRY_PORT_5000_TCP",
        "REGISTRY_PORT_5000_TCP_ADDR",
        "REGISTRY_PORT_5000_TCP_PORT",
        "REGISTRY_PORT_5000_TCP_PROTO",
        "REGISTRY_SERVICE_HOST",
        "REGISTRY_SERVICE_PORT",
        "REGISTRY_SERVICE_PORT_HTTP",
        "REGISTRY_UI_SERVICE_HOST",
        "REGISTRY_UI_PORT_80_TCP_ADDR",
        "REGISTRY_STORAGE_PORT",
        "REGISTRY_NAME",
        "REGISTRY_ENV_PATH",
    ];
    let variables: Vec<_> = names.iter().map(|name| (*name, "tcp://10.0.0.1:5000")).collect();
    let loaded = load_with(FILESYSTEM, &variables).unwrap();
    assert_eq!(loaded.warnings, vec![]);
    assert_eq!(loaded.notes.len(), names.len());
    let loaded = load_with(FILESYSTEM, &[("REGISTRY_CONFIGURATION_PATH", "x")]).unwrap();
    assert_eq!((loaded.warnings, loaded.notes), (vec![], vec![]));
}
