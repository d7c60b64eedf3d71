//! How far a check is.

use indicatif::{HumanBytes, HumanCount};
use registry::check::{Phase, Snapshot};

use crate::commands::progress::Progress;

impl Progress for Snapshot {
    fn position(&self) -> (u64, u64) {
        match self.phase {
            Phase::Blobs { done, of } => (done, of.max(1)),
            Phase::Beginning => (0, 1),
            // How many repositories there are shows only at the end.
            Phase::Repositories | Phase::Orphans => (1, 1),
        }
    }

    fn read_bytes(&self) -> u64 {
        self.checked.read_bytes
    }

    fn text(&self, bytes_per_sec: u64) -> String {
        let checked = &self.checked;
        let phase = match self.phase {
            Phase::Beginning => "beginning".into(),
            Phase::Blobs { done, of } => format!("blobs, {done} of {of} directories"),
            Phase::Repositories => format!("repositories, {}", HumanCount(checked.repositories)),
            Phase::Orphans => "what nothing leads to".into(),
        };
        let mut text = format!(
            "{phase}; {} blobs, {} manifests, {} tags; {} read, {}/s",
            HumanCount(checked.blobs),
            HumanCount(checked.manifests),
            HumanCount(checked.tags),
            HumanBytes(checked.read_bytes),
            HumanBytes(bytes_per_sec),
        );
        for (count, what) in
            [(self.errors, "errors"), (self.warnings, "warnings"), (self.mended, "mended")]
        {
            if count > 0 {
                text.push_str(&format!("; {} {what}", HumanCount(count)));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use registry::check::Checked;

    use super::*;

    #[test]
    fn a_line_says_where_it_is() {
        let checked = Checked {
            blobs: 1234,
            manifests: 5,
            tags: 6,
            read_bytes: 3 << 20,
            ..Checked::default()
        };
        let phase = Phase::Blobs { done: 3, of: 256 };
        let mut snapshot = Snapshot { phase, checked, errors: 0, warnings: 0, mended: 0 };
        assert_eq!(snapshot.position(), (3, 256));
        assert_eq!(
            snapshot.text(2048),
            "blobs, 3 of 256 directories; 1,234 blobs, 5 manifests, 6 tags; 3.00 MiB read, 2.00 KiB/s"
        );
        snapshot.phase = Phase::Repositories;
        (snapshot.errors, snapshot.mended) = (7, 2);
        let line = snapshot.text(0);
        assert!(
            line.starts_with("repositories, 0; ") && line.ends_with("; 7 errors; 2 mended"),
            "{line}"
        );
    }
}
