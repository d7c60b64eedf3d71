//! What is mirrored, as clients see it.

use std::sync::Arc;
use std::time::Duration;

use auth::{Authenticator, Silly};
use http::Method;
use oci::Digest;
use proxy::{
    Covering, Credentials, Mirror, NameRules, Policy, TlsOptions, Upstream, UpstreamOptions,
};
use registry::{Options, Registry, RepositoryPattern};
use serde_json::json;
use server::{App, FreeSpaceMin};
use storage::{EntryKind, StoragePath};

use crate::fake::{Act, Admission, FakeRegistry, basic};
use crate::support::{OCI_MANIFEST, Reply, TestServer, sha256};
use crate::trap::Trapped;

/// A mirror that is being set up.
struct Setup {
    url: String,
    prefix: &'static str,
    local: &'static [&'static str],
    policy: Policy,
    names: NameRules,
}

impl Setup {
    /// Repository `up/<name>` here is `<name>` there, and the namespace `up.test`.
    fn of(fake: &FakeRegistry) -> Self {
        let (policy, names) = (Policy::default(), NameRules::default());
        Self { url: fake.url(), prefix: "up", local: &[], policy, names }
    }

    fn mirror(self, registry: &Arc<Registry>) -> Mirror {
        let upstream = Upstream::new(UpstreamOptions {
            name: "up".to_owned(),
            endpoints: vec![self.url.parse().unwrap()],
            credentials: Credentials::Anonymous,
            tls: TlsOptions::default(),
            names: self.names,
            answer_timeout: Duration::from_secs(20),
            body_idle_timeout: Duration::from_secs(20),
        });
        let covering = Covering {
            upstream: Arc::new(upstream.unwrap()),
            prefix: self.prefix.to_owned(),
            namespaces: vec!["up.test".to_owned()],
            policy: self.policy,
        };
        let local = self.local.iter().map(|text| RepositoryPattern::parse(text).unwrap()).collect();
        let unattended = Duration::from_secs(60);
        Mirror::new(Arc::clone(registry), vec![covering], local, unattended).unwrap()
    }

    async fn start(self) -> TestServer {
        self.start_with(|app| app).await
    }

    async fn start_with(self, change: impl FnOnce(App) -> App + 'static) -> TestServer {
        let builder = TestServer::builder();
        let registry = Arc::new(Registry::new(Arc::clone(&builder.driver), Options::default()));
        let mirror = Arc::new(self.mirror(&registry));
        builder.with(move |app| change(app.with_mirror(mirror))).start().await
    }
}

fn image(mark: &str) -> Vec<u8> {
    let config = json!({
        "mediaType": "application/test", "digest": sha256(b"{}").to_string(), "size": 2,
    });
    let image = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [],
        "annotations": { "mark": mark },
    });
    image.to_string().into_bytes()
}

/// A registry with an image, and its digest.
async fn upstream() -> (FakeRegistry, Digest) {
    let fake = FakeRegistry::start().await;
    let digest = fake.put_manifest("app", Some("v1"), OCI_MANIFEST, &image("1"));
    fake.put_blob("app", b"{}");
    (fake, digest)
}

