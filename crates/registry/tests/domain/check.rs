//! Checking and mending a registry's storage.

mod beside;
mod broken;
mod faults;
mod fixture;
mod limits;

use std::collections::BTreeMap;

use registry::check::{Kind, Outcome, Report, Severity};

/// How many there are of each kind.
fn kinds(report: &Report) -> BTreeMap<Kind, u64> {
    report.findings.iter().map(|group| (group.kind, group.total)).collect()
}

/// How many errors of each kind remain.
fn remaining_errors(report: &Report) -> BTreeMap<Kind, u64> {
    let errors = report.findings.iter().filter(|group| group.severity == Severity::Error);
    let left = errors.map(|group| (group.kind, group.total - group.mended));
    left.filter(|(_, count)| *count > 0).collect()
}

/// How many of each kind, as it is written in a test.
fn of(kinds: &[Kind]) -> BTreeMap<Kind, u64> {
    let mut counts = BTreeMap::new();
    for kind in kinds {
        *counts.entry(*kind).or_default() += 1;
    }
    counts
}

/// Whether every finding is told of as the report's mode allows.
fn assert_consistent(report: &Report) {
    for group in &report.findings {
        assert_eq!(group.total, group.listed.len() as u64, "{group:?}");
        let mended = group.listed.iter().filter(|finding| finding.outcome.is_mended()).count();
        assert_eq!(group.mended, mended as u64, "{group:?}");
        if !report.repair {
            assert!(group.listed.iter().all(|f| f.outcome == Outcome::Reported), "{group:?}");
        }
    }
}
