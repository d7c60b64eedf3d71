//! What bounds a check.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use registry::check::{CheckOptions, End, Kind};
use registry::{Check, layout};
use tokio::time::Instant;

use super::fixture::Volume;
use crate::support::{name, sha256};

#[tokio::test(start_paused = true)]
async fn it_reads_no_faster_than_it_may() {
    let volume = Volume::in_memory().await;
    let content = vec![7; 1 << 20];
    volume.write(&layout::blob_data(&sha256(&content)), content).await;
    let begun = Instant::now();
    let options = CheckOptions { rate: NonZeroU64::new(100 << 10), ..CheckOptions::default() };
    let report = volume.check_with(options).await;
    assert!(report.is_whole(), "{report:#?}");
    let took = begun.elapsed();
    assert!((Duration::from_secs(10)..Duration::from_secs(12)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn it_lists_so_many_and_counts_the_others() {
    let volume = Volume::in_memory().await;
    let many = registry::limits::CHECK_FINDINGS_LISTED_MAX + 5;
    for number in 0..many {
        let digest = sha256(&number.to_le_bytes());
        volume.write(&layout::layer_link(&name("many"), &digest), "").await;
    }
    let report = volume.check().await;
    let group = report.of(Kind::LayerLinkTorn).unwrap();
    assert_eq!((group.total, group.listed.len()), (many as u64, many - 5));
    assert_eq!(report.errors, many as u64);
}

#[tokio::test]
async fn it_stops_when_it_is_told() {
    let volume = Volume::in_memory().await;
    let check = Check::new(Arc::clone(&volume.driver), CheckOptions::default());
    check.stop();
    let report = check.run().await.unwrap();
    assert_eq!((report.end, report.checked.blobs, report.orphans), (End::Stopped, 0, None));
    assert!(!report.is_whole());
}

#[tokio::test]
async fn a_report_is_json_that_names_everything() {
    let volume = Volume::in_memory().await;
    volume.write(&layout::layer_link(&name("another"), &sha256(b"alone")), "").await;
    let report = serde_json::to_value(volume.repair().await).unwrap();
    let group = &report["findings"][0];
    assert_eq!((&group["kind"], &group["severity"]), (&"layer_link_torn".into(), &"error".into()));
    let finding = &group["listed"][0];
    assert_eq!(finding["repository"], "another");
    assert_eq!(finding["digest"], sha256(b"alone").to_string());
    assert_eq!(
        (&finding["outcome"], &finding["result"]),
        (&"mended".into(), &"written anew".into())
    );
    for text in ["meaning", "repair"] {
        assert!(group[text].as_str().is_some_and(|t| !t.is_empty()), "{group}");
    }
    assert_eq!(
        (&report["errors"], &report["mended"], &report["end"]),
        (&0.into(), &1.into(), &"finished".into())
    );
}
