//! What came of a copy, as a person reads it.

use indicatif::{HumanBytes, HumanCount};
use registry::transfer::{Counts, End, Findings, Report};

/// How many findings of a kind are shown, so that the summary stays in sight.
const FINDINGS_SHOWN_MAX: usize = 20;

/// What is said.
pub(super) struct Texts {
    /// For standard output.
    pub(super) summary: String,
    /// Lines for standard error.
    pub(super) findings: Vec<String>,
}

/// What there is to say of a copy.
pub(super) fn texts(report: &Report) -> Texts {
    let would = if report.end == End::DryRun { "would be " } else { "" };
    let mut lines = vec![
        format!("{would}copied: {}", counts(&report.copied, Some(report.copied_bytes))),
        format!("there before: {}", counts(&report.there, None)),
    ];
    if report.deleted != Counts::default() {
        lines.push(format!("{would}removed: {}", counts(&report.deleted, None)));
    }
    lines.push(end(report));
    let mut findings = Vec::new();
    let kinds = [
        ("left out", &report.left_out),
        ("only at the target", &report.only_at_target),
        ("failed", &report.failed),
    ];
    for (kind, found) in kinds {
        add_findings(&mut findings, kind, found);
    }
    Texts { summary: lines.join("\n") + "\n", findings }
}

fn counts(counts: &Counts, blob_bytes: Option<u64>) -> String {
    let blobs = match blob_bytes {
        Some(bytes) => format!("blobs of {}", HumanBytes(bytes)),
        None => "blobs".to_owned(),
    };
    let kinds = [
        (counts.blobs, blobs.as_str()),
        (counts.layers, "layers"),
        (counts.manifests, "manifests"),
        (counts.tags, "tags"),
        (counts.tag_history, "notes of what tags named"),
        (counts.aliases, "other digests"),
    ];
    let some: Vec<_> = kinds
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{} {kind}", HumanCount(*count)))
        .collect();
    if some.is_empty() { "nothing".into() } else { some.join(", ") }
}

fn end(report: &Report) -> String {
    let failed = report.failed.total;
    match report.end {
        End::DryRun => "dry run: nothing was written".into(),
        End::Stopped => "stopped; start it again to go on".into(),
        End::GaveUp => "given up: the storage fails again and again; start it again to go on".into(),
        _ if failed > 0 => format!("{} could not be done, see below", HumanCount(failed)),
        End::PassesUsedUp => {
            "the last pass still copied something, there may be more: start it again, the last time \
             with the source read-only"
                .into()
        }
        End::Settled => "the target has everything that the source serves".into(),
    }
}

fn add_findings(lines: &mut Vec<String>, kind: &str, findings: &Findings) {
    let shown = findings.listed.iter().take(FINDINGS_SHOWN_MAX);
    let before = lines.len();
    lines.extend(shown.map(|finding| format!("{kind}: {}: {}", finding.path, finding.reason)));
    let rest = findings.total - (lines.len() - before) as u64;
    if rest > 0 {
        lines.push(format!("{kind}: and {} more (--json lists more of them)", HumanCount(rest)));
    }
}

#[cfg(test)]
mod tests {
    use registry::transfer::Finding;

    use super::*;

    fn report(end: End) -> Report {
        Report {
            end,
            passes: 2,
            copied: Counts { blobs: 1234, tags: 1, ..Counts::default() },
            copied_bytes: 5 << 30,
            there: Counts::default(),
            deleted: Counts::default(),
            stale_tag_history: 0,
            left_out: Findings::default(),
            failed: Findings::default(),
            only_at_target: Findings::default(),
        }
    }

    #[test]
    fn a_summary_has_what_there_was() {
        assert_eq!(
            texts(&report(End::Settled)).summary,
            "copied: 1,234 blobs of 5.00 GiB, 1 tags\nthere before: nothing\n\
             the target has everything that the source serves\n"
        );
        let mut dry = report(End::DryRun);
        dry.deleted.tags = 3;
        let summary = texts(&dry).summary;
        assert!(summary.starts_with("would be copied: "), "{summary}");
        assert!(summary.contains("would be removed: 3 tags\n"), "{summary}");
    }

    #[test]
    fn findings_are_shown_up_to_a_bound() {
        let mut failing = report(End::Settled);
        let finding = |n: u32| Finding { path: format!("/{n}"), reason: "damaged".into() };
        failing.failed = Findings { total: 5000, listed: (0..1000).map(finding).collect() };
        let texts = texts(&failing);
        assert!(
            texts.summary.ends_with("5,000 could not be done, see below\n"),
            "{}",
            texts.summary
        );
        assert_eq!(texts.findings.len(), FINDINGS_SHOWN_MAX + 1);
        assert_eq!(texts.findings[0], "failed: /0: damaged");
        assert!(texts.findings[20].contains("4,980 more"), "{}", texts.findings[20]);
    }
}
