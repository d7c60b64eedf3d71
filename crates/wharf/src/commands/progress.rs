//! How far a long job is, on standard error: a bar at a terminal, and otherwise a line now and then.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::say_error;
use crate::shutdown;

/// Time between two looks for the bar.
const BAR_INTERVAL: Duration = Duration::from_millis(200);

/// Time between two lines.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How far a job is.
pub(super) trait Progress {
    /// How much is done, and of how much; both are 1 where that is not known.
    fn position(&self) -> (u64, u64);

    /// What was read by now, in bytes.
    fn read_bytes(&self) -> u64;

    /// The same for a person, with how many bytes are read in a second.
    fn text(&self, bytes_per_sec: u64) -> String;
}

/// Runs a job to its end, and shows how far it is. The first signal has it end in order by `stop`,
/// and the second one at once: then there is nothing to return.
pub(super) async fn run<T, P: Progress + Send + 'static>(
    job: impl Future<Output = T>,
    look: impl Fn() -> P + Send + 'static,
    stop: impl Fn(),
) -> anyhow::Result<Option<T>> {
    let told = shutdown::requested().context("signals can't be received")?;
    let shown = tokio::spawn(show(look));
    tokio::pin!(job);
    let outcome = tokio::select! {
        outcome = &mut job => Some(outcome),
        () = told => {
            stop();
            let again = shutdown::requested().context("signals can't be received")?;
            say_error("stopping; once more stops at once");
            tokio::select! {
                outcome = &mut job => Some(outcome),
                () = again => None,
            }
        }
    };
    shown.abort();
    // What it shows is gone once it has ended.
    let _ = shown.await;
    Ok(outcome)
}

/// Shows how far it is until it is aborted.
async fn show<P: Progress>(look: impl Fn() -> P) {
    let mut rate = Rate::new();
    if std::io::stderr().is_terminal() {
        let bar = Bar::new();
        loop {
            tokio::time::sleep(BAR_INTERVAL).await;
            bar.show(&look(), &mut rate);
        }
    }
    loop {
        tokio::time::sleep(LINE_INTERVAL).await;
        say_error(text(&look(), &mut rate));
    }
}

fn text(progress: &impl Progress, rate: &mut Rate) -> String {
    progress.text(rate.after(progress.read_bytes()))
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

    fn show(&self, progress: &impl Progress, rate: &mut Rate) {
        let (done, of) = progress.position();
        self.0.set_length(of);
        self.0.set_position(done);
        self.0.set_message(text(progress, rate));
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
