//! `retention`: a rule says what it is about and what it keeps, so that nothing is deleted because of
//! something that was left out.

use crate::{diagnostic::Findings, diagnostic::Origin, tree::Node};

use super::{is_set, is_true};

/// What keeps some tags.
const CONDITIONS: &[&str] = &["newest", "semver", "pushedwithin", "pulledwithin"];

pub(super) fn check(root: &Node, findings: &mut Findings) {
    let Some(retention) = root.get("retention") else { return };
    let rules = retention.get("rules").map_or(&[][..], Node::items);
    for (index, rule) in rules.iter().enumerate() {
        self::rule(rule, &format!("retention.rules.{index}"), findings);
    }
    let enabled = retention.get("enabled").filter(|enabled| is_true(Some(enabled)));
    if let (Some(enabled), true) = (enabled, rules.is_empty()) {
        let message = "has no effect without `rules`";
        findings.warning(&enabled.origin, "retention.enabled", message);
    }
    if let (Some(rules), None) = (retention.get("rules").filter(|_| !rules.is_empty()), enabled) {
        let message = "has no effect without `enabled: true`";
        findings.warning(&rules.origin, "retention.rules", message);
    }
    if let Some(enabled) = enabled
        && !is_true(root.at("storage.maintenance.gc.enabled"))
    {
        let message = "has no effect in the server, which collects no garbage without \
                       `storage.maintenance.gc.enabled`; `wharf garbage-collect` goes by the rules";
        findings.warning(&enabled.origin, "retention.enabled", message);
    }
}

fn rule(rule: &Node, path: &str, findings: &mut Findings) {
    if !is_set(rule, "repositories") && !is_set(rule, "repositoryregex") {
        let message = "must be set; `**` stands for all repositories";
        findings.error(&rule.origin, &format!("{path}.repositories"), message);
    }
    for name in ["tags", "tagregex"] {
        if let Some(empty) = rule.get(name).filter(|_| !is_set(rule, name)) {
            let message = "may not be empty; leave it out for a rule about all tags";
            findings.error(&empty.origin, &format!("{path}.{name}"), message);
        }
    }
    let key = format!("{path}.keep");
    let Some(keep) = rule.get("keep") else { return };
    let origin = if keep.origin == Origin::Builtin { &rule.origin } else { &keep.origin };
    let conditions: Vec<_> = CONDITIONS.iter().filter(|name| is_set(keep, name)).collect();
    let all = is_true(keep.get("all"));
    let none = is_true(keep.get("none"));
    match (all, none, conditions.first()) {
        (false, false, None) => {
            let message = "must be set: say what is kept (`newest`, `semver`, `pushedwithin`, \
                           `pulledwithin` or `all: true`), or `none: true` to let all go";
            findings.error(origin, &key, message);
        }
        (true, true, _) => findings.error(origin, &key, "`all` excludes `none`"),
        (true, _, Some(other)) | (_, true, Some(other)) => {
            let word = if all { "all" } else { "none" };
            findings.error(origin, &key, format!("`{word}` excludes `{other}`"));
        }
        _ => {}
    }
}
