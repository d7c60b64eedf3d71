//! `wharf garbage-collect` as a person or a script runs it.

use std::path::Path;

use oci::MediaType;
use registry::layout;

use crate::support::{
    self, configure, digest, name, push_blob, push_manifest, wharf, with_registry,
};

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    support::run(wharf(directory).arg("garbage-collect").args(arguments))
}

/// A configuration, and a registry with a blob in each of two repositories that nothing refers to.
fn made() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), "config.yml", "data", "  maintenance:\n    gc: {grace: 90s}\n");
    with_registry(&directory.path().join("data"), async |registry| {
        for name in ["team/one", "other"] {
            push_blob(&registry, name, name).await;
        }
    });
    directory
}

fn has(directory: &Path, content: &str) -> bool {
    let path = layout::blob_data(&digest(content));
    directory.join("data").join(path.as_str().trim_start_matches('/')).exists()
}

#[test]
fn a_dry_run_tells_and_a_run_deletes() {
    let made = made();
    let (code, out, err) = run(made.path(), &["--dry-run", "config.yml"]);
    assert_eq!(code, 0, "{err}");
    let line = format!(
        "\nblob eligible for deletion: {} (8 B): no manifest refers to it\n",
        digest("team/one")
    );
    assert!(out.contains(&line), "{out}");
    let line = format!(
        "\nteam/one: layer link eligible for deletion: {}: no manifest refers to it\n",
        digest("team/one")
    );
    assert!(out.contains(&line), "{out}");
    let line = "\n\n0 blobs marked, 2 blobs and 0 manifests eligible for deletion (2 blobs seen, ";
    assert!(out.contains(line), "{out}");
    assert!(out.contains("would be deleted: 2 blobs of 13 B"), "{out}");
    assert!(has(made.path(), "other"));
    assert!(!made.path().join("data/wharf").exists(), "nothing was written");

    let (code, out, err) = run(made.path(), &["-q", "config.yml"]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(!has(made.path(), "other") && !has(made.path(), "team/one"));
}

/// Scripts look for what Distribution 3 prints.
#[test]
fn the_lines_begin_as_distribution_s() {
    let made = made();
    let root = made.path().join("data");
    push_tags(&root, &["v1", "v2"]);
    let gone = with_registry(&root, async |registry| {
        let tag = oci::Tag::parse("v1").unwrap();
        let reference = oci::Reference::Tag(tag.clone());
        let manifest = registry.get_manifest(&name("team/one"), &reference).await.unwrap();
        registry.delete_tag(&name("team/one"), &tag).await.unwrap();
        manifest.digest
    });
    let (code, out, err) = run(made.path(), &["--dry-run", "-m", "config.yml"]);
    assert_eq!(code, 0, "{err}");
    let layer = digest("team/one");
    for line in [
        "team/one\n",
        "team/one: marking manifest sha256:",
        &format!("team/one: marking blob {layer}\n"),
        &format!("manifest eligible for deletion: {{team/one {gone} []}}"),
        &format!("blob eligible for deletion: {gone} ("),
        // The manifest and its configuration.
        "2 blobs marked, 2 blobs and 1 manifests eligible for deletion",
    ] {
        assert!(out.starts_with(line) || out.contains(&format!("\n{line}")), "{line}: {out}");
    }
}

#[test]
fn a_glob_and_an_age_and_json() {
    let made = made();
    let (code, out, err) = run(made.path(), &["--older-than", "1h", "--json", "config.yml"]);
    assert_eq!(code, 0, "{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["deleted"]["blobs"], 0);
    let (code, out, err) = run(made.path(), &["--repository", "team/*", "--json", "config.yml"]);
    assert_eq!(code, 0, "{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&report["deleted"]["blobs"], &report["deleted"]["blob_bytes"]),
        (&1.into(), &8.into())
    );
    assert!(has(made.path(), "other") && !has(made.path(), "team/one"));
}

#[test]
fn beside_a_server_what_it_promised_stays() {
    let made = made();
    let note = made.path().join("data/wharf/v1/servers/0f8fad5b-d9cb-469f-a165-70867728950e");
    std::fs::create_dir_all(note.parent().unwrap()).unwrap();
    std::fs::write(&note, r#"{"grace_secs": 3600}"#).unwrap();
    let (code, _, err) = run(made.path(), &["--older-than", "1m", "config.yml"]);
    assert_eq!(code, 1);
    assert!(err.contains("a server uses this storage") && err.contains("3600 s"), "{err}");
    let (code, _, err) = run(made.path(), &["config.yml"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("what is younger than 3600 s stays"), "{err}");
    assert!(has(made.path(), "other"));
}

#[test]
fn what_can_t_be_collected_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let config = "version: 0.1\nstorage: {filesystem: {rootdirectory: nowhere}}\n";
    std::fs::write(directory.path().join("config.yml"), config).unwrap();
    let (code, out, err) = run(directory.path(), &["config.yml"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("failed to garbage collect") && err.contains("nowhere"), "{err}");
    assert!(!directory.path().join("nowhere").exists(), "nothing was made");
    std::fs::write(directory.path().join("config.yml"), "version: 0.1\nstorage: inmemory\n")
        .unwrap();
    let (code, _, err) = run(directory.path(), &["config.yml"]);
    assert_eq!(code, 1);
    assert!(err.contains("inmemory"), "{err}");
}

/// Pushes an image of the blob that "team/one" has, under each of these tags.
fn push_tags(root: &Path, tags: &[&str]) {
    with_registry(root, async |registry| {
        for tag in tags {
            let content = format!(
                r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"c","digest":"{}",
                "size":{}}},"layers":[],"annotations":{{"tag":"{tag}"}}}}"#,
                MediaType::OciManifest.as_str(),
                digest("team/one"),
                "team/one".len()
            );
            push_manifest(&registry, "team/one", tag, content).await;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
}

#[test]
fn tags_go_by_the_rules_and_it_says_why() {
    let made = made();
    let config = made.path().join("config.yml");
    let rules = "retention:\n  enabled: true\n  dryrun: true\n  rules:\n    - {repositories: ['**'], \
                 keep: {newest: 1}, untagged: {olderthan: 1ms}}\n";
    let text = std::fs::read_to_string(&config).unwrap() + rules;
    std::fs::write(&config, &text).unwrap();
    push_tags(&made.path().join("data"), &["v1", "v2"]);
    let tags = layout::tags(&name("team/one"));
    let tags = made.path().join("data").join(tags.as_str().trim_start_matches('/'));

    let (code, out, err) = run(made.path(), &["--dry-run", "--explain", "config.yml"]);
    assert_eq!(code, 0, "{out}{err}");
    for line in [
        "tag team/one:v1 eligible for deletion: rule 1: nothing keeps it",
        "tag team/one:v2 kept: rule 1: among the newest 1",
        "retention: 1 tags kept, 1 let go",
        "1 manifests, 1 layer links, 1 tags",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    // The rules themselves are on trial.
    let (code, out, err) = run(made.path(), &["config.yml"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("tag team/one:v1 would go but for retention.dryrun: rule 1"), "{out}");
    assert!(!out.contains("kept:") && tags.join("v1").exists());

    std::fs::write(&config, text.replace("dryrun: true", "dryrun: false")).unwrap();
    let (code, out, err) = run(made.path(), &["--json", "config.yml"]);
    assert_eq!(code, 0, "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["deleted"]["tags"], 1, "{out}");
    assert_eq!(report["deleted"]["manifests"], 1, "{out}");
    assert_eq!(report["retention"]["tags"][0]["tag"], "v1", "{out}");
    assert!(!tags.join("v1").exists() && tags.join("v2").exists());
}
