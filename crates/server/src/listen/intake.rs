//! How much of its requests' bodies an HTTP/2 connection holds before anybody has asked for it.
//!
//! With HTTP/1 the socket is read when the handler wants more. With HTTP/2 it is read at once, and
//! what is held is bounded by the flow-control windows alone. Those have to be as large as what is
//! under way on a long link; and where the storage is what is slow, all of that would lie here. So
//! the socket is not read while the handlers are behind, and the client waits as it does with
//! HTTP/1: for TCP.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::limits::{HTTP2_AHEAD_BYTES, HTTP2_AHEAD_BYTES_MAX, HTTP2_AHEAD_BYTES_MIN};

/// Among how many connections the memory is divided.
#[derive(Debug, Default)]
pub(super) struct IntakeBudget(Arc<AtomicUsize>);

impl IntakeBudget {
    /// The account of one more connection.
    pub(super) fn connection(&self) -> Arc<Intake> {
        Arc::new(Intake { receiving: Arc::clone(&self.0), state: Mutex::default() })
    }
}

/// What one connection holds.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Connections that receive bodies.
    receiving: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was read and not asked for, in bytes: rather too much, since frames have headers and
    /// bodies are dropped unread, and put right whenever all that could be asked for was.
    held_bytes: usize,
    bodies: usize,
    /// Bodies of which nothing is left to ask for at the moment.
    dry_bodies: usize,
    reader: Option<Waker>,
}

impl State {
    fn settle(&mut self) {
        if self.dry_bodies == self.bodies {
            self.held_bytes = 0;
        }
    }
}

impl Intake {
    /// Waits until more may be read.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.held_bytes < self.limit_bytes() {
            return Poll::Ready(());
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Notes what was read.
    pub(super) fn received(&self, bytes: usize) {
        let mut state = self.state();
        if state.bodies > 0 {
            state.held_bytes += bytes;
        }
    }

    /// A request with a body has come.
    pub(super) fn body(self: &Arc<Self>) -> BodyIntake {
        let mut state = self.state();
        if state.bodies == 0 {
            self.receiving.fetch_add(1, Ordering::Relaxed);
        }
        state.bodies += 1;
        drop(state);
        BodyIntake { intake: Arc::clone(self), is_dry: false }
    }

    fn limit_bytes(&self) -> usize {
        let connections = self.receiving.load(Ordering::Relaxed).max(1);
        (HTTP2_AHEAD_BYTES / connections).clamp(HTTP2_AHEAD_BYTES_MIN, HTTP2_AHEAD_BYTES_MAX)
    }

    /// Changes the account, and has the connection read again when there is room.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let has_room = state.held_bytes <= self.limit_bytes() / 2;
        let reader = state.reader.take_if(|_| has_room);
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// No code that can panic runs under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request's part in it, from its head to the end of its body.
#[derive(Debug)]
pub(crate) struct BodyIntake {
    intake: Arc<Intake>,
    is_dry: bool,
}

impl BodyIntake {
    /// The handler has asked for a piece and got it.
    pub(crate) fn took(&mut self, bytes: usize) {
        let was_dry = std::mem::replace(&mut self.is_dry, false);
        self.intake.change(|state| {
            state.dry_bodies -= usize::from(was_dry);
            state.held_bytes = state.held_bytes.saturating_sub(bytes);
        });
    }

    /// The handler has asked for a piece, and there was none.
    pub(crate) fn found_nothing(&mut self) {
        if !std::mem::replace(&mut self.is_dry, true) {
            self.intake.change(|state| {
                state.dry_bodies += 1;
                state.settle();
            });
        }
    }
}

/// Where a request's part lies among its extensions, which have to be `Clone`, until its body is
/// taken up.
#[derive(Debug, Clone)]
pub(crate) struct BodyIntakeSlot(Arc<Mutex<Option<BodyIntake>>>);

impl BodyIntakeSlot {
    pub(super) fn new(part: BodyIntake) -> Self {
        Self(Arc::new(Mutex::new(Some(part))))
    }

    /// Takes it out.
    pub(crate) fn take(&self) -> Option<BodyIntake> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for BodyIntake {
    fn drop(&mut self) {
        let is_dry = self.is_dry;
        self.intake.change(|state| {
            state.bodies -= 1;
            state.dry_bodies -= usize::from(is_dry);
            state.settle();
            if state.bodies == 0 {
                self.intake.receiving.fetch_sub(1, Ordering::Relaxed);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_room(intake: &Intake) -> bool {
        intake.poll_room(&Context::from_waker(Waker::noop())).is_ready()
    }

    /// Reads until there is no room; returns how much that is.
    fn fill(intake: &Intake) -> usize {
        let mut bytes = 0;
        while has_room(intake) {
            intake.received(16 << 10);
            bytes += 16 << 10;
        }
        bytes
    }

    #[test]
    fn a_connection_is_not_read_while_its_handlers_are_behind() {
        let intake = IntakeBudget::default().connection();
        intake.received(usize::MAX / 2);
        assert!(has_room(&intake), "there is nobody who could take it");
        let mut body = intake.body();
        let held = fill(&intake);
        assert_eq!(held, HTTP2_AHEAD_BYTES_MAX);
        body.took(held / 2);
        assert!(has_room(&intake));
        assert_eq!(fill(&intake), held / 2);
        // Of what was counted a part never was a body's; or nobody wants it any more.
        body.took(held / 2 + 1);
        body.found_nothing();
        assert_eq!(fill(&intake), held);
        drop(body);
        assert!(has_room(&intake));
    }

    #[test]
    fn one_body_that_is_behind_holds_the_account_open() {
        let intake = IntakeBudget::default().connection();
        let (mut quick, slow) = (intake.body(), intake.body());
        fill(&intake);
        quick.found_nothing();
        assert!(!has_room(&intake));
        quick.took(10);
        intake.received(10);
        quick.found_nothing();
        assert!(!has_room(&intake));
        drop(slow);
        assert!(has_room(&intake));
    }

    #[test]
    fn all_connections_together_keep_to_the_budget() {
        let budget = IntakeBudget::default();
        let idle = budget.connection();
        let connections: Vec<_> = (0..64).map(|_| budget.connection()).collect();
        let bodies: Vec<_> = connections.iter().map(|connection| connection.body()).collect();
        let held: usize = connections.iter().map(|connection| fill(connection)).sum();
        assert!(held <= HTTP2_AHEAD_BYTES.max(64 * HTTP2_AHEAD_BYTES_MIN), "{held}");
        drop(bodies);
        let _body = idle.body();
        assert_eq!(fill(&idle), HTTP2_AHEAD_BYTES_MAX);
    }
}
