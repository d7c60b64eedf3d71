//! The binary, and registries for it to work on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use oci::{Algorithm, Digest, MediaType, Reference, RepositoryName};
use registry::{Chunk, ManifestPush, Options, Registry};
use storage::filesystem::{Filesystem, FilesystemOptions};

/// The binary in a directory, without the variables of whoever runs the tests.
pub(crate) fn wharf(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command: exit code, standard output and standard error.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Writes a configuration whose data lies in `root`, and `more` of its storage.
pub(crate) fn configure(directory: &Path, file: &str, root: &str, more: &str) {
    let config =
        format!("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}\n{more}");
    std::fs::write(directory.join(file), config).unwrap();
}

/// Does something with the registry that lies at `root`.
pub(crate) fn with_registry<T>(root: &Path, work: impl AsyncFnOnce(Registry) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let driver = Filesystem::open(FilesystemOptions::new(root)).unwrap();
    runtime.block_on(work(Registry::new(Arc::new(driver), Options::default())))
}

pub(crate) fn digest(content: &str) -> Digest {
    Digest::of(Algorithm::Sha256, content.as_bytes())
}

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) async fn push_blob(registry: &Registry, repository: &str, content: &str) {
    let body = Box::pin(futures_util::stream::iter([Ok(content.to_owned().into())]));
    let chunk = Chunk { body, content_length: None, ..Chunk::empty() };
    registry.put_blob(&name(repository), &digest(content), chunk).await.unwrap();
}

/// Pushes an OCI image manifest under a tag.
pub(crate) async fn push_manifest(
    registry: &Registry,
    repository: &str,
    tag: &str,
    content: String,
) {
    let push = ManifestPush {
        reference: Reference::parse(tag).unwrap(),
        tags: Vec::new(),
        media_type: MediaType::OciManifest,
        content: content.into(),
    };
    registry.put_manifest(&name(repository), push).await.unwrap();
}

/// Pushes an image to "some/image", as what `configure` says has it; returns the digest of its one
/// blob.
pub(crate) fn push_image(root: &Path) -> Digest {
    with_registry(root, async |registry| {
        push_blob(&registry, "some/image", "a layer").await;
        let layer = digest("a layer");
        let descriptor =
            format!(r#"{{"mediaType":"application/test","digest":"{layer}","size":7}}"#);
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{descriptor},"layers":[]}}"#,
            MediaType::OciManifest.as_str()
        );
        push_manifest(&registry, "some/image", "latest", manifest).await;
        layer
    })
}
