//! Files of strangers.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use archive::image::ImportOptions;
use archive::{ImageError, TarError};
use flate2::Compression;
use flate2::write::GzEncoder;
use oci::{Algorithm, Digest};
use serde_json::json;

use crate::images::{read, read_with};
use crate::support::{memory, pull_all, registry_on, sha256};

/// A file, or with a target a link of this kind.
fn entry(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn file(name: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    entry(name, b'0', "", content.as_ref())
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, content: &[u8]) -> PathBuf {
        let path = self.0.path().join("image.tar");
        std::fs::write(&path, content).unwrap();
        path
    }
}

fn config(diff_ids: &[Digest]) -> Vec<u8> {
    let ids: Vec<_> = diff_ids.iter().map(ToString::to_string).collect();
    let rootfs = json!({"type": "layers", "diff_ids": ids});
    serde_json::to_vec(&json!({"os": "linux", "architecture": "arm64", "rootfs": rootfs})).unwrap()
}

/// `manifest.json` of one image.
fn listed(config: &str, layers: &[&str]) -> Vec<u8> {
    let image = json!({"Config": config, "RepoTags": ["app:1"], "Layers": layers});
    file("manifest.json", serde_json::to_vec(&json!([image])).unwrap())
}

async fn refused(path: &Path) -> ImageError {
    let driver = memory();
    let error = read(path, &registry_on(&driver)).await.unwrap_err();
    // No manifest leads to what is not there.
    assert_eq!(pull_all(&driver).await, 0);
    error
}

#[tokio::test]
async fn archives_as_docker_has_written_them_over_the_years() {
    let (one, two) = (b"layer one".as_slice(), b"layer two".as_slice());
    let settings = config(&[sha256(one), sha256(two), sha256(one)]);
    let hex = sha256(&settings).hex();
    let named = format!("{hex}.json");
    let home = Home::new();
    let old = archive(&[
        entry("aaa/", b'5', "", b""),
        file("aaa/layer.tar", one),
        file("bbb/layer.tar", two),
        // The same content once more.
        entry("ccc/layer.tar", b'2', "../aaa/layer.tar", b""),
        file(&named, &settings),
        listed(&named, &["aaa/layer.tar", "bbb/layer.tar", "ccc/layer.tar"]),
    ]);
    let hard = archive(&[
        file("a.tar", one),
        file("b.tar", gzip(two)),
        entry("c.tar", b'1', "a.tar", b""),
        file(&named, &settings),
        listed(&named, &["a.tar", "b.tar", "c.tar"]),
    ]);
    for (content, pushed) in [(&old, 3), (&hard, 3), (&gzip(&old), 3)] {
        let driver = memory();
        let report = read(&home.write(content), &registry_on(&driver)).await.unwrap();
        assert_eq!((report.format, report.pushed_blobs), ("docker-archive", pushed));
        assert_eq!(pull_all(&driver).await, 2);
    }
    let options = ImportOptions {
        image: Some("app:1".into()),
        platform: archive::image::PlatformSelector::parse("linux/arm64/v8"),
    };
    let path = home.write(&old);
    read_with(&path, &registry_on(&memory()), &options).await.unwrap();
    let options = ImportOptions {
        platform: archive::image::PlatformSelector::parse("linux/amd64"),
        ..options
    };
    let error = read_with(&path, &registry_on(&memory()), &options).await.unwrap_err();
    assert!(matches!(error, ImageError::NoPlatform { .. }), "{error}");
    let options = ImportOptions { image: Some("app:2".into()), platform: None };
    let error = read_with(&path, &registry_on(&memory()), &options).await.unwrap_err();
    assert!(error.to_string().contains("app:1"), "{error}");
}

