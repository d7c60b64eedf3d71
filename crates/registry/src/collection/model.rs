//! Every order in which a collector and clients can get in each other's way, tried out.
//!
//! It is no drawing of the code: the real operations run, each on a server of its own, over one
//! storage. Between any two of their operations on the storage anybody else may come in, time may
//! pass, and a collector may be killed. [`explorer`] goes through all of these orders, leaving out
//! those that lead to where it has been; [`scenarios`] says what the actors do, and what must hold:
//!
//! - no push fails;
//! - what was acknowledged is whole, then and after two more collections;
//! - after those, nothing is left that nothing refers to.
//!
//! Each safeguard is taken away in turn, and has to be missed.

use std::cell::Cell;

mod evicting;
mod explorer;
mod retained;
mod scenarios;
mod stepped;

/// A safeguard that can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// The collector does not mark again.
    MarkingAgain,
    /// The collector does not wait after its announcement.
    Waiting,
    /// The collector does not look at pins.
    Pins,
    /// An operation does not pin what is announced.
    Pinning,
    /// An operation does not wait for a batch.
    Batch,
    /// An operation that took long does not look again.
    LookingAgain,
    /// A client is told of something old, and that is not kept for it.
    Promise,
    /// What nothing leads to but a cache is not pinned for a push while it is younger than the grace
    /// time.
    YoungPins,
    /// An eviction does not look for new links when it marks again.
    NewLinks,
}

thread_local! {
    static BROKEN: Cell<Option<Break>> = const { Cell::new(None) };
}

/// Whether this safeguard is taken away, on this thread.
pub(crate) fn is_broken(safeguard: Break) -> bool {
    BROKEN.get() == Some(safeguard)
}
