//! What a webhook is told about requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use notify::{EndpointOptions, Notifier, Options, Secret, Source};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{OCI_INDEX, OCI_MANIFEST, TestServer, descriptor, sha256};

/// A server that reports to a webhook, and what the webhook was told.
struct Reporting {
    server: TestServer,
    events: Arc<Mutex<Vec<Value>>>,
    notifier: Arc<Notifier>,
    _webhook: JoinSet<()>,
}

impl Reporting {
    async fn start(change: impl FnOnce(&mut Options)) -> Self {
        Self::start_with(change, |_| {}).await
    }

    async fn start_with(
        change: impl FnOnce(&mut Options),
        change_server: impl FnOnce(&mut server::ServerOptions),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let events = Arc::<Mutex<Vec<Value>>>::default();
        let mut webhook = JoinSet::new();
        let told = Arc::clone(&events);
        webhook.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let event = receive(stream).await;
                told.lock().unwrap().push(event);
            }
        });
        let endpoint = EndpointOptions {
            name: "webhook".to_owned(),
            url: Secret::new(url),
            // Long enough for a busy machine: a repetition would look like another event.
            timeout: Duration::from_secs(30),
            ..EndpointOptions::default()
        };
        let source = Source { address: "host:5000".to_owned(), instance_id: "one".to_owned() };
        let mut options = Options { endpoints: vec![endpoint], source, ..Options::default() };
        change(&mut options);
        let notifier = Notifier::open(options).unwrap();
        let used = Arc::clone(&notifier);
        let builder = TestServer::builder().options(change_server);
        let server = builder.with(move |app| app.with_notifier(used)).start().await;
        Self { server, events, notifier, _webhook: webhook }
    }

    /// All events so far, in order. Nothing is reported any more afterwards.
    async fn finish(self) -> Vec<Value> {
        self.notifier.shutdown(Duration::from_secs(20)).await;
        self.events.lock().unwrap().clone()
    }
}

/// The event in the one request of a connection.
async fn receive(mut stream: TcpStream) -> Value {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "cut off");
        let text = String::from_utf8_lossy(&bytes);
        let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
        let Ok(mut envelope) = serde_json::from_str::<Value>(body) else { continue };
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        return envelope["events"][0].take();
    }
}

/// Action and target of each event.
fn targets(events: &[Value]) -> Vec<(&str, Value)> {
    events.iter().map(|e| (e["action"].as_str().unwrap(), e["target"].clone())).collect()
}