#[tokio::test]
async fn docker_archives_that_lie_are_refused() {
    let layer = b"a layer".as_slice();
    let settings = config(&[sha256(layer)]);
    let good = format!("{}.json", sha256(&settings).hex());
    let lying = format!("{}.json", sha256(b"another").hex());
    let wrong = config(&[sha256(b"another")]);
    let two = config(&[sha256(layer), sha256(layer)]);
    let bomb = gzip(&vec![0; 8 << 20]);
    let home = Home::new();
    for (entries, reason) in [
        (vec![file("a", layer), file(&lying, &settings), listed(&lying, &["a"])], "is damaged"),
        (vec![file("a", layer), file("c", &wrong), listed("c", &["a"])], "a is damaged"),
        (vec![file("a", gzip(layer)), file("c", &wrong), listed("c", &["a"])], "a is damaged"),
        (vec![file("a", &bomb), file("c", &settings), listed("c", &["a"])], "a is damaged"),
        (vec![file("a", &bomb[..900]), file("c", &settings), listed("c", &["a"])], "a can't be"),
        (vec![file("a", layer), file("c", &two), listed("c", &["a"])], "describes 2 layers"),
        (vec![file(&good, &settings), listed(&good, &["a"])], "a is missing"),
        (vec![file("a", layer), listed("c", &["a"])], "c is missing"),
        (vec![file("a", layer), file("c", "["), listed("c", &["a"])], "c can't be read"),
        (vec![file("manifest.json", "{")], "manifest.json can't be read"),
        (vec![file("manifest.json", "[]")], "no image"),
        (vec![file("repositories", "{}")], "no image"),
        (
            vec![
                file("a", b"\x28\xb5\x2f\xfd and so on"),
                file("c", &settings),
                listed("c", &["a"]),
            ],
            "zstd",
        ),
        (
            vec![file("c", &settings), entry("a", b'2', "a", b""), listed("c", &["a"])],
            "a is missing",
        ),
        (vec![file("c", &settings), listed("c", &["../../etc/passwd"])], "is missing"),
        (vec![file("c", &settings), listed("c", &["/etc/passwd"])], "is missing"),
    ] {
        let error = refused(&home.write(&archive(&entries))).await.to_string();
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

fn oci(entries: &[(&str, &[u8])], index: &serde_json::Value) -> Vec<u8> {
    let mut files = vec![file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)];
    files.extend(
        entries
            .iter()
            .map(|(digest, content)| file(&format!("blobs/{}", digest.replace(':', "/")), content)),
    );
    files.push(file("index.json", serde_json::to_vec(index).unwrap()));
    archive(&files)
}

#[tokio::test]
async fn oci_layouts_that_lie_are_refused() {
    let layer = b"a layer".as_slice();
    let settings = config(&[sha256(layer)]);
    let descriptor = |content: &[u8], media_type: &str| json!({"mediaType": media_type, "digest": sha256(content).to_string(), "size": content.len()});
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": manifest_type,
        "config": descriptor(&settings, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(layer, "application/vnd.oci.image.layer.v1.tar")],
    });
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let index = |entry: serde_json::Value| json!({"schemaVersion": 2, "manifests": [entry]});
    let of_manifest = index(descriptor(&manifest, manifest_type));
    let text = |content: &[u8]| sha256(content).to_string();
    let (m, s, l) = (text(&manifest), text(&settings), text(layer));
    let index_type = "application/vnd.oci.image.index.v1+json";
    let child = json!({
        "schemaVersion": 2, "mediaType": index_type,
        "manifests": [{
            "mediaType": manifest_type, "digest": m, "size": 1,
            "platform": {"os": "linux", "architecture": "s390x"},
        }],
    });
    let child = serde_json::to_vec(&child).unwrap();
    let c = text(&child);
    let of_index = index(descriptor(&child, index_type));
    let home = Home::new();
    let whole = oci(&[(&m, &manifest), (&s, &settings), (&l, layer)], &of_manifest);
    read(&home.write(&whole), &registry_on(&memory())).await.unwrap();
    read(&home.write(&gzip(&whole)), &registry_on(&memory())).await.unwrap();

    let climbing = index(json!({"digest": "sha256:../../../x", "size": 1}));
    let other = json!({"schemaVersion": 2, "manifests": []});
    for (content, reason) in [
        (oci(&[(&m, &manifest), (&s, &settings), (&l, b"another")], &of_manifest), "is damaged"),
        (oci(&[(&m, b"{}"), (&s, &settings), (&l, layer)], &of_manifest), "is damaged"),
        (oci(&[(&m, &manifest), (&s, &settings)], &of_manifest), "is missing"),
        (oci(&[], &of_manifest), "is missing"),
        (oci(&[(&c, &child)], &of_index), "linux/s390x"),
        (oci(&[], &climbing), "index.json can't be read"),
        (oci(&[], &other), "no image"),
        (oci(&[], &json!([])), "index.json can't be read"),
    ] {
        let error = refused(&home.write(&content)).await.to_string();
        assert!(error.contains(reason), "{reason}: {error}");
    }
    let future = archive(&[
        file("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#),
        file("index.json", "{}"),
    ]);
    let error = refused(&home.write(&future)).await.to_string();
    assert!(error.contains("\"2.0.0\" is not known"), "{error}");

    // Under its digest of another kind.
    let long = Digest::of(Algorithm::Sha512, &manifest).to_string();
    let entry = json!({"mediaType": manifest_type, "digest": long, "size": 1});
    let content = oci(&[(&s, &settings), (&l, layer)], &index(entry));
    let error = refused(&home.write(&content)).await;
    assert!(matches!(error, ImageError::Missing { .. }), "{error}");
}

#[tokio::test]
async fn what_is_cut_off_is_refused() {
    let home = Home::new();
    let whole = archive(&[file("manifest.json", "[]")]);
    let error = refused(&home.write(&whole[..700])).await;
    assert!(matches!(error, ImageError::Tar(TarError::Truncated { .. })), "{error}");
    let packed = gzip(&whole);
    let error = refused(&home.write(&packed[..packed.len() - 9])).await;
    assert!(matches!(error, ImageError::Io { .. }), "{error}");
    let error = refused(&home.write(b"")).await;
    assert!(matches!(error, ImageError::Tar(TarError::Truncated { .. })), "{error}");
    let error = refused(&home.write(b"\x28\xb5\x2f\xfd")).await;
    assert!(matches!(error, ImageError::Compression { .. }), "{error}");
    let error = refused(&home.0.path().join("absent")).await;
    assert!(matches!(error, ImageError::Io { .. }), "{error}");
    let climbing = archive(&[file("../../x", "x")]);
    let error = refused(&home.write(&climbing)).await;
    assert!(matches!(error, ImageError::Tar(TarError::LeadsOut { .. })), "{error}");
}
