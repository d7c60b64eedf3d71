//! `retention`: what is read, and what is refused so that nothing is deleted by mistake.

use std::time::Duration;

use super::*;

const GC: &str = "  maintenance: {gc: {enabled: true}}\n";

fn with_rules(rules: &str) -> String {
    with(&format!("{GC}retention:\n  enabled: true\n  rules:\n{rules}"))
}

#[test]
fn rules_are_read() {
    let text = with_rules(
        "    - repositories: ['prod/**']
      keep: {all: true}
    - repositories: ['**']
      repositoryregex: '[a-z]+'
      tags: ['pr-*', 'v?']
      tagregex: ['[0-9]+']
      keep: {newest: 10, semver: 5, pushedwithin: 2w, pulledwithin: 1d12h}
      untagged: {olderthan: 7d}",
    );
    let retention = clean(&text, &[]).retention;
    assert!(retention.enabled && !retention.dry_run);
    let [first, second] = &retention.rules[..] else { panic!("{retention:?}") };
    assert!(first.all && first.newest.is_none() && first.untagged_older_than.is_none());
    assert_eq!((second.newest, second.semver), (Some(10), Some(5)));
    let hours = |hours: u64| Some(Duration::from_secs(3600 * hours));
    assert_eq!(second.pushed_within, hours(14 * 24));
    assert_eq!(second.pulled_within, hours(36));
    assert_eq!(second.untagged_older_than, hours(7 * 24));
    assert_eq!(
        (&*second.repositories, &*second.tags),
        (&["**".into()][..], &["pr-*".into(), "v?".into()][..])
    );
    assert_eq!(second.repository_expressions, ["[a-z]+"]);
}

#[test]
fn a_rule_that_says_too_little_or_too_much_is_refused() {
    for (rule, complaint) in [
        ("{repositories: a}", "retention.rules.0.keep: must be set"),
        ("{repositories: a, keep: {all: false}}", "retention.rules.0.keep: must be set"),
        ("{keep: {all: true}}", "retention.rules.0.repositories: must be set"),
        (
            "{repositories: a, tags: [], keep: {newest: 1}}",
            "retention.rules.0.tags: may not be empty",
        ),
        ("{repositories: a, keep: {newest: 0}}", "must be 1 or more"),
        ("{repositories: a, keep: {all: true, newest: 1}}", "`all` excludes `newest`"),
        ("{repositories: a, keep: {all: true, none: true}}", "`all` excludes `none`"),
        ("{repositories: a, keep: {none: true, semver: 1}}", "`none` excludes `semver`"),
        ("{repositories: a, keep: {newest: 1, pushdwithin: 3d}}", "did you mean `pushedwithin`?"),
        ("{repositories: a, tag: x, keep: {newest: 1}}", "did you mean `tags`?"),
        ("{repositories: A, keep: {newest: 1}}", "is no pattern of repositories"),
        ("{repositories: a, tags: 'a/b', keep: {newest: 1}}", "is no pattern of tags"),
        ("{repositories: a, tagregex: '(', keep: {newest: 1}}", "is not a regular expression"),
        ("{repositories: a, keep: {pushedwithin: 30}}", "write one with its unit"),
        ("{repositories: a, keep: {pushedwithin: 0s}}", "must be more than nothing"),
        ("{repositories: a, keep: {pulledwithin: -1d}}", "must be more than nothing"),
        ("{repositories: a, keep: {pulledwithin: 1y}}", "is no time"),
    ] {
        let found = errors(&with_rules(&format!("    - {rule}")), &[]);
        assert!(found.iter().any(|line| line.contains(complaint)), "{rule}: {found:?}");
    }
    // Everything goes only if that is said.
    clean(&with_rules("    - {repositories: a, keep: {none: true}}"), &[]);
}

#[test]
fn rules_that_nobody_goes_by_are_warned_of() {
    let rules = "rules: [{repositories: a, keep: {newest: 1}}]";
    for (lines, complaint) in [
        (format!("{GC}retention: {{{rules}}}"), "without `enabled: true`"),
        (format!("{GC}retention: true"), "without `rules`"),
        (format!("retention: {{enabled: true, {rules}}}"), "storage.maintenance.gc.enabled"),
    ] {
        let found = warnings(&with(&lines), &[]);
        assert!(found.len() == 1 && found[0].contains(complaint), "{lines}: {found:?}");
    }
}
