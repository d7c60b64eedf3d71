//! When what failed is tried again, and which attempts count.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;

use crate::fault::Fault;
use crate::limits::{
    OUTAGE_RETRY_AFTER_MAX, PLAN_AGAIN_MAX, PLAN_AGAIN_MIN, RETRY_AFTER_MAX, RETRY_AFTER_MIN,
};
use crate::queue::Item;

/// Notes on an item that an attempt failed, and when it is due again. `worked_at` is when anything
/// was copied last.
///
/// An attempt counts only if it says something of the item. That a side does not work says nothing of
/// it, unless other items were copied since it was tried before: then there is something about it.
pub(crate) fn note(item: &mut Item, fault: &Fault, worked_at: Option<Timestamp>, now: Timestamp) {
    let others_worked = item.tried.zip(worked_at).is_some_and(|(tried, at)| at > tried);
    let counts = !fault.is_not_of_item() && (!fault.is_of_all() || others_worked);
    if counts {
        (item.attempts, item.outages) = (item.attempts.saturating_add(1), 0);
    } else {
        item.outages = item.outages.saturating_add(1);
    }
    let wait = fault.wait().unwrap_or_else(|| match counts {
        true => backoff(item.attempts, RETRY_AFTER_MAX),
        false => backoff(item.outages, OUTAGE_RETRY_AFTER_MAX),
    });
    item.tried = Some(now);
    item.due = Some(after(now, wait));
    item.error = Some(fault.text());
}

/// How long an item waits after so many attempts.
fn backoff(attempts: u32, most: Duration) -> Duration {
    let grown = 4_u32.saturating_pow(attempts.saturating_sub(1));
    about(RETRY_AFTER_MIN.saturating_mul(grown).min(most))
}

/// How long to wait after so many plans in a row that broke off.
pub(crate) fn plan_backoff(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    about(PLAN_AGAIN_MIN.saturating_mul(doubled).min(PLAN_AGAIN_MAX))
}

/// A quarter more or less, so that not all that failed together comes again together.
fn about(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.75..1.25))
}

/// So much later.
pub(crate) fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use oci::{Reference, RepositoryName};
    use proxy::UpstreamError;

    use super::*;
    use crate::Reason;
    use crate::limits::ATTEMPTS_MAX;

    fn item() -> Item {
        let reference = Reference::parse("v1").unwrap();
        Item::new(RepositoryName::parse("a").unwrap(), reference, Reason::New)
    }

    fn answered(status: u16) -> Fault {
        Fault::Remote(UpstreamError::Answered {
            upstream: "up".to_owned(),
            status: http::StatusCode::from_u16(status).unwrap(),
            code: None,
            message: String::new(),
            retry_after: None,
        })
    }

    fn unreachable() -> Fault {
        let (upstream, reason) = ("up".to_owned(), "no route".to_owned());
        Fault::Remote(UpstreamError::Unreachable { upstream, reason })
    }

    #[test]
    fn waits_grow_and_have_an_end() {
        for (attempts, least, most) in [(1, 1.5, 2.5), (2, 6.0, 10.0), (3, 24.0, 40.0)] {
            let wait = backoff(attempts, RETRY_AFTER_MAX).as_secs_f64();
            assert!((least..=most).contains(&wait), "{attempts}: {wait}");
        }
        assert!(backoff(u32::MAX, RETRY_AFTER_MAX) <= RETRY_AFTER_MAX.mul_f64(1.25));
        assert!(plan_backoff(1) <= PLAN_AGAIN_MIN.mul_f64(1.25));
        assert!(plan_backoff(4) >= PLAN_AGAIN_MIN * 6);
        assert!(plan_backoff(u32::MAX) <= PLAN_AGAIN_MAX.mul_f64(1.25));
    }

    #[test]
    fn an_outage_of_a_day_is_outlasted() {
        let credentials = UpstreamError::Credentials {
            upstream: "up".to_owned(),
            reason: "the token service is down".to_owned(),
        };
        let faults = [
            unreachable(),
            credentials.into(),
            answered(502),
            answered(429),
            Fault::NotNow("the volume is full".to_owned()),
        ];
        for fault in faults {
            let (mut item, mut now) = (item(), Timestamp::now());
            let end = after(now, Duration::from_secs(24 * 3600));
            let worked_at = Some(now);
            while now < end {
                note(&mut item, &fault, worked_at, now);
                let wait = Duration::try_from(item.due.unwrap().duration_since(now)).unwrap();
                assert!(wait <= OUTAGE_RETRY_AFTER_MAX.mul_f64(1.25), "{fault}: {wait:?}");
                now = item.due.unwrap();
            }
            assert_eq!(item.attempts, 0, "{fault}");
        }
    }

    #[test]
    fn what_fails_while_others_are_copied_counts_and_what_is_asked_too_much_does_not() {
        for (fault, counts) in [
            (answered(500), true),
            (unreachable(), true),
            (answered(404), true),
            (answered(429), false),
            (Fault::NotNow("the volume is full".to_owned()), false),
        ] {
            let (mut item, mut now) = (item(), Timestamp::now());
            note(&mut item, &answered(500), None, now);
            for _ in 0..ATTEMPTS_MAX {
                let worked_at = after(now, Duration::from_secs(1));
                now = after(now, Duration::from_secs(2));
                note(&mut item, &fault, Some(worked_at), now);
            }
            assert_eq!(item.attempts, if counts { ATTEMPTS_MAX } else { 0 }, "{fault}");
        }
    }
}
