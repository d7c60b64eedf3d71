//! Where an upload's bytes go: into the file and into the running digest, at the same time.

use bytes::Bytes;
use futures_util::StreamExt as _;
use storage::Appender;
use tokio::sync::mpsc;

use super::HashState;
use crate::limits::UPLOAD_BATCH_BYTES;
use crate::{Body, BodyError, Chunk, Error, Result};

/// An upload that is open for writing. There is one at a time for each.
#[derive(Debug)]
pub(super) struct Sink {
    appender: Box<dyn Appender>,
    /// Covers what is in the file; `None` when that is to be read again at the end.
    hash: Option<HashState>,
}

/// What of a body was read but not yet written.
#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    size_bytes: usize,
}

impl Batch {
    fn push(&mut self, piece: Bytes) {
        self.size_bytes += piece.len();
        self.pieces.push(piece);
    }

    const fn is_full(&self) -> bool {
        self.size_bytes >= UPLOAD_BATCH_BYTES
    }
}

/// A body that is read up to a limit.
struct Source {
    body: Body,
    received_bytes: u64,
    limit_bytes: Option<u64>,
}

impl Source {
    /// Reads until the batch is full or the body ends; returns whether there may be more.
    async fn fill(&mut self, batch: &mut Batch) -> std::result::Result<bool, BodyError> {
        while !batch.is_full() {
            let Some(piece) = self.body.next().await.transpose()? else { return Ok(false) };
            self.received_bytes += piece.len() as u64;
            if self.is_over() {
                return Ok(false);
            }
            batch.push(piece);
        }
        Ok(true)
    }

    fn is_over(&self) -> bool {
        self.limit_bytes.is_some_and(|limit| self.received_bytes > limit)
    }
}

impl Sink {
    pub(super) fn new(appender: Box<dyn Appender>, hash: Option<HashState>) -> Self {
        Self { appender, hash }
    }

    /// Bytes in the file.
    pub(super) fn size_bytes(&self) -> u64 {
        self.appender.size_bytes()
    }

    /// Takes the running digest out; nothing may be written after that.
    pub(super) fn take_hash(&mut self) -> Option<HashState> {
        self.hash.take().filter(|hash| hash.size_bytes() == self.appender.size_bytes())
    }

    /// Brings what was written to stable storage.
    pub(super) async fn sync(&mut self) -> Result<()> {
        Ok(self.appender.sync().await?)
    }

    /// Takes a chunk in, if it belongs where the upload stands. A chunk that turns out to have
    /// another size than its range is undone; of a body that breaks off, what came is kept.
    pub(super) async fn take(self, chunk: Chunk) -> (Self, Result<()>) {
        let start = self.size_bytes();
        let expected = chunk.range.map(|r| r.size_bytes());
        let stated = chunk.range.map(|r| r.start).or(chunk.offset_bytes);
        if let Some(stated) = stated.filter(|stated| *stated != start) {
            return (self, Err(Error::RangeInvalid { start: stated, size_bytes: start }));
        }
        if let (Some(expected_bytes), Some(actual_bytes)) = (expected, chunk.content_length)
            && expected_bytes != actual_bytes
        {
            return (self, Err(Error::SizeInvalid { expected_bytes, actual_bytes }));
        }
        let before = self.hash.clone();
        let source = Source { body: chunk.body, received_bytes: 0, limit_bytes: expected };
        let (mut sink, received) = self.receive(source).await;
        match (received, expected) {
            (Ok(actual_bytes), Some(expected_bytes)) if actual_bytes != expected_bytes => {
                let undone = sink.appender.truncate(start).await;
                sink.hash = before;
                let error = match undone {
                    Ok(()) => Error::SizeInvalid { expected_bytes, actual_bytes },
                    Err(error) => error.into(),
                };
                (sink, Err(error))
            }
            (received, _) => (sink, received.map(|_| ())),
        }
    }

    /// Writes a whole body; returns how many bytes came.
    async fn receive(mut self, mut source: Source) -> (Self, Result<u64>) {
        let mut batch = Batch::default();
        let more = source.fill(&mut batch).await;
        if matches!(more, Ok(true)) {
            return self.receive_large(source, batch).await;
        }
        let written = self.write(batch).await;
        (self, written.and(more.map_err(Error::from)).map(|_| source.received_bytes))
    }

    /// Receives one batch while the one before is being written and hashed. The writing goes on
    /// by itself when the request is dropped, so that what was received is kept.
    async fn receive_large(mut self, mut source: Source, first: Batch) -> (Self, Result<u64>) {
        let (batches, mut queue) = mpsc::channel::<Batch>(1);
        let writer = tokio::spawn(async move {
            let mut written = self.write(first).await;
            while let (Ok(()), Some(batch)) = (&written, queue.recv().await) {
                written = self.write(batch).await;
            }
            (self, written)
        });
        let ended = loop {
            let mut batch = Batch::default();
            let more = source.fill(&mut batch).await;
            // Sending fails when writing did; its error is the one to report.
            let sent = batches.send(batch).await;
            match more {
                Ok(true) if sent.is_ok() => {}
                Ok(_) => break Ok(source.received_bytes),
                Err(error) => break Err(Error::from(error)),
            }
        };
        drop(batches);
        match writer.await {
            Ok((sink, written)) => (sink, written.and(ended)),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down: this task will not be polled again either.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Writes and hashes a batch at the same time.
    async fn write(&mut self, batch: Batch) -> Result<()> {
        if batch.pieces.is_empty() {
            return Ok(());
        }
        let mut hash = self.hash.take();
        let pieces = batch.pieces.clone();
        // The appender has handed its work to another thread when the digest gets its turn.
        let hashing = async { hash.iter_mut().for_each(|hash| hash.update(&pieces)) };
        let (written, ()) = tokio::join!(self.appender.append(batch.pieces), hashing);
        // After a partial write the digest covers more than the file has.
        self.hash = hash.filter(|_| written.is_ok());
        Ok(written?)
    }
}
