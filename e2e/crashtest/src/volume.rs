//! A walk over the volume while no server runs: nothing half-written lies under a final name.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use oci::{Algorithm, Digest};

use crate::report::{Report, count};

const LINK_BYTES_MAX: u64 = 4096;
const PIECE_BYTES: usize = 256 << 10;

/// The checks of one volume, which remember the blobs that were found whole.
#[derive(Debug)]
pub(crate) struct Volume {
    root: PathBuf,
    whole: HashSet<PathBuf>,
    /// What the last walk found that a kill leaves behind.
    left: Left,
}

#[derive(Debug, Default)]
struct Left {
    temporary_files: u64,
    upload_directories: u64,
}

impl Volume {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, whole: HashSet::new(), left: Left::default() }
    }

    /// Checks every file once more, also blobs that were found whole before.
    pub(crate) fn last_walk(&mut self, report: &Report, when: &str) -> io::Result<()> {
        self.whole.clear();
        self.walk(report, when)?;
        count(&report.counters.temporary_files, self.left.temporary_files);
        count(&report.counters.upload_directories, self.left.upload_directories);
        Ok(())
    }

    /// Checks every file.
    pub(crate) fn walk(&mut self, report: &Report, when: &str) -> io::Result<()> {
        self.left = Left::default();
        let mut directories = vec![self.root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                let path = entry.path();
                if !entry.file_type()?.is_dir() {
                    count(&report.counters.walked_files, 1);
                    if let Err(text) = self.file(report, &path)? {
                        let path = path.strip_prefix(&self.root).unwrap_or(&path);
                        report.violation(format!("{when}: {}: {text}", path.display()));
                    }
                    continue;
                }
                if directory.file_name().is_some_and(|name| name == "_uploads") {
                    self.left.upload_directories += 1;
                }
                directories.push(path);
            }
        }
        Ok(())
    }

    fn file(&mut self, report: &Report, path: &Path) -> io::Result<Result<(), String>> {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        let text = relative.to_string_lossy().into_owned();
        let parts: Vec<&str> = text.split('/').collect();
        if text.ends_with(".tmp") {
            self.left.temporary_files += 1;
            return Ok(Ok(()));
        }
        match &parts[..] {
            ["docker", "registry", "v2", "blobs", algorithm, prefix, hex, "data"] => {
                if self.whole.contains(path) {
                    return Ok(Ok(()));
                }
                let checked = check_blob(report, path, algorithm, prefix, hex)?;
                if checked.is_ok() {
                    self.whole.insert(path.to_owned());
                }
                Ok(checked)
            }
            ["docker", "registry", "v2", "repositories", rest @ ..] => {
                self.repository_file(path, rest)
            }
            ["wharf", "v1", "aliases", algorithm, _, hex, "link"] => {
                self.link(path, &Target::Alias(algorithm, hex))
            }
            // Notes and pins, which may be lost or torn.
            ["wharf", "v1", "servers", _] | ["wharf", "v1", "collection", ..] => Ok(Ok(())),
            _ => Ok(Err("a file that the layout does not have".to_owned())),
        }
    }

    /// A file below the directory of a repository, whose name has any number of parts.
    fn repository_file(&self, path: &Path, rest: &[&str]) -> io::Result<Result<(), String>> {
        let Some(at) = rest.iter().position(|part| part.starts_with('_')) else {
            return Ok(Err("a file in no directory of a repository".to_owned()));
        };
        let repository = rest[..at].join("/");
        match &rest[at..] {
            ["_layers", algorithm, hex, "link"]
            | ["_manifests", "revisions", algorithm, hex, "link"] => {
                self.link(path, &Target::Alias(algorithm, hex))
            }
            ["_manifests", "tags", _, "index", algorithm, hex, "link"] => {
                self.link(path, &Target::Alias(algorithm, hex))
            }
            ["_manifests", "tags", _, "current", "link"] => {
                self.link(path, &Target::Manifest(&repository))
            }
            ["_uploads", _, "data" | "startedat" | "midstate"]
            | ["_uploads", _, "hashstates", ..] => Ok(Ok(())),
            _ => Ok(Err("a file that the layout does not have".to_owned())),
        }
    }

    /// A link is a digest and nothing else, and what it names is there.
    fn link(&self, path: &Path, target: &Target<'_>) -> io::Result<Result<(), String>> {
        let mut text = String::new();
        if File::open(path)?.take(LINK_BYTES_MAX).read_to_string(&mut text).is_err() {
            return Ok(Err("a link that is no text".to_owned()));
        }
        let Ok(digest) = Digest::parse(&text) else {
            return Ok(Err(format!("a link of {} bytes that is no digest: {text:?}", text.len())));
        };
        let hex = digest.hex();
        let data =
            format!("docker/registry/v2/blobs/{}/{}/{hex}/data", digest.algorithm(), &hex[..2]);
        if !self.root.join(&data).exists() {
            return Ok(Err(format!("a link to {digest}, which is not there")));
        }
        match target {
            Target::Alias("sha256", wanted) if *wanted != hex => {
                Ok(Err(format!("a link to {digest} under the name of {wanted}")))
            }
            Target::Manifest(repository) => {
                let revision = format!(
                    "docker/registry/v2/repositories/{repository}/_manifests/revisions/{}/{hex}/link",
                    digest.algorithm()
                );
                let there = self.root.join(revision).exists();
                Ok(if there {
                    Ok(())
                } else {
                    Err(format!("a tag of {digest}, which is not in the repository"))
                })
            }
            Target::Alias(..) => Ok(Ok(())),
        }
    }
}

/// What a link must name.
#[derive(Debug)]
enum Target<'a> {
    /// The blob of this algorithm and hash; under another algorithm than the canonical, any blob.
    Alias(&'a str, &'a str),
    /// A manifest of this repository.
    Manifest(&'a str),
}

fn check_blob(
    report: &Report,
    path: &Path,
    algorithm: &str,
    prefix: &str,
    hex: &str,
) -> io::Result<Result<(), String>> {
    let named = Algorithm::from_name(algorithm).map(|a| (a, Digest::from_hex(a, hex)));
    let Some((algorithm, Ok(digest))) = named else {
        return Ok(Err("a blob whose path is no digest".to_owned()));
    };
    if !hex.starts_with(prefix) {
        return Ok(Err(format!("a blob below the wrong prefix {prefix}")));
    }
    let mut file = File::open(path)?;
    let (mut hasher, mut piece, mut size_bytes) = (algorithm.hasher(), vec![0; PIECE_BYTES], 0);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        hasher.update(&piece[..read]);
        size_bytes += read as u64;
    }
    count(&report.counters.walked_bytes, size_bytes);
    let actual = hasher.finish();
    Ok(if actual == digest {
        Ok(())
    } else {
        Err(format!("{size_bytes} bytes with the digest {actual}"))
    })
}