#[tokio::test]
async fn an_image_is_pulled_and_then_here() {
    let (fake, digest) = upstream().await;
    let large: Vec<u8> = (0..300_000).map(|at| (at % 251) as u8).collect();
    let layer = fake.put_blob("app", &large);
    let server = Setup::of(&fake).start().await;
    let blob = format!("/v2/up/app/blobs/{}", sha256(b"{}"));
    let layer = format!("/v2/up/app/blobs/{layer}");
    let by_digest = format!("/v2/up/app/manifests/{digest}");

    for target in ["/v2/up/app/manifests/v1", &by_digest] {
        let reply = server.head(target).await;
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{reply:?}");
        assert_eq!(reply.header("content-length"), image("1").len().to_string());
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        assert_eq!(reply.header("content-type"), OCI_MANIFEST);
    }
    let reply = server.head(&layer).await;
    assert_eq!((reply.status, reply.header("content-length")), (200, "300000"));
    assert_eq!(fake.count("GET "), 0);

    let part = server.get_with(&layer, &[("range", "bytes=10-19")]).await;
    assert_eq!((part.status, part.body.as_ref()), (206, &large[10..20]));
    assert_eq!(part.header("content-range"), "bytes 10-19/300000");
    for _ in 0..2 {
        let reply = server.get("/v2/up/app/manifests/v1").await;
        assert_eq!((reply.status, reply.body.as_ref()), (200, &*image("1")));
        assert_eq!(reply.header("warning"), "");
        assert_eq!(server.get(&by_digest).await.body, image("1"));
        assert_eq!(server.get(&blob).await.body.as_ref(), b"{}");
        assert_eq!(server.get(&layer).await.body, large);
    }
    assert_eq!(fake.count("GET "), 3);
    let etag = format!("\"{digest}\"");
    for method in [Method::GET, Method::HEAD] {
        let request = server.request(method, "/v2/up/app/manifests/v1");
        let reply = request.header("if-none-match", &etag).send().await;
        assert_eq!(reply.status, 304);
    }
    assert_eq!(server.get("/v2/up/app/tags/list").await.json()["tags"], json!(["v1"]));
}

#[tokio::test]
async fn what_the_upstream_says_is_what_the_client_gets() {
    let (fake, _) = upstream().await;
    let server = Setup::of(&fake).start().await;
    let blob = format!("/v2/up/app/blobs/{}", sha256(b"{}"));
    for (status, expected, manifest_code, blob_code) in [
        (401, 401, "UNAUTHORIZED", "UNAUTHORIZED"),
        (403, 403, "DENIED", "DENIED"),
        (404, 404, "MANIFEST_UNKNOWN", "BLOB_UNKNOWN"),
        (429, 429, "TOOMANYREQUESTS", "TOOMANYREQUESTS"),
        (500, 500, "UNAVAILABLE", "UNAVAILABLE"),
        (503, 503, "UNAVAILABLE", "UNAVAILABLE"),
        // Wharf's request was wrong, not the client's.
        (400, 502, "UNAVAILABLE", "UNAVAILABLE"),
        (418, 502, "UNAVAILABLE", "UNAVAILABLE"),
    ] {
        let retry = vec![("retry-after".to_owned(), "77".to_owned())];
        fake.fail("/v2/", usize::MAX, Act::Answer(status, retry, b"because".to_vec()));
        for (target, code) in [("/v2/up/app/manifests/v1", manifest_code), (&blob, blob_code)] {
            let reply = server.get(target).await;
            reply.assert_error(expected, code);
            assert!(reply.text().contains(&format!("answered {status}")), "{reply:?}");
            if matches!(status, 429 | 503) {
                assert_eq!(reply.header("retry-after"), "77");
            }
            assert_eq!(server.head(target).await.status, expected);
        }
        let code = if status == 404 { "NAME_UNKNOWN" } else { manifest_code };
        server.get("/v2/up/app/tags/list").await.assert_error(expected, code);
        fake.mend();
    }
    assert_eq!(server.get("/v2/up/app/manifests/v1").await.status, 200);
}

#[tokio::test]
async fn who_can_not_be_reached_and_who_is_not_to_be_asked() {
    let (fake, _) = upstream().await;
    let targets = [
        "/v2/up/app/manifests/v1".to_owned(),
        format!("/v2/up/app/blobs/{}", sha256(b"{}")),
        "/v2/up/app/tags/list".to_owned(),
    ];
    let gone = Setup { url: "http://127.0.0.1:1".to_owned(), ..Setup::of(&fake) }.start().await;
    let deny = vec![RepositoryPattern::parse("app").unwrap()];
    let names = NameRules { deny, ..NameRules::default() };
    let denied = Setup { names, ..Setup::of(&fake) }.start().await;
    let policy = Policy { offline: true, ..Policy::default() };
    let offline = Setup { policy, ..Setup::of(&fake) }.start().await;
    for target in targets {
        let reply = gone.get(&target).await;
        reply.assert_error(502, "UNAVAILABLE");
        assert!(!reply.header("retry-after").is_empty());
        denied.get(&target).await.assert_error(403, "DENIED");
        let reply = offline.get(&target).await;
        assert_eq!(reply.status, 404);
        assert!(reply.text().contains("offline"), "{reply:?}");
    }
    assert_eq!(fake.seen().len(), 0);
}

