//! `wharf readonly`.

use std::path::Path;
use std::process::ExitCode;

use registry::{ReadOnlyNote, Registry};

use super::on_storage;
use crate::storage_driver::For;

/// Keeps every server on the storage from writing.
pub(crate) fn on(reason: &str, config: Option<&Path>) -> ExitCode {
    on_storage::run(config, For::Writing, async |registry: Registry| {
        let note = registry.make_read_only(reason).await?;
        Ok(format!(
            "{}running servers notice within 5 seconds; what they are doing then is finished\n",
            said(&note)
        ))
    })
}

/// Lets them write again.
pub(crate) fn off(config: Option<&Path>) -> ExitCode {
    on_storage::run(config, For::Writing, async |registry: Registry| {
        Ok(match registry.make_writable().await? {
            true => "not read-only any more; running servers notice within 5 seconds\n".into(),
            false => "it was not read-only\n".into(),
        })
    })
}

/// Says which it is.
pub(crate) fn status(config: Option<&Path>) -> ExitCode {
    on_storage::run(config, For::Reading, async |registry: Registry| {
        let note = registry.read_only_note().await?;
        Ok(note.map_or_else(|| "not read-only\n".into(), |note| said(&note)))
    })
}

/// Since when it is read-only, and why; a line.
pub(super) fn said(note: &ReadOnlyNote) -> String {
    let mut text = "read-only".to_owned();
    if let Some(since) = note.since {
        text += &format!(" since {since}");
    }
    if !note.reason.is_empty() {
        text += &format!(": {}", note.reason);
    }
    text + "\n"
}
