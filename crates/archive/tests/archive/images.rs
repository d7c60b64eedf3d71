//! Images that are written to files and read from them.

use std::path::Path;

use archive::image::{
    Destination, ExportOptions, Format, ImportOptions, ImportReport, PlatformSelector, Source,
    export, import,
};
use archive::{ImageError, Meter};
use oci::{Digest, Reference};
use registry::Registry;

use crate::support::{
    LARGE_BYTES, fill, image, memory, name, pull_all, push_image, push_manifest, registry_on,
    sha256, tag,
};

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn as_format(format: Format) -> ExportOptions {
    ExportOptions { format, platform: None, name: None }
}

async fn write(
    registry: &Registry,
    image: (&str, &str),
    destination: &Destination,
    options: &ExportOptions,
) -> Result<archive::image::ExportReport, ImageError> {
    let (repository, tag) = (name(image.0), reference(image.1));
    export(registry, &repository, &tag, destination, options, &Meter::default()).await
}

pub(crate) async fn read_with(
    path: &Path,
    registry: &Registry,
    options: &ImportOptions,
) -> Result<ImportReport, ImageError> {
    let source = Source::open(path).await?;
    let tag = reference("imported");
    import(&source, registry, &name("new/place"), &tag, options, &Meter::default()).await
}

pub(crate) async fn read(path: &Path, registry: &Registry) -> Result<ImportReport, ImageError> {
    read_with(path, registry, &ImportOptions::default()).await
}

async fn digest(registry: &Registry, repository: &str, text: &str) -> Digest {
    registry.resolve_tag(&name(repository), &tag(text)).await.unwrap()
}

#[tokio::test]
async fn what_is_exported_as_oci_comes_back_the_same() {
    let source = memory();
    fill(&source).await;
    let registry = registry_on(&source);
    for (repository, text) in [("team/app", "v2"), ("multi/arch", "latest"), ("sha512", "long")] {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("layout");
        let archive = home.path().join("image.tar");
        for destination in
            [Destination::Directory(directory.clone()), Destination::Archive(archive.clone())]
        {
            let options = as_format(Format::Oci);
            let report = write(&registry, (repository, text), &destination, &options).await;
            let report = report.unwrap();
            assert!(report.missing.is_empty(), "{report:?}");
            let path = match &destination {
                Destination::Directory(path) | Destination::Archive(path) => path,
                Destination::Open(_) => unreachable!(),
            };
            let target = memory();
            let imported = read(path, &registry_on(&target)).await.unwrap();
            assert_eq!((imported.format, imported.manifests), ("oci", report.manifests));
            assert_eq!(imported.pushed_blobs, report.blobs, "{report:?}");
            pull_all(&target).await;
            let there = digest(&registry_on(&target), "new/place", "imported").await;
            let here = digest(&registry, repository, text).await;
            // A tag always names the SHA-256; by digest it comes back as it was.
            let stored = registry.get_manifest(&name(repository), &reference(text)).await.unwrap();
            assert_eq!(there, sha256(&stored.content));
            assert_eq!(report.digest, here.to_string());
            // Once more: there is nothing to push.
            let again = read(path, &registry_on(&target)).await.unwrap();
            assert_eq!((again.pushed_blobs, again.there_blobs), (0, imported.pushed_blobs));
        }
        // The same bytes, whenever it is written.
        let second = home.path().join("second.tar");
        let destination = Destination::Archive(second.clone());
        write(&registry, (repository, text), &destination, &as_format(Format::Oci)).await.unwrap();
        assert_eq!(std::fs::read(archive).unwrap(), std::fs::read(second).unwrap());
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 3);
        let mut names: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["blobs", "index.json", "oci-layout"]);
    }
}

#[tokio::test]
async fn a_docker_archive_comes_back_with_its_content() {
    let source = memory();
    fill(&source).await;
    let registry = registry_on(&source);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("image.tar");
    let options = as_format(Format::DockerArchive);
    let destination = Destination::Archive(path.clone());
    let report = write(&registry, ("team/app", "v2"), &destination, &options).await.unwrap();
    assert_eq!((report.manifests, report.blobs), (1, 3));
    assert!(report.bytes > LARGE_BYTES as u64);

    let target = memory();
    let imported = read(&path, &registry_on(&target)).await.unwrap();
    assert_eq!((imported.format, imported.pushed_blobs), ("docker-archive", 3));
    pull_all(&target).await;
    let registry_there = registry_on(&target);
    let stored = registry_there.get_manifest(&name("new/place"), &reference("imported")).await;
    let stored = stored.unwrap();
    assert!(stored.media_type.is_docker());
    let manifest: serde_json::Value = serde_json::from_slice(&stored.content).unwrap();
    assert_eq!(manifest["layers"][0]["digest"], sha256(b"shared").to_string());
    let plain = "application/vnd.docker.image.rootfs.diff.tar";
    assert_eq!(manifest["layers"][0]["mediaType"], plain);
    // The same archive makes the same image.
    let other = memory();
    assert_eq!(read(&path, &registry_on(&other)).await.unwrap().digest, imported.digest);

    let error = write(&registry, ("team/app", "v2"), &destination, &options).await.unwrap_err();
    assert!(matches!(error, ImageError::Exists { .. }), "{error}");
}

