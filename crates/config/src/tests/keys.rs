//! Every key, in the file and in variables.

use super::*;
use crate::{
    schema::{Key, Kind, Section},
    sections::ROOT,
    unsupported,
};

/// All keys that Distribution 2 and 3 know, written down apart from the schema so that none can
/// get lost in it.
const DISTRIBUTION: &str = "
version loglevel log.accesslog.disabled log.level log.formatter log.fields log.reportcaller
log.hooks.disabled log.hooks.type log.hooks.levels log.hooks.options.smtp.addr
log.hooks.options.smtp.username log.hooks.options.smtp.password log.hooks.options.smtp.insecure
log.hooks.options.from log.hooks.options.to
storage.maintenance.uploadpurging.enabled storage.maintenance.uploadpurging.age
storage.maintenance.uploadpurging.interval storage.maintenance.uploadpurging.dryrun
storage.maintenance.readonly.enabled storage.cache.blobdescriptor storage.cache.layerinfo
storage.cache.blobdescriptorsize storage.delete.enabled storage.redirect.disable
storage.tag.concurrencylimit
storage.filesystem.rootdirectory storage.filesystem.maxthreads storage.inmemory
storage.s3.accesskey storage.s3.secretkey storage.s3.region storage.s3.regionendpoint
storage.s3.redirectendpoint storage.s3.forcepathstyle storage.s3.bucket storage.s3.encrypt
storage.s3.keyid storage.s3.secure storage.s3.skipverify storage.s3.v4auth storage.s3.chunksize
storage.s3.multipartcopychunksize storage.s3.multipartcopymaxconcurrency
storage.s3.multipartcopythresholdsize storage.s3.rootdirectory storage.s3.storageclass
storage.s3.objectacl storage.s3.sessiontoken storage.s3.usedualstack storage.s3.accelerate
storage.s3.usefipsendpoint storage.s3.loglevel storage.s3.useragent storage.s3aws.bucket
storage.azure.accountname storage.azure.accountkey storage.azure.container
storage.azure.credentials.type storage.azure.credentials.clientid
storage.azure.credentials.tenantid storage.azure.credentials.secret storage.azure.realm
storage.azure.rootdirectory storage.azure.serviceurl storage.azure.max_retries
storage.azure.retry_delay storage.azure.skipverify
storage.gcs.bucket storage.gcs.keyfile storage.gcs.credentials storage.gcs.rootdirectory
storage.gcs.chunksize storage.gcs.maxconcurrency storage.gcs.useragent storage.swift storage.oss
auth.none auth.silly.realm auth.silly.service auth.htpasswd.realm auth.htpasswd.path
auth.token.realm auth.token.issuer auth.token.service auth.token.rootcertbundle auth.token.jwks
auth.token.autoredirect auth.token.autoredirectpath auth.token.signingalgorithms
middleware.registry.name middleware.registry.disabled middleware.registry.options
middleware.repository.name middleware.repository.disabled middleware.repository.options
middleware.storage.name middleware.storage.disabled middleware.storage.options.baseurl
middleware.storage.options.privatekey middleware.storage.options.keypairid
middleware.storage.options.duration middleware.storage.options.ipfilteredby
middleware.storage.options.awsregion middleware.storage.options.updatefrequency
middleware.storage.options.iprangesurl middleware.storage.options.scheme
middleware.storage.options.host middleware.storage.options.trimpathprefix
http.addr http.net http.host http.prefix http.secret http.relativeurls http.draintimeout
http.tls.certificate http.tls.key http.tls.clientcas http.tls.clientauth http.tls.minimumtls
http.tls.ciphersuites http.tls.letsencrypt.cachefile http.tls.letsencrypt.email
http.tls.letsencrypt.hosts http.tls.letsencrypt.directoryurl http.headers http.debug.addr
http.debug.prometheus.enabled http.debug.prometheus.path http.http2.disabled http.h2c.enabled
notifications.events.includereferences notifications.endpoints.name
notifications.endpoints.disabled notifications.endpoints.url notifications.endpoints.headers
notifications.endpoints.timeout notifications.endpoints.threshold notifications.endpoints.backoff
notifications.endpoints.ignoredmediatypes notifications.endpoints.ignore.mediatypes
notifications.endpoints.ignore.actions
redis.addrs redis.addr redis.username redis.password redis.db redis.clientname redis.protocol
redis.sentinelusername redis.sentinelpassword redis.mastername redis.maxretries
redis.minretrybackoff redis.maxretrybackoff redis.dialtimeout redis.readtimeout
redis.writetimeout redis.contexttimeoutenabled redis.poolfifo redis.poolsize redis.pooltimeout
redis.minidleconns redis.maxidleconns redis.maxactiveconns redis.connmaxidletime
redis.connmaxlifetime redis.maxredirects redis.readonly redis.routebylatency redis.routerandomly
redis.disableidentity redis.identitysuffix redis.unstableresp3 redis.pool.maxidle
redis.pool.maxactive redis.pool.idletimeout redis.tls.certificate redis.tls.key redis.tls.rootcas
health.storagedriver.enabled health.storagedriver.interval health.storagedriver.threshold
health.file.file health.file.interval health.file.threshold health.http.uri health.http.headers
health.http.statuscode health.http.timeout health.http.interval health.http.threshold
health.tcp.addr health.tcp.timeout health.tcp.interval health.tcp.threshold
catalog.maxentries tags.maxtags proxy.remoteurl proxy.username proxy.password proxy.exec.command
proxy.exec.lifetime proxy.ttl proxy.cachewritetimeout validation.enabled validation.disabled
validation.manifests.urls.allow validation.manifests.urls.deny
validation.manifests.indexes.platforms validation.manifests.indexes.platformlist.architecture
validation.manifests.indexes.platformlist.os policy.repository.classes
compatibility.schema1.signingkeyfile compatibility.schema1.enabled reporting.bugsnag.apikey
reporting.bugsnag.releasestage reporting.bugsnag.endpoint reporting.newrelic.licensekey
reporting.newrelic.name reporting.newrelic.verbose
";

