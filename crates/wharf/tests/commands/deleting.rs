//! `wharf repo` and `wharf readonly` as a person or a script runs them.

use std::path::Path;

use crate::support::{self, configure, push_blob, wharf, with_registry};

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    support::run(wharf(directory).args(arguments))
}

/// A configuration and a registry with a blob at its root.
fn made() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), "config.yml", "data", "");
    let root = directory.path().join("data");
    with_registry(&root, async |registry| push_blob(&registry, "some/image", "").await);
    directory
}

#[test]
fn a_repository_is_deleted_once() {
    let directory = made();
    let layers = directory.path().join("data/docker/registry/v2/repositories/some/image/_layers");
    let delete = |more: &[&str]| {
        let arguments =
            [&["repo", "delete", "some/image", "--config", "config.yml"], more].concat();
        run(directory.path(), &arguments)
    };
    let counts = "0 tags, 0 manifests, 1 links to blobs, 0 unfinished uploads\n";
    let expected = format!("some/image would be deleted: {counts}");
    assert_eq!(delete(&["--dry-run"]), (0, expected, String::new()));
    assert!(layers.exists());
    run(directory.path(), &["readonly", "on", "--config", "config.yml"]);
    let (code, said, error) = delete(&[]);
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(error.contains("read-only"), "{error}");
    assert!(layers.exists());
    run(directory.path(), &["readonly", "off", "--config", "config.yml"]);
    assert_eq!(delete(&[]), (0, format!("some/image deleted: {counts}"), String::new()));
    assert!(!layers.exists());
    let (code, said, error) = delete(&[]);
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(error.contains("repository some/image is not known"), "{error}");
    let (code, _, error) = run(directory.path(), &["repo", "delete", "Some"]);
    assert!(code == 1 && error.contains("names no repository"), "{error}");
}

#[test]
fn read_only_mode_is_switched_on_and_off() {
    let directory = made();
    let readonly = |arguments: &[&str]| {
        let arguments = [&["readonly"], arguments, &["--config", "config.yml"]].concat();
        let (code, said, error) = run(directory.path(), &arguments);
        assert_eq!((code, error.as_str()), (0, ""));
        said
    };
    assert_eq!(readonly(&["status"]), "not read-only\n");
    let said = readonly(&["on", "--reason", "a backup"]);
    assert!(said.starts_with("read-only since ") && said.contains(": a backup\n"), "{said}");
    assert!(readonly(&["status"]).ends_with("Z: a backup\n"));
    assert!(directory.path().join("data/wharf/v1/readonly").exists());
    assert!(readonly(&["off"]).starts_with("not read-only any more"));
    assert_eq!(readonly(&["off"]), "it was not read-only\n");
}

#[test]
fn nothing_is_made_where_nothing_is() {
    let directory = made();
    std::fs::remove_dir_all(directory.path().join("data")).unwrap();
    for arguments in [&["readonly", "on"][..], &["repo", "delete", "a"]] {
        let (code, _, error) =
            run(directory.path(), &[arguments, &["--config", "config.yml"]].concat());
        assert!(code == 1 && error.contains("data is not there"), "{error}");
    }
    assert!(!directory.path().join("data").exists());
    let memory = "version: 0.1\nstorage: inmemory\n";
    std::fs::write(directory.path().join("config.yml"), memory).unwrap();
    let (code, _, error) = run(directory.path(), &["readonly", "status", "--config", "config.yml"]);
    assert!(code == 1 && error.contains("inmemory holds nothing"), "{error}");
}
