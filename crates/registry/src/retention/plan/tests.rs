use oci::RepositoryName;
use proptest::prelude::*;

use super::*;
use crate::retention::{Keep, RetentionRules, WholeMatch};
use crate::{RepositoryPattern, TagPattern};

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

fn rule(repositories: &str, tags: &[&str], keep: Keep) -> RetentionRule {
    RetentionRule {
        repositories: vec![RepositoryPattern::parse(repositories).unwrap()],
        tags: tags.iter().map(|text| TagPattern::parse(text).unwrap()).collect(),
        keep,
        ..RetentionRule::default()
    }
}

/// A tag that was pushed and pulled so many days ago.
fn state(tag: &str, pushed: u32, pulled: Option<u32>) -> TagState {
    let ago = |days: u32| now() - days * DAY;
    TagState {
        tag: Tag::parse(tag).unwrap(),
        pushed: ago(pushed),
        pulled: Some(pulled.map_or(SystemTime::UNIX_EPOCH, ago)),
        subject: None,
    }
}

fn plan(rules: Vec<RetentionRule>, name: &str, tags: &[TagState]) -> Vec<Decision> {
    let rules = RetentionRules { rules, dry_run: false };
    rules.of(&RepositoryName::parse(name).unwrap()).unwrap().plan(tags, now())
}

/// The tags that stay.
fn kept(rules: Vec<RetentionRule>, tags: &[TagState]) -> Vec<String> {
    let decisions = plan(rules, "a", tags);
    let kept = tags.iter().zip(decisions).filter(|(_, decision)| decision.verdict.keeps());
    kept.map(|(state, _)| state.tag.to_string()).collect()
}

#[test]
fn a_tag_stays_if_anything_keeps_it() {
    let keep = Keep {
        newest: Some(1),
        semver: Some(1),
        pushed_within: Some(3 * DAY),
        pulled_within: Some(5 * DAY),
        all: false,
    };
    let tags = [
        state("1.0.0", 50, None),
        state("v1.1.0", 40, None),
        state("1.1.0", 40, None),
        state("2.0.0-rc.1", 30, None),
        state("old", 20, Some(4)),
        state("older", 20, Some(5)),
        state("new", 2, None),
        state("newest", 1, None),
    ];
    let expected = ["v1.1.0", "1.1.0", "old", "new", "newest"];
    assert_eq!(kept(vec![rule("**", &[], keep)], &tags), expected);
    let decisions = plan(vec![rule("**", &[], keep)], "a", &tags);
    let told: Vec<_> = decisions.iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "rule 1: nothing keeps it");
    assert_eq!(told[1], "rule 1: among the highest 1 versions");
    assert_eq!(told[4], "rule 1: pulled within 5 d, or not known");
    assert_eq!(told[6], "rule 1: pushed within 3 d");
    assert_eq!(told[7], "rule 1: among the newest 1");
}

#[test]
fn the_first_rule_that_matches_decides_and_without_one_it_stays() {
    let rules = vec![
        rule("prod/**", &[], Keep { all: true, ..Keep::default() }),
        rule("**", &["pr-*"], Keep { pushed_within: Some(14 * DAY), ..Keep::default() }),
        rule("a", &["*-x", "pr-1"], Keep { newest: Some(1), ..Keep::default() }),
    ];
    let tags = [
        state("pr-1", 15, None),
        state("pr-2", 13, None),
        state("a-x", 9, None),
        state("b", 9, None),
    ];
    let decisions = plan(rules.clone(), "a", &tags);
    let of = |rule, verdict| Decision { rule, verdict };
    assert_eq!(decisions[0], of(Some(1), Verdict::Gone));
    assert_eq!(decisions[1], of(Some(1), Verdict::Pushed(14 * DAY)));
    // Only what it decides about counts for the newest of a rule.
    assert_eq!(decisions[2], of(Some(2), Verdict::Newest(1)));
    assert_eq!(decisions[3], of(None, Verdict::NoRule));
    assert!(plan(rules.clone(), "prod/a", &tags).iter().all(|d| d.verdict == Verdict::All));
    let of_nothing = RetentionRules { rules: rules[2..].to_vec(), dry_run: false };
    assert!(of_nothing.of(&RepositoryName::parse("b").unwrap()).is_none());
}

#[test]
fn expressions_match_all_of_a_text() {
    let expressions = |text: &str| vec![WholeMatch::parse(text).unwrap()];
    let rule = RetentionRule {
        repository_expressions: expressions("a|b"),
        tag_expressions: expressions("[0-9]+"),
        ..RetentionRule::default()
    };
    let tags = [state("12", 1, None), state("12a", 1, None)];
    assert_eq!(kept(vec![rule.clone()], &tags), ["12a"]);
    let rules = RetentionRules { rules: vec![rule], dry_run: false };
    assert!(rules.of(&RepositoryName::parse("ab").unwrap()).is_none());
    assert!(WholeMatch::parse("a)|(b").is_err());
}

