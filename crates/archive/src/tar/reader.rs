//! What lies where in an archive.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::header::{Header, Kind, parse, records};
use super::{BLOCK_BYTES, padding};
use crate::limits::{TAR_ENTRIES_MAX, TAR_HEADER_BYTES_MAX, TAR_LINKS_MAX};

/// Why an archive can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// It ends too early.
    #[error("the archive is cut off: it ends at byte {at_bytes} without the mark of its end")]
    Truncated {
        /// Where it ends, in bytes.
        at_bytes: u64,
    },
    /// It is none, or a damaged one.
    #[error("the entry at byte {at_bytes} of the archive can't be read: {reason}")]
    Malformed {
        /// Where the entry begins, in bytes.
        at_bytes: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A path in it leads out of it.
    #[error("the archive has a file {path:?}, which leads out of it")]
    LeadsOut {
        /// The path.
        path: String,
    },
    /// It has too many entries.
    #[error("the archive has more than {TAR_ENTRIES_MAX} entries: it is no image")]
    TooMany,
    /// The file can't be read.
    #[error("the archive can't be read: {0}")]
    Io(#[from] io::Error),
}

/// A file within an archive, or what leads to one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File { offset: u64, size_bytes: u64 },
    Link { to: String },
}

/// The files of an archive by their paths.
#[derive(Debug)]
pub(crate) struct TarIndex {
    file: File,
    entries: HashMap<String, Entry>,
}

/// What headers say about the entry behind them.
#[derive(Default)]
struct Overrides {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size_bytes: Option<u64>,
}

impl TarIndex {
    /// Reads the headers of an archive. Blocks on the disk.
    pub(crate) fn read(file: File) -> Result<Self, TarError> {
        let length = file.metadata()?.len();
        let mut index = Self { file, entries: HashMap::new() };
        let (mut at, mut seen) = (0, 0);
        let mut overrides = Overrides::default();
        loop {
            if at + BLOCK_BYTES as u64 > length {
                return Err(TarError::Truncated { at_bytes: length });
            }
            let mut block = [0; BLOCK_BYTES];
            index.file.read_exact_at(&mut block, at)?;
            let malformed = |reason| TarError::Malformed { at_bytes: at, reason };
            let Some(header) = parse(&block).map_err(malformed)? else { return Ok(index) };
            seen += 1;
            if seen > TAR_ENTRIES_MAX {
                return Err(TarError::TooMany);
            }
            let offset = at + BLOCK_BYTES as u64;
            let size_bytes = content_size(&header, &overrides);
            let end = offset.checked_add(size_bytes);
            let end = end.and_then(|end| end.checked_add(padding(size_bytes)));
            let Some(end) = end.filter(|end| *end <= length) else {
                return Err(TarError::Truncated { at_bytes: length });
            };
            index.take(header, &mut overrides, offset, size_bytes).map_err(
                |fault| match fault {
                    Fault::Malformed(reason) => malformed(reason),
                    Fault::Other(error) => error,
                },
            )?;
            at = end;
        }
    }

    fn take(
        &mut self,
        header: Header,
        overrides: &mut Overrides,
        offset: u64,
        size_bytes: u64,
    ) -> Result<(), Fault> {
        let content = |index: &Self| index.small(offset, size_bytes);
        match header.kind {
            Kind::LongName => overrides.name = Some(until_zero(content(self)?)),
            Kind::LongLink => overrides.link = Some(until_zero(content(self)?)),
            Kind::Records => {
                for (key, value) in records(&content(self)?).map_err(Fault::Malformed)? {
                    match key {
                        b"path" => overrides.name = Some(value.to_vec()),
                        b"linkpath" => overrides.link = Some(value.to_vec()),
                        b"size" => {
                            let size = std::str::from_utf8(value).ok().and_then(|t| t.parse().ok());
                            let fault = Fault::Malformed("its size is no number");
                            overrides.size_bytes = Some(size.ok_or(fault)?);
                        }
                        _ => {}
                    }
                }
            }
            Kind::GlobalRecords => {}
            Kind::File | Kind::HardLink | Kind::SymbolicLink | Kind::Directory | Kind::Other => {
                let overrides = std::mem::take(overrides);
                let name = overrides.name.unwrap_or(header.name);
                let path = normalised("", &name)?;
                let link = overrides.link.unwrap_or(header.link);
                let entry = match header.kind {
                    Kind::File => Entry::File { offset, size_bytes },
                    Kind::HardLink => Entry::Link { to: normalised("", &link)? },
                    Kind::SymbolicLink => {
                        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
                        let directory = if link.starts_with(b"/") { "" } else { above };
                        // One that leads out leads nowhere.
                        let Ok(to) = normalised(directory, &link) else { return Ok(()) };
                        Entry::Link { to }
                    }
                    _ => return Ok(()),
                };
                // As for whoever unpacks it, the last one counts.
                self.entries.insert(path, entry);
            }
        }
        Ok(())
    }

    /// The content of a header.
    fn small(&self, offset: u64, size_bytes: u64) -> Result<Vec<u8>, Fault> {
        if size_bytes > TAR_HEADER_BYTES_MAX {
            return Err(Fault::Malformed("its path or extended header is too long"));
        }
        let mut content = vec![0; usize::try_from(size_bytes).unwrap_or_default()];
        self.file.read_exact_at(&mut content, offset).map_err(|e| Fault::Other(e.into()))?;
        Ok(content)
    }

    /// Where a file lies, and its size: both in bytes. Links are followed within the archive.
    pub(crate) fn find(&self, path: &str) -> Option<(u64, u64)> {
        let mut path = normalised("", path.as_bytes()).ok()?;
        for _ in 0..TAR_LINKS_MAX {
            match self.entries.get(&path)? {
                Entry::File { offset, size_bytes } => return Some((*offset, *size_bytes)),
                Entry::Link { to } => path.clone_from(to),
            }
        }
        None
    }

    /// Reads what lies somewhere. Blocks on the disk.
    pub(crate) fn read_at(&self, offset: u64, size_bytes: usize) -> io::Result<Vec<u8>> {
        let mut content = vec![0; size_bytes];
        self.file.read_exact_at(&mut content, offset)?;
        Ok(content)
    }
}

enum Fault {
    Malformed(&'static str),
    Other(TarError),
}

impl From<TarError> for Fault {
    fn from(error: TarError) -> Self {
        Self::Other(error)
    }
}

/// How much lies behind a header. Links and directories have nothing, whatever they say.
fn content_size(header: &Header, overrides: &Overrides) -> u64 {
    match header.kind {
        Kind::HardLink | Kind::SymbolicLink | Kind::Directory => 0,
        Kind::File | Kind::Other => overrides.size_bytes.unwrap_or(header.size_bytes),
        // What overrides is not overridden.
        _ => header.size_bytes,
    }
}

fn until_zero(content: Vec<u8>) -> Vec<u8> {
    content.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// A path without `.`, `..` and slashes too many, seen from a directory.
fn normalised(directory: &str, path: &[u8]) -> Result<String, TarError> {
    let text = String::from_utf8_lossy(path);
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    let path = text.chars().take(200).collect();
                    return Err(TarError::LeadsOut { path });
                }
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests;
