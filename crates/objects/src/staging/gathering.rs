//! The memory in which uploads gather their parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{GATHERED_BYTES_MAX, GATHERING_WAIT_MAX, PART_BYTES_MIN};

const UNIT_BYTES: usize = 64 << 10;

/// What all uploads together may gather, and how many there are.
#[derive(Debug, Clone)]
pub(crate) struct Gathering {
    room: Arc<Semaphore>,
    uploads: Arc<AtomicUsize>,
}

/// One upload, as long as it is kept.
#[derive(Debug)]
pub(crate) struct Member(Arc<AtomicUsize>);

impl Drop for Member {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gathering {
    pub(crate) fn new() -> Self {
        let room = Arc::new(Semaphore::new(GATHERED_BYTES_MAX / UNIT_BYTES));
        Self { room, uploads: Arc::default() }
    }

    pub(super) fn join(&self) -> Member {
        self.uploads.fetch_add(1, Ordering::Relaxed);
        Member(Arc::clone(&self.uploads))
    }

    /// How large the next part shall be: as large as was asked for while all uploads together may
    /// have a part on its way and gather another one, and otherwise as small as may be.
    pub(crate) fn part_bytes(&self, wanted_bytes: usize) -> usize {
        let uploads = self.uploads.load(Ordering::Relaxed).max(1);
        if 2 * uploads * wanted_bytes <= GATHERED_BYTES_MAX {
            return wanted_bytes;
        }
        wanted_bytes.min(PART_BYTES_MIN)
    }

    /// Room for a part, until it is dropped. Nobody waits for ever: clients that send slowly may
    /// have all of it, and then one more takes memory all the same.
    pub(super) async fn room(&self, part_bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = part_bytes.min(GATHERED_BYTES_MAX).div_ceil(UNIT_BYTES);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(units);
        tokio::time::timeout(GATHERING_WAIT_MAX, room).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn room_is_shared_and_waited_for_but_not_for_ever() {
        let gathering = Gathering::new();
        let first = gathering.room(GATHERED_BYTES_MAX).await;
        assert!(first.is_some());
        let waiting = tokio::spawn({
            let gathering = gathering.clone();
            async move { gathering.room(PART_BYTES_MIN).await }
        });
        assert!(waiting.await.unwrap().is_none());
        drop(first);
        assert!(gathering.room(2 * GATHERED_BYTES_MAX).await.is_some());
    }

    #[test]
    fn parts_are_small_when_there_are_many_uploads() {
        let gathering = Gathering::new();
        let wanted = 10 << 20;
        let mut members = vec![gathering.join()];
        assert_eq!(gathering.part_bytes(wanted), wanted);
        for _ in 0..31 {
            members.push(gathering.join());
        }
        assert_eq!(gathering.part_bytes(wanted), PART_BYTES_MIN);
        members.truncate(2);
        assert_eq!(gathering.part_bytes(wanted), wanted);
    }
}
