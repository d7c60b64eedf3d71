//! What is measured of jobs.

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::{JobCounts, Synchronizer};

/// Shows what is measured of jobs, by their names.
pub fn register_metrics(registry: &mut Registry, jobs: &[Arc<Synchronizer>]) {
    let jobs = jobs.iter().map(Arc::downgrade).collect();
    registry.register_collector(Box::new(Jobs(jobs)));
}

/// Asked at each scrape. Weak: the driver of their registry may be observed by the metrics that this
/// belongs to.
#[derive(Debug)]
struct Jobs(Vec<Weak<Synchronizer>>);

impl Collector for Jobs {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let jobs: Vec<_> = self.0.iter().filter_map(Weak::upgrade).collect();
        let counts: Vec<_> = jobs.iter().map(|job| (&*job.job().name, job.counts())).collect();
        items(&mut encoder, &counts)?;
        let rows = counts.iter().map(|(name, counts)| (*name, Some(counts.unqueued)));
        let help = "Pushes that were to be copied and could not be queued.";
        by_job(&mut encoder, ("wharf_sync_unqueued", help), MetricType::Counter, rows)?;
        let rows = counts.iter().map(|(name, counts)| (*name, Some(counts.bytes)));
        let help = "Bytes of blobs and manifests that jobs wrote to their targets.";
        by_job(&mut encoder, ("wharf_sync_copied_bytes", help), MetricType::Counter, rows)?;
        let rows = counts.iter().map(|(name, counts)| (*name, Some(counts.queued)));
        let help = "Items in the queues of jobs, as they were looked at last.";
        by_job(&mut encoder, ("wharf_sync_queue_length", help), MetricType::Gauge, rows)?;
        let rows = counts.iter().map(|(name, counts)| {
            let second = counts.succeeded.map(jiff::Timestamp::as_second);
            (*name, second.and_then(|second| u64::try_from(second).ok()))
        });
        let help = "When a run of this server ended well last, in seconds since 1970.";
        let name = "wharf_sync_last_success_timestamp_seconds";
        by_job(&mut encoder, (name, help), MetricType::Gauge, rows)?;
        requests(&mut encoder, &jobs)
    }
}

fn items(encoder: &mut DescriptorEncoder<'_>, counts: &[(&str, JobCounts)]) -> fmt::Result {
    let help = "Images and other things that jobs were to copy, by what became of them.";
    let mut descriptor =
        encoder.encode_descriptor("wharf_sync_items", help, None, MetricType::Counter)?;
    for (name, counts) in counts {
        let rows =
            [("copied", counts.copied), ("skipped", counts.skipped), ("failed", counts.failed)];
        for (outcome, count) in rows {
            let labels = [("job", *name), ("outcome", outcome)];
            ConstCounter::new(count).encode(descriptor.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn requests(encoder: &mut DescriptorEncoder<'_>, jobs: &[Arc<Synchronizer>]) -> fmt::Result {
    let help = "Requests of jobs to their remotes, by what became of them.";
    let mut descriptor =
        encoder.encode_descriptor("wharf_sync_requests", help, None, MetricType::Counter)?;
    for job in jobs {
        let health = job.job().direction.remote().health();
        for (outcome, count) in health.requests.by_outcome() {
            let labels = [("job", job.job().name.as_str()), ("outcome", outcome)];
            ConstCounter::new(count).encode(descriptor.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// One figure of each job that has it.
fn by_job<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    kind: MetricType,
    rows: impl Iterator<Item = (&'a str, Option<u64>)>,
) -> fmt::Result {
    let mut descriptor = encoder.encode_descriptor(name, help, None, kind)?;
    for (job, value) in rows {
        let Some(value) = value else { continue };
        let labels = [("job", job)];
        let encoder = descriptor.encode_family(&labels)?;
        match kind {
            MetricType::Counter => ConstCounter::new(value).encode(encoder)?,
            _ => ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)?,
        }
    }
    Ok(())
}
