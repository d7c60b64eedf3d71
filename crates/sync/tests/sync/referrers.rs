//! What refers to an image goes along.

use oci::{Digest, MediaType, Reference};
use registry::Registry;
use serde_json::{Value, json};
use sync::{Direction, Reason, Synchronizer};
use tokio_util::sync::CancellationToken;

use crate::fake::FakeRegistry;
use crate::support::{
    Remote, client, copied, from, has, image, job, name, push, push_image, push_index, reference,
    registry, sha256, tagged, to,
};

/// Pushes something that refers to a manifest.
async fn sign(registry: &Registry, to: &str, subject: &Digest, what: &[u8]) -> Digest {
    let of = registry.get_manifest(&name(to), &Reference::Digest(*subject)).await.unwrap();
    let subject = json!({
        "mediaType": of.media_type.as_str(),
        "digest": subject.to_string(),
        "size": of.content.len(),
    });
    push(registry, to, None, image(&[what], Some(&subject))).await
}

#[tokio::test]
async fn signatures_of_every_kind_go_along_from_a_remote_and_to_one() {
    let remote = Remote::start().await;
    let source = &remote.registry;
    let (index, children) = push_index(source, "a", "v1").await;
    let signature = sign(source, "a", &index, b"signature").await;
    let of_child = sign(source, "a", &children[0], b"list of materials").await;
    let of_signature = sign(source, "a", &signature, b"a countersignature").await;
    let tag = format!("{}.sig", children[1].to_string().replace(':', "-"));
    let cosigned = push_image(source, "a", Some(&tag), &[b"cosign's"]).await;
    let of_nothing = format!("sha256-{}.sig", sha256(b"nothing").hex());
    let alien = push_image(source, "a", Some(&of_nothing), &[b"x"]).await;

    let here = registry();
    let without = from(&remote, &["a"]);
    let mut with = without.clone();
    with.referrers = true;
    let report = copied(&here, &with).await;
    assert_eq!((report.planned, report.copied), (1, 1));
    let there = Remote::start().await;
    let mut onward = to(&there, &["a"]);
    onward.referrers = true;
    copied(&here, &onward).await;
    for registry in [&here, &there.registry] {
        assert_eq!(tagged(registry, "a", "v1").await, Some(index));
        assert_eq!(tagged(registry, "a", &tag).await, Some(cosigned));
        for referrer in [signature, of_child, of_signature] {
            assert!(has(registry, "a", &referrer).await, "{referrer}");
        }
        assert!(!has(registry, "a", &alien).await, "it belongs to nothing that is copied");
        let listed = registry.list_referrers(&name("a"), &index, None, Default::default()).await;
        assert_eq!(listed.unwrap().manifests.len(), 1);
    }
    assert_eq!(copied(&here, &with).await.planned, 0);

    // One that comes later is found though the tag stays where it is.
    let later = sign(source, "a", &children[1], b"later").await;
    let plan = Synchronizer::new(here.clone(), with.clone(), None).plan().await.unwrap();
    assert_eq!(plan.items.len(), 1);
    assert_eq!(plan.items[0].reason, Reason::Referrers);
    copied(&here, &with).await;
    assert!(has(&here, "a", &later).await);
    let plan = Synchronizer::new(here, without, None).plan().await.unwrap();
    assert!(plan.items.iter().all(|item| item.reference.ends_with(".sig")), "{plan:?}");
}

#[tokio::test]
async fn a_remote_that_lists_no_referrers_gets_the_list_as_a_tag() {
    let remote = FakeRegistry::start().await;
    let here = registry();
    let digest = push_image(&here, "a", Some("v1"), &[b"base"]).await;
    let one = sign(&here, "a", &digest, b"one").await;
    let mut job = job(Direction::To(client(&remote.url())), &["a"]);
    job.referrers = true;
    copied(&here, &job).await;
    let two = sign(&here, "a", &digest, b"two").await;
    assert_eq!(copied(&here, &job).await.copied, 1);
    let (media_type, index) = remote.manifest("a", &digest.referrers_tag()).unwrap();
    assert_eq!(media_type, MediaType::OciIndex.as_str());
    let index: Value = serde_json::from_slice(&index).unwrap();
    let listed = index["manifests"].as_array().unwrap();
    let digests: Vec<_> = listed.iter().map(|one| one["digest"].as_str().unwrap()).collect();
    assert_eq!(digests, [one.to_string(), two.to_string()]);
    assert_eq!(listed[0]["artifactType"], "application/x.signature");
    assert_eq!(listed[0]["annotations"]["of"], "a test");
    assert_eq!(copied(&here, &job).await.planned, 0);
}

#[tokio::test]
async fn a_signature_that_is_pushed_later_is_added_to_the_list_that_lies_under_a_tag() {
    let remote = FakeRegistry::start().await;
    let here = registry();
    let mut job = job(Direction::To(client(&remote.url())), &["a"]);
    job.referrers = true;
    let synchronizer = Synchronizer::new(here.clone(), job, None);
    let stop = CancellationToken::new();
    let image = push_image(&here, "a", Some("v1"), &[b"base"]).await;
    synchronizer.pushed(&name("a"), &reference("v1"), image).await.unwrap();
    assert_eq!(synchronizer.work(&stop).await.unwrap().copied, 1);

    let mut signatures = Vec::new();
    for what in ["one", "two"] {
        let signature = sign(&here, "a", &image, what.as_bytes()).await;
        signatures.push(signature.to_string());
        let by_digest = Reference::Digest(signature);
        assert!(synchronizer.pushed(&name("a"), &by_digest, signature).await.unwrap());
    }
    assert_eq!(synchronizer.work(&stop).await.unwrap().copied, 2);
    signatures.sort_unstable();
    assert_eq!(listed_under_tag(&remote, &image), signatures);

    // As when it ended between the two.
    remote.take_manifest("a", &image.referrers_tag());
    let again = Reference::parse(&signatures[0]).unwrap();
    let digest = oci::Digest::parse(&signatures[0]).unwrap();
    assert!(synchronizer.pushed(&name("a"), &again, digest).await.unwrap());
    assert_eq!(synchronizer.work(&stop).await.unwrap().left, 0);
    assert_eq!(listed_under_tag(&remote, &image), signatures[..1]);
    let asked = remote.count("PUT ");
    assert!(synchronizer.pushed(&name("a"), &again, digest).await.unwrap());
    assert_eq!(synchronizer.work(&stop).await.unwrap().skipped, 1);
    assert_eq!(remote.count("PUT "), asked);
}

/// The digests in the list of referrers that lies under a tag, sorted.
fn listed_under_tag(remote: &FakeRegistry, subject: &Digest) -> Vec<String> {
    let (_, index) = remote.manifest("a", &subject.referrers_tag()).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let listed = index["manifests"].as_array().unwrap().iter();
    let mut digests: Vec<_> =
        listed.map(|one| one["digest"].as_str().unwrap().to_owned()).collect();
    digests.sort_unstable();
    digests
}
