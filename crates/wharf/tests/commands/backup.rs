//! `wharf backup`, `wharf export` and `wharf import` as a person or a script runs them.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use oci::MediaType;
use registry::Registry;

use crate::support::{configure, digest, push_blob, push_manifest, wharf, with_registry};

/// Exit code, standard output and standard error.
fn run_with(
    directory: &Path,
    line: &str,
    environment: &[(&str, &str)],
    input: &[u8],
) -> (i32, Vec<u8>, String) {
    let mut command = wharf(directory);
    command.args(line.split(' ')).envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without having read it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), output.stdout, error)
}

fn run(directory: &Path, line: &str) -> (i32, String, String) {
    let (code, out, error) = run_with(directory, line, &[], b"");
    (code, String::from_utf8(out).unwrap(), error)
}

/// Configurations of two roots, and a registry with an image at the first one's.
fn made() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for root in ["from", "to", "bucket"] {
        configure(home.path(), &format!("{root}.yml"), root, "");
    }
    with_registry(&home.path().join("from"), push_image);
    home
}

async fn push_image(registry: Registry) {
    let layer = "a layer";
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","rootfs":{{"diff_ids":["{}"]}}}}"#,
        digest(layer)
    );
    for content in [layer, &config] {
        push_blob(&registry, "some/image", content).await;
    }
    let descriptor = |kind: &str, content: &str| {
        let media_type = format!("application/vnd.oci.image.{kind}");
        let (digest, size) = (digest(content), content.len());
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        MediaType::OciManifest.as_str(),
        descriptor("config.v1+json", &config),
        descriptor("layer.v1.tar", layer),
    );
    push_manifest(&registry, "some/image", "latest", manifest).await;
}

fn tag_of(root: &Path) -> Option<String> {
    let tag = "docker/registry/v2/repositories/some/image/_manifests/tags/latest/current/link";
    std::fs::read_to_string(root.join(tag)).ok()
}

#[test]
fn a_registry_is_backed_up_and_put_back() {
    let home = made();
    let home = home.path();
    for place in ["backup", "bucket.yml"] {
        let (code, out, error) = run(home, &format!("backup create from.yml {place}"));
        assert_eq!((code, error.as_str()), (0, ""), "{out}");
        assert!(out.contains(": 1 repositories, 1 manifests, 1 tags\n"), "{out}");
        assert!(out.contains("\ncopied: 3 blobs of "), "{out}");
        let (code, out, _) = run(home, &format!("backup create from.yml {place} --json"));
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &report["copied_bytes"]), (0, &0.into()), "{out}");
        let name = report["snapshot"].as_str().unwrap();

        let (_, out, _) = run(home, &format!("backup list {place}"));
        assert_eq!(out.lines().count(), 2, "{out}");
        assert!(out.lines().last().unwrap().starts_with(name), "{out}");
        let (code, out, error) = run(home, &format!("backup verify {place}"));
        assert_eq!((code, error.as_str()), (0, ""), "{out}");
        assert!(out.ends_with("everything is there and whole\n"), "{out}");

        let (code, out, error) = run(home, &format!("backup restore {place} to.yml --dry-run"));
        assert_eq!((code, error.as_str()), (0, ""), "{out}");
        assert!(out.contains("would be restored: 1 repositories"), "{out}");
        assert!(!home.join("to").exists());
        let (code, out, error) = run(home, &format!("backup restore {place} to.yml"));
        assert_eq!((code, error.as_str()), (0, ""), "{out}");
        assert!(tag_of(&home.join("to")).is_some());
        assert_eq!(tag_of(&home.join("to")), tag_of(&home.join("from")));
        std::fs::remove_dir_all(home.join("to")).unwrap();

        let (code, out, _) = run(home, &format!("backup prune {place} --keep 1"));
        assert_eq!(code, 0, "{out}");
        assert!(out.starts_with("removed: 1 snapshots, 0 blobs of "), "{out}");
    }
    assert!(home.join("bucket/oci-layout").is_file() && home.join("backup/index.json").is_file());

    let digest = tag_of(&home.join("from")).unwrap();
    let blob = home.join("backup/blobs").join(digest.replace(':', "/"));
    let mut content = std::fs::read(&blob).unwrap();
    content[20] ^= 1;
    std::fs::write(&blob, content).unwrap();
    let (code, out, error) = run(home, "backup verify backup");
    assert_eq!(code, 1, "{out}");
    assert!(error.contains(&format!("some/image@{digest}: its content is damaged")), "{error}");
    let (code, _, error) = run(home, "backup restore backup to.yml");
    assert_eq!(code, 1, "{error}");
    assert_eq!(tag_of(&home.join("to")), None);
}

