//! What runs and jobs say.

use std::fmt::Write as _;

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use sync::{JobStatus, Plan, PlannedItem, Problem, QueuedItem, Reason, RunReport};

/// What came of a job.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    /// What it is called.
    pub(super) job: String,
    /// What came of it.
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    /// What has been in the queue for longest, if a run left something there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) oldest: Option<QueuedItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It was only looked what it would copy.
    #[serde(rename = "plan")]
    Planned(Plan),
    /// It ran.
    #[serde(rename = "report")]
    Ran(RunReport),
    /// It could not be done, and why.
    #[serde(rename = "error")]
    Failed(String),
}

impl Done {
    /// Whether everything was copied, or looked at.
    pub(super) fn is_success(&self) -> bool {
        match &self.outcome {
            Outcome::Planned(plan) => plan.problems.is_empty(),
            Outcome::Ran(report) => report.is_success(),
            Outcome::Failed(_) => false,
        }
    }
}

/// How a job stands.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    /// What it is called.
    pub(super) job: String,
    /// `from` or `to`.
    pub(super) direction: &'static str,
    /// The first URL of the other registry.
    pub(super) remote: String,
    #[serde(flatten)]
    pub(super) status: JobStatus,
}

/// What is said of a job: on standard output, and lines for standard error.
pub(super) struct Texts {
    pub(super) summary: String,
    pub(super) findings: Vec<String>,
}

/// The texts of what came of a job.
pub(super) fn texts(done: &Done) -> Texts {
    let job = &done.job;
    match &done.outcome {
        Outcome::Planned(plan) => Texts {
            summary: planned(job, plan),
            findings: problems(job, &plan.problems, plan.problems_unlisted),
        },
        Outcome::Ran(report) => Texts {
            summary: ran(job, report),
            findings: {
                let mut lines = problems(job, &report.problems, report.problems_unlisted);
                lines.extend(
                    done.oldest.iter().map(|oldest| format!("{job}: queued: {}", item(oldest))),
                );
                lines
            },
        },
        Outcome::Failed(reason) => {
            Texts { summary: String::new(), findings: vec![format!("{job}: {reason}")] }
        }
    }
}

fn planned(job: &str, plan: &Plan) -> String {
    let mut text = String::new();
    for item in &plan.items {
        let PlannedItem { repository, target, reference, digest, .. } = item;
        let separator = separator(reference);
        let size = item.size_bytes.map(|bytes| format!(", {}", HumanBytes(bytes)));
        let _ = writeln!(
            text,
            "{job}: would copy {repository}{separator}{reference} to {target} ({}{}) {digest}",
            reason(item.reason),
            size.unwrap_or_default(),
        );
    }
    let _ = writeln!(
        text,
        "{job}: {} of {} tags in {} repositories would be copied",
        HumanCount(plan.items.len() as u64),
        HumanCount(plan.looked_at),
        HumanCount(plan.repositories),
    );
    text + &deferred(job, plan.deferred)
}

fn ran(job: &str, report: &RunReport) -> String {
    let RunReport { copied, skipped, blobs, manifests, bytes, blobs_there, .. } = *report;
    let mut text = format!(
        "{job}: {} copied, {} were there; {} blobs and {} manifests of {}, {} blobs were there\n",
        HumanCount(copied),
        HumanCount(skipped),
        HumanCount(blobs),
        HumanCount(manifests),
        HumanBytes(bytes),
        HumanCount(blobs_there),
    );
    for (count, what) in [
        (report.failed, "were given up; the next run tries them again"),
        (report.retried, "failed and are tried again"),
        (report.left, "are left in the queue"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "{job}: {} {what}", HumanCount(count));
        }
    }
    if report.stopped {
        let _ = writeln!(text, "{job}: stopped before its end; start it again to go on");
    }
    text + &deferred(job, report.deferred)
}

fn deferred(job: &str, count: u64) -> String {
    match count {
        0 => String::new(),
        count => format!("{job}: {} more are left to the next run\n", HumanCount(count)),
    }
}

fn problems(job: &str, problems: &[Problem], unlisted: u64) -> Vec<String> {
    let line = |problem: &Problem| {
        let Problem { repository, reference, reason } = problem;
        let reference = reference.as_deref();
        let reference =
            reference.map(|text| format!("{}{text}", separator(text))).unwrap_or_default();
        format!("{job}: {repository}{reference}: {reason}")
    };
    let mut lines: Vec<_> = problems.iter().map(line).collect();
    if unlisted > 0 {
        lines.push(format!("{job}: {} more problems", HumanCount(unlisted)));
    }
    lines
}

/// What stands between a repository and a tag or digest.
fn separator(reference: &str) -> char {
    if reference.contains(':') { '@' } else { ':' }
}

const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::New => "new",
        Reason::Moved => "the tag moved",
        Reason::Incomplete => "incomplete",
        Reason::Referrers => "referrers",
        Reason::Pushed => "pushed",
    }
}