#[tokio::test]
async fn what_may_be_out_of_date_is_marked() {
    let (fake, digest) = upstream().await;
    let server = Setup::of(&fake).start().await;
    assert_eq!(server.get("/v2/up/app/manifests/v1").await.header("warning"), "");
    fake.fail("/v2/", usize::MAX, Act::status(503));
    for target in ["/v2/up/app/manifests/v1", "/v2/up/app/tags/list"] {
        let reply = server.get(target).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("warning"), "110 wharf \"Response is Stale\"");
    }
    let reply = server.head("/v2/up/app/manifests/v1").await;
    assert_eq!((reply.status, reply.header("warning").is_empty()), (200, false));
    let reply = server.get(&format!("/v2/up/app/manifests/{digest}")).await;
    assert_eq!((reply.status, reply.header("warning")), (200, ""));
}

#[tokio::test]
async fn a_blob_that_is_wrong_is_an_error_or_breaks_off() {
    let (fake, _) = upstream().await;
    let server = Setup::of(&fake).start().await;
    fake.fail("/blobs/", 1, Act::Corrupt(0));
    let small = format!("/v2/up/app/blobs/{}", sha256(b"{}"));
    server.get(&small).await.assert_error(502, "UNAVAILABLE");
    let content = vec![b'x'; 300_000];
    let large = fake.put_blob("app", &content);
    fake.fail("/blobs/", 1, Act::Corrupt(0));
    let request =
        format!("GET /v2/up/app/blobs/{large} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let answer = server.raw(request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.to_ascii_lowercase().contains("content-length: 300000"), "{head}");
    assert!(body.len() < 300_000);
    assert_eq!(server.get(&format!("/v2/up/app/blobs/{large}")).await.body, content);
}

#[tokio::test]
async fn namespaces_as_containerd_names_them() {
    let (fake, digest) = upstream().await;
    let server = Setup::of(&fake).start().await;
    let reply = server.get("/v2/app/manifests/v1?ns=up.test").await;
    assert_eq!((reply.status, reply.header("docker-content-digest")), (200, &*digest.to_string()));
    assert_eq!(reply.header("oci-namespace"), "up.test");
    let blob = format!("/v2/app/blobs/{}", sha256(b"{}"));
    let reply = server.get(&format!("{blob}?ns=up.test")).await;
    assert_eq!((reply.body.as_ref(), reply.header("oci-namespace")), (&b"{}"[..], "up.test"));
    // The repository here is the same.
    let asked = fake.count("GET ");
    assert_eq!(server.get(&format!("/v2/up/app/manifests/{digest}")).await.status, 200);
    assert_eq!(fake.count("GET "), asked);

    let asked = fake.seen().len();
    let reply = server.get("/v2/app/manifests/v1?ns=other.test").await;
    reply.assert_error(404, "NAME_UNKNOWN");
    assert!(reply.text().contains("other.test"), "{reply:?}");
    // This registry's own name, and none.
    server.push_image("app", "v1", "layer").await;
    for target in [
        &format!("/v2/app/manifests/v1?ns={}", server.address),
        "/v2/app/manifests/v1?ns=",
        "/v2/app/manifests/v1",
    ] {
        let reply = server.get(target).await;
        assert_eq!((reply.status, reply.header("oci-namespace")), (200, ""), "{target}");
        assert_ne!(reply.header("docker-content-digest"), digest.to_string());
    }
    assert_eq!(fake.seen().len(), asked);
    assert_eq!(server.get("/v2/?ns=other.test").await.status, 200);
}

async fn refuses_pushes(server: &TestServer, repository: &str) {
    let digest = sha256(b"x");
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let manifest = format!("/v2/{repository}/manifests/v9");
    let monolithic = format!("{uploads}?digest={digest}");
    let mount = format!("{uploads}?mount={digest}&from=mine");
    for (method, target) in [
        (Method::POST, &uploads),
        (Method::POST, &monolithic),
        (Method::POST, &mount),
        (Method::PUT, &manifest),
        (Method::POST, &"/v2/any/blobs/uploads/?ns=up.test".to_owned()),
    ] {
        let reply = server.request(method.clone(), target).body("x").send().await;
        reply.assert_error(405, "UNSUPPORTED");
        let allow: Vec<_> = reply.header("allow").split(", ").collect();
        assert!(!allow.contains(&method.as_str()), "{target} {allow:?}");
        assert!(reply.text().contains("proxy.local"), "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_mirrored_takes_no_pushes_and_what_is_local_does() {
    let (fake, digest) = upstream().await;
    let server = Setup { local: &["up/mine/**"], ..Setup::of(&fake) }.start().await;
    refuses_pushes(&server, "up/app").await;
    for local in ["app", "upper/app", "up/mine/app"] {
        let (_, pushed) = server.push_image(local, "v1", "layer").await;
        let reply = server.get(&format!("/v2/{local}/manifests/v1")).await;
        assert_eq!(reply.header("docker-content-digest"), pushed.to_string(), "{local}");
        let missing = server.get(&format!("/v2/{local}/manifests/v2")).await;
        missing.assert_error(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(fake.seen().len(), 0);
    // With no prefix it is everything but what is local.
    let server = Setup { prefix: "", local: &["mine/**"], ..Setup::of(&fake) }.start().await;
    refuses_pushes(&server, "app").await;
    let reply = server.get("/v2/app/manifests/v1").await;
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    server.push_image("mine/app", "v1", "layer").await;
    let asked = fake.seen().len();
    assert_eq!(server.get("/v2/mine/app/manifests/v1").await.status, 200);
    assert_eq!(fake.seen().len(), asked);
}

#[tokio::test]
async fn lists_are_read_page_by_page_in_any_namespace() {
    let (fake, _) = upstream().await;
    fake.put_manifest("app", Some("v2"), OCI_MANIFEST, &image("2"));
    let server = Setup::of(&fake).start().await;
    for first in ["/v2/up/app/tags/list?n=1", "/v2/app/tags/list?n=1&ns=up.test"] {
        let reply = server.get(first).await;
        assert_eq!(reply.json(), json!({ "name": "up/app", "tags": ["v1"] }));
        let link = reply.header("link").to_owned();
        let (next, rel) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
        assert_eq!(rel, "; rel=\"next\"");
        let reply = server.get(next).await;
        assert_eq!((reply.json()["tags"].clone(), reply.header("link")), (json!(["v2"]), ""));
    }
}

#[tokio::test]
async fn a_manifest_that_is_none_is_the_upstreams_fault() {
    let (fake, _) = upstream().await;
    let server = Setup::of(&fake).start().await;
    for content in ["no JSON", r#"{"schemaVersion":2,"layers":7}"#] {
        let digest = fake.put_manifest("app", Some("odd"), OCI_MANIFEST, content.as_bytes());
        for target in [format!("/v2/up/app/manifests/{digest}"), "/v2/up/app/manifests/odd".into()]
        {
            server.get(&target).await.assert_error(502, "UNAVAILABLE");
        }
    }
}

#[tokio::test]
async fn what_is_cached_may_be_deleted() {
    let (fake, digest) = upstream().await;
    let server = Setup::of(&fake).start().await;
    let target = format!("/v2/up/app/manifests/{digest}");
    assert_eq!(server.get(&target).await.status, 200);
    assert_eq!(server.delete(&target).await.status, 202);
    assert_eq!(server.get(&target).await.status, 200);
    assert_eq!(fake.count("GET "), 2);
}

#[tokio::test]
async fn what_there_is_not_is_not_noted_as_pulled() {
    let (fake, _) = upstream().await;
    let offline = Policy { offline: true, ..Policy::default() };
    for policy in [Policy::default(), offline] {
        let builder = TestServer::builder().registry(|options| options.record_pulls = true);
        let driver = Arc::clone(&builder.driver);
        let registry = Arc::new(Registry::new(Arc::clone(&driver), Options::default()));
        let is_offline = policy.offline;
        let mirror = Arc::new(Setup { policy, ..Setup::of(&fake) }.mirror(&registry));
        let server = builder.with(move |app| app.with_mirror(mirror)).start().await;
        let noted = async || {
            server.app.registry().flush_pulls().await.unwrap();
            let Ok(pulls) = driver.list(&StoragePath::parse("/wharf/v1/pulls").unwrap()).await
            else {
                return Vec::new();
            };
            let entries = pulls.entries.into_iter();
            let directories = entries.filter(|entry| entry.kind == EntryKind::Directory);
            directories.map(|entry| entry.name.to_string()).collect()
        };
        let nothing = sha256(b"nothing");
        for target in ["/v2/up/none/manifests/x", &format!("/v2/up/none/blobs/{nothing}")] {
            assert_eq!(server.get(target).await.status, 404);
            assert_eq!(server.head(target).await.status, 404);
        }
        assert_eq!(noted().await, Vec::<String>::new());
        if !is_offline {
            assert_eq!(server.get("/v2/up/app/manifests/v1").await.status, 200);
            assert_eq!(noted().await, ["up"]);
        }
    }
}

#[tokio::test]
async fn what_there_is_no_room_for_is_passed_on_and_not_kept() {
    let (fake, _) = upstream().await;
    let layer = fake.put_blob("app", &vec![7; 300_000]);
    let driver = Trapped::default();
    let builder = TestServer::builder().driver(Arc::new(driver.clone()));
    let registry = Arc::new(Registry::new(Arc::clone(&builder.driver), Options::default()));
    let mirror = Arc::new(Setup::of(&fake).mirror(&registry));
    let counted = Arc::clone(&mirror);
    let builder = builder.options(|options| options.free_space_min = FreeSpaceMin::Bytes(1000));
    let server = builder.with(move |app| app.with_mirror(mirror)).start().await;
    let target = format!("/v2/up/app/blobs/{layer}");
    for (free_bytes, fetched) in [(300_999, 1), (300_999, 2), (301_000, 3), (301_000, 3)] {
        driver.set_free(free_bytes);
        server.app.look_after_storage().await;
        assert_eq!(server.get(&target).await.body.len(), 300_000);
        assert_eq!(fake.count("GET "), fetched, "{free_bytes}");
        while counted.counts().fetches.in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn scope(reply: &Reply) -> String {
    let challenge = reply.header("www-authenticate");
    let scope = challenge.split_once("scope=\"").map_or("", |(_, rest)| rest);
    scope.trim_end_matches('"').to_owned()
}

#[tokio::test]
async fn rights_are_those_to_the_repository_here() {
    let (fake, _) = upstream().await;
    let silly = Silly { realm: "r".into(), service: "s".into() };
    let authenticator = Authenticator::Silly(silly);
    let server = Setup::of(&fake).start_with(|app| app.with_authenticator(authenticator)).await;
    for target in ["/v2/up/app/manifests/v1", "/v2/app/manifests/v1?ns=up.test"] {
        let reply = server.get(target).await;
        assert_eq!((reply.status, &*scope(&reply)), (401, "repository:up/app:pull"), "{target}");
    }
    assert_eq!(fake.seen().len(), 0);
    let request = server.request(Method::GET, "/v2/app/manifests/v1?ns=up.test");
    let reply = request.header("authorization", "Bearer anything").send().await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn credentials_of_clients_stay_here_unless_it_is_configured() {
    for forward_auth in [false, true] {
        let (fake, digest) = upstream().await;
        fake.admit(Admission::Basic("u", "p"));
        let policy = Policy { forward_auth, ..Policy::default() };
        let server = Setup { policy, ..Setup::of(&fake) }.start().await;
        for target in [
            "/v2/up/app/manifests/v1".to_owned(),
            format!("/v2/up/app/blobs/{}", sha256(b"{}")),
            "/v2/up/app/tags/list".to_owned(),
            format!("/v2/up/app/referrers/{digest}"),
        ] {
            let request = server.request(Method::GET, &target);
            let reply = request.header("authorization", basic("u", "p")).send().await;
            let expected = if forward_auth { 200 } else { 401 };
            assert_eq!(reply.status, expected, "{target} {reply:?}");
        }
        assert_eq!(server.get("/v2/up/app/manifests/v2").await.status, 401);
        let sent = fake.seen().iter().filter_map(|seen| seen.authorization()).count();
        assert_eq!(sent > 0, forward_auth);
    }
}