fn find(path: &str) -> Option<&'static Key> {
    let mut section = &ROOT;
    let mut found = None;
    for name in path.split('.') {
        let key = section.key(name)?;
        found = Some(key);
        match key.kind {
            Kind::Section(child) | Kind::List(child) => section = child,
            _ => section = &EMPTY,
        }
    }
    found
}

static EMPTY: Section = Section::new(&[]);

#[test]
fn every_key_of_distribution_is_known() {
    let paths: Vec<&str> = DISTRIBUTION.split_whitespace().collect();
    assert!(paths.len() > 200);
    for path in paths {
        assert!(find(path).is_some(), "{path}");
    }
}

#[test]
fn every_refused_key_is_in_the_schema() {
    for path in unsupported::keys() {
        assert!(find(path).is_some(), "{path}");
    }
}

/// A value that is good for a key and isn't its default.
fn sample(path: &str, key: &Key) -> String {
    let known = match path {
        "http.host" | "proxy.remoteurl" => "https://example.com",
        "http.addr" | "http.debug.addr" => "localhost:7000",
        "http.prefix" | "http.debug.prometheus.path" | "auth.token.autoredirectpath" => "/sample/",
        "storage.cache.blobdescriptor" => "inmemory",
        "http.net" => "tcp",
        "storage.maintenance.gc.schedule" => "0 3 * * *",
        "sync.jobs.schedule" => "0 3 * * *",
        "sync.jobs.semver" => "'>=1.2, <2'",
        "sync.jobs.bandwidth" => "10MiB",
        "sync.jobs.platforms" => "[linux/arm64, linux/arm/v7]",
        _ if path.ends_with(".urls") => "['https://one', 'https://two']",
        _ if path.ends_with("storageclass") => "GLACIER_IR",
        _ if path.ends_with(".url") || path.ends_with(".uri") || path.ends_with("directoryurl") => {
            "https://example.com/sample"
        }
        _ if path.ends_with("ciphersuites") => "[TLS_AES_128_GCM_SHA256]",
        _ if path.ends_with("signingalgorithms") => "[ES256]",
        "auth.htpasswd.anonymous" => "[pull]",
        "http.trustedproxies" | "storage.redirect.except.networks" => "[10.0.0.0/8]",
        "redis.addrs" => "['one:1', 'two:2']",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    match key.kind {
        Kind::Text(_) | Kind::Secret => "0123".to_owned(),
        Kind::Choice(words) => words[words.len() - 1].to_owned(),
        Kind::Bool => (key.default != Some("true")).to_string(),
        Kind::Int { min: 0, .. } | Kind::Int { min: i64::MIN, .. } => "37".to_owned(),
        Kind::Int { min, .. } => (min + 1).to_string(),
        Kind::Duration | Kind::Age | Kind::DurationOrOff => "37m0s".to_owned(),
        Kind::TextList(_) => "[one, two]".to_owned(),
        Kind::TextMap { .. } => "{one: two}".to_owned(),
        Kind::Headers { .. } => "{one: [two, three]}".to_owned(),
        Kind::Any { .. } => "{one: two}".to_owned(),
        Kind::Section(_) => "{}".to_owned(),
        Kind::List(_) => "[]".to_owned(),
    }
}

/// A key with its path in the file and one spelling of its variable.
struct Case {
    path: String,
    in_file: String,
    variable: String,
    sample: String,
}

/// All leaves of a section under every spelling of the variable.
fn cases(section: &'static Section, path: &str, in_file: &str, variable: &str) -> Vec<Case> {
    let mut found = Vec::new();
    for key in section.keys {
        let path = format!("{path}{}", key.name);
        for name in key.variable_names() {
            let variable = format!("{variable}_{}", name.to_ascii_uppercase());
            let in_file = format!("{in_file}{}: ", key.name);
            match key.kind {
                Kind::Section(child) if !child.keys.is_empty() => found.extend(cases(
                    child,
                    &format!("{path}."),
                    &format!("{in_file}{{"),
                    &variable,
                )),
                Kind::List(child) => found.extend(cases(
                    child,
                    &format!("{path}."),
                    &format!("{in_file}[{{"),
                    &format!("{variable}_0"),
                )),
                _ => {
                    let sample = sample(&path, key);
                    found.push(Case { path: path.clone(), in_file, variable, sample });
                }
            }
        }
    }
    found
}

/// What every driver and auth type needs besides the key that is tried.
const NEEDED: &[(&str, &[(&str, &str)])] = &[
    ("storage.s3.", &[("bucket", "b"), ("region", "r")]),
    ("storage.s3aws.", &[("bucket", "b"), ("region", "r")]),
    ("storage.azure.", &[("accountname", "a"), ("container", "c")]),
    ("storage.gcs.", &[("bucket", "b")]),
    ("auth.silly.", &[("realm", "r"), ("service", "s")]),
    ("auth.htpasswd.", &[("realm", "r"), ("path", "p")]),
    ("auth.token.", &[("realm", "r"), ("service", "s"), ("issuer", "i"), ("jwks", "j")]),
    ("notifications.endpoints.", &[("url", "https://h/")]),
    ("http.tls.", &[("certificate", "c"), ("key", "k")]),
    ("proxy.upstreams.", &[("url", "https://h/")]),
];

/// Closes the brackets that a case's file opened, after what its section needs.
fn file_of(case: &Case) -> String {
    let mut text = format!("{}{}", case.in_file, case.sample);
    let parent = case.path.rsplit_once('.').map_or("", |(parent, _)| parent);
    for (prefix, needed) in NEEDED {
        if format!("{parent}.") == *prefix {
            for (name, value) in
                needed.iter().filter(|(name, _)| !case.path.ends_with(&format!(".{name}")))
            {
                text += &format!(", {name}: '{value}'");
            }
        }
    }
    let open: Vec<char> = case.in_file.chars().filter(|c| "[{".contains(*c)).collect();
    for bracket in open.iter().rev() {
        text.push(if *bracket == '[' { ']' } else { '}' });
    }
    text
}

fn base(path: &str) -> &'static str {
    if path.starts_with("storage.") {
        "version: 0.1\n"
    } else {
        "version: 0.1\nstorage: inmemory\n"
    }
}

