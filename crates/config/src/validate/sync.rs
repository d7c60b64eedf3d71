//! `sync`: a job has a name of its own, one other registry, and says what it copies.

use std::collections::HashMap;

use crate::{
    diagnostic::Findings,
    reader::Reader,
    sections::{sync, when},
    tree::Node,
};

use super::{is_set, is_true, remote};

pub(super) fn check(root: &Node, findings: &mut Findings) {
    let Some(section) = root.get("sync") else { return };
    let items = section.get("jobs").map_or(&[][..], Node::items);
    let jobs = sync::read(Reader::new(section)).jobs;
    let mut names = HashMap::new();
    for (index, (item, job)) in items.iter().zip(&jobs).enumerate() {
        let path = format!("sync.jobs.{index}");
        self::job(item, job, &path, findings);
        own_name(item, index, &path, &mut names, findings);
    }
    if let (Some(first), true) =
        (items.first(), is_true(root.at("storage.maintenance.readonly.enabled")))
    {
        let message = "has no effect while `readonly` is on: nothing is written to the storage, \
                       which the queues of jobs are in, too";
        findings.warning(&first.origin, "sync.jobs", message);
    }
}

fn job(item: &Node, job: &sync::SyncJob, path: &str, findings: &mut Findings) {
    if !is_set(item, "repositories") {
        let message = "must be set; `**` stands for all repositories";
        findings.error(&item.origin, &format!("{path}.repositories"), message);
    }
    match (item.get("from"), item.get("to")) {
        (Some(_), Some(to)) => {
            let message = "excludes `from`: make it a job of its own";
            findings.error(&to.origin, &format!("{path}.to"), message);
        }
        (None, None) => {
            let message = "must be set, or `to`: the registry that is copied from, or to";
            findings.error(&item.origin, &format!("{path}.from"), message);
        }
        (Some(other), None) | (None, Some(other)) => {
            let key = format!("{path}.{}", job.remote.key());
            remote::check(other, job.remote.remote(), &key, findings);
        }
    }
    for name in ["tags", "tagregex", "platforms"] {
        if let Some(empty) = item.get(name).filter(|_| !is_set(item, name)) {
            let message = "may not be empty; leave it out to copy all";
            findings.error(&empty.origin, &format!("{path}.{name}"), message);
        }
    }
    remote::rewrites(item, path, findings);
    occasions(item, path, findings);
}

/// When a job runs, and on what.
fn occasions(item: &Node, path: &str, findings: &mut Findings) {
    let is_scheduled = item
        .get("schedule")
        .and_then(Node::as_text)
        .is_some_and(|schedule| !schedule.trim().is_empty());
    if let Some(interval) = item.get("interval") {
        let key = format!("{path}.interval");
        if interval.as_text().is_some_and(when::is_nothing) {
            let message = "must be more than nothing; leave it out to run by hand";
            findings.error(&interval.origin, &key, message);
        } else if is_scheduled {
            findings.error(&interval.origin, &key, "excludes `schedule`");
        }
    }
    let Some(on_push) = item.get("onpush").filter(|on_push| is_true(Some(on_push))) else { return };
    let key = format!("{path}.onpush");
    if item.get("to").is_none() {
        let message = "needs `to`: another registry does not tell what is pushed to it";
        findings.error(&on_push.origin, &key, message);
    } else if is_true(item.get("dryrun")) {
        findings.error(&on_push.origin, &key, "excludes `dryrun`");
    }
}

/// A job has a name, and no other job has the same.
fn own_name<'n>(
    item: &'n Node,
    index: usize,
    path: &str,
    names: &mut HashMap<&'n str, usize>,
    findings: &mut Findings,
) {
    let key = format!("{path}.name");
    let Some((node, name)) = item.get("name").and_then(|node| Some((node, node.as_text()?))) else {
        // A wrong one was told and is not there any more.
        if !findings.has_error(&key) {
            findings.error(&item.origin, &key, "must be set");
        }
        return;
    };
    if let Some(other) = names.insert(name, index) {
        let message = format!("`{name}` is that of `sync.jobs.{other}`, too; write another one");
        findings.error(&node.origin, &key, message);
    }
}
