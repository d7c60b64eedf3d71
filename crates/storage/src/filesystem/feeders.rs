//! The threads that append from feeds.
//!
//! Such a turn computes digests, so there are only as many of these threads as processors: more
//! would take the async workers from everybody else. An upload whose turn has come finds a thread
//! that is awake, since the one before it goes on with the next. To wake the upload's task first,
//! and a thread by that, takes milliseconds where many pull: 64 pushes beside 64 pulls got a
//! fortieth of what the pulls did.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The turns that wait, in their order, and who takes them.
#[derive(Debug)]
pub(super) struct Feeders {
    state: Mutex<State>,
    threads_max: usize,
}

type Turn = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    waiting: VecDeque<Turn>,
    threads: usize,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.waiting.len();
        f.debug_struct("State").field("waiting", &waiting).field("threads", &self.threads).finish()
    }
}

impl Feeders {
    pub(super) fn new(threads_max: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), threads_max })
    }

    /// Does work when its turn has come. `None` when it panicked, or the runtime shut down. Work
    /// that has not begun when nobody waits for it any more is not done.
    pub(super) async fn in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, outcome) = oneshot::channel();
        let turn = move || {
            if !done.is_closed() {
                // Whoever has gone since does not need to know.
                done.send(work()).ok();
            }
        };
        if let Some(feeder) = self.add(Box::new(turn)) {
            tokio::task::spawn_blocking(move || feeder.work());
        }
        outcome.await.ok()
    }

    /// Adds a turn; with who has to take it, unless there are enough already.
    fn add(self: &Arc<Self>, turn: Turn) -> Option<Feeder> {
        let mut state = self.state();
        state.waiting.push_back(turn);
        (state.threads < self.threads_max).then(|| {
            state.threads += 1;
            Feeder { feeders: Arc::clone(self), is_counted: true }
        })
    }

    /// No code that can panic runs under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the threads, or what is to become one.
struct Feeder {
    feeders: Arc<Feeders>,
    is_counted: bool,
}

impl Feeder {
    /// Takes turns until none waits.
    fn work(mut self) {
        while let Some(turn) = self.next() {
            // Whoever waits for it learns that there is no outcome.
            catch_unwind(AssertUnwindSafe(turn)).ok();
        }
    }

    /// The next turn. This does not count as a thread any more once there is none: whoever adds
    /// one after that needs another.
    fn next(&mut self) -> Option<Turn> {
        let mut state = self.feeders.state();
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.threads -= 1;
            self.is_counted = false;
        }
        next
    }
}

impl Drop for Feeder {
    /// Where the runtime shuts down it has never been a thread, and nobody will take the turns.
    fn drop(&mut self) {
        if !self.is_counted {
            return;
        }
        let mut state = self.feeders.state();
        state.threads -= 1;
        let nobody = state.threads == 0;
        let abandoned = if nobody { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        drop(state);
        drop(abandoned);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_turn_is_taken_by_no_more_threads_than_there_may_be() {
        let feeders = Feeders::new(2);
        let at_once = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let turns = (0..2000).map(|number| {
            let (feeders, at_once) = (feeders.clone(), at_once.clone());
            tokio::spawn(async move {
                let work = move || {
                    let now = at_once.0.fetch_add(1, Ordering::SeqCst) + 1;
                    at_once.1.fetch_max(now, Ordering::SeqCst);
                    at_once.0.fetch_sub(1, Ordering::SeqCst);
                    number
                };
                feeders.in_turn(work).await
            })
        });
        let turns: Vec<_> = turns.collect();
        for (number, turn) in turns.into_iter().enumerate() {
            assert_eq!(turn.await.unwrap(), Some(number));
        }
        assert!(at_once.1.load(Ordering::SeqCst) <= 2);
        assert_eq!(feeders.state().threads, 0);
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_turn_alone() {
        let feeders = Feeders::new(1);
        let (panicked, after) = tokio::join!(
            feeders.in_turn(|| std::panic::resume_unwind(Box::new("of the test"))),
            feeders.in_turn(|| 7),
        );
        assert_eq!((panicked, after), (None::<()>, Some(7)));
        assert_eq!(feeders.in_turn(|| 8).await, Some(8));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        let feeders = Feeders::new(1);
        let (go_on, stalled) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let feeders = feeders.clone();
            async move { feeders.in_turn(move || stalled.recv().is_ok()).await }
        });
        let begun = Arc::new(AtomicUsize::new(0));
        let second = tokio::spawn({
            let (feeders, begun) = (feeders.clone(), begun.clone());
            async move { feeders.in_turn(move || begun.fetch_add(1, Ordering::SeqCst)).await }
        });
        while feeders.state().waiting.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        second.abort();
        second.await.unwrap_err();
        go_on.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Some(true));
        assert_eq!(feeders.in_turn(|| 1).await, Some(1));
        assert_eq!(begun.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_runtime_that_shuts_down_leaves_no_turn_waiting() {
        let feeders = Feeders::new(1);
        let feeder = feeders.add(Box::new(|| {})).unwrap();
        assert!(feeders.add(Box::new(|| {})).is_none());
        drop(feeder);
        assert!(feeders.state().waiting.is_empty());
        assert!(feeders.add(Box::new(|| {})).is_some());
    }
}