#[test]
fn what_is_attached_goes_with_its_subject_and_counts_for_nothing() {
    let attached =
        |tag: &str, is_there| TagState { subject: Some(is_there), ..state(tag, 0, None) };
    let tags = [attached("s1", true), attached("s2", false), state("v1", 9, None)];
    let newest = Keep { newest: Some(1), ..Keep::default() };
    assert_eq!(kept(vec![rule("**", &[], newest)], &tags), ["s1", "v1"]);
    let all = Keep { all: true, ..Keep::default() };
    let both = vec![rule("**", &["s*"], all), rule("**", &[], newest)];
    assert_eq!(kept(both, &tags), ["s1", "s2", "v1"]);
}

#[test]
fn untagged_manifests_are_the_matter_of_the_first_rule_that_is_about_all_tags() {
    let untagged = |repositories, tags: &[&str], days: Option<u32>| RetentionRule {
        untagged: days.map(|days| days * DAY),
        ..rule(repositories, tags, Keep { all: true, ..Keep::default() })
    };
    let rules = RetentionRules {
        rules: vec![
            untagged("prod/**", &[], None),
            untagged("**", &["pr-*"], None),
            untagged("a", &["x"], Some(1)),
            untagged("**", &[], Some(7)),
        ],
        dry_run: false,
    };
    for (name, expected) in [("prod/a", None), ("a", Some(DAY)), ("b", Some(7 * DAY))] {
        let found = rules.of(&RepositoryName::parse(name).unwrap()).unwrap().untagged();
        assert_eq!(found, expected, "{name}");
    }
}

fn states() -> impl Strategy<Value = Vec<TagState>> {
    let one =
        ("[a-c][0-9]{1,2}|v?[0-3]\\.[0-3]\\.[0-3]", 0..40_u32, proptest::option::of(0..40_u32));
    proptest::collection::vec(one, 0..40).prop_map(|tags| {
        let tags: std::collections::BTreeMap<_, _> =
            tags.into_iter().map(|(tag, pushed, pulled)| (tag, (pushed, pulled))).collect();
        tags.iter().map(|(tag, (pushed, pulled))| state(tag, *pushed, *pulled)).collect()
    })
}

proptest! {
    #[test]
    fn the_newest_are_always_kept(tags in states(), count in 1..20_u64, days in 0..40_u32) {
        let keep = Keep {
            newest: Some(count),
            pushed_within: (days > 0).then_some(days * DAY),
            ..Keep::default()
        };
        let decisions = plan(vec![rule("**", &[], keep)], "a", &tags);
        let is_kept = |index: usize| decisions[index].verdict.keeps();
        let kept = (0..tags.len()).filter(|i| is_kept(*i)).count();
        prop_assert!(kept as u64 >= count.min(tags.len() as u64));
        // Nothing that goes is newer than anything that stays.
        for gone in (0..tags.len()).filter(|i| !is_kept(*i)) {
            for stays in (0..tags.len()).filter(|i| is_kept(*i)) {
                prop_assert!(tags[gone].pushed <= tags[stays].pushed);
            }
            prop_assert!(tags[gone].pushed + days * DAY <= now());
        }
    }

    #[test]
    fn the_plan_does_not_depend_on_the_order_of_the_tags(
        tags in states(), newest in 1..5_u64, semver in 1..5_u64, days in 1..40_u32,
    ) {
        let keep = Keep {
            newest: Some(newest),
            semver: Some(semver),
            pulled_within: Some(days * DAY),
            ..Keep::default()
        };
        let rules = || vec![
            rule("**", &["a*"], Keep { newest: Some(1), ..Keep::default() }),
            rule("**", &[], keep),
        ];
        let mut forwards = plan(rules(), "a", &tags);
        let reversed: Vec<_> = tags.iter().rev().cloned().collect();
        forwards.reverse();
        prop_assert_eq!(forwards, plan(rules(), "a", &reversed));
    }

    #[test]
    fn what_is_kept_once_is_kept_when_less_is_there(tags in states(), newest in 1..5_u64, semver in 1..5_u64) {
        let keep = Keep { newest: Some(newest), semver: Some(semver), ..Keep::default() };
        let rules = || vec![rule("**", &[], keep)];
        let first: Vec<_> = plan(rules(), "a", &tags);
        let left: Vec<_> = tags
            .iter()
            .zip(&first)
            .filter(|(_, decision)| decision.verdict.keeps())
            .map(|(state, _)| state.clone())
            .collect();
        prop_assert!(plan(rules(), "a", &left).iter().all(|decision| decision.verdict.keeps()));
    }
}
