//! Two servers, one Redis.

use redis_cache::{Options, Password, RedisCache};
use registry::descriptors::{DescriptorCache as _, Gone};

use crate::process::server;
use crate::{cache, digest, known, name, remember, stat, ticket};

#[tokio::test]
async fn what_one_remembers_the_other_knows_and_in_its_repository_only() {
    let server = server!();
    let (a, b) = (cache(&server), cache(&server));
    assert_eq!(known(&b, "one", "layer").await, None);
    remember(&a, "one", "layer").await;
    assert_eq!(known(&b, "one", "layer").await, Some(stat("layer")));
    assert_eq!(known(&b, "two", "layer").await, None);

    let manifest = digest("manifest");
    let one = name("one");
    a.remember_manifest(ticket(&a, "one").await, &one, &manifest, &manifest).await;
    assert_eq!(b.find_manifest(&one, &manifest).await.known, Some(manifest));
    assert_eq!(b.find_manifest(&name("two"), &manifest).await.known, None);
    assert_eq!(known(&b, "one", "manifest").await, None, "a manifest is no blob");

    let stats = b.stats();
    assert_eq!((stats.requests, stats.hits, stats.errors), (6, 2, 0));
    assert!(stats.is_available);
}

#[tokio::test]
async fn a_revocation_is_seen_by_others_and_takes_nothing_from_other_repositories() {
    let server = server!();
    let (a, b) = (cache(&server), cache(&server));
    for repository in ["one", "two"] {
        remember(&a, repository, "layer").await;
        remember(&a, repository, "other").await;
        let manifest = digest("layer");
        let ticket = ticket(&a, repository).await;
        a.remember_manifest(ticket, &name(repository), &manifest, &manifest).await;
    }
    a.revoke(&name("one"), &[digest("layer")], Gone::FromRepository).await;
    assert_eq!(known(&b, "one", "layer").await, None);
    assert_eq!(b.find_manifest(&name("one"), &digest("layer")).await.known, None);
    assert_eq!(known(&b, "one", "other").await, Some(stat("other")));
    assert_eq!(known(&b, "two", "layer").await, Some(stat("layer")));
    assert_eq!(b.find_manifest(&name("two"), &digest("layer")).await.known, Some(digest("layer")));
    // What is gone from the storage nobody has.
    a.revoke(&name("one"), &[digest("layer")], Gone::FromStorage).await;
    assert_eq!(known(&b, "two", "layer").await, None);
}

#[tokio::test]
async fn nothing_is_remembered_that_was_revoked_meanwhile() {
    let server = server!();
    let (a, b) = (cache(&server), cache(&server));
    // B has looked, and reads from the storage what A then deletes.
    let found = b.find_blob(&name("one"), &digest("layer")).await;
    a.revoke(&name("one"), &[digest("layer")], Gone::FromRepository).await;
    let ticket = found.ticket.unwrap();
    b.remember_blob(ticket, &name("one"), &digest("layer"), stat("layer")).await;
    b.remember_manifest(ticket, &name("one"), &digest("layer"), &digest("layer")).await;
    assert_eq!(known(&a, "one", "layer").await, None);
    assert_eq!(a.find_manifest(&name("one"), &digest("layer")).await.known, None);
    // A later look may be remembered, and other repositories were not concerned.
    remember(&b, "one", "layer").await;
    assert_eq!(known(&a, "one", "layer").await, Some(stat("layer")));
}

#[tokio::test]
async fn every_key_that_is_written_has_a_lifetime_that_use_does_not_prolong() {
    let server = server!();
    let a = cache(&server);
    remember(&a, "one", "layer").await;
    let manifest = digest("manifest");
    a.remember_manifest(ticket(&a, "one").await, &name("one"), &manifest, &manifest).await;
    a.revoke(&name("one"), &[digest("x")], Gone::FromRepository).await;
    let keys = server.cli(&["KEYS", "*"]);
    assert_eq!(keys.lines().count(), 5, "{keys}");
    for key in keys.lines() {
        let lifetime: i64 = server.cli(&["TTL", key]).parse().unwrap();
        assert!((3500..=3600).contains(&lifetime), "{key}: {lifetime}");
        server.cli(&["EXPIRE", key, "100"]);
    }
    remember(&a, "one", "layer").await;
    remember(&a, "one", "another").await;
    let lifetime: i64 = server.cli(&["TTL", "repository::one::blobs"]).parse().unwrap();
    assert!((90..=100).contains(&lifetime), "{lifetime}");
}

#[tokio::test]
async fn keys_are_distribution_s_in_both_directions() {
    let server = server!();
    let a = cache(&server);
    remember(&a, "one/two", "layer").await;
    let text = digest("layer").to_string();
    let (set, hash) = ("repository::one/two::blobs", format!("blobs::{text}"));
    assert_eq!(server.cli(&["SISMEMBER", set, &text]), "1");
    let fields = server.cli(&["HMGET", &hash, "digest", "size", "mediatype"]);
    assert_eq!(fields, format!("{text}\n5\napplication/octet-stream"));
    let own = format!("{set}::{text}");
    assert_eq!(server.cli(&["HGET", &own, "mediatype"]), "application/octet-stream");

    // As Distribution writes them, without a lifetime.
    let text = digest("theirs").to_string();
    let hash = format!("blobs::{text}");
    server.cli(&["SADD", "repository::theirs::blobs", &text]);
    assert_eq!(known(&a, "theirs", "theirs").await, None, "half of it is nothing");
    server.cli(&["HSET", &hash, "digest", &text, "size", "6", "mediatype", "text/x"]);
    assert_eq!(known(&a, "theirs", "theirs").await, Some(stat("theirs")));
    // Their media type stays.
    remember(&a, "theirs", "theirs").await;
    assert_eq!(server.cli(&["HGET", &hash, "mediatype"]), "text/x");
    // What is damaged is not known, and no failure.
    server.cli(&["HSET", &hash, "size", "many"]);
    assert_eq!(known(&a, "theirs", "theirs").await, None);
    assert_eq!(a.stats().errors, 0);
}

#[tokio::test]
async fn a_password_a_user_a_database_and_a_name() {
    let user = ["--user", "wharf", "on", ">hidden", "~*", "&*", "+@all"];
    let [flag, user_name, on, password, keys, channels, commands] = user;
    let server =
        server!("--requirepass", "other", flag, user_name, on, password, keys, channels, commands);
    for is_resp3 in [false, true] {
        let options = Options {
            username: Some("wharf".to_owned()),
            password: Some(Password::new("hidden")),
            database: 3,
            client_name: Some("registry-a".to_owned()),
            is_resp3,
            ..Options::new(vec![server.address()])
        };
        assert!(!format!("{options:?}").contains("hidden"));
        let a = RedisCache::open(options).unwrap();
        remember(&a, "one", "layer").await;
        assert_eq!(known(&a, "one", "layer").await, Some(stat("layer")));
        let clients = server.cli(&["-a", "other", "--no-auth-warning", "CLIENT", "LIST"]);
        assert!(clients.contains("name=registry-a"), "{clients}");
        let in_database = server.cli(&["-a", "other", "--no-auth-warning", "-n", "3", "DBSIZE"]);
        assert_ne!(in_database, "0");
    }
    let wrong =
        Options { password: Some(Password::new("wrong")), ..Options::new(vec![server.address()]) };
    let a = RedisCache::open(wrong).unwrap();
    assert_eq!(known(&a, "one", "layer").await, None);
    assert_eq!(a.stats().errors, 1);
}
