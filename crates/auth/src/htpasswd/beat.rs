//! When the answer to a failed login leaves.
//!
//! A name that is not in the file costs as much as one that is, but not always as much as the same
//! one: in a file that mixes costs, the hash that is looked at in its place is another one after a
//! restart or a change of the file. Whoever keeps a list of how long each name took could tell them
//! apart in time. So in such a file failures are answered at the beats of a clock that the dearest
//! hash sets, whatever was looked at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::hash::HashKind;
use super::users::User;

/// How long hashes of each kind take here.
#[derive(Debug, Default)]
pub(super) struct Beat {
    measured: Mutex<HashMap<HashKind, Duration>>,
}

impl Beat {
    /// The beat of a file with these dearest hashes; zero, which is no beat, for a file of one cost.
    /// Computes each kind of hash once, and blocks for as long.
    pub(super) fn of(&self, dearest: &[Arc<User>]) -> Duration {
        if dearest.is_empty() {
            return Duration::ZERO;
        }
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        // A file has few kinds; that they were those of files of before needs no memory.
        measured.retain(|kind, _| dearest.iter().any(|user| user.hash.kind() == *kind));
        let times = dearest.iter().map(|user| {
            *measured.entry(user.hash.kind()).or_insert_with(|| {
                let started = Instant::now();
                user.hash.matches(b"");
                started.elapsed()
            })
        });
        let longest = times.max().unwrap_or_default();
        // What takes a little longer than it was measured must not miss the beat.
        longest + longest / 2
    }
}

/// How long it is until the next beat.
pub(super) fn until_next(elapsed: Duration, beat: Duration) -> Duration {
    let (elapsed, beat) = (elapsed.as_nanos(), beat.as_nanos());
    let late = elapsed.checked_rem(beat).filter(|late| *late > 0);
    let left = late.map_or(0, |late| beat - late);
    Duration::from_nanos(u64::try_from(left).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats() {
        let ms = Duration::from_millis;
        for (elapsed, beat, left) in
            [(0, 10, 0), (1, 10, 9), (10, 10, 0), (11, 10, 9), (29, 10, 1), (7, 0, 0)]
        {
            assert_eq!(until_next(ms(elapsed), ms(beat)), ms(left), "{elapsed} of {beat}");
        }
    }
}