#[test]
fn what_makes_no_sense_is_not_begun() {
    let home = made();
    let home = home.path();
    std::fs::write(home.join("memory.yml"), "version: 0.1\nstorage: inmemory\n").unwrap();
    std::fs::write(home.join("broken.yml"), "version: 0.1\nstorage: [\n").unwrap();
    assert_eq!(run(home, "backup create from.yml backup").0, 0);
    for (line, reason) in [
        ("backup create absent.yml backup", "absent.yml"),
        ("backup create broken.yml backup", "broken.yml"),
        ("backup create memory.yml backup", "inmemory holds nothing"),
        ("backup create from.yml absent.yml", "absent.yml is not there"),
        ("backup create from.yml from", "there is a registry where the backup"),
        ("backup create from.yml from.yml", "there is a registry where the backup"),
        ("backup create to.yml backup", "to is not there"),
        ("backup verify absent", "absent is not there"),
        ("backup list from", "there is no backup here"),
        ("backup verify backup --snapshot x", "no snapshot \"x\""),
        ("backup restore backup to.yml --snapshot x", "no snapshot \"x\""),
        ("backup restore backup to.yml --repository no*", "none of them fits the pattern"),
        ("backup prune absent --keep 1", "absent is not there"),
        ("export from.yml Some/image -o x.tar", "Some/image"),
        ("export from.yml some/image -o - --json", "standard output"),
        ("export from.yml some/image -o from.yml", "is a file"),
        ("import absent.yml x.tar a", "absent.yml"),
    ] {
        let (code, out, error) = run(home, line);
        assert_eq!((code, out.as_str()), (2, ""), "{line}: {error}");
        assert!(error.starts_with("wharf: ") && error.contains(reason), "{line}: {error}");
    }
    assert!(!home.join("absent.yml").exists() && !home.join("x.tar").exists());
}

#[test]
fn variables_are_for_the_registry_and_not_for_the_backup() {
    let home = made();
    let home = home.path();
    let variable = ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "from");
    let line = "backup create to.yml bucket.yml";
    let (code, _, error) = run_with(home, line, &[variable], b"");
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("does not apply to bucket.yml"), "{error}");
    assert!(home.join("bucket/index.json").is_file());
}

#[test]
fn images_go_out_and_come_in() {
    let home = made();
    let home = home.path();
    for (output, format) in
        [("layout", "oci"), ("image.tar", "oci"), ("docker.tar", "docker-archive")]
    {
        let line = format!("export from.yml some/image -o {output} --format {format}");
        let (code, out, error) = run(home, &line);
        assert_eq!((code, error.as_str()), (0, ""), "{out}");
        assert!(out.starts_with(&format!("{output}: sha256:")), "{out}");
        let (code, out, error) = run(home, &format!("import to.yml {output} new:{format} --json"));
        assert_eq!((code, error.as_str()), (0, ""), "{out}");
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(report["format"], format);
        if format == "oci" {
            assert_eq!(report["digest"], tag_of(&home.join("from")).unwrap());
        }
    }
    let line = "export from.yml some/image:latest -o -";
    let (code, archive, error) = run_with(home, line, &[], b"");
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(archive, std::fs::read(home.join("image.tar")).unwrap());
    let (code, out, error) = run_with(home, "import to.yml - piped", &[], &archive);
    assert_eq!((code, error.as_str()), (0, ""));
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("piped:latest: sha256:"), "{out}");

    for (line, reason) in [
        ("export from.yml some/image -o image.tar", "image.tar is there already"),
        ("export from.yml some/image:absent -o x.tar", "absent"),
        ("import to.yml absent.tar a", "absent.tar"),
        ("import to.yml from.yml a", "cut off"),
        ("import to.yml from a", "no image in it"),
    ] {
        let (code, out, error) = run(home, line);
        assert_eq!((code, out.as_str()), (1, ""), "{line}: {error}");
        assert!(error.starts_with("wharf: ") && error.contains(reason), "{line}: {error}");
    }
}
