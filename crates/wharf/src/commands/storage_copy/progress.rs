//! How far a copy is.

use indicatif::{HumanBytes, HumanCount};
use registry::transfer::{Phase, Snapshot};

use crate::commands::progress::Progress;

impl Progress for Snapshot {
    fn position(&self) -> (u64, u64) {
        match self.phase {
            Phase::Blobs { done, of } => (done, of.max(1)),
            // How many repositories there are shows only at the end.
            Phase::Repositories { .. } | Phase::Deletions { .. } => (1, 1),
        }
    }

    fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    fn text(&self, bytes_per_sec: u64) -> String {
        let phase = match self.phase {
            Phase::Blobs { done, of } => format!("blobs, {done} of {of} directories"),
            Phase::Repositories { begun } => format!("repositories, {}", HumanCount(begun)),
            Phase::Deletions { begun } => format!("deletions, repositories: {}", HumanCount(begun)),
        };
        let mut text = format!(
            "pass {}: {phase}; copied {} blobs, {} links; {} read, {}/s",
            self.pass,
            HumanCount(self.copied.blobs),
            HumanCount(self.copied.links()),
            HumanBytes(self.read_bytes),
            HumanBytes(bytes_per_sec),
        );
        if self.failed > 0 {
            text.push_str(&format!("; {} failed", HumanCount(self.failed)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use registry::transfer::Counts;

    use super::*;

    #[test]
    fn a_line_says_where_it_is() {
        let mut snapshot = Snapshot {
            pass: 1,
            phase: Phase::Blobs { done: 3, of: 256 },
            copied: Counts { blobs: 1234, tags: 2, layers: 3, ..Counts::default() },
            there: Counts::default(),
            read_bytes: 3 << 20,
            failed: 0,
        };
        assert_eq!(
            snapshot.text(2048),
            "pass 1: blobs, 3 of 256 directories; copied 1,234 blobs, 5 links; 3.00 MiB read, \
             2.00 KiB/s"
        );
        snapshot.phase = Phase::Repositories { begun: 1000 };
        snapshot.failed = 7;
        let line = snapshot.text(0);
        assert!(line.starts_with("pass 1: repositories, 1,000; "), "{line}");
        assert!(line.ends_with("; 7 failed"), "{line}");
    }
}
