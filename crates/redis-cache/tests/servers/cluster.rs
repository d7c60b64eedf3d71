//! A cluster of three: what is done in one command must lie on one server.

use std::process::Command;
use std::time::{Duration, Instant};

use redis_cache::{Options, RedisCache};
use registry::descriptors::{DescriptorCache as _, Gone};

use crate::process::Server;
use crate::{digest, known, name, remember, stat, ticket};

/// `None` when there is no Redis on this machine.
fn cluster() -> Option<Vec<Server>> {
    let start = || Server::start(&["--cluster-enabled", "yes"]);
    let servers = vec![start()?, start()?, start()?];
    let addresses = servers.iter().map(Server::address);
    let made = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(addresses)
        .args(["--cluster-replicas", "0", "--cluster-yes"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    let started = Instant::now();
    let is_well = |server: &Server| server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
    while !servers.iter().all(is_well) {
        assert!(started.elapsed() < Duration::from_secs(20), "the cluster does not get well");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(servers)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_in_a_cluster() {
    let Some(servers) = cluster() else { return };
    let addresses: Vec<String> = servers.iter().map(Server::address).collect();
    let cache = || RedisCache::open(Options::new(addresses[..2].to_vec())).unwrap();
    let (a, b) = (cache(), cache());
    // As many repositories as will lie on all three servers.
    for number in 0..20 {
        let repository = format!("some/repository{number}");
        remember(&a, &repository, "layer").await;
        let manifest = digest(&repository);
        let name = name(&repository);
        a.remember_manifest(ticket(&a, &repository).await, &name, &manifest, &manifest).await;
        assert_eq!(known(&b, &repository, "layer").await, Some(stat("layer")), "{repository}");
        assert_eq!(b.find_manifest(&name, &manifest).await.known, Some(manifest));
        let old = ticket(&b, &repository).await;
        a.revoke(&name, &[digest("layer"), manifest], Gone::FromRepository).await;
        b.remember_blob(old, &name, &digest("layer"), stat("layer")).await;
        assert_eq!(known(&b, &repository, "layer").await, None);
        assert_eq!(b.find_manifest(&name, &manifest).await.known, None);
        remember(&b, &repository, "layer").await;
    }
    assert_eq!((a.stats().errors, b.stats().errors), (0, 0));
    for server in &servers {
        let port = server.port();
        assert_ne!(server.cli(&["DBSIZE"]), "0", "nothing lies at {port}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_answer_does_not_keep_the_others_from_it() {
    let Some(servers) = cluster() else { return };
    let addresses: Vec<String> = servers.iter().map(Server::address).collect();
    servers[0].signal("-STOP");
    let a = RedisCache::open(Options::new(addresses)).unwrap();
    let started = Instant::now();
    // Two thirds of the repositories lie on the others.
    for number in (0..20).cycle() {
        let repository = format!("some/repository{number}");
        if let Some(ticket) = a.ticket(&name(&repository)).await {
            a.remember_blob(ticket, &name(&repository), &digest("layer"), stat("layer")).await;
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "the others are not asked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
