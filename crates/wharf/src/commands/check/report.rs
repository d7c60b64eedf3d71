//! What came of a check, as a person reads it.

use indicatif::{HumanBytes, HumanCount};
use registry::check::{End, Finding, Group, Outcome, Report, Severity};

/// How many findings of a kind are shown, so that the summary stays in sight.
const FINDINGS_SHOWN_MAX: usize = 20;

/// What is said.
pub(super) struct Texts {
    /// For standard output.
    pub(super) summary: String,
    /// Lines for standard error.
    pub(super) findings: Vec<String>,
}

/// What there is to say of a check.
pub(super) fn texts(report: &Report) -> Texts {
    let mut findings = Vec::new();
    // Orphans are nothing to act upon here, and may be many: they are in the summary.
    let kinds = report.findings.iter().filter(|group| group.severity != Severity::Note);
    kinds.for_each(|group| add_group(&mut findings, report, group));
    Texts { summary: summary(report), findings }
}

/// The name of a kind in JSON, which is also what the documentation says.
fn name(group: &Group) -> String {
    let name = serde_json::to_value(group.kind).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

fn add_group(lines: &mut Vec<String>, report: &Report, group: &Group) {
    let severity = if group.severity == Severity::Error { "error" } else { "warning" };
    let name = name(group);
    lines.push(format!("{severity}: {name}: {}", group.meaning));
    let shown = group.listed.iter().take(FINDINGS_SHOWN_MAX);
    let before = lines.len();
    lines.extend(shown.map(line));
    let rest = group.total - (lines.len() - before) as u64;
    if rest > 0 {
        lines.push(format!("  and {} more (--json lists more of them)", HumanCount(rest)));
    }
    if !report.repair {
        lines.push(format!("  --repair {}", group.repair));
    }
}

fn line(finding: &Finding) -> String {
    let mut line = format!("  {}: {}", finding.path, finding.reason);
    if let Some(result) = &finding.result {
        let outcome = if finding.outcome == Outcome::Remains { "remains" } else { "mended" };
        line.push_str(&format!("; {outcome}: {result}"));
    }
    line
}

fn summary(report: &Report) -> String {
    let checked = &report.checked;
    let mut lines = vec![format!(
        "checked: {} repositories, {} tags, {} manifests, {} layers, {} blobs; {} read",
        HumanCount(checked.repositories),
        HumanCount(checked.tags),
        HumanCount(checked.manifests),
        HumanCount(checked.layers),
        HumanCount(checked.blobs),
        HumanBytes(checked.read_bytes),
    )];
    for (weighed, what) in
        [(report.orphans, "nothing leads to"), (report.unused, "no manifest refers to")]
    {
        if let Some(weighed) = weighed.filter(|weighed| weighed.blobs > 0) {
            let (blobs, bytes) = (HumanCount(weighed.blobs), HumanBytes(weighed.bytes));
            lines.push(format!("{what}: {blobs} blobs of {bytes}, for garbage collection"));
        }
    }
    for group in report.findings.iter().filter(|group| group.severity == Severity::Note) {
        lines.push(format!("note: {}: {}", name(group), HumanCount(group.total)));
    }
    if report.mended > 0 {
        lines.push(format!("mended or set aside: {}", HumanCount(report.mended)));
    }
    lines.push(end(report));
    lines.join("\n") + "\n"
}

fn end(report: &Report) -> String {
    let found = format!(
        "{} errors, {} warnings{}",
        HumanCount(report.errors),
        HumanCount(report.warnings),
        if report.repair { " remain" } else { "" }
    );
    match report.end {
        End::Stopped => format!("stopped; until then: {found}"),
        End::GaveUp => {
            format!("given up: the storage fails again and again; until then: {found}")
        }
        End::Finished if report.errors > 0 => found,
        End::Finished if report.warnings > 0 => format!("whole, with {found}"),
        End::Finished => "whole".into(),
    }
}

#[cfg(test)]
mod tests {
    use registry::check::{Checked, Kind, Weighed};

    use super::*;

    fn report(total: u64, mended: u64) -> Report {
        let kind = Kind::LayerLinkTorn;
        let finding = |n: u64| Finding {
            kind,
            path: format!("/{n}"),
            repository: None,
            digest: None,
            reason: "torn".into(),
            outcome: if n < mended { Outcome::Mended } else { Outcome::Reported },
            result: (n < mended).then(|| "written anew".into()),
        };
        let group = Group {
            kind,
            severity: kind.severity(),
            meaning: kind.meaning(),
            repair: kind.repair(),
            total,
            mended,
            listed: (0..total.min(1000)).map(finding).collect(),
        };
        Report {
            end: End::Finished,
            repair: mended > 0,
            quick: false,
            checked: Checked { blobs: 1234, read_bytes: 5 << 30, ..Checked::default() },
            errors: total - mended,
            warnings: 0,
            notes: 0,
            mended,
            orphans: Some(Weighed { blobs: 2, bytes: 2048 }),
            unused: None,
            findings: if total > 0 { vec![group] } else { Vec::new() },
        }
    }

    #[test]
    fn a_summary_has_what_there_is() {
        let whole = texts(&report(0, 0));
        assert_eq!(
            whole.summary,
            "checked: 0 repositories, 0 tags, 0 manifests, 0 layers, 1,234 blobs; 5.00 GiB read\n\
             nothing leads to: 2 blobs of 2.00 KiB, for garbage collection\nwhole\n"
        );
        assert!(whole.findings.is_empty());
        let mended = texts(&report(2, 2));
        assert!(mended.summary.ends_with("mended or set aside: 2\nwhole\n"), "{}", mended.summary);
        assert_eq!(mended.findings[1], "  /0: torn; mended: written anew");
    }

    #[test]
    fn findings_are_shown_up_to_a_bound() {
        let texts = texts(&report(5000, 0));
        assert!(texts.summary.ends_with("\n5,000 errors, 0 warnings\n"), "{}", texts.summary);
        assert_eq!(texts.findings.len(), FINDINGS_SHOWN_MAX + 3);
        assert!(texts.findings[0].starts_with("error: layer_link_torn: the repository does not"));
        assert!(texts.findings[21].contains("4,980 more"), "{}", texts.findings[21]);
        assert!(texts.findings[22].starts_with("  --repair writes the link anew"));
    }
}
