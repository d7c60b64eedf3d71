//! The bytes of a blob, as fast as they may pass.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use proxy::LastError;

use crate::engine::Engine;
use crate::fault::{Fault, Result};
use crate::limits::PACED_PIECE_BYTES;
use crate::place::Pieces;
use crate::tally::Totals;

/// Keeps what happened to a body, and says it.
pub(super) fn kept(last: &LastError<Fault>, fault: Fault) -> String {
    let text = fault.text();
    last.set(fault);
    text
}

/// Lets pieces pass at the pace of a job, and counts them.
pub(super) fn paced(
    engine: &Engine,
    counted: Counted,
    pieces: Pieces,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let pace = Arc::clone(&engine.pace);
    let size = match engine.job.pace.bytes_per_second {
        Some(_) => PACED_PIECE_BYTES,
        None => usize::MAX,
    };
    let state = (pieces, Bytes::new(), pace, counted);
    stream::try_unfold(state, move |(mut pieces, mut rest, pace, counted)| async move {
        while rest.is_empty() {
            match pieces.next().await {
                Some(piece) => rest = piece?,
                None => return Ok(None),
            }
        }
        let piece = rest.split_to(size.min(rest.len()));
        pace.passed(piece.len() as u64).await;
        counted.add(piece.len());
        Ok(Some((piece, (pieces, rest, pace, counted))))
    })
}

/// Who counts what has passed.
#[derive(Clone, Default)]
pub(super) struct Counted {
    totals: Arc<Totals>,
    bytes: Arc<std::sync::atomic::AtomicU64>,
}

impl Counted {
    pub(super) fn new(engine: &Engine) -> Self {
        Self { totals: Arc::clone(&engine.totals), bytes: Arc::default() }
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, std::sync::atomic::Ordering::Relaxed);
        self.totals.change(|counts| counts.bytes += bytes as u64);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(std::sync::atomic::Ordering::Relaxed)
    }
}
