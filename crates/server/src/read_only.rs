//! Whether the registry can be written to just now.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use registry::{ReadOnlyNote, Registry};
use tracing::{info, warn};

/// Read-only mode: by the configuration, for good, or by a note on the storage, as long as it is
/// there.
#[derive(Debug, Default)]
pub struct ReadOnly {
    is_configured: bool,
    /// Whether there is a note; looked at by each request.
    is_noted: AtomicBool,
    note: Mutex<Option<ReadOnlyNote>>,
}

impl ReadOnly {
    pub(crate) fn new(is_configured: bool) -> Self {
        Self { is_configured, ..Self::default() }
    }

    /// Whether nothing may be written.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_configured || self.is_noted.load(Ordering::Acquire)
    }

    /// Why nothing may be written and how to end that, if it is so.
    pub(crate) fn reason(&self) -> Option<String> {
        if self.is_configured {
            let reason = "the registry is read-only: storage.maintenance.readonly.enabled is set";
            return Some(reason.into());
        }
        if !self.is_noted.load(Ordering::Acquire) {
            return None;
        }
        let note = self.note().clone().unwrap_or_default();
        let mut text = "the registry is read-only for now".to_owned();
        if let Some(since) = note.since {
            text += &format!(", since {since}");
        }
        if !note.reason.is_empty() {
            text += &format!(": {}", note.reason);
        }
        Some(text + " (`wharf readonly off` on the server ends it)")
    }

    /// Looks for the note. While the storage can't say, it stays as it was.
    pub(crate) async fn look(&self, registry: &Registry) {
        if self.is_configured {
            return;
        }
        match registry.read_only_note().await {
            Ok(note) => self.set(note),
            Err(error) => {
                tracing::debug!(%error, "could not look whether the registry is read-only");
            }
        }
    }

    fn set(&self, found: Option<ReadOnlyNote>) {
        let mut note = self.note();
        match (&*note, &found) {
            (None, Some(now)) => warn!(
                reason = now.reason,
                "the registry is read-only from now on, until `wharf readonly off`"
            ),
            (Some(_), None) => info!("the registry can be written to again"),
            _ => {}
        }
        self.is_noted.store(found.is_some(), Ordering::Release);
        *note = found;
    }

    fn note(&self) -> MutexGuard<'_, Option<ReadOnlyNote>> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
