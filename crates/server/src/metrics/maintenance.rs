//! What stands in the way of pushes.

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::{gauges, to_f64};
use crate::free_space::{FreeSpaceGuard, Room};
use crate::read_only::ReadOnly;

/// Read-only mode, and the room of the storage as of a few seconds ago.
#[derive(Debug)]
pub(super) struct Maintenance {
    read_only: Arc<ReadOnly>,
    /// Weak: its driver is observed by the metrics that this belongs to.
    free_space: Weak<FreeSpaceGuard>,
}

impl Maintenance {
    pub(super) fn new(read_only: &Arc<ReadOnly>, free_space: &Arc<FreeSpaceGuard>) -> Self {
        Self { read_only: Arc::clone(read_only), free_space: Arc::downgrade(free_space) }
    }
}

impl Collector for Maintenance {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let room = self.free_space.upgrade().and_then(|guard| guard.last_room());
        let room = |value: fn(&Room) -> u64| room.as_ref().map(|room| to_f64(value(room)));
        let rows = [
            (
                "wharf_read_only",
                "1 while the registry can't be written to, otherwise 0.",
                Some(f64::from(u8::from(self.read_only.is_on()))),
            ),
            (
                "wharf_storage_free_bytes",
                "Bytes that are free on the storage's volume.",
                room(|room| room.free_bytes),
            ),
            (
                "wharf_storage_size_bytes",
                "Bytes that the storage's volume has.",
                room(|room| room.total_bytes),
            ),
            (
                "wharf_storage_free_min_bytes",
                "Bytes that have to be free for a push to be taken.",
                room(|room| room.min_bytes),
            ),
        ];
        gauges(&mut encoder, rows)
    }
}
