//! Requests that are finished although their client has gone away.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt as _;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// What a handler panicked with.
type Panic = Box<dyn Any + Send>;

type Work<T> = Pin<Box<dyn Future<Output = Result<T, Panic>> + Send>>;

/// Runs in the task that waits for it, as handing a request over to another task wakes a thread
/// on the way there and one on the way back. When it is dropped before its end, it goes on in a
/// task of its own, so that it is never cut off between two steps.
pub(crate) struct Finishing<T: Send + 'static> {
    work: Option<Work<T>>,
    tracker: TaskTracker,
    /// Has whoever drains the server wait for the work.
    _counted: TaskTrackerToken,
}

impl<T: Send + 'static> Finishing<T> {
    /// Begins nothing yet: the work begins when it is first waited for.
    pub(crate) fn new(
        tracker: &TaskTracker,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        let work = AssertUnwindSafe(work).catch_unwind();
        Self { work: Some(Box::pin(work)), _counted: tracker.token(), tracker: tracker.clone() }
    }
}

impl<T: Send + 'static> Future for Finishing<T> {
    /// A panic of the work is the end of its request and of nothing else.
    type Output = Result<T, Panic>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let outcome = ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(outcome)
    }
}

impl<T: Send + 'static> Drop for Finishing<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            self.tracker.spawn_on(work, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn it_runs_where_it_is_waited_for() {
        let here = tokio::task::try_id();
        let work = Finishing::new(&TaskTracker::new(), async { tokio::task::try_id() });
        assert_eq!(work.await.unwrap(), here);
    }

    #[tokio::test]
    async fn what_is_dropped_is_finished_and_waited_for() {
        let tracker = TaskTracker::new();
        let (go_on, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let work = {
            let (go_on, done) = (Arc::clone(&go_on), Arc::clone(&done));
            async move {
                go_on.notified().await;
                done.store(true, Ordering::Relaxed);
            }
        };
        let mut work = Finishing::new(&tracker, work);
        assert!(futures_util::poll!(&mut work).is_pending());
        drop(work);
        tracker.close();
        assert_eq!(tracker.len(), 1);
        assert!(!done.load(Ordering::Relaxed));
        go_on.notify_one();
        tracker.wait().await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn what_never_began_is_done_too() {
        let tracker = TaskTracker::new();
        let done = Arc::new(AtomicBool::new(false));
        let sets = Arc::clone(&done);
        drop(Finishing::new(&tracker, async move { sets.store(true, Ordering::Relaxed) }));
        tracker.close();
        tracker.wait().await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_panic_is_an_outcome() {
        let tracker = TaskTracker::new();
        let panicked = Finishing::new(&tracker, async { panic!("on purpose") }).await;
        assert!(panicked.is_err());
        assert!(tracker.is_empty());
    }
}
