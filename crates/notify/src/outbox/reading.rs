//! Reading what an endpoint has not got yet.

use std::io;
use std::sync::Arc;

use super::Outbox;
use super::segment::{Content, SegmentFile};
use crate::limits::READ_AHEAD_BYTES;
use crate::record::Record;

/// How far an endpoint has read; not how much of that was delivered.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    /// `first` of the segment.
    segment: u64,
    /// In a file, bytes; in memory, records.
    offset: u64,
    /// Records before this one were delivered by an earlier process.
    pub(super) from: u64,
}

impl Outbox {
    /// Where an endpoint begins to read.
    pub(crate) fn position(&self, endpoint: usize) -> Position {
        let from = self.directory.as_ref().map_or(0, |d| d.places[endpoint]);
        Position { segment: 0, offset: 0, from }
    }

    /// Some of the records behind a position, which is moved on; nothing if there are none yet.
    /// Blocks.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(crate) fn read(
        &self,
        endpoint: usize,
        position: &mut Position,
    ) -> io::Result<Vec<(u64, Record)>> {
        loop {
            let (file, end) = {
                let mut state = self.lock();
                let at = state.segments.partition_point(|s| s.first < position.segment);
                let next_segment = state.segments.get(at + 1).map(|s| s.first);
                let Some(segment) = state.segments.get_mut(at) else { return Ok(Vec::new()) };
                if segment.first != position.segment {
                    (position.segment, position.offset) = (segment.first, 0);
                }
                if let Some(next) = next_segment
                    && segment.is_end(position.offset)
                {
                    // All of it has been delivered, but for what turned out to be damaged.
                    segment.wanted[endpoint] = 0;
                    (position.segment, position.offset) = (next, 0);
                    continue;
                }
                match &segment.content {
                    Content::Memory(records) => return Ok(some_of(records, &mut position.offset)),
                    Content::File(_) if segment.is_end(position.offset) => return Ok(Vec::new()),
                    Content::File(file) => (Arc::clone(file), segment.size_bytes),
                }
            };
            position.offset = position.offset.max(SegmentFile::start_bytes());
            let mut found = file.read(&mut position.offset, end)?;
            found.retain(|(sequence, _)| *sequence >= position.from);
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
}

/// Records in memory behind an offset, which is moved on.
fn some_of(records: &[(u64, Record)], offset: &mut u64) -> Vec<(u64, Record)> {
    let start = usize::try_from(*offset).unwrap_or(usize::MAX);
    let mut bytes = 0;
    let few = records.iter().skip(start).take_while(|(_, record)| {
        let fits = bytes < READ_AHEAD_BYTES;
        bytes += record.size_bytes() as u64;
        fits
    });
    let found: Vec<_> = few.cloned().collect();
    *offset += found.len() as u64;
    found
}
