//! One part of an outbox: a file that is only ever appended to, or records in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits::READ_AHEAD_BYTES;
use crate::record::{self, Parsed, Record};

/// The start of every file, with the version of what follows.
const FILE_HEADER: [u8; 16] = *b"wharf outbox  1\n";

/// The part of it that is the same in every version.
const FILE_KIND_BYTES: usize = 12;

/// Consecutive records.
#[derive(Debug)]
pub(super) struct Segment {
    /// The sequence number that the first record has, or will have.
    pub(super) first: u64,
    /// The sequence number behind the last record.
    pub(super) end: u64,
    /// Bytes of the file that hold whole records (and the header).
    pub(super) size_bytes: u64,
    /// Records in it.
    pub(super) events: u64,
    /// For each endpoint, how many of the records it still has to get.
    pub(super) wanted: Vec<u64>,
    pub(super) content: Content,
}

impl Segment {
    /// Whether nothing is behind a reader's offset.
    pub(super) fn is_end(&self, offset: u64) -> bool {
        match &self.content {
            Content::File(_) => offset.max(SegmentFile::start_bytes()) >= self.size_bytes,
            Content::Memory(records) => offset >= records.len() as u64,
        }
    }
}

/// Where the records are.
#[derive(Debug)]
pub(super) enum Content {
    File(Arc<SegmentFile>),
    Memory(Vec<(u64, Record)>),
}

/// The file of a segment.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) path: PathBuf,
    file: File,
}

/// What a file turned out to hold when it was opened.
pub(super) enum Opened {
    /// An outbox's segment.
    Segment(SegmentFile),
    /// A file whose creation was cut short, or whose start is damaged.
    Unusable,
    /// A segment of another version.
    OtherVersion,
}

impl SegmentFile {
    /// Makes a new file. Its name is durable once its directory has been synced.
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path)?;
        if let Err(error) = file.write_all_at(&FILE_HEADER, 0) {
            // On a full disk there would be one more with each try.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { path, file })
    }

    pub(super) fn open(path: &Path) -> io::Result<Opened> {
        let file = File::options().read(true).write(true).open(path)?;
        let mut header = [0; FILE_HEADER.len()];
        match file.read_exact_at(&mut header, 0) {
            Ok(()) if header == FILE_HEADER => {
                Ok(Opened::Segment(Self { path: path.to_owned(), file }))
            }
            Ok(()) if header[..FILE_KIND_BYTES] == FILE_HEADER[..FILE_KIND_BYTES] => {
                Ok(Opened::OtherVersion)
            }
            Ok(()) => Ok(Opened::Unusable),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Opened::Unusable),
            Err(error) => Err(error),
        }
    }

    /// Where the first record begins.
    pub(super) const fn start_bytes() -> u64 {
        FILE_HEADER.len() as u64
    }

    pub(super) fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Writes at an offset, and waits for the disk if that is asked for.
    pub(super) fn append(&self, bytes: &[u8], offset: u64, sync: bool) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        if sync { self.file.sync_data() } else { Ok(()) }
    }

    /// Cuts off what is behind an offset.
    pub(super) fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        self.file.set_len(size_bytes)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Reads some of the records between `offset`, which is moved on, and `end`.
    pub(super) fn read(&self, offset: &mut u64, end: u64) -> io::Result<Vec<(u64, Record)>> {
        let near = end.min(offset.saturating_add(READ_AHEAD_BYTES));
        let found = self.read_until(offset, near, false)?;
        if !found.is_empty() || *offset >= end {
            return Ok(found);
        }
        // One large record, or a damaged one.
        self.read_until(offset, end, true)
    }

    /// Reads the records up to `end`. What is not a record there is passed over if `is_whole`, as
    /// no more bytes can come.
    fn read_until(
        &self,
        offset: &mut u64,
        end: u64,
        is_whole: bool,
    ) -> io::Result<Vec<(u64, Record)>> {
        let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let mut bytes = vec![0; usize::try_from(end.saturating_sub(*offset)).map_err(too_large)?];
        self.file.read_exact_at(&mut bytes, *offset)?;
        let mut found = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let passed = match record::parse(rest) {
                Parsed::Frame { sequence, record, size_bytes } => {
                    found.push((sequence, record));
                    size_bytes
                }
                _ if !is_whole => break,
                _ => {
                    let passed = record::next_frame(rest).unwrap_or(rest.len());
                    tracing::error!(
                        path = %self.path.display(), offset, size_bytes = passed,
                        "the outbox is damaged: events were lost"
                    );
                    passed
                }
            };
            *offset += passed as u64;
            rest = &rest[passed..];
        }
        Ok(found)
    }

    /// Every whole record of a file that was opened, and where the last of them ends. Bytes behind
    /// it were never acknowledged, or are damaged.
    pub(super) fn scan(&self, mut each: impl FnMut(u64, Record)) -> io::Result<u64> {
        let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let len = usize::try_from(self.len_bytes()?).map_err(too_large)?;
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, 0)?;
        let mut at = FILE_HEADER.len();
        let mut end = at;
        while at < len {
            match record::parse(&bytes[at..]) {
                Parsed::Frame { sequence, record, size_bytes } => {
                    each(sequence, record);
                    at += size_bytes;
                    end = at;
                }
                Parsed::Incomplete | Parsed::Damaged => {
                    let Some(passed) = record::next_frame(&bytes[at..]) else { break };
                    at += passed;
                }
            }
        }
        Ok(end as u64)
    }
}