#[tokio::test]
async fn a_platform_is_chosen() {
    let source = memory();
    fill(&source).await;
    let registry = registry_on(&source);
    let home = tempfile::tempdir().unwrap();
    let at = |file: &str| home.path().join(file);
    let latest = ("multi/arch", "latest");
    let options = as_format(Format::DockerArchive);
    let destination = Destination::Archive(at("a.tar"));
    let error = write(&registry, latest, &destination, &options).await.unwrap_err();
    assert!(error.to_string().contains("linux/amd64, linux/arm64"), "{error}");
    assert!(!at("a.tar").exists());

    let arm = PlatformSelector::parse("linux/arm64");
    let options = ExportOptions { platform: arm.clone(), ..as_format(Format::DockerArchive) };
    let report = write(&registry, latest, &Destination::Archive(at("b.tar")), &options).await;
    let expected = digest(&registry, "multi/arch", "arm").await;
    assert_eq!(report.unwrap().digest, expected.to_string());

    let none = PlatformSelector::parse("plan9/mips");
    let options = ExportOptions { platform: none, ..as_format(Format::Oci) };
    for image in [latest, ("multi/arch", "arm")] {
        let error = write(&registry, image, &Destination::Directory(at("c")), &options).await;
        assert!(matches!(error, Err(ImageError::NoPlatform { .. })), "{error:?}");
    }
    assert!(!at("c").exists());
    let home_itself = Destination::Directory(home.path().to_owned());
    let error = write(&registry, latest, &home_itself, &as_format(Format::Oci)).await;
    assert!(matches!(error, Err(ImageError::Exists { .. })), "{error:?}");

    // All of it, and then one out of it.
    let directory = Destination::Directory(at("d"));
    write(&registry, latest, &directory, &as_format(Format::Oci)).await.unwrap();
    let target = memory();
    let options = ImportOptions { platform: arm, ..ImportOptions::default() };
    let imported = read_with(&at("d"), &registry_on(&target), &options).await.unwrap();
    assert_eq!(imported.digest, expected.to_string());
    assert_eq!(imported.manifests, 1);
}

#[tokio::test]
async fn a_layout_holds_several_images() {
    let source = memory();
    fill(&source).await;
    let registry = registry_on(&source);
    let home = tempfile::tempdir().unwrap();
    let directory = Destination::Directory(home.path().join("layout"));
    for text in ["v1", "v2", "v1"] {
        let options = as_format(Format::Oci);
        write(&registry, ("team/app", text), &directory, &options).await.unwrap();
    }
    let path = home.path().join("layout");
    let target = memory();
    let error = read(&path, &registry_on(&target)).await.unwrap_err();
    assert!(error.to_string().ends_with("--image: v2, v1"), "{error}");
    let choose = |image: &str| ImportOptions { image: Some(image.into()), platform: None };
    let error = read_with(&path, &registry_on(&target), &choose("v3")).await.unwrap_err();
    assert!(matches!(error, ImageError::NoImage { .. }), "{error}");
    let two = digest(&registry, "team/app", "v2").await.to_string();
    for wanted in ["v2", &two] {
        let imported = read_with(&path, &registry_on(&target), &choose(wanted)).await.unwrap();
        assert_eq!(imported.digest, two);
    }
}

#[tokio::test]
async fn what_is_damaged_at_the_registry_is_not_exported() {
    let source = memory();
    fill(&source).await;
    let data = registry::layout::blob_data(&sha256(b"one"));
    source.put(&data, "eno".into()).await.unwrap();
    let registry = registry_on(&source);
    let home = tempfile::tempdir().unwrap();
    for (file, format) in [("a.tar", Format::Oci), ("b.tar", Format::DockerArchive)] {
        let destination = Destination::Archive(home.path().join(file));
        let error = write(&registry, ("team/app", "v1"), &destination, &as_format(format)).await;
        assert!(matches!(error, Err(ImageError::Corrupt { .. })), "{error:?}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    let directory = home.path().join("layout");
    let destination = Destination::Directory(directory.clone());
    let error = write(&registry, ("team/app", "v1"), &destination, &as_format(Format::Oci)).await;
    assert!(matches!(error, Err(ImageError::Corrupt { .. })), "{error:?}");
    assert!(!directory.join("index.json").exists());
}

#[tokio::test]
async fn what_is_no_image_fits_no_docker_archive() {
    let source = memory();
    let registry = registry_on(&source);
    let mut artifact = image(&registry, "a", &[b"x"], oci::Algorithm::Sha256).await;
    let config = crate::support::push_blob(&registry, "a", b"{}", oci::Algorithm::Sha256).await;
    artifact["config"]["digest"] = config.to_string().into();
    push_manifest(&registry, "a", "latest", &artifact).await;
    push_image(&registry, "a", "image", &[b"x"]).await;
    let home = tempfile::tempdir().unwrap();
    let destination = Destination::Archive(home.path().join("a.tar"));
    let options = as_format(Format::DockerArchive);
    let error = write(&registry, ("a", "latest"), &destination, &options).await.unwrap_err();
    assert!(matches!(error, ImageError::NotAnImage { .. }), "{error}");
    let error = write(&registry, ("a", "none"), &destination, &options).await.unwrap_err();
    assert!(matches!(error, ImageError::Registry(_)), "{error}");
}
