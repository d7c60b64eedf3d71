//! An item of a queue.

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Algorithm, Digest, Reference, RepositoryName};
use serde::{Deserialize, Serialize};

use super::note;
use crate::{QueuedItem, Reason};

/// How many digits of a digest tell what is copied from other things.
const KEY_DIGITS: usize = 24;

/// Something that is to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    id: Box<str>,
    pub(crate) repository: RepositoryName,
    pub(crate) reference: Reference,
    pub(crate) reason: Reason,
    pub(crate) queued: Timestamp,
    /// How often it failed of itself.
    pub(crate) attempts: u32,
    /// How often in a row it failed because a side did not work.
    pub(crate) outages: u32,
    /// When it was tried last.
    pub(crate) tried: Option<Timestamp>,
    /// When it is to be tried; at once when `None`.
    pub(crate) due: Option<Timestamp>,
    pub(crate) error: Option<String>,
}

/// The same as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    repository: String,
    reference: String,
    reason: Reason,
    #[serde(with = "crate::times")]
    queued: Timestamp,
    #[serde(default)]
    attempts: u32,
    #[serde(default)]
    outages: u32,
    #[serde(default, with = "crate::times::option")]
    tried: Option<Timestamp>,
    #[serde(default, with = "crate::times::option")]
    due: Option<Timestamp>,
    #[serde(default)]
    error: Option<String>,
}

impl Item {
    /// A new one.
    pub(crate) fn new(repository: RepositoryName, reference: Reference, reason: Reason) -> Self {
        let queued = Timestamp::now();
        let key = key(&repository, &reference);
        let id = format!("{:013}-{key}", queued.as_millisecond().max(0)).into();
        Self {
            id,
            repository,
            reference,
            reason,
            queued,
            attempts: 0,
            outages: 0,
            tried: None,
            due: None,
            error: None,
        }
    }

    pub(super) fn parse(id: &str, content: &[u8]) -> Option<Self> {
        let kept: Kept = serde_json::from_slice(content).ok()?;
        Some(Self {
            id: id.into(),
            repository: RepositoryName::parse(&kept.repository).ok()?,
            reference: Reference::parse(&kept.reference).ok()?,
            reason: kept.reason,
            queued: kept.queued,
            attempts: kept.attempts,
            outages: kept.outages,
            tried: kept.tried,
            due: kept.due,
            error: kept.error,
        })
    }

    pub(super) fn content(&self) -> Bytes {
        note(&Kept {
            repository: self.repository.to_string(),
            reference: self.reference.to_string(),
            reason: self.reason,
            queued: self.queued,
            attempts: self.attempts,
            outages: self.outages,
            tried: self.tried,
            due: self.due,
            error: self.error.clone(),
        })
    }

    /// Its name in the queue.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What tells what it copies from what other items copy.
    pub(crate) fn key(&self) -> &str {
        key_of(&self.id)
    }

    /// As others are told of it.
    pub(crate) fn told(&self, is_given_up: bool) -> QueuedItem {
        QueuedItem {
            repository: self.repository.to_string(),
            reference: self.reference.to_string(),
            reason: self.reason,
            queued: self.queued,
            attempts: self.attempts,
            due: (!is_given_up).then(|| self.due.unwrap_or(self.queued)),
            error: self.error.clone(),
        }
    }
}

/// What an item with this name copies, told apart from other things.
pub(crate) fn key_of(id: &str) -> &str {
    id.split_once('-').map_or(id, |(_, key)| key)
}

fn key(repository: &RepositoryName, reference: &Reference) -> String {
    let text = format!("{repository}\n{reference}");
    let mut hex = Digest::of(Algorithm::Sha256, text.as_bytes()).hex();
    hex.truncate(KEY_DIGITS);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let repository = RepositoryName::parse("a/b").unwrap();
        let tag = Reference::parse("v1").unwrap();
        let mut item = Item::new(repository.clone(), tag.clone(), Reason::Moved);
        (item.attempts, item.outages) = (3, 2);
        item.tried = Some("2026-01-02T03:04:03Z".parse().unwrap());
        item.due = Some("2026-01-02T03:04:05Z".parse().unwrap());
        item.error = Some("no \"answer\"".to_owned());
        assert_eq!(Item::parse(item.id(), &item.content()), Some(item.clone()));
        let other = Item::new(repository, Reference::parse("v2").unwrap(), Reason::New);
        assert_ne!(item.key(), other.key());
        assert!(item.id() < "9999999999999" && item.id().len() == 13 + 1 + KEY_DIGITS);
        for odd in ["", "{}", r#"{"repository":"A","reference":"v1","reason":"new"}"#] {
            assert_eq!(Item::parse("x", odd.as_bytes()), None, "{odd}");
        }
    }
}
