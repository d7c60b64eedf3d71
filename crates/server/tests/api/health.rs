//! The storage check, the gate, and the probes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use server::StorageCheck;

use crate::support::TestServer;
use crate::trap::{Trap, Trapped};

async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen in time");
}

#[tokio::test]
async fn a_failing_check_closes_everything_but_the_probes() {
    let driver = Trapped::default();
    let server = TestServer::builder().driver(Arc::new(driver.clone())).start().await;
    let check = StorageCheck { interval: Duration::from_millis(10), threshold: 3 };
    let health = Arc::clone(server.app.health());
    let watch = tokio::spawn(health.watch_storage(Arc::new(driver.clone()), check));
    assert_eq!(server.get("/readyz").await.status, 200);

    driver.set(Trap::Fail);
    until(async || server.get("/v2/").await.status == 503).await;
    for path in ["/v2/", "/v2/a/tags/list", "/", "/anything"] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 503, "{path}");
        let expected = json!({ "errors": [{
            "code": "UNAVAILABLE",
            "message": "service unavailable",
            "detail": "health check failed: please see /debug/health",
        }] });
        assert_eq!(reply.json(), expected);
    }
    assert_eq!(server.get("/livez").await.status, 200);
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 503);
    let reason = ready.json()["checks"]["storagedriver_trapped"].to_string();
    assert!(reason.contains("trapped"), "{reason}");

    driver.set(Trap::Off);
    until(async || server.get("/v2/").await.status == 200).await;
    assert_eq!(server.get("/readyz").await.status, 200);
    watch.abort();
}

#[tokio::test(start_paused = true)]
async fn the_threshold_counts_failures_in_a_row() {
    let driver = Trapped::default();
    let health = Arc::new(server::Health::default());
    let check = StorageCheck { interval: Duration::from_secs(10), threshold: 2 };
    let watch = tokio::spawn(Arc::clone(&health).watch_storage(Arc::new(driver.clone()), check));
    let pass = async || tokio::time::sleep(Duration::from_secs(10)).await;
    // Half an interval behind the checks.
    tokio::time::sleep(Duration::from_secs(5)).await;
    driver.set(Trap::Fail);
    assert!(health.is_healthy(), "nothing has been looked at yet");
    pass().await;
    assert!(health.is_healthy(), "one failure");
    driver.set(Trap::Off);
    pass().await;
    driver.set(Trap::Fail);
    pass().await;
    assert!(health.is_healthy(), "the first of a new row");
    pass().await;
    assert!(!health.is_healthy(), "the second");
    driver.set(Trap::Off);
    pass().await;
    assert!(health.is_healthy());
    watch.abort();
}
