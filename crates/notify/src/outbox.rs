//! What keeps events until every endpoint that wants them has them.
//!
//! A log in segments, each a file, and one cursor per endpoint. A segment is deleted when all
//! endpoints are past it. Without a directory the same is kept in memory.
//!
//! Deliveries and scrapes ask what the state is, so nothing is done to a file while it is locked.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::limits;
use crate::options::{EndpointOptions, OutboxBounds};
use crate::record::Record;

mod cursor;
mod directory;
mod reading;
mod segment;
#[cfg(test)]
mod tests;

pub(crate) use reading::Position;
use segment::{Content, Segment, SegmentFile};

/// The log, and who is where in it.
#[derive(Debug)]
pub(crate) struct Outbox {
    directory: Option<Arc<directory::Directory>>,
    endpoints: Arc<[EndpointOptions]>,
    bounds: OutboxBounds,
    state: Mutex<State>,
    /// Sends the next sequence number after each append.
    appended: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// In order. The last one is written to, unless it `is_closed`.
    segments: VecDeque<Segment>,
    /// The next record is to begin a new segment.
    is_closed: bool,
    next: u64,
    places: Vec<InFlight>,
}

/// What an endpoint is doing.
#[derive(Debug, Default, Clone)]
struct InFlight {
    /// The event that is being delivered.
    sequence: Option<u64>,
    /// Its segment was dropped meanwhile.
    is_orphan: bool,
}

/// What an append changed, for each endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Events that it will get.
    pub(crate) added: Vec<u64>,
    /// Older events that it will not get any more, because the outbox was full.
    pub(crate) dropped: Vec<u64>,
}

impl Outbox {
    /// An outbox that ends with the process.
    pub(crate) fn in_memory(endpoints: Arc<[EndpointOptions]>, bounds: OutboxBounds) -> Self {
        Self::new(None, endpoints, bounds, VecDeque::new(), 1)
    }

    fn new(
        directory: Option<directory::Directory>,
        endpoints: Arc<[EndpointOptions]>,
        bounds: OutboxBounds,
        segments: VecDeque<Segment>,
        next: u64,
    ) -> Self {
        let bounds = bounds.with_defaults();
        let places = vec![InFlight::default(); endpoints.len()];
        // Files of an earlier process are never appended to.
        let state = Mutex::new(State { segments, is_closed: true, next, places });
        let directory = directory.map(Arc::new);
        Self { directory, endpoints, bounds, state, appended: watch::Sender::new(next) }
    }

    /// Most bytes that one event may have, so that it does not push out all others.
    pub(crate) fn event_bytes_max(&self) -> u64 {
        limits::EVENT_BYTES_MAX.min(self.bounds.bytes_max / 4)
    }

    /// Whether events outlive the process.
    pub(crate) fn is_durable(&self) -> bool {
        self.directory.is_some()
    }

    /// Tells when something was appended.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    /// How many events each endpoint still has to get.
    pub(crate) fn pending(&self, endpoint: usize) -> u64 {
        let state = self.lock();
        let orphan = u64::from(state.places[endpoint].is_orphan);
        state.segments.iter().map(|s| s.wanted[endpoint]).sum::<u64>() + orphan
    }

    /// Appends records and, if `sync`, waits for the disk. Blocks. Only one caller at a time.
    ///
    /// # Errors
    /// When the file can't be written. Nothing has been appended then.
    pub(crate) fn append(&self, records: &[Record], sync: bool) -> io::Result<Appended> {
        let mut frames = Vec::new();
        let next = {
            let mut state = self.lock();
            let next = state.next;
            // Numbers are not used again, also if this fails: some frame may be on the disk.
            state.next += records.len() as u64;
            next
        };
        if let Some((file, offset)) = self.writable(next)? {
            for (record, sequence) in records.iter().zip(next..) {
                record.write(sequence, &mut frames);
            }
            if let Err(error) = file.append(&frames, offset, sync) {
                // What is on the disk now is not known. Behind the last good record nothing is
                // read by this process; the next one sees whole records only.
                let _ = file.truncate(offset);
                self.close_last();
                return Err(error);
            }
        }
        let (appended, finished) = self.commit(records, next, frames.len() as u64);
        self.appended.send_replace(next + records.len() as u64);
        finished.delete();
        Ok(appended)
    }

    /// Has the next record begin a new segment. An empty one is deleted, as there would be one more
    /// with each try.
    fn close_last(&self) {
        let mut finished = self.finished();
        {
            let mut state = self.lock();
            state.is_closed = true;
            finished.extend(state.segments.pop_back_if(|segment| segment.events == 0));
        }
        finished.delete();
    }

    /// The segment to append to, made if necessary, as its file and where to write there.
    fn writable(&self, next: u64) -> io::Result<Option<(Arc<SegmentFile>, u64)>> {
        let is_full = |s: &Segment| {
            s.events >= (self.bounds.events_max / limits::SEGMENTS_MIN).max(1)
                || s.size_bytes
                    >= limits::SEGMENT_BYTES_MAX.min(self.bounds.bytes_max / limits::SEGMENTS_MIN)
        };
        let needs_another = {
            let state = self.lock();
            state.is_closed || state.segments.back().is_none_or(is_full)
        };
        if needs_another {
            let content = match &self.directory {
                None => Content::Memory(Vec::new()),
                Some(directory) => Content::File(Arc::new(directory.create_segment(next)?)),
            };
            let size_bytes = match &content {
                Content::Memory(_) => 0,
                Content::File(_) => SegmentFile::start_bytes(),
            };
            let wanted = vec![0; self.endpoints.len()];
            let segment =
                Segment { first: next, end: next, size_bytes, events: 0, wanted, content };
            let mut state = self.lock();
            state.segments.push_back(segment);
            state.is_closed = false;
        }
        let state = self.lock();
        Ok(state.segments.back().and_then(|segment| match &segment.content {
            Content::Memory(_) => None,
            Content::File(file) => Some((Arc::clone(file), segment.size_bytes)),
        }))
    }

