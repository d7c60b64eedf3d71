//! Jobs of the archive: backups, exports and imports, from the runtime to the exit code.

use std::process::ExitCode;

use archive::{Meter, Progress};
use indicatif::{HumanBytes, HumanCount};

use super::{block_on, progress, say, say_error, with_causes};

/// The exit code for a job that was not even begun.
const NOT_BEGUN: u8 = 2;

/// What came of a job.
pub(super) enum Outcome {
    /// It is done, and this is what it says: on standard output, and lines for standard error.
    Done { summary: String, findings: Vec<String>, is_success: bool },
    /// It was begun, and failed.
    Failed(anyhow::Error),
}

/// Runs a job to its exit code. An error of it says that it was not even begun.
pub(super) fn run<F>(job: impl FnOnce(Meter) -> F) -> ExitCode
where
    F: Future<Output = anyhow::Result<Outcome>>,
{
    match run_to_outcome(job) {
        Ok(Some(Outcome::Done { summary, findings, is_success })) => {
            say(&summary);
            findings.iter().for_each(say_error);
            if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(Some(Outcome::Failed(error))) => {
            say_error(with_causes(&error));
            ExitCode::FAILURE
        }
        Ok(None) => {
            say_error("stopped at once; start it again to go on");
            ExitCode::FAILURE
        }
        Err(error) => {
            say_error(with_causes(&error));
            ExitCode::from(NOT_BEGUN)
        }
    }
}

/// `None` when it was stopped at once.
fn run_to_outcome<F>(job: impl FnOnce(Meter) -> F) -> anyhow::Result<Option<Outcome>>
where
    F: Future<Output = anyhow::Result<Outcome>>,
{
    let meter = Meter::default();
    let (looked_at, stopped) = (meter.clone(), meter.clone());
    let job = job(meter);
    let look = move || Shown(looked_at.progress());
    block_on(progress::run(job, look, move || stopped.stop())).flatten()?.transpose()
}

/// A report as JSON, for standard output.
pub(super) fn json(report: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(report)?))
}

/// How far a job is. How much there is to do shows only at its end.
struct Shown(Progress);

impl progress::Progress for Shown {
    fn position(&self) -> (u64, u64) {
        (1, 1)
    }

    fn read_bytes(&self) -> u64 {
        self.0.read_bytes
    }

    fn text(&self, bytes_per_sec: u64) -> String {
        format!(
            "{} repositories, {} blobs; {} read, {}/s",
            HumanCount(self.0.repositories),
            HumanCount(self.0.blobs),
            HumanBytes(self.0.read_bytes),
            HumanBytes(bytes_per_sec),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::progress::Progress as _;
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let progress = Progress { repositories: 1234, blobs: 5, read_bytes: 6 << 20 };
        assert_eq!(
            Shown(progress).text(3 << 20),
            "1,234 repositories, 5 blobs; 6.00 MiB read, 3.00 MiB/s"
        );
    }
}
