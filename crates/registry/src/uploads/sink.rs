//! Where an upload's bytes go: into the file and into the running digest.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use storage::{Appender, Feed};

use super::HashState;
use super::budget::Budget;
use super::progress::Progress;
use super::queue::Queue;
use crate::limits::UPLOAD_BATCH_BYTES_MIN;
use crate::{Body, BodyError, Chunk, Error, Result};

/// An upload that is open for writing. There is one at a time for each.
#[derive(Debug)]
pub(super) struct Sink {
    appender: Box<dyn Appender>,
    /// Covers what is in the file; `None` when that is to be read again at the end.
    hash: Option<HashState>,
    budget: Budget,
    /// Told of what is in the file.
    progress: Option<Progress>,
    /// The largest file that the storage takes.
    file_bytes_max: u64,
}

/// A body that is read up to a limit.
struct Source {
    body: Body,
    received_bytes: u64,
    limit_bytes: Option<u64>,
}

impl Source {
    /// The next piece; nothing more comes once there are more bytes than there should be.
    async fn next(&mut self) -> std::result::Result<Option<Bytes>, BodyError> {
        let Some(piece) = self.body.next().await.transpose()? else { return Ok(None) };
        self.received_bytes += piece.len() as u64;
        Ok(Some(piece).filter(|_| !self.is_over()))
    }

    fn is_over(&self) -> bool {
        self.limit_bytes.is_some_and(|limit| self.received_bytes > limit)
    }

    /// Reads to the end, or as much as is worth handing to another thread; returns whether there
    /// may be more.
    async fn begin(&mut self, pieces: &mut Vec<Bytes>) -> std::result::Result<bool, BodyError> {
        let mut size_bytes = 0;
        while size_bytes <= UPLOAD_BATCH_BYTES_MIN {
            let Some(piece) = self.next().await? else { return Ok(false) };
            size_bytes += piece.len();
            pieces.push(piece);
        }
        Ok(true)
    }

    /// Reads to the end and into `queue`.
    async fn receive(&mut self, queue: &Queue) -> std::result::Result<(), BodyError> {
        let ended = loop {
            match self.next().await {
                Ok(Some(piece)) => queue.push(piece),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            queue.has_room().await;
        };
        queue.complete();
        ended
    }
}

impl Sink {
    pub(super) fn new(
        appender: Box<dyn Appender>,
        hash: Option<HashState>,
        budget: Budget,
        file_bytes_max: u64,
    ) -> Self {
        Self { appender, hash, budget, progress: None, file_bytes_max }
    }

    /// Has somebody told of what is in the file.
    pub(super) fn telling(mut self, progress: Option<Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Bytes in the file.
    pub(super) fn size_bytes(&self) -> u64 {
        self.appender.size_bytes()
    }

    /// Takes the running digest out, as that of the data as it was last kept; nothing may be written
    /// after that.
    pub(super) fn take_hash(&mut self) -> Option<HashState> {
        let hash = self.hash.take().filter(|hash| hash.size_bytes() == self.size_bytes())?;
        Some(hash.kept_as(self.appender.generation()))
    }

    /// Brings what was written to stable storage.
    pub(super) async fn sync(&mut self) -> Result<()> {
        Ok(self.appender.sync().await?)
    }

    /// Leaves what was written to the next request, whichever replica it reaches.
    pub(super) async fn keep(&mut self) -> Result<()> {
        Ok(self.appender.keep().await?)
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
        let announced_bytes = chunk.content_length.or(expected).unwrap_or(0);
        if start.saturating_add(announced_bytes) > self.file_bytes_max {
            let limit_bytes = self.file_bytes_max;
            return (self, Err(BodyError::TooLarge { limit_bytes }.into()));
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
        let mut pieces = Vec::new();
        let more = source.begin(&mut pieces).await;
        if matches!(more, Ok(true)) {
            return self.receive_large(source, pieces).await;
        }
        let written = self.write(pieces).await;
        (self, written.and(more.map_err(Error::from)).map(|_| source.received_bytes))
    }

    async fn receive_large(mut self, mut source: Source, begun: Vec<Bytes>) -> (Self, Result<u64>) {
        let queue = Arc::new(Queue::new(self.budget.join(), self.hash.take(), begun));
        queue.tell(self.progress.clone());
        let outcome = self.receive_through(&queue, &mut source).await;
        // After a partial write the digest covers more than the file has.
        self.hash = queue.take_hash().filter(|hash| hash.size_bytes() == self.size_bytes());
        (self, outcome.map(|()| source.received_bytes))
    }

    /// Receives while what was received before is hashed and written.
    async fn receive_through(&mut self, queue: &Arc<Queue>, source: &mut Source) -> Result<()> {
        let writing = async {
            while queue.has_more().await {
                self.appender.append_from(Arc::clone(queue) as Arc<dyn Feed>).await?;
            }
            Ok(())
        };
        tokio::pin!(writing);
        tokio::select! {
            // The writing is polled behind the receiving, which does not wake it.
            biased;
            // What was received before the body broke off is written.
            received = source.receive(queue) => writing.await.and(received.map_err(Error::from)),
            // It ends before the receiving does when it fails.
            written = &mut writing => written,
        }
    }

    /// Writes and hashes a small body.
    async fn write(&mut self, pieces: Vec<Bytes>) -> Result<()> {
        if pieces.is_empty() {
            return Ok(());
        }
        let size_bytes = pieces.iter().map(Bytes::len).sum();
        let mut hash = self.hash.take();
        let hashed = pieces.clone();
        // The appender has handed its work to another thread when the digest gets its turn.
        let hashing = async { hash.iter_mut().for_each(|hash| hash.update(&hashed)) };
        let (written, ()) = tokio::join!(self.appender.append(pieces), hashing);
        self.hash = hash.filter(|_| written.is_ok());
        written?;
        if let Some(progress) = &self.progress {
            progress.advance(size_bytes);
        }
        Ok(())
    }
}
