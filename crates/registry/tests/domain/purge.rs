use std::time::Duration;

use registry::{PurgeReport, layout};

use crate::support::{chunk, files, name, push_image, registry};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn old_uploads_go_and_everything_else_stays() {
    let registry = registry();
    push_image(&registry, "one", "v1").await;
    let before = files(&**registry.driver(), "/").await;
    let old = registry.start_upload(&name("one"), None).await.unwrap().id;
    let path = layout::upload_started_at(&name("one"), &old);
    registry.driver().put(&path, "2020-01-02T03:04:05Z".into()).await.unwrap();
    let new = registry.start_upload(&name("deep/two"), None).await.unwrap().id;

    let expected = PurgeReport {
        purged: vec![layout::upload(&name("one"), &old).to_string()],
        kept: 1,
        failed: vec![],
    };
    assert_eq!(registry.purge_uploads(HOUR, true).await.unwrap(), expected);
    registry.upload_status(&name("one"), &old).await.unwrap();
    assert_eq!(registry.purge_uploads(HOUR, false).await.unwrap(), expected);
    assert!(registry.upload_status(&name("one"), &old).await.is_err());
    registry.upload_status(&name("deep/two"), &new).await.unwrap();
    registry.cancel_upload(&name("deep/two"), &new).await.unwrap();
    assert_eq!(files(&**registry.driver(), "/").await, before);
}

#[tokio::test]
async fn an_old_upload_that_is_still_fed_stays() {
    let registry = registry();
    let id = registry.start_upload(&name("one"), None).await.unwrap().id;
    let path = layout::upload_started_at(&name("one"), &id);
    registry.driver().put(&path, "2020-01-02T03:04:05Z".into()).await.unwrap();
    registry.append_upload(&name("one"), &id, chunk("x")).await.unwrap();
    assert_eq!(registry.purge_uploads(HOUR, false).await.unwrap().kept, 1);
}

#[tokio::test]
async fn an_upload_without_a_start_time_is_judged_by_its_directory() {
    let registry = registry();
    for (id, content) in [("orphan", None), ("torn", Some(""))] {
        let id = registry::UploadId::parse(id).unwrap();
        registry.driver().put(&layout::upload_data(&name("one"), &id), "x".into()).await.unwrap();
        if let Some(content) = content {
            let path = layout::upload_started_at(&name("one"), &id);
            registry.driver().put(&path, content.into()).await.unwrap();
        }
    }
    assert_eq!(registry.purge_uploads(HOUR, false).await.unwrap().kept, 2);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let report = registry.purge_uploads(Duration::ZERO, false).await.unwrap();
    assert_eq!(report.purged.len(), 2, "{report:?}");
}