    /// Makes records visible that have been written, and keeps to the bounds.
    fn commit(&self, records: &[Record], next: u64, frames_bytes: u64) -> (Appended, Finished) {
        let count = self.endpoints.len();
        let mut appended = Appended { added: vec![0; count], dropped: vec![0; count] };
        let mut state = self.lock();
        if let Some(segment) = state.segments.back_mut() {
            segment.end = next + records.len() as u64;
            segment.events += records.len() as u64;
            segment.size_bytes += frames_bytes;
            if let Content::Memory(kept) = &mut segment.content {
                segment.size_bytes += records.iter().map(|r| r.size_bytes() as u64).sum::<u64>();
                kept.extend((next..).zip(records.iter().cloned()));
            }
            for record in records {
                for (i, endpoint) in self.endpoints.iter().enumerate() {
                    if endpoint.wants(record.action, &record.media_type) {
                        segment.wanted[i] += 1;
                        appended.added[i] += 1;
                    }
                }
            }
        }
        let mut finished = self.finished();
        self.enforce_bounds(&mut state, &mut appended.dropped, &mut finished);
        finished.take(&mut state);
        (appended, finished)
    }

    fn finished(&self) -> Finished {
        Finished { directory: self.directory.clone(), files: Vec::new() }
    }

    /// Drops the oldest segments while there is too much. What is just being delivered is not lost.
    fn enforce_bounds(&self, state: &mut State, dropped: &mut [u64], finished: &mut Finished) {
        let over = |state: &State| {
            let events: u64 = state.segments.iter().map(|s| s.events).sum();
            let bytes: u64 = state.segments.iter().map(|s| s.size_bytes).sum();
            events > self.bounds.events_max || bytes > self.bounds.bytes_max
        };
        while state.segments.len() > 1 && over(state) {
            let Some(oldest) = state.segments.pop_front() else { return };
            for (i, in_flight) in state.places.iter_mut().enumerate() {
                let mut lost = oldest.wanted[i];
                let is_in_flight =
                    in_flight.sequence.is_some_and(|s| (oldest.first..oldest.end).contains(&s));
                if is_in_flight {
                    in_flight.is_orphan = true;
                    lost -= 1;
                }
                dropped[i] += lost;
            }
            finished.extend(Some(oldest));
        }
    }

    /// Whether an endpoint wants a record.
    pub(crate) fn wants(&self, endpoint: usize, record: &Record) -> bool {
        self.endpoints[endpoint].wants(record.action, &record.media_type)
    }

    /// Begins to deliver an event, unless it has been dropped since it was read.
    pub(crate) fn begin(&self, endpoint: usize, sequence: u64) -> bool {
        let mut state = self.lock();
        let is_kept = state.segments.front().is_some_and(|s| s.first <= sequence);
        if is_kept {
            state.places[endpoint] = InFlight { sequence: Some(sequence), is_orphan: false };
        }
        is_kept
    }

    /// An event has been delivered to an endpoint. What nobody needs any more is for the caller to
    /// delete, where that may block.
    pub(crate) fn finish(&self, endpoint: usize, sequence: u64) -> Finished {
        let mut finished = self.finished();
        let mut state = self.lock();
        let in_flight = std::mem::take(&mut state.places[endpoint]);
        if in_flight.is_orphan {
            return finished;
        }
        let at = state.segments.partition_point(|s| s.end <= sequence);
        if let Some(segment) = state.segments.get_mut(at) {
            segment.wanted[endpoint] = segment.wanted[endpoint].saturating_sub(1);
        }
        finished.take(&mut state);
        finished
    }

    /// Remembers how far an endpoint is. Blocks.
    ///
    /// # Errors
    /// When the file can't be written: events will be delivered again.
    pub(crate) fn save_cursor(&self, endpoint: usize, next: u64) -> io::Result<()> {
        self.directory.as_ref().map_or(Ok(()), |d| d.cursors[endpoint].save(next, false))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files of segments that are not in the list any more.
#[derive(Debug)]
#[must_use = "the files stay until they are deleted"]
pub(crate) struct Finished {
    directory: Option<Arc<directory::Directory>>,
    files: Vec<Arc<SegmentFile>>,
}

impl Finished {
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn extend(&mut self, segment: Option<Segment>) {
        if let Some(Segment { content: Content::File(file), .. }) = segment {
            self.files.push(file);
        }
    }

    /// Takes what nobody needs any more. The last segment stays: it is being written to.
    fn take(&mut self, state: &mut State) {
        while state.segments.len() > 1 && state.segments[0].wanted.iter().all(|n| *n == 0) {
            self.extend(state.segments.pop_front());
        }
    }

    /// Deletes the files. Blocks.
    pub(crate) fn delete(self) {
        for file in self.files {
            if let Some(directory) = &self.directory {
                directory.delete_segment(&file.path);
            }
        }
    }
}

/// Makes the names in a directory durable.
fn sync_directory(path: &PathBuf) -> io::Result<()> {
    File::open(path)?.sync_all()
}
