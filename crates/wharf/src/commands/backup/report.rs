//! What came of a backup, as a person reads it.

use archive::backup::{CreateReport, PruneReport, RestoreReport, Snapshot, VerifyReport};
use indicatif::{HumanBytes, HumanCount};
use registry::transfer::Findings;

/// How many findings of a kind are shown, so that the summary stays in sight.
const FINDINGS_SHOWN_MAX: usize = 20;

/// What is said.
pub(super) struct Texts {
    /// For standard output.
    pub(super) summary: String,
    /// Lines for standard error.
    pub(super) findings: Vec<String>,
}

pub(super) fn of_create(report: &CreateReport) -> Texts {
    let mut summary = format!(
        "snapshot {}: {} repositories, {} manifests, {} tags\n\
         copied: {} blobs of {}\n\
         there before: {} blobs\n",
        report.snapshot,
        HumanCount(report.repositories),
        HumanCount(report.manifests),
        HumanCount(report.tags),
        HumanCount(report.copied_blobs),
        HumanBytes(report.copied_bytes),
        HumanCount(report.there_blobs),
    );
    if report.left_out > 0 {
        let left_out = HumanCount(report.left_out);
        summary.push_str(&format!(
            "left out: {left_out} mirrored repositories (--mirrored takes them along)\n"
        ));
    }
    let kinds = [
        ("damaged, left out", &report.damaged),
        ("not there, left out", &report.gone),
        ("incomplete at the registry", &report.incomplete),
    ];
    Texts { summary, findings: findings(&kinds) }
}

pub(super) fn of_list(snapshots: &[Snapshot]) -> String {
    let line = |snapshot: &Snapshot| {
        format!(
            "{}  {} repositories, {} manifests, {} tags\n",
            snapshot.name,
            HumanCount(snapshot.repositories),
            HumanCount(snapshot.manifests),
            HumanCount(snapshot.tags),
        )
    };
    snapshots.iter().map(line).collect()
}

pub(super) fn of_verify(report: &VerifyReport) -> Texts {
    let mut summary = format!(
        "read: {} blobs of {}, named by {} snapshots\n",
        HumanCount(report.blobs),
        HumanBytes(report.bytes),
        HumanCount(report.snapshots.len() as u64),
    );
    summary.push_str(&match report.damaged.total {
        0 => "everything is there and whole\n".to_owned(),
        total => format!("{} are missing or damaged, see below\n", HumanCount(total)),
    });
    Texts { summary, findings: findings(&[("damaged", &report.damaged)]) }
}

pub(super) fn of_restore(report: &RestoreReport) -> Texts {
    let would = if report.dry_run { "would be " } else { "" };
    let mut summary = format!(
        "snapshot {}\n\
         {would}restored: {} repositories, {} manifests, {} tags\n\
         {would}copied: {} blobs of {}\n\
         there before: {} blobs, {} tags\n",
        report.snapshot,
        HumanCount(report.repositories),
        HumanCount(report.manifests),
        HumanCount(report.tags),
        HumanCount(report.copied_blobs),
        HumanBytes(report.copied_bytes),
        HumanCount(report.there_blobs),
        HumanCount(report.there_tags),
    );
    if report.dry_run {
        summary.push_str("dry run: nothing was written\n");
    }
    let kinds = [("failed", &report.failed), ("kept as it is", &report.kept)];
    Texts { summary, findings: findings(&kinds) }
}

pub(super) fn of_prune(report: &PruneReport) -> Texts {
    let would = if report.dry_run { "would be " } else { "" };
    let summary = format!(
        "{would}removed: {} snapshots, {} blobs of {}\nkept: {} snapshots\n",
        HumanCount(report.removed.len() as u64),
        HumanCount(report.removed_blobs),
        HumanBytes(report.removed_bytes),
        HumanCount(report.kept.len() as u64),
    );
    Texts { summary, findings: Vec::new() }
}

fn findings(kinds: &[(&str, &Findings)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, found) in kinds {
        let shown = found.listed.iter().take(FINDINGS_SHOWN_MAX);
        let before = lines.len();
        lines.extend(shown.map(|finding| format!("{kind}: {}: {}", finding.path, finding.reason)));
        let rest = found.total - (lines.len() - before) as u64;
        if rest > 0 {
            lines.push(format!("{kind}: and {} more (--json lists more)", HumanCount(rest)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_shown_up_to_a_bound() {
        let mut report = VerifyReport::default();
        (0..30).for_each(|n| report.damaged.add(n.to_string(), "missing".into()));
        let texts = of_verify(&report);
        assert!(texts.summary.ends_with("30 are missing or damaged, see below\n"));
        assert_eq!(texts.findings.len(), FINDINGS_SHOWN_MAX + 1);
        assert_eq!(texts.findings[0], "damaged: 0: missing");
        assert!(texts.findings[20].contains("10 more"));
    }
}
