//! When something is done again and again: `interval` and `schedule`. Shared by the sections that have
//! them.

use std::time::{Duration, SystemTime};

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};

use crate::{reader::Reader, scalar};

/// When something is done again and again.
#[derive(Clone, Debug)]
pub enum When {
    /// So long after the last time.
    Every(Duration),
    /// At these times, in the machine's time zone.
    At(Box<Cron>),
}

impl When {
    /// How long to wait from `now` on. A schedule that never comes again is looked at again in a
    /// day.
    #[must_use]
    pub fn wait(&self, now: SystemTime) -> Duration {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        match self {
            Self::Every(interval) => *interval,
            Self::At(cron) => {
                let Ok(now) = Timestamp::try_from(now) else { return DAY };
                let next = cron.find_next_occurrence(&now.to_zoned(TimeZone::system()), false);
                next.map_or(DAY, |next| next.timestamp().duration_since(now).unsigned_abs())
            }
        }
    }

    /// When it is time, after the last time that it was done, if it ever was. `begun` is since when
    /// somebody waits for it, and `first` how long to wait then for what was never done and has an
    /// interval.
    #[must_use]
    pub fn due(&self, last: Option<SystemTime>, begun: SystemTime, first: Duration) -> SystemTime {
        match self {
            Self::Every(interval) => last.map_or(begun + first, |last| last + *interval),
            Self::At(_) => {
                let from = last.map_or(begun, |last| last.max(begun));
                from + self.wait(from)
            }
        }
    }
}

/// `schedule`, or else `interval`; none when there are neither.
pub(crate) fn read(from: Reader<'_>) -> Option<When> {
    let schedule = from.set_text("schedule").filter(|text| !text.trim().is_empty());
    let cron = schedule.and_then(|text| parse(&text).ok());
    let cron = cron.map(|cron| When::At(Box::new(cron)));
    cron.or_else(|| from.set_duration("interval").map(When::Every))
}

fn parse(text: &str) -> Result<Cron, String> {
    if text.split_whitespace().count() != 5 {
        return Err("must have five fields: minute, hour, day of the month, month, day of the \
                    week, such as `0 3 * * *`"
            .to_owned());
    }
    text.parse().map_err(|error| format!("is no schedule of cron ({error})"))
}

/// A schedule of cron, or nothing.
pub(crate) fn cron(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Ok(()) } else { parse(text).map(drop) }
}

/// Whether a text is a duration of nothing.
pub(crate) fn is_nothing(text: &str) -> bool {
    scalar::nanoseconds(text) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_says_how_long_to_wait() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_017);
        let wait = |text: &str| When::At(Box::new(parse(text).unwrap())).wait(now);
        assert_eq!(wait("* * * * *"), Duration::from_secs(43));
        assert!(wait("0 3 * * *") <= Duration::from_secs(25 * 3600));
        assert!(wait("0 3 * * 1") <= Duration::from_secs(8 * 24 * 3600));
        let hour = Duration::from_secs(3600);
        assert_eq!(When::Every(hour).wait(now), hour);
    }

    #[test]
    fn it_is_time_after_the_last_time() {
        let at = |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        let (begun, first) = (at(1_800_000_000), Duration::from_secs(5));
        let hourly = When::Every(Duration::from_secs(3600));
        assert_eq!(hourly.due(None, begun, first), at(1_800_000_005));
        assert_eq!(hourly.due(Some(at(1_799_999_000)), begun, first), at(1_800_002_600));
        let by_minute = When::At(Box::new(parse("* * * * *").unwrap()));
        for last in [None, Some(at(1_700_000_000)), Some(begun)] {
            assert_eq!(by_minute.due(last, begun, first), at(1_800_000_060), "{last:?}");
        }
        assert_eq!(by_minute.due(Some(at(1_800_000_090)), begun, first), at(1_800_000_120));
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        for (text, good) in [
            ("0 3 * * *", true),
            ("*/15 0-6 1,15 * mon-fri", true),
            ("", true),
            ("0 3 * *", false),
            ("0 0 3 * * *", false),
            ("61 3 * * *", false),
            ("daily", false),
        ] {
            assert_eq!(cron(text).is_ok(), good, "{text}");
        }
    }
}
