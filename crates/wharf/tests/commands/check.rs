//! `wharf check` as a person or a script runs it.

use std::path::{Path, PathBuf};

use oci::Digest;
use registry::layout;

use crate::support::{self, configure, name, push_image, wharf};

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    support::run(wharf(directory).arg("check").args(arguments))
}

/// A configuration, and a registry with an image at its root. Its layer.
fn made() -> (tempfile::TempDir, Digest) {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), "config.yml", "data", "");
    let layer = push_image(&directory.path().join("data"));
    (directory, layer)
}

fn file(home: &Path, path: &storage::StoragePath) -> PathBuf {
    home.join("data").join(&path.as_str()[1..])
}

#[test]
fn a_torn_link_is_found_and_mended() {
    let (home, layer) = made();
    let (code, out, error) = run(home.path(), &["config.yml"]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("checked: 1 repositories, 1 tags, 1 manifests, 1 layers, 2 blobs; "));
    assert!(out.ends_with("\nwhole\n"), "{out}");

    let path = layout::layer_link(&name("some/image"), &layer);
    let link = file(home.path(), &path);
    std::fs::write(&link, "").unwrap();
    let (code, out, error) = run(home.path(), &["config.yml"]);
    assert_eq!(code, 1, "{out}{error}");
    assert!(error.contains("wharf: error: layer_link_torn: "), "{error}");
    assert!(error.contains(&format!("  {path}: 0 bytes")), "{error}");
    assert!(out.ends_with("\n1 errors, 0 warnings\n"), "{out}");
    assert_eq!(std::fs::read(&link).unwrap(), b"");

    let (code, out, error) = run(home.path(), &["--repair", "--quick", "config.yml"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(error.contains("; mended: written anew"), "{error}");
    assert_eq!(std::fs::read_to_string(&link).unwrap(), layer.to_string());
}

#[test]
fn what_cannot_be_mended_is_named_and_kept() {
    let (home, layer) = made();
    let data = file(home.path(), &layout::blob_data(&layer));
    std::fs::write(&data, "A layer").unwrap();
    let json = |arguments: &[&str]| {
        let (code, out, error) = run(home.path(), arguments);
        assert_eq!(error, "", "{out}");
        (code, serde_json::from_str::<serde_json::Value>(&out).unwrap())
    };
    let (code, report) = json(&["--json", "config.yml", "--concurrency", "1", "--rate", "1GiB"]);
    assert_eq!((code, &report["errors"]), (1, &2.into()), "{report}");
    assert_eq!(report["findings"][0]["kind"], "blob_corrupt");
    assert_eq!(json(&["--json", "--quick", "config.yml"]).0, 0);
    assert_eq!(json(&["--json", "--repository", "other/*", "config.yml"]).0, 0);
    assert_eq!(json(&["--json", "--repository", "some/*", "config.yml"]).0, 1);

    let (code, report) = json(&["--json", "--repair", "config.yml"]);
    assert_eq!((code, &report["errors"]), (1, &1.into()), "{report}");
    let moved = report["findings"][0]["listed"][0]["result"].as_str().unwrap();
    let aside = moved.strip_prefix("moved to /").unwrap();
    assert_eq!(std::fs::read(home.path().join("data").join(aside)).unwrap(), b"A layer");
    assert!(!data.exists());
    push_image(&home.path().join("data"));
    assert_eq!(json(&["--json", "config.yml"]).0, 0);
}

#[test]
fn what_makes_no_sense_is_not_begun() {
    let (home, _) = made();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    let at =
        |root: &str| format!("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}\n");
    write("memory.yml", "version: 0.1\nstorage: inmemory\n");
    write("absent.yml", &at("absent"));
    write("empty.yml", &at("empty"));
    write("broken.yml", "version: 0.1\nstorage: [\n");
    std::fs::create_dir(home.path().join("empty")).unwrap();
    for (file, reason) in [
        ("memory.yml", "there is nothing to check"),
        ("absent.yml", "absent is not there"),
        ("empty.yml", "there is no /docker/registry/v2 in it"),
        ("broken.yml", "broken.yml:2"),
        ("missing.yml", "missing.yml"),
    ] {
        for arguments in [&[file][..], &["--repair", file]] {
            let (code, out, error) = run(home.path(), arguments);
            assert_eq!((code, out.as_str()), (2, ""), "{arguments:?} {error}");
            assert!(error.starts_with("wharf: ") && error.contains(reason), "{error}");
        }
    }
    assert!(!home.path().join("absent").exists());
    std::fs::remove_dir_all(home.path().join("data/docker/registry/v2/blobs")).unwrap();
    let (code, _, error) = run(home.path(), &["--repair", "config.yml"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("a disk is not mounted"), "{error}");
}
