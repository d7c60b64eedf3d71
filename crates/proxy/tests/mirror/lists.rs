//! Tags and referrers, from there and from here.

use oci::Digest;
use proxy::limits::TAGS_PAGE;
use proxy::{MirrorError, Served};
use registry::{Names, Page};
use serde_json::json;

use crate::fake::{Act, FakeRegistry};
use crate::support::{
    OCI_INDEX, OCI_MANIFEST, Pulling, Setup, Store, THERE, image, mirrored, sha256,
};

async fn tags(pulling: &Pulling) -> Result<Served<Vec<String>>, MirrorError> {
    let served = mirrored!(pulling).list_tags(Page::default()).await?;
    Ok(Served { content: served.content.names, stale: served.stale })
}

#[tokio::test]
async fn tags_of_both_sides() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let pulling = Setup::of(&[&fake]).over(&store);
        assert!(tags(&pulling).await.unwrap_err().is_not_found());
        fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
        fake.put_manifest(THERE, Some("v2"), OCI_MANIFEST, &image("2"));
        fake.fail("tags/list", 1, Act::status(503));
        let error = tags(&pulling).await.unwrap_err();
        assert!(error.to_string().contains("503"), "nothing is here: {error}");
        pulling.digest("v2").await;
        let served = tags(&pulling).await.unwrap();
        assert_eq!((served.content, served.stale), (vec!["v1".to_owned(), "v2".into()], None));
        for act in [Act::status(429), Act::status(503)] {
            fake.fail("tags/list", 1, act);
            let served = tags(&pulling).await.unwrap();
            assert_eq!((served.content, served.stale.is_some()), (vec!["v2".to_owned()], true));
        }
        let offline = Setup::of(&[&fake]).offline().over(&store);
        assert_eq!(tags(&offline).await.unwrap().content, ["v2"], "{}", store.label);
    }
}

/// All tags, so many at a time.
async fn page_by_page(pulling: &Pulling, limit: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let last = all.last().cloned();
        let page = Page { limit: Some(limit), last: last.as_deref() };
        let Names { names, more } = mirrored!(pulling).list_tags(page).await.unwrap().content;
        assert!(names.len() <= limit);
        all.extend(names);
        if !more {
            return all;
        }
    }
}

#[tokio::test]
async fn page_by_page_no_tag_is_left_out_whatever_the_order_there() {
    let store = Store::memory();
    for (ignore_case, more_than_a_page) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let fake = FakeRegistry::start().await;
        if ignore_case {
            fake.ignore_case_of_tags();
        }
        let mut expected: Vec<String> = ["a", "B", "c", "D", "x", "Y"].map(str::to_owned).into();
        if more_than_a_page {
            expected.extend((0..TAGS_PAGE + 100).map(|at| format!("c{at:04}")));
        }
        for tag in &expected {
            fake.put_manifest(THERE, Some(tag), OCI_MANIFEST, &image("1"));
        }
        expected.sort();
        let limits: &[usize] = if more_than_a_page { &[100, 700] } else { &[1, 2, 5, 6, 7] };
        for limit in limits {
            let pulling = Setup::of(&[&fake]).over(&store);
            assert!(page_by_page(&pulling, *limit).await == expected, "{ignore_case} {limit}");
        }
        let asked = fake.count("tags/list");
        if !more_than_a_page {
            // One request for each page.
            assert_eq!(asked, 6 + 3 + 2 + 1 + 1);
        } else if !ignore_case {
            // And one more, for the first that continues.
            assert!(asked <= 12 + 2 + 2, "{asked}");
        }
    }
}

async fn referrers(pulling: &Pulling, of: &Digest) -> Result<Served<Vec<String>>, MirrorError> {
    let served = mirrored!(pulling).list_referrers(of, None).await?;
    Ok(Served { content: served.content.into_keys().collect(), stale: served.stale })
}

/// A manifest about another one.
fn signature(subject: &Digest, size: usize) -> Vec<u8> {
    let mut manifest: serde_json::Value = serde_json::from_slice(&image("signature")).unwrap();
    manifest["artifactType"] = "application/sig".into();
    manifest["subject"] =
        json!({ "mediaType": OCI_MANIFEST, "digest": subject.to_string(), "size": size });
    manifest.to_string().into_bytes()
}

#[tokio::test]
async fn referrers_of_both_sides() {
    for store in Store::each().await {
        for has_api in [true, false] {
            let fake = FakeRegistry::start().await;
            let mark = format!("{has_api}");
            let subject = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image(&mark));
            let pulling = Setup::of(&[&fake]).over(&store);
            assert!(referrers(&pulling, &subject).await.unwrap().content.is_empty());
            fake.fail("/referrers/", 1, Act::status(503));
            let error = referrers(&pulling, &subject).await.unwrap_err();
            assert!(error.to_string().contains("503"), "nothing is here: {error}");

            let there = sha256(b"there").to_string();
            let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
                { "mediaType": OCI_MANIFEST, "digest": there, "size": 5 },
                { "digest": "no digest" },
            ]})
            .to_string();
            if has_api {
                fake.put_referrers(THERE, &subject, &index);
            } else {
                let tag = subject.referrers_tag();
                fake.put_manifest(THERE, Some(&tag), OCI_INDEX, index.as_bytes());
            }
            let signature = signature(&subject, image(&mark).len());
            let here = fake.put_manifest(THERE, None, OCI_MANIFEST, &signature).to_string();
            let served = referrers(&pulling, &subject).await.unwrap();
            assert_eq!((served.content, served.stale), (vec![there.clone()], None));
            pulling.digest(&here).await;
            let mut both = vec![there, here.clone()];
            both.sort();
            let served = referrers(&pulling, &subject).await.unwrap();
            assert_eq!((served.content, served.stale), (both, None), "{}", store.label);
            fake.fail("/referrers/", 1, Act::status(503));
            let served = referrers(&pulling, &subject).await.unwrap();
            assert_eq!((served.content, served.stale.is_some()), (vec![here], true));
        }
    }
}
