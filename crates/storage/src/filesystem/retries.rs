//! Starting over, when a directory was deleted while something was being written to it.

use std::io;
use std::time::Duration;

use crate::limits::RETRY_PAUSE_MAX;

/// Waits a little before an operation starts over for the nth time.
pub(super) fn pause_before(round: u32) {
    if let Some(step) = round.checked_sub(4) {
        let pause = Duration::from_micros(50).saturating_mul(1 << step.min(10));
        std::thread::sleep(pause.min(RETRY_PAUSE_MAX));
    }
}

pub(super) fn parents_vanish() -> io::Error {
    io::Error::other("its directory was deleted again and again while it was being written")
}
