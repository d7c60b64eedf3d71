//! What Distribution noted of what it caches, beside the registry: when each thing is to go.
//!
//! ```json
//! {"library/nginx@sha256:…": {"Key": "library/nginx@sha256:…", "ExpiryData": "<RFC 3339>", "EntryType": 1}}
//! ```
//!
//! It is only read: Distribution needs it should it come back.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use oci::{Algorithm, Digest, RepositoryName};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use storage::StorageError;

use crate::claims::Claim;
use crate::limits::SCHEDULER_STATE_BYTES_MAX;
use crate::{Registry, Result, layout};

/// When what is cached is to go, in seconds since 1970.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SchedulerState(HashMap<Claim, i64>);

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "ExpiryData")]
    expiry: Option<String>,
}

/// An entry that can't be read is none, and does not keep the others.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient {
    Entry(Entry),
    Other(IgnoredAny),
}

impl SchedulerState {
    /// Reads it. One that is broken is reported, and empty.
    pub(super) async fn read(registry: &Registry) -> Result<Self> {
        let path = layout::scheduler_state();
        let content = match registry.driver.get(&path, SCHEDULER_STATE_BYTES_MAX).await {
            Ok(content) => content,
            Err(StorageError::NotFound { .. }) => return Ok(Self::default()),
            Err(StorageError::TooLarge { .. }) => {
                tracing::warn!(%path, "Distribution's schedule is too large and left out");
                return Ok(Self::default());
            }
            Err(error) => return Err(error.into()),
        };
        Ok(serde_json::from_slice(&content).unwrap_or_else(|error| {
            tracing::warn!(%path, %error, "Distribution's schedule can't be read and is left out");
            Self::default()
        }))
    }

    /// When something was used at the earliest that Distribution let go after `ttl`.
    pub(super) fn used(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        ttl: Duration,
    ) -> Option<SystemTime> {
        if self.0.is_empty() {
            return None;
        }
        let seconds = *self.0.get(&claim(&format!("{name}@{digest}")))?;
        let seconds = u64::try_from(seconds).unwrap_or(0).saturating_sub(ttl.as_secs());
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }
}

fn claim(key: &str) -> Claim {
    Claim::content(&Digest::of(Algorithm::Sha256, key.as_bytes()))
}

impl<'de> Deserialize<'de> for SchedulerState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = SchedulerState;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("entries by repository and digest")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<SchedulerState, A::Error> {
                let mut expiries = HashMap::new();
                while let Some((key, entry)) = map.next_entry::<String, Lenient>()? {
                    if let Lenient::Entry(Entry { expiry: Some(expiry) }) = entry
                        && let Ok(expiry) = expiry.parse::<Timestamp>()
                    {
                        expiries.insert(claim(&key), expiry.as_second());
                    }
                }
                Ok(SchedulerState(expiries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_broken_ones_left_out() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let text = format!(
            r#"{{"library/a@{digest}": {{"Key": "library/a@{digest}",
                "ExpiryData": "2001-09-09T03:46:50.123456789+02:00", "EntryType": 1}},
                "b@{digest}": {{"ExpiryData": "soon"}}, "c@{digest}": 7,
                "d@{digest}": {{"EntryType": 0}}}}"#
        );
        let state: SchedulerState = serde_json::from_str(&text).unwrap();
        let used = |name: &str| {
            let name = RepositoryName::parse(name).unwrap();
            let used = state.used(&name, &digest, Duration::from_secs(10))?;
            used.duration_since(SystemTime::UNIX_EPOCH).ok().map(|time| time.as_secs())
        };
        assert_eq!(used("library/a"), Some(1_000_000_000));
        assert_eq!([used("a"), used("b"), used("c"), used("d")], [None; 4]);
        for broken in ["", "[]", "{\"a\": ", "null"] {
            assert!(serde_json::from_str::<SchedulerState>(broken).is_err(), "{broken}");
        }
    }
}
