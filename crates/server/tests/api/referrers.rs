//! `/v2/<name>/referrers/<digest>`

use oci::Digest;
use serde_json::{Value, json};

use crate::support::{OCI_INDEX, OCI_MANIFEST, Reply, TestServer, descriptor, sha256};

async fn attach(server: &TestServer, subject: &Digest, artifact_type: &str, note: &str) -> Digest {
    let config = server.push_blob("a", "{}").await;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor("application/vnd.oci.empty.v1+json", &config, 2),
        "layers": [],
        "subject": descriptor(OCI_MANIFEST, subject, 1),
        "annotations": { "note": note },
    })
    .to_string();
    let digest = sha256(manifest.as_bytes());
    let reply = server.put_manifest("a", &digest.to_string(), OCI_MANIFEST, manifest).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(reply.header("oci-subject"), subject.to_string());
    digest
}

fn digests(reply: &Reply) -> Vec<String> {
    let list = reply.json()["manifests"].as_array().unwrap().clone();
    list.iter().map(|m| m["digest"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_does_not_exist_has_no_referrers() {
    let server = TestServer::start().await;
    let reply = server.get(&format!("/v2/none/referrers/{}", sha256(b"none"))).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), OCI_INDEX);
    let empty = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] });
    assert_eq!(reply.json(), empty);
    server.get("/v2/none/referrers/sha256:bad").await.assert_error(400, "DIGEST_INVALID");
    server.get("/v2/none/referrers/latest").await.assert_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn referrers_and_their_filter() {
    let server = TestServer::start().await;
    // The subject need not be there.
    let subject = sha256(b"to come");
    let signature = attach(&server, &subject, "application/x+sig", "1").await;
    let sbom = attach(&server, &subject, "application/sbom", "2").await;
    let target = format!("/v2/a/referrers/{subject}");

    let all = server.get(&target).await;
    assert_eq!(all.header("oci-filters-applied"), "");
    let mut expected = [signature.to_string(), sbom.to_string()];
    expected.sort();
    let mut found = digests(&all);
    found.sort();
    assert_eq!(found, expected);

    let filtered = server.get(&format!("{target}?artifactType=application%2Fx%2Bsig")).await;
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    let [only] = filtered.json()["manifests"].as_array().unwrap().clone().try_into().unwrap();
    assert_eq!(only["digest"], signature.to_string());
    assert_eq!(only["artifactType"], "application/x+sig");
    assert_eq!(only["mediaType"], OCI_MANIFEST);
    assert_eq!(only["annotations"], json!({ "note": "1" }));
    assert!(matches!(&only["size"], Value::Number(n) if n.as_u64() > Some(100)));

    let nothing = server.get(&format!("{target}?artifactType=other")).await;
    assert_eq!(nothing.header("oci-filters-applied"), "artifactType");
    assert_eq!(digests(&nothing), [""; 0]);
}

#[tokio::test]
async fn pages_by_link() {
    let server = TestServer::start().await;
    let subject = sha256(b"s");
    let mut expected = Vec::new();
    for i in 0..5 {
        expected.push(attach(&server, &subject, "application/t", &i.to_string()).await.to_string());
    }
    attach(&server, &subject, "application/other", "no").await;
    let mut target = format!("/v2/a/referrers/{subject}?artifactType=application%2Ft&n=2");
    let mut found = Vec::new();
    for _ in 0..3 {
        let page = server.get(&target).await;
        assert!(digests(&page).len() <= 2);
        found.extend(digests(&page));
        let link = page.header("link").to_owned();
        let Some(next) = link.strip_prefix('<').and_then(|l| l.strip_suffix(">; rel=\"next\""))
        else {
            assert_eq!(link, "");
            break;
        };
        target = next.to_owned();
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
