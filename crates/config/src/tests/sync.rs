//! `sync`: what a job is when everything that was left out is filled in, and what is refused.

use std::time::Duration;

use super::*;

fn jobs(items: &str) -> Vec<SyncJob> {
    clean(&with(&format!("sync: {{jobs: [{items}]}}")), &[]).sync.jobs
}

#[test]
fn without_jobs_there_is_nothing() {
    for lines in ["", "sync:", "sync: {}", "sync: {jobs: }", "sync: {jobs: []}"] {
        assert!(clean(&with(lines), &[]).sync.jobs.is_empty(), "{lines}");
    }
}

#[test]
fn a_job_has_what_it_says() {
    let jobs = jobs(
        "{name: all, from: {url: 'https://H/'}, repositories: '**'},
         {name: to-edge.1, to: {urls: ['http://a:5000', 'https://b'], username: u, password: '012',
          tls: {rootcas: ca.pem, insecure: true}}, repositories: [a, 'b/*'], tags: ['v*'],
          tagregex: '[0-9]+', semver: '>=1.2, <2', newest: 3, platforms: [linux/amd64, linux/arm/v7],
          referrers: false, prefix: x/y, rewrite: [{from: a, to: b/c}, {from: d}], schedule: '0 3 * * *',
          onpush: true, bandwidth: 10MiB, requestrate: 600, concurrency: 16},
         {name: hourly, from: {url: 'https://h'}, repositories: a, interval: 1h, dryrun: true}",
    );
    let [all, edge, hourly] = &jobs[..] else { panic!("{jobs:?}") };
    let SyncRemote::From(remote) = &all.remote else { panic!("{all:?}") };
    assert_eq!(remote.urls, ["https://h"]);
    assert_eq!(remote.credentials, Credentials::Anonymous);
    assert_eq!((all.name.as_str(), &*all.repositories), ("all", &["**".to_owned()][..]));
    assert!(all.tags.is_empty() && all.tag_expressions.is_empty() && all.platforms.is_empty());
    assert!(all.semver.is_none() && all.newest.is_none() && all.when.is_none());
    assert!(all.bandwidth.is_none() && all.request_rate.is_none() && all.rewrite.is_empty());
    assert!(all.referrers && !all.on_push && !all.dry_run && all.prefix.is_empty());
    assert_eq!(all.concurrency, 2);

    let SyncRemote::To(remote) = &edge.remote else { panic!("{edge:?}") };
    assert_eq!(remote.urls, ["http://a:5000", "https://b"]);
    let password = Secret::new("012");
    assert_eq!(remote.credentials, Credentials::Login { username: "u".into(), password });
    assert!(remote.tls.insecure && remote.tls.root_cas.len() == 1);
    assert_eq!((&*edge.tags, &*edge.tag_expressions), (&["v*".into()][..], &["[0-9]+".into()][..]));
    assert_eq!((edge.semver.as_deref(), edge.newest.unwrap().get()), (Some(">=1.2, <2"), 3));
    assert_eq!(edge.platforms, ["linux/amd64", "linux/arm/v7"]);
    assert!(!edge.referrers && edge.on_push && matches!(edge.when, Some(When::At(_))));
    let rewrite = |from: &str, to: &str| Rewrite { from: from.into(), to: to.into() };
    assert_eq!(edge.rewrite, [rewrite("a", "b/c"), rewrite("d", "")]);
    assert_eq!((edge.prefix.as_str(), edge.concurrency), ("x/y", 16));
    assert_eq!(edge.bandwidth.unwrap().get(), 10 << 20);
    assert_eq!(edge.request_rate.unwrap().get(), 600);

    assert!(hourly.dry_run);
    let Some(When::Every(interval)) = hourly.when else { panic!("{hourly:?}") };
    assert_eq!(interval, Duration::from_secs(3600));
}