#[tokio::test]
async fn a_push_is_reported_with_all_that_is_known() {
    let reporting = Reporting::start(|_| {}).await;
    let (manifest, digest) = reporting.server.push_image("a/b", "v1", "layer").await;
    let host = reporting.server.address;
    let events = reporting.finish().await;
    let blob = |content: &str| {
        let digest = sha256(content.as_bytes());
        json!({
            "mediaType": "application/octet-stream", "digest": digest.to_string(),
            "size": content.len(), "length": content.len(), "repository": "a/b",
            "url": format!("http://{host}/v2/a/b/blobs/{digest}"),
        })
    };
    let pushed = json!({
        "mediaType": OCI_MANIFEST, "digest": digest.to_string(),
        "size": manifest.len(), "length": manifest.len(), "repository": "a/b",
        "url": format!("http://{host}/v2/a/b/manifests/{digest}"), "tag": "v1",
    });
    let expected = [("push", blob("{}")), ("push", blob("layer")), ("push", pushed)];
    assert_eq!(targets(&events), expected);
    let last = &events[2];
    assert_eq!(last["request"]["method"], "PUT");
    assert_eq!(last["request"]["host"], host.to_string());
    assert!(last["request"]["addr"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(last["request"]["id"].as_str().unwrap().len(), 36);
    assert_eq!(last["request"]["useragent"], "");
    assert_eq!(last["actor"], json!({}));
    assert_eq!(last["source"], json!({ "addr": "host:5000", "instanceID": "one" }));
}

#[tokio::test]
async fn pulls_are_reported_by_method_and_tag() {
    let reporting = Reporting::start(|options| {
        options.endpoints[0].ignored_actions = vec!["push".to_owned()];
    })
    .await;
    let server = &reporting.server;
    let (_, digest) = server.push_image("r", "v1", "layer").await;
    let blob = sha256(b"layer");
    let manifest = |reference: &str| format!("/v2/r/manifests/{reference}");
    let etag = format!("\"{digest}\"");
    let blob_target = format!("/v2/r/blobs/{blob}");
    let blob_etag = format!("\"{blob}\"");
    assert_eq!(server.get(&manifest("v1")).await.status, 200);
    assert_eq!(server.head(&manifest(&digest.to_string())).await.status, 200);
    let unchanged = server.get_with(&manifest("v1"), &[("if-none-match", &etag)]).await;
    assert_eq!(unchanged.status, 304);
    assert_eq!(server.get(&manifest("other")).await.status, 404);
    assert_eq!(server.get_with(&blob_target, &[("user-agent", "me/1")]).await.status, 200);
    assert_eq!(server.head(&blob_target).await.status, 200);
    assert_eq!(server.get_with(&blob_target, &[("range", "bytes=1-2")]).await.status, 206);
    assert_eq!(server.get_with(&blob_target, &[("range", "bytes=9-")]).await.status, 416);
    assert_eq!(server.get_with(&blob_target, &[("if-none-match", &blob_etag)]).await.status, 304);
    let events = reporting.finish().await;
    let seen: Vec<_> = events
        .iter()
        .map(|e| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            assert_eq!(e["action"], "pull");
            (text(&e["request"]["method"]), text(&e["target"]["digest"]), text(&e["target"]["tag"]))
        })
        .collect();
    let (digest, blob) = (digest.to_string(), blob.to_string());
    let expected = [
        ("GET", &digest, "v1"),
        ("HEAD", &digest, ""),
        ("GET", &blob, ""),
        ("HEAD", &blob, ""),
        ("GET", &blob, ""),
        ("GET", &blob, ""),
    ];
    let expected = expected.map(|(m, d, t)| (m.to_owned(), d.clone(), t.to_owned()));
    assert_eq!(seen, expected);
    assert_eq!(events[2]["request"]["useragent"], "me/1");
    assert_eq!(events[4]["target"]["length"], 5, "of the whole blob");
}

#[tokio::test]
async fn a_mount_names_where_the_blob_came_from() {
    let reporting = Reporting::start(|_| {}).await;
    let digest = reporting.server.push_blob("from", "content").await;
    let target = format!("/v2/to/blobs/uploads/?mount={digest}&from=from");
    assert_eq!(reporting.server.post(&target).await.status, 201);
    // What can't be mounted is an upload, and nothing has happened yet.
    let missing = sha256(b"missing");
    let target = format!("/v2/to/blobs/uploads/?mount={missing}&from=from");
    assert_eq!(reporting.server.post(&target).await.status, 202);
    let host = reporting.server.address;
    let events = reporting.finish().await;
    assert_eq!(events.len(), 2);
    let expected = json!({
        "mediaType": "application/octet-stream", "digest": digest.to_string(),
        "size": 7, "length": 7, "repository": "to", "fromRepository": "from",
        "url": format!("http://{host}/v2/to/blobs/{digest}"),
    });
    assert_eq!(targets(&events)[1], ("mount", expected));
}

#[tokio::test]
async fn an_upload_is_reported_when_it_is_closed_and_not_before() {
    let reporting = Reporting::start(|_| {}).await;
    let server = &reporting.server;
    let location = server.start_upload("r").await;
    let patched = server.request(Method::PATCH, &location).body("cont").send().await;
    let close = format!("{}&digest={}", patched.location(), sha256(b"content"));
    assert_eq!(server.request(Method::PUT, &close).body("ent").send().await.status, 201);
    let wrong = format!("{}&digest={}", server.start_upload("r").await, sha256(b"x"));
    assert_eq!(server.request(Method::PUT, &wrong).body("y").send().await.status, 400);
    let events = reporting.finish().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["target"]["size"], 7);
}

