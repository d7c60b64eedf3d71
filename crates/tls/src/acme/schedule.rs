//! When a certificate is renewed, and how long to wait after a failure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::certificate::Facts;
use crate::limits;

/// A time that the authority suggests (RFC 9773, section 4.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// When to renew: within the window that the authority suggests, or after two thirds of the
/// lifetime. `position` in 0..1 spreads many servers over the window. Whatever is suggested, it is
/// not before `not_before_this`, lest a confused authority is asked without end, and not later than
/// five sixths of the lifetime.
pub(super) fn due(
    facts: &Facts,
    window: Option<Window>,
    position: f64,
    not_before_this: Timestamp,
) -> Timestamp {
    let lifetime = facts.not_after.duration_since(facts.not_before);
    let after = |share: f64| plus(facts.not_before, lifetime.mul_f64(share));
    let wanted = match window {
        Some(window) => {
            plus(window.start, window.end.duration_since(window.start).mul_f64(position))
        }
        None => after(2.0 / 3.0 - position * limits::RENEWAL_SPREAD),
    };
    wanted.min(after(5.0 / 6.0)).max(not_before_this)
}

/// The earliest renewal of a certificate that came at this time.
pub(super) fn rest(facts: &Facts, came_at: Timestamp) -> Timestamp {
    let lifetime = facts.not_after.duration_since(facts.not_before);
    plus(came_at, lifetime.mul_f64(1.0 / 3.0).min(limits::RENEWAL_REST))
}

/// How long to wait after so many failures in a row, from 1. Let's Encrypt allows five failures an
/// hour for each host, so the pauses grow quickly.
pub(super) fn backoff(failures: u32, position: f64) -> Duration {
    let factor = 3_u32.saturating_pow(failures.saturating_sub(1));
    let wait = limits::ACME_RETRY_FIRST.saturating_mul(factor).min(limits::ACME_RETRY_MAX);
    wait.mul_f64(1.0 + position * limits::ACME_RETRY_SPREAD)
}

fn plus(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * DAY).unwrap()
    }

    fn ninety_days() -> Facts {
        Facts {
            not_before: at(0),
            not_after: at(90),
            hosts: vec!["a.example".into()],
            is_authority: false,
        }
    }

    #[test]
    fn two_thirds_of_the_lifetime_unless_the_authority_suggests_another_time() {
        let facts = ninety_days();
        assert_eq!(due(&facts, None, 0.0, at(0)), at(60));
        let early = due(&facts, None, 1.0, at(0));
        assert!(early < at(60) && early > at(57), "{early}");

        let window = Window { start: at(40), end: at(42) };
        assert_eq!(due(&facts, Some(window), 0.5, at(0)), at(41));
    }

    #[test]
    fn a_suggestion_in_the_past_is_followed_once() {
        let facts = ninety_days();
        let past = Window { start: at(-9), end: at(-8) };
        assert_eq!(due(&facts, Some(past), 0.5, at(10)), at(10));
        let rest = rest(&facts, at(10));
        assert!(rest > at(10) && rest < at(11), "{rest}");
        assert_eq!(due(&facts, Some(past), 0.5, rest), rest);
    }

    #[test]
    fn a_suggestion_after_the_end_is_too_late() {
        let late = Window { start: at(200), end: at(300) };
        assert_eq!(due(&ninety_days(), Some(late), 0.5, at(0)), at(75));
    }

    #[test]
    fn pauses_grow_are_bounded_and_stay_within_the_authority_s_limit() {
        let mut waited = Duration::ZERO;
        for failure in 1..5 {
            waited += backoff(failure, 0.0);
        }
        assert!(waited > Duration::from_secs(1800), "{waited:?}");
        assert_eq!(backoff(1, 0.0), limits::ACME_RETRY_FIRST);
        assert_eq!(backoff(1000, 0.0), limits::ACME_RETRY_MAX);
        assert!(backoff(1000, 1.0) > backoff(1000, 0.0));
    }
}