/// What remains to complain about once the key itself is known: companions that are missing.
fn is_about_companions(finding: &Diagnostic) -> bool {
    [
        "must be set",
        "no storage configuration",
        "has no effect",
        "needs",
        "excludes",
        "checks nothing",
    ]
    .iter()
    .any(|companion| finding.message.contains(companion))
}

#[test]
fn every_key_is_read_from_the_file_and_from_every_spelling_of_its_variable() {
    let cases = cases(&ROOT, "", "", "REGISTRY");
    assert!(cases.len() > 290, "{}", cases.len());
    for case in cases {
        if case.path == "version" {
            continue;
        }
        let base = base(&case.path);
        let in_file = format!("{base}{}\n", file_of(&case));
        let (from_file, complaints) =
            crate::load::build(&Source::new("f", in_file.as_str()), &Environment::default());
        let unexpected: Vec<_> = complaints.iter().filter(|c| !is_about_companions(c)).collect();
        assert!(unexpected.is_empty(), "{in_file}: {unexpected:?}");

        let environment = Environment::from_iter([(&case.variable, &case.sample)]);
        let (from_variable, complaints) = crate::load::build(&Source::new("f", base), &environment);
        let unexpected: Vec<_> = complaints.iter().filter(|c| !is_about_companions(c)).collect();
        assert!(unexpected.is_empty(), "{}: {unexpected:?}", case.variable);

        let canonical = case.path.replace("redis.pool.", "redis.conn");
        if canonical.starts_with("redis.conn") || case.path == "loglevel" {
            continue; // moved to another key; there are tests of their own for these
        }
        let (one, other) = (text_at(&from_file, &case.path), text_at(&from_variable, &case.path));
        assert_eq!(one, other, "{} and {}", case.path, case.variable);
        assert!(one.is_some(), "{}", case.path);
    }
}

