//! Which questions were asked lately.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::limits::QUESTIONS_NOTED_MAX;

/// The questions that were asked last, by their hashes: as many as could be remembered together
/// with their answers. Whoever walks through more than that, over and over, would only ever push
/// out what is remembered, and so nothing of it is.
#[derive(Debug, Default)]
pub(super) struct Lately {
    noted: Mutex<Noted>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Noted {
    /// From the oldest on, with what their answers weigh.
    order: VecDeque<(u64, u64)>,
    /// How often each is in there.
    counts: HashMap<u64, u32>,
    weight_bytes: u64,
}

impl Lately {
    /// Notes a question whose answer would weigh so much. Whether it was asked lately already.
    pub(super) fn note(
        &self,
        question: &impl Hash,
        weight_bytes: u64,
        capacity_bytes: u64,
    ) -> bool {
        let hash = self.hasher.hash_one(question);
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let was_asked = noted.counts.contains_key(&hash);
        noted.order.push_back((hash, weight_bytes));
        *noted.counts.entry(hash).or_insert(0) += 1;
        noted.weight_bytes += weight_bytes;
        while noted.weight_bytes > capacity_bytes || noted.order.len() > QUESTIONS_NOTED_MAX {
            noted.forget_the_oldest();
        }
        was_asked
    }
}

impl Noted {
    fn forget_the_oldest(&mut self) {
        let Some((hash, weight_bytes)) = self.order.pop_front() else { return };
        self.weight_bytes -= weight_bytes;
        if let Some(count) = self.counts.get_mut(&hash) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_does_not_fit_is_never_known() {
        let lately = Lately::default();
        for round in 0..3 {
            for question in 0..10 {
                let was_asked = lately.note(&question, 10, 100);
                assert_eq!(was_asked, round > 0, "{round} {question}");
            }
        }
        let lately = Lately::default();
        for question in (0..11).cycle().take(33) {
            assert!(!lately.note(&question, 10, 100), "{question}");
        }
    }

    #[test]
    fn it_is_bounded() {
        let lately = Lately::default();
        assert!(!lately.note(&"too large", 101, 100));
        assert!(!lately.note(&"too large", 101, 100));
        for question in 0..2 * QUESTIONS_NOTED_MAX {
            lately.note(&question, 0, 100);
        }
        let noted = lately.noted.lock().unwrap();
        assert_eq!(noted.order.len(), QUESTIONS_NOTED_MAX);
        assert_eq!(noted.counts.len(), QUESTIONS_NOTED_MAX);
        assert_eq!(noted.weight_bytes, 0);
    }
}
