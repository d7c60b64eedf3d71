//! What stands in the way of pushes.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;

use super::gauge;
use crate::read_only::ReadOnly;

/// Read-only mode.
#[derive(Debug)]
pub(super) struct Maintenance {
    read_only: Arc<ReadOnly>,
}

impl Maintenance {
    pub(super) fn new(read_only: &Arc<ReadOnly>) -> Self {
        Self { read_only: Arc::clone(read_only) }
    }
}

impl Collector for Maintenance {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "1 while the registry can't be written to, otherwise 0.";
        let kind = MetricType::Gauge;
        let descriptor = encoder.encode_descriptor("wharf_read_only", help, None, kind)?;
        gauge(f64::from(u8::from(self.read_only.is_on()))).encode(descriptor)
    }
}