/// The completed value at a path through lists (their first element), without its places.
fn text_at(config: &Config, path: &str) -> Option<String> {
    let mut node = &config.tree.root;
    for name in path.split('.') {
        node = node.items().first().unwrap_or(node);
        node = node.get(name)?;
    }
    Some(shape(node))
}

fn shape(node: &crate::tree::Node) -> String {
    use crate::tree::Value;
    match &node.value {
        Value::Scalar(scalar) => format!("{:?}", scalar.text),
        Value::Sequence(items) => format!("{:?}", items.iter().map(shape).collect::<Vec<_>>()),
        Value::Mapping(entries) => {
            format!("{:?}", entries.iter().map(|e| (&e.key, shape(&e.node))).collect::<Vec<_>>())
        }
    }
}

#[test]
fn every_default_is_good_for_its_own_type() {
    fn walk(section: &'static Section, path: &str) {
        for key in section.keys {
            let path = format!("{path}{}", key.name);
            if let Kind::Section(child) | Kind::List(child) = key.kind {
                let mut node =
                    crate::tree::Node::mapping(vec![], crate::diagnostic::Origin::Builtin);
                let mut findings = crate::diagnostic::Findings::new("x".into());
                crate::complete::complete_section(&mut node, child, &path, &mut findings);
                assert_eq!(findings.finish(), vec![], "{path}");
                walk(child, &format!("{path}."));
            }
        }
    }
    walk(&ROOT, "");
}
