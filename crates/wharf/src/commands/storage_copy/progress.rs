//! How far a copy is, on standard error: a bar at a terminal, and otherwise a line now and then.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use registry::Transfer;
use registry::transfer::{Phase, Snapshot};

use crate::commands::say_error;

/// Time between two looks for the bar.
const BAR_INTERVAL: Duration = Duration::from_millis(200);

/// Time between two lines.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows how far it is until it is aborted.
pub(super) async fn show(transfer: Arc<Transfer>) {
    let mut rate = Rate::new();
    if std::io::stderr().is_terminal() {
        let bar = Bar::new();
        loop {
            tokio::time::sleep(BAR_INTERVAL).await;
            bar.show(&transfer.snapshot(), &mut rate);
        }
    }
    loop {
        tokio::time::sleep(LINE_INTERVAL).await;
        say_error(text(&transfer.snapshot(), &mut rate));
    }
}

/// A bar that is removed when it is dropped.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        // A template that is wrong leaves the plain bar.
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:30}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    fn show(&self, snapshot: &Snapshot, rate: &mut Rate) {
        let (done, of) = match snapshot.phase {
            Phase::Blobs { done, of } => (done, of.max(1)),
            // How many repositories there are shows only at the end.
            Phase::Repositories { .. } | Phase::Deletions { .. } => (1, 1),
        };
        self.0.set_length(of);
        self.0.set_position(done);
        self.0.set_message(text(snapshot, rate));
        self.0.tick();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// How many bytes are read in a second.
struct Rate {
    at: Instant,
    bytes: u64,
    per_sec: f64,
}

impl Rate {
    /// How much of the last measurement goes into what is shown.
    const WEIGHT: f64 = 0.2;

    fn new() -> Self {
        Self { at: Instant::now(), bytes: 0, per_sec: 0.0 }
    }

    fn after(&mut self, bytes: u64) -> u64 {
        let secs = self.at.elapsed().as_secs_f64().max(0.001);
        let now = bytes.saturating_sub(self.bytes) as f64 / secs;
        let is_first = self.bytes == 0;
        self.per_sec = if is_first {
            now
        } else {
            now.mul_add(Self::WEIGHT, self.per_sec * (1.0 - Self::WEIGHT))
        };
        self.at = Instant::now();
        self.bytes = bytes;
        self.per_sec as u64
    }
}

fn text(snapshot: &Snapshot, rate: &mut Rate) -> String {
    let phase = match snapshot.phase {
        Phase::Blobs { done, of } => format!("blobs, {done} of {of} directories"),
        Phase::Repositories { begun } => format!("repositories, {}", HumanCount(begun)),
        Phase::Deletions { begun } => format!("deletions, repositories: {}", HumanCount(begun)),
    };
    let mut text = format!(
        "pass {}: {phase}; copied {} blobs, {} links; {} read, {}/s",
        snapshot.pass,
        HumanCount(snapshot.copied.blobs),
        HumanCount(snapshot.copied.links()),
        HumanBytes(snapshot.read_bytes),
        HumanBytes(rate.after(snapshot.read_bytes)),
    );
    if snapshot.failed > 0 {
        text.push_str(&format!("; {} failed", HumanCount(snapshot.failed)));
    }
    text
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
        let line = text(&snapshot, &mut Rate::new());
        let start =
            "pass 1: blobs, 3 of 256 directories; copied 1,234 blobs, 5 links; 3.00 MiB read, ";
        assert!(line.starts_with(start), "{line}");
        assert!(line.ends_with("/s"), "{line}");
        snapshot.phase = Phase::Repositories { begun: 1000 };
        snapshot.failed = 7;
        let line = text(&snapshot, &mut Rate::new());
        assert!(line.starts_with("pass 1: repositories, 1,000; "), "{line}");
        assert!(line.ends_with("; 7 failed"), "{line}");
    }
}