/// How a job stands, for a person.
pub(super) fn standing(standing: &Standing) -> String {
    let Standing { job, direction, remote, status } = standing;
    let mut text = format!("{job}: {direction} {remote}\n");
    match &status.last {
        None => text += "  last run: never\n",
        Some(last) => {
            let _ = writeln!(
                text,
                "  last run: {} to {}: {} copied, {} were there, {} given up, {} left, {}{}",
                last.started,
                last.ended,
                HumanCount(last.copied),
                HumanCount(last.skipped),
                HumanCount(last.failed),
                HumanCount(last.left),
                HumanBytes(last.bytes),
                if last.stopped { "; stopped before its end" } else { "" },
            );
            let lines = problems("  problem", &last.problems, last.problems_unlisted);
            text.extend(lines.into_iter().map(|line| line + "\n"));
        }
    }
    if let Some(holder) = &status.holder {
        let sync::Holder { host, process, since } = holder;
        let _ = writeln!(text, "  at work: process {process} on {host}, since {since}");
    }
    let _ = writeln!(text, "  queued: {}", HumanCount(status.queued));
    if let Some(oldest) = &status.oldest {
        let _ = writeln!(text, "  oldest: {}", item(oldest));
    }
    let _ = writeln!(text, "  given up: {}", HumanCount(status.failed_total));
    for failed in &status.failed {
        let _ = writeln!(text, "    {}", item(failed));
    }
    text
}

fn item(item: &QueuedItem) -> String {
    let QueuedItem { repository, reference, queued, attempts, .. } = item;
    let separator = separator(reference);
    let mut text = format!(
        "{repository}{separator}{reference} ({}), since {queued}, failed {attempts} times",
        reason(item.reason)
    );
    if let Some(due) = item.due {
        let _ = write!(text, ", next at {due}");
    }
    if let Some(error) = &item.error {
        let _ = write!(text, ": {error}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> RunReport {
        let time = "2026-01-31T12:00:00Z".parse().unwrap();
        RunReport {
            started: time,
            ended: time,
            planned_at: Some(time),
            plan_again: None,
            plans_broken_off: 0,
            planned: 4,
            copied: 2,
            skipped: 1,
            failed: 1,
            retried: 0,
            left: 0,
            deferred: 7,
            blobs: 5,
            blobs_there: 3,
            manifests: 2,
            bytes: 6 << 20,
            stopped: false,
            problems: vec![
                Problem {
                    repository: "a/b".into(),
                    reference: Some("v1".into()),
                    reason: "refused".into(),
                },
                Problem { repository: "c".into(), reference: None, reason: "gone".into() },
            ],
            problems_unlisted: 1,
        }
    }

    #[test]
    fn a_run_is_told() {
        let done = Done { job: "edge".into(), outcome: Outcome::Ran(report()), oldest: None };
        let texts = texts(&done);
        assert_eq!(
            texts.summary,
            "edge: 2 copied, 1 were there; 5 blobs and 2 manifests of 6.00 MiB, 3 blobs were there\n\
             edge: 1 were given up; the next run tries them again\n\
             edge: 7 more are left to the next run\n"
        );
        assert_eq!(
            texts.findings,
            ["edge: a/b:v1: refused", "edge: c: gone", "edge: 1 more problems"]
        );
        assert!(!done.is_success());
        let json = serde_json::to_value(&done).unwrap();
        assert_eq!((&json["job"], &json["report"]["copied"]), (&"edge".into(), &2.into()));
        let failed =
            Done { job: "edge".into(), outcome: Outcome::Failed("no".into()), oldest: None };
        assert_eq!(serde_json::to_value(&failed).unwrap()["error"], "no");
    }

    #[test]
    fn a_plan_is_told() {
        let item = PlannedItem {
            repository: "a".into(),
            target: "x/a".into(),
            reference: "v1".into(),
            digest: "sha256:0".into(),
            reason: Reason::Moved,
            size_bytes: Some(1024),
        };
        let plan = Plan { items: vec![item], looked_at: 3, repositories: 2, ..Plan::default() };
        let done = Done { job: "edge".into(), outcome: Outcome::Planned(plan), oldest: None };
        assert_eq!(
            texts(&done).summary,
            "edge: would copy a:v1 to x/a (the tag moved, 1.00 KiB) sha256:0\n\
             edge: 1 of 3 tags in 2 repositories would be copied\n"
        );
        assert!(done.is_success());
    }

    #[test]
    fn a_job_s_standing_is_told() {
        let queued = "2026-01-31T12:00:00Z".parse().unwrap();
        let failed = QueuedItem {
            repository: "a".into(),
            reference: "sha256:0".into(),
            reason: Reason::New,
            queued,
            attempts: 9,
            due: None,
            error: Some("refused".into()),
        };
        let oldest = QueuedItem { due: Some(queued), error: None, ..failed.clone() };
        let holder = sync::Holder { host: "h".into(), process: 7, since: queued };
        let status = JobStatus {
            last: Some(report()),
            queued: 1,
            oldest: Some(oldest),
            failed: vec![failed],
            failed_total: 1,
            holder: Some(holder),
        };
        let (job, remote) = ("edge".into(), "https://h".into());
        let text = standing(&Standing { job, direction: "to", remote, status });
        for line in [
            "edge: to https://h\n",
            "  last run: 2026-01-31T12:00:00Z to 2026-01-31T12:00:00Z: 2 copied, 1 were there, 1 given up, 0 left, 6.00 MiB\n",
            "  problem: a/b:v1: refused\n",
            "  at work: process 7 on h, since 2026-01-31T12:00:00Z\n",
            "  queued: 1\n",
            "  oldest: a@sha256:0 (new), since 2026-01-31T12:00:00Z, failed 9 times, next at 2026-01-31T12:00:00Z\n",
            "  given up: 1\n    a@sha256:0 (new), since 2026-01-31T12:00:00Z, failed 9 times: refused\n",
        ] {
            assert!(text.contains(line), "{line}\nin\n{text}");
        }
        let (job, remote) = ("edge".into(), "https://h".into());
        let status = JobStatus::default();
        let text = standing(&Standing { job, direction: "to", remote, status });
        assert_eq!(text, "edge: to https://h\n  last run: never\n  queued: 0\n  given up: 0\n");
    }
}