#[test]
fn variables_reach_into_a_job() {
    let text = with("sync: {jobs: [{name: a, from: {url: 'https://h'}, repositories: a}]}");
    let variables = [
        ("REGISTRY_SYNC_JOBS_0_FROM_USERNAME", "u"),
        ("REGISTRY_SYNC_JOBS_0_FROM_PASSWORD", "0123"),
        ("REGISTRY_SYNC_JOBS_0_NEWEST", "7"),
    ];
    let job = clean(&text, &variables).sync.jobs.remove(0);
    let password = Secret::new("0123");
    let login = Credentials::Login { username: "u".into(), password };
    assert_eq!(job.remote.remote().credentials, login);
    assert_eq!(job.newest.unwrap().get(), 7);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let from = "from: {url: 'https://h'}";
    let base = format!("name: a, repositories: a, {from}");
    let to = "name: a, repositories: a, to: {url: 'https://h'}";
    for (item, expected) in [
        (format!("{from}, repositories: a"), "6:7: sync.jobs.0.name: must be set"),
        (format!("name: A, {from}, repositories: a"), "sync.jobs.0.name: `A` is no name of a job"),
        (format!("name: a/b, {from}, repositories: a"), "name: `a/b` is no name of a job"),
        (format!("name: a..b, {from}, repositories: a"), "name: `a..b` is no name of a job"),
        (format!("name: {}, {from}, repositories: a", "x".repeat(65)), "is no name of a job"),
        (format!("name: a, {from}"), "6:7: sync.jobs.0.repositories: must be set; `**` stands"),
        ("name: a, repositories: a".into(), "sync.jobs.0.from: must be set, or `to`"),
        (format!("{base}, to: {{url: 'https://i'}}"), "sync.jobs.0.to: excludes `from`"),
        ("name: a, repositories: a, from: {}".into(), "sync.jobs.0.from.url: must be set, or"),
        (
            "name: a, repositories: a, to: {url: 'https://h', username: u}".into(),
            "sync.jobs.0.to.password: must be set too, as `username` is",
        ),
        (
            "name: a, repositories: a, from: {url: 'https://h', pasword: u}".into(),
            "sync.jobs.0.from.pasword: unknown setting or key; did you mean `password`?",
        ),
        (
            "name: a, repositories: a, from: {url: 'https://h', prefix: u}".into(),
            "sync.jobs.0.from.prefix: unknown setting or key",
        ),
        (
            "name: a, repositories: a, to: {url: 'https://h', ecr: {}}".into(),
            "sync.jobs.0.to.ecr.region: must be set",
        ),
        (
            "name: a, repositories: a, to: {url: 'https://u:p@h', gar: {}}".into(),
            "sync.jobs.0.to.url: holds a user, which excludes `sync.jobs.0.to.gar`",
        ),
        (
            "name: a, repositories: a, to: {url: 'https://h', tls: {key: k}}".into(),
            "sync.jobs.0.to.tls.certificate: must be set too",
        ),
        (format!("{base}, delete: true"), "sync.jobs.0.delete: unknown setting or key"),
        (format!("{base}, tags: []"), "sync.jobs.0.tags: may not be empty"),
        (format!("{base}, platforms: []"), "sync.jobs.0.platforms: may not be empty"),
        (format!("{base}, tags: 'a/b'"), "sync.jobs.0.tags.0: `a/b` is no pattern of tags"),
        (format!("{base}, tagregex: '('"), "sync.jobs.0.tagregex.0: `(` is not a regular"),
        (format!("{base}, semver: lots"), "sync.jobs.0.semver: `lots` is no range of versions"),
        (format!("{base}, newest: 0"), "sync.jobs.0.newest: `0` must be 1 or more"),
        (format!("{base}, platforms: linux"), "platforms.0: `linux` is no platform"),
        (format!("{base}, platforms: a/b/c/d"), "platforms.0: `a/b/c/d` is no platform"),
        (format!("{base}, prefix: /a"), "sync.jobs.0.prefix: `/a` is no part of"),
        (format!("{base}, rewrite: [{{}}]"), "sync.jobs.0.rewrite.0.from: must be set, or `to`"),
        (format!("{base}, interval: 0"), "sync.jobs.0.interval: must be more than nothing"),
        (format!("{base}, schedule: daily"), "sync.jobs.0.schedule: `daily` must have five"),
        (
            format!("{base}, schedule: '0 3 * * *', interval: 1h"),
            "sync.jobs.0.interval: excludes `schedule`",
        ),
        (format!("{base}, onpush: true"), "sync.jobs.0.onpush: needs `to`"),
        (format!("{to}, onpush: true, dryrun: true"), "sync.jobs.0.onpush: excludes `dryrun`"),
        (format!("{base}, bandwidth: fast"), "sync.jobs.0.bandwidth: `fast` is no size"),
        (format!("{base}, bandwidth: 0"), "sync.jobs.0.bandwidth: `0` must be more than nothing"),
        (format!("{base}, requestrate: 0"), "sync.jobs.0.requestrate: `0` must be 1 or more"),
        (format!("{base}, concurrency: 17"), "sync.jobs.0.concurrency: `17` must be 16 or less"),
    ] {
        let found = errors(&with(&format!("sync:\n  jobs:\n    - {{{item}}}")), &[]);
        assert!(found[0].contains(expected), "{item}\n{found:?}");
        assert_eq!(found.len(), 1, "{item}\n{found:?}");
    }
    let found = errors(&with("sync: {job: []}"), &[]);
    assert!(found[0].contains("sync.job: unknown setting or key; did you mean `jobs`?"));
    let two = with(&format!("sync:\n  jobs:\n    - {{{base}}}\n    - {{{to}}}"));
    let expected =
        "config.yml:7:14: sync.jobs.1.name: `a` is that of `sync.jobs.0`, too; write another one";
    assert_eq!(errors(&two, &[]), [expected]);
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let job = "sync: {jobs: [{name: a, from: {url: 'http://h', tls: {insecure: true}}, repositories: a}]}";
    let found = warnings(&with(job), &[]);
    let expected = "sync.jobs.0.from.tls: has no effect: no URL of this registry is https";
    assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    let job = "sync: {jobs: [{name: a, from: {url: 'http://h'}, repositories: a}]}";
    let found =
        warnings(&with(&format!("  maintenance: {{readonly: {{enabled: true}}}}\n{job}")), &[]);
    assert!(found.len() == 1 && found[0].contains("sync.jobs: has no effect while"), "{found:?}");
}

