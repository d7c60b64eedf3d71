//! `wharf storage copy` as a person or a script runs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oci::Digest;

use crate::support::{self, configure, push_image, wharf};

fn run(
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (i32, String, String) {
    let mut command = wharf(directory);
    command.args(["storage", "copy"]).args(arguments).envs(environment.iter().copied());
    support::run(&mut command)
}

/// Two configurations, and a registry with an image at the first one's root.
fn made() -> (tempfile::TempDir, Digest) {
    let directory = tempfile::tempdir().unwrap();
    for root in ["from", "to"] {
        configure(directory.path(), &format!("{root}.yml"), root, "");
    }
    let layer = push_image(&directory.path().join("from"));
    (directory, layer)
}

/// What the files below a directory hold.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let content = std::fs::read(&path).unwrap();
                files.insert(path.strip_prefix(root).unwrap().to_owned(), content);
            }
        }
    }
    files
}

#[test]
fn a_registry_is_copied_and_then_there_is_nothing_to_copy() {
    let (home, _) = made();
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    let before = tree(&from);
    let bytes: usize =
        before.iter().filter(|(path, _)| path.ends_with("data")).map(|(_, data)| data.len()).sum();
    let copied = format!("copied: 2 blobs of {bytes} B, 1 layers, 1 manifests, 1 tags, ");
    let (code, out, error) = run(home.path(), &["--dry-run", "from.yml", "to.yml"], &[]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.starts_with(&format!("would be {copied}")), "{out}");
    assert!(!to.exists());

    let (code, out, error) = run(home.path(), &["from.yml", "to.yml"], &[]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.starts_with(&copied), "{out}");
    assert!(out.ends_with("the target has everything that the source serves\n"), "{out}");
    assert_eq!(tree(&to), before);
    assert_eq!(tree(&from), before);

    let (code, out, _) = run(home.path(), &["--json", "--verify", "from.yml", "to.yml"], &[]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["end"]), (0, &"settled".into()), "{out}");
    assert_eq!(report["there"]["blobs"], 2, "{out}");
    assert_eq!(report["copied"]["tags"], 0, "{out}");

    std::fs::remove_dir_all(
        from.join("docker/registry/v2/repositories/some/image/_manifests/tags/latest"),
    )
    .unwrap();
    let (code, out, _) = run(home.path(), &["--delete", "from.yml", "to.yml"], &[]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("\nremoved: 1 tags\n"), "{out}");
    assert_eq!(tree(&to), tree(&from));
}

#[test]
fn what_cannot_be_copied_is_named() {
    let (home, layer) = made();
    let hex = layer.hex();
    let data = format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
    std::fs::write(home.path().join("from").join(&data), "another").unwrap();
    let (code, out, error) = run(home.path(), &["from.yml", "to.yml"], &[]);
    assert_eq!(code, 1, "{out}{error}");
    assert!(error.contains(&format!("wharf: failed: /{data}: ")), "{error}");
    assert!(error.contains("damaged"), "{error}");
    assert!(!home.path().join("to").join(&data).exists());
    let (code, out, error) = run(home.path(), &["--json", "from.yml", "to.yml"], &[]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["failed"]["total"]), (1, &1.into()), "{out}{error}");
}

#[test]
fn what_makes_no_sense_is_not_begun() {
    let (home, _) = made();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    let at =
        |root: &str| format!("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}\n");
    write("same.yml", &at("link"));
    std::os::unix::fs::symlink("from", home.path().join("link")).unwrap();
    write("memory.yml", "version: 0.1\nstorage: inmemory\n");
    write("absent.yml", &at("absent"));
    write("empty.yml", &at("empty"));
    std::fs::create_dir(home.path().join("empty")).unwrap();
    write("broken.yml", "version: 0.1\nstorage: [\n");
    let before = tree(&home.path().join("from"));
    for (arguments, reason) in [
        (["from.yml", "same.yml"], "the same storage"),
        (["same.yml", "from.yml"], "the same storage"),
        (["from.yml", "from.yml"], "the same storage"),
        (["memory.yml", "to.yml"], "memory.yml: storage driver inmemory holds nothing"),
        (["from.yml", "memory.yml"], "memory.yml: storage driver inmemory holds nothing"),
        (["absent.yml", "to.yml"], "absent is not there"),
        (["empty.yml", "to.yml"], "there is no /docker/registry/v2 in it"),
        (["broken.yml", "to.yml"], "broken.yml:2"),
        (["from.yml", "missing.yml"], "missing.yml"),
    ] {
        let (code, out, error) = run(home.path(), &arguments, &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?} {error}");
        assert!(error.starts_with("wharf: ") && error.contains(reason), "{arguments:?} {error}");
    }
    assert_eq!(run(home.path(), &["from.yml"], &[]).0, 2);
    assert_eq!(run(home.path(), &["from.yml", "to.yml", "--passes", "0"], &[]).0, 2);
    assert_eq!(tree(&home.path().join("from")), before);
    assert!(!home.path().join("absent").exists());
}

#[test]
fn variables_do_not_make_one_storage_of_two() {
    let (home, _) = made();
    let variable = ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "elsewhere");
    let (code, out, error) = run(home.path(), &["from.yml", "to.yml"], &[variable]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(error.contains(variable.0) && error.contains("does not apply"), "{error}");
    assert_eq!(tree(&home.path().join("to")), tree(&home.path().join("from")));
    assert!(!home.path().join("elsewhere").exists());
}
