//! What S3 is asked.

use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use storage::{Driver as _, StoragePath};

use super::*;
use crate::fake::{Asked, Fake};

fn open(fake: &Fake, change: impl FnOnce(&mut S3Options)) -> Objects {
    let endpoint = format!("http://{}", fake.address);
    let mut options = S3Options {
        endpoint: Endpoint::new("us-east-1", Some(&endpoint), None, Amazon::default()),
        redirect_endpoint: None,
        bucket: "b".into(),
        keys: Some(Keys { access_key: "a".into(), secret_key: "s".into(), session_token: None }),
        is_encrypted: false,
        kms_key_id: None,
        storage_class: None,
        acl: "private".into(),
        copy_threshold_bytes: 6 << 20,
        copy_part_bytes: 5 << 20,
        copies_at_once: 4,
    };
    change(&mut options);
    let open = OpenOptions {
        root_directory: String::new(),
        part_bytes: 5 << 20,
        redirects: false,
        transport: Transport::default(),
    };
    Objects::s3(options, open).unwrap()
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

async fn copy(objects: &Objects, size_bytes: u64) {
    let (from, to) = (Path::from("from"), Path::from("to"));
    objects.client.store.copier.copy(&path("/to"), &from, &to, size_bytes).await.unwrap();
}

/// Whether a request makes an object, or begins to.
fn makes(asked: &Asked) -> bool {
    (asked.method == "PUT" && !asked.target.contains("partNumber="))
        || (asked.method == "POST" && asked.target.contains("uploads"))
}

#[tokio::test]
async fn every_header_of_amazons_is_signed() {
    let fake = Fake::start().await;
    let objects = open(&fake, |options| {
        options.acl = "bucket-owner-full-control".into();
        options.storage_class = Some("STANDARD_IA".into());
        options.is_encrypted = true;
    });
    let file = path("/a/file");
    objects.put(&file, Bytes::from_static(b"x")).await.unwrap();
    objects.get(&file, 10).await.unwrap();
    objects.stat(&file).await.unwrap();
    objects.list_page(&path("/a"), None, 1).await.unwrap();
    objects.delete(&file).await.unwrap();
    objects.abandon(Duration::ZERO, false).await.unwrap();
    for size_bytes in [1, 12 << 20] {
        copy(&objects, size_bytes).await;
    }
    let mut appender = objects.append(&path("/a/absent")).await.unwrap();
    appender.append(vec![vec![0; 6 << 20].into()]).await.unwrap();
    appender.keep().await.unwrap();
    let all = fake.asked();
    for asked in &all {
        let amazons = asked.headers.keys().filter(|name| name.as_str().starts_with("x-amz-"));
        for name in amazons {
            assert!(asked.signs(name.as_str()), "{name} of {asked:?}");
        }
    }
    let made: Vec<_> = all.iter().filter(|asked| makes(asked)).collect();
    assert!(made.len() >= 4, "{made:?}");
    for asked in made {
        assert_eq!(asked.header("x-amz-acl"), "bucket-owner-full-control", "{asked:?}");
    }
}

#[tokio::test]
async fn a_copy_has_the_class_and_the_encryption_that_is_asked_for() {
    let fake = Fake::start().await;
    let plain = open(&fake, |_| ());
    copy(&plain, 1).await;
    assert_eq!(fake.asked().len(), 1, "one request will do");
    let special = open(&fake, |options| {
        options.storage_class = Some("STANDARD_IA".into());
        options.is_encrypted = true;
    });
    for size_bytes in [1, 6 << 20, 12 << 20] {
        copy(&special, size_bytes).await;
        let all = fake.asked();
        let made: Vec<_> = all.iter().filter(|asked| makes(asked)).collect();
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].header("x-amz-storage-class"), "STANDARD_IA", "{size_bytes}");
        assert_eq!(made[0].header("x-amz-server-side-encryption"), "AES256", "{size_bytes}");
    }
    let encrypted = open(&fake, |options| options.is_encrypted = true);
    copy(&encrypted, 1).await;
    let all = fake.asked();
    assert_eq!((all.len(), all[0].header("x-amz-server-side-encryption")), (1, "AES256"));
    // There are no parts of nothing.
    copy(&special, 0).await;
    assert_eq!(fake.asked().len(), 1);
}