#[tokio::test]
async fn deletions_are_reported_with_the_tags_that_go_with_a_manifest() {
    let reporting = Reporting::start(|options| {
        options.endpoints[0].ignored_actions = vec!["push".to_owned()];
    })
    .await;
    let server = &reporting.server;
    let (manifest, digest) = server.push_image("r", "v1", "layer").await;
    assert_eq!(server.put_manifest("r", "v2", OCI_MANIFEST, manifest).await.status, 201);
    assert_eq!(server.delete("/v2/r/manifests/v1").await.status, 202);
    assert_eq!(server.delete(&format!("/v2/r/manifests/{digest}")).await.status, 202);
    let blob = sha256(b"layer");
    assert_eq!(server.delete(&format!("/v2/r/blobs/{blob}")).await.status, 202);
    assert_eq!(server.delete("/v2/r/manifests/v1").await.status, 404);
    assert_eq!(server.delete("/v2/r/_wharf/repository").await.status, 202);
    let events = reporting.finish().await;
    let tag = |tag: &str| json!({ "mediaType": "", "digest": "", "size": 0, "repository": "r", "tag": tag });
    let content = |digest: &oci::Digest| json!({ "mediaType": "", "digest": digest.to_string(), "size": 0, "repository": "r" });
    let expected = [
        ("delete", tag("v1")),
        ("delete", content(&digest)),
        ("delete", tag("v2")),
        ("delete", content(&blob)),
        ("delete", json!({ "mediaType": "", "digest": "", "size": 0, "repository": "r" })),
    ];
    assert_eq!(targets(&events), expected);
}

#[tokio::test]
async fn references_are_listed_when_that_is_wanted() {
    let reporting = Reporting::start(|options| options.include_references = true).await;
    let server = &reporting.server;
    let (manifest, digest) = server.push_image("r", "v1", "layer").await;
    let child = descriptor(OCI_MANIFEST, &digest, manifest.len());
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child] });
    let reply = server.put_manifest("r", "all", OCI_INDEX, index.to_string()).await;
    assert_eq!(reply.status, 201);
    let events = reporting.finish().await;
    let expected: Value = serde_json::from_str(&manifest).unwrap();
    let references = &events[2]["target"]["references"];
    assert_eq!(references[0], expected["config"]);
    assert_eq!(references[1], expected["layers"][0]);
    assert_eq!(events[3]["target"]["references"], json!([child]));
    assert!(events[0]["target"].get("references").is_none(), "a blob refers to nothing");
}

#[tokio::test]
async fn each_tag_of_a_push_by_digest_is_an_event() {
    let reporting = Reporting::start(|options| {
        options.endpoints[0].ignored_media_types = vec!["application/octet-stream".to_owned()];
    })
    .await;
    let server = &reporting.server;
    let (manifest, digest) = server.push_image("r", "first", "layer").await;
    let put = |query: &str| format!("{digest}{query}");
    for query in ["", "?tag=a&tag=b"] {
        let reply = server.put_manifest("r", &put(query), OCI_MANIFEST, manifest.clone()).await;
        assert_eq!(reply.status, 201);
    }
    let events = reporting.finish().await;
    let tags: Vec<_> = events.iter().map(|e| e["target"]["tag"].as_str()).collect();
    assert_eq!(tags, [Some("first"), None, Some("a"), Some("b")]);
}

#[tokio::test]
async fn urls_are_absolute_even_where_locations_are_not() {
    let relative = |options: &mut server::ServerOptions| options.relative_urls = true;
    let reporting = Reporting::start_with(|_| {}, relative).await;
    let digest = reporting.server.push_blob("r", "content").await;
    let host = reporting.server.address;
    let events = reporting.finish().await;
    let expected = format!("http://{host}/v2/r/blobs/{digest}");
    assert_eq!(events[0]["target"]["url"], expected);
}

#[tokio::test]
async fn a_push_succeeds_though_its_event_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = directory.path().join("outbox");
    let reporting = Reporting::start(|options| options.outbox = Some(outbox.clone())).await;
    std::fs::rename(&outbox, directory.path().join("gone")).unwrap();
    reporting.server.push_blob("r", "content").await;
    assert!(reporting.finish().await.is_empty());
}