#[test]
fn what_is_printed_is_read_as_the_same_and_hides_secrets() {
    let text = "sync: {jobs: [{name: a, to: {url: 'https://u:word@h'}, repositories: ['**'], bandwidth: 5MB, onpush: true}, {name: b, from: {url: 'https://h', acr: {tenant: t, clientid: i, clientsecret: word}}, repositories: a, interval: 90m}]}";
    let printed = clean(&with(text), &[]).print();
    assert!(!printed.contains("word"), "{printed}");
    assert!(printed.contains("https://***@h"), "{printed}");
    let text = text
        .replace("u:word@", "")
        .replace(", acr: {tenant: t, clientid: i, clientsecret: word}", "");
    let once = clean(&with(&text), &[]);
    let twice = clean(&once.print(), &[]);
    assert_eq!(once.print(), twice.print());
    assert_eq!(format!("{:?}", once.sync), format!("{:?}", twice.sync));
}

#[test]
fn files_of_a_job_are_looked_at() {
    let text = "sync: {jobs: [{name: a, to: {url: 'https://h', tls: {rootcas: /nowhere/ca.pem}}, repositories: a}]}";
    let found = clean(&with(text), &[]).check_files();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].to_string().contains("sync.jobs.0.to.tls.rootcas: /nowhere/ca.pem"),
        "{found:?}"
    );
}

#[test]
fn what_the_documentation_shows_loads() {
    let page = include_str!("../../../../docs/sync.md");
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).collect();
    let blocks = blocks.iter().filter_map(|block| block.split("```").next());
    let [whole, rewrite] = blocks.collect::<Vec<_>>()[..] else { panic!("other blocks") };
    let jobs = clean(whole, &[]).sync.jobs;
    assert!(jobs.len() == 2 && jobs[0].on_push && jobs[1].newest.is_some());
    let base = "name: a\n      from: {url: 'https://h'}\n      repositories: a\n";
    let text = with(&format!("sync:\n  jobs:\n    - {base}{rewrite}"));
    assert_eq!(clean(&text, &[]).sync.jobs[0].rewrite.len(), 2);
}
