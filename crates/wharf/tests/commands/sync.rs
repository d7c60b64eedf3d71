//! `wharf sync`: what is refused before anything is begun, and how jobs stand that never ran.

use std::path::Path;

use crate::support::{configure, run, wharf};

const JOBS: &str = "sync:
  jobs:
    - {name: edge, to: {url: 'http://127.0.0.1:1'}, repositories: ['**'], tags: [v1]}
    - {name: hub, from: {url: 'http://127.0.0.1:1', username: u, password: hunter2}, repositories: [a]}
";

/// Exit code, standard output and standard error, with these jobs.
fn sync(directory: &Path, jobs: &str, arguments: &[&str]) -> (i32, String, String) {
    configure(directory, "config.yml", "data", jobs);
    std::fs::create_dir_all(directory.join("data")).unwrap();
    run(wharf(directory).arg("sync").args(arguments).args(["--config", "config.yml"]))
}

#[test]
fn what_makes_no_sense_is_not_begun() {
    let directory = tempfile::tempdir().unwrap();
    for (jobs, arguments, expected) in [
        ("", &["run"][..], "no job is configured: set sync.jobs"),
        ("", &["status"], "no job is configured: set sync.jobs"),
        (JOBS, &["run", "nobody"], "no job is called nobody; there are: edge, hub"),
        ("sync: {jobs: [{name: edge}]}\n", &["run"], "sync.jobs.0.from: must be set, or `to`"),
    ] {
        let (code, out, err) = sync(directory.path(), jobs, arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
}

#[test]
fn nothing_is_begun_while_the_registry_is_read_only() {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), "config.yml", "data", "");
    std::fs::create_dir_all(directory.path().join("data")).unwrap();
    let mut command = wharf(directory.path());
    let (code, ..) =
        run(command.args(["readonly", "on", "--reason", "moving", "--config", "config.yml"]));
    assert_eq!(code, 0);
    let (code, _, err) = sync(directory.path(), JOBS, &["run", "edge"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("read-only since") && err.contains("moving"), "{err}");
}

#[test]
fn a_job_that_never_ran_says_so_and_one_without_its_remote_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = sync(directory.path(), JOBS, &["status"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("edge: to http://127.0.0.1:1\n  last run: never\n"), "{out}");
    let (code, out, _) = sync(directory.path(), JOBS, &["status", "hub", "--json"]);
    let standing: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &standing[0]["direction"]), (0, &"from".into()));

    // Nothing is here, so that nobody is asked.
    let (code, out, err) = sync(directory.path(), JOBS, &["run", "edge"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("edge: 0 copied, 0 were there"), "{out}");
    let (code, _, err) = sync(directory.path(), JOBS, &["run", "hub", "--dry-run"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("127.0.0.1:1 can't be reached") && !err.contains("hunter2"), "{err}");
}
