//! Input that can't be read where it lies: what comes by a pipe, and what is compressed as a whole.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;

use flate2::read::MultiGzDecoder;

use super::ImageError;
use crate::limits::SPOOLED_BYTES_MAX;

pub(super) const GZIP: &[u8] = &[0x1f, 0x8b];
pub(super) const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A file that can be read at any place and is not compressed. Blocks on the disk.
pub(super) fn plain(input: File, name: &str) -> Result<File, ImageError> {
    let is_regular = input.metadata().map_err(ImageError::io(name))?.is_file();
    let mut file = if is_regular { input } else { spool(input, name)? };
    let mut magic = [0; 4];
    let mut read = 0;
    while read < magic.len() {
        let more = file.read_at(&mut magic[read..], read as u64).map_err(ImageError::io(name))?;
        if more == 0 {
            break;
        }
        read += more;
    }
    if magic.starts_with(ZSTD) {
        return Err(ImageError::Compression { path: name.into() });
    }
    if !magic.starts_with(GZIP) {
        return Ok(file);
    }
    file.rewind().map_err(ImageError::io(name))?;
    spool(MultiGzDecoder::new(io::BufReader::new(file)), name)
}

/// Lays content down in a file that has no name.
fn spool(input: impl Read, name: &str) -> Result<File, ImageError> {
    let temporary = std::env::temp_dir();
    let temporary = temporary.display();
    let mut file = tempfile::tempfile().map_err(ImageError::io(&temporary))?;
    let mut input = input.take(SPOOLED_BYTES_MAX + 1);
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ImageError::io(name)(error)),
        };
        total += read as u64;
        if total > SPOOLED_BYTES_MAX {
            return Err(ImageError::TooLarge { limit_bytes: SPOOLED_BYTES_MAX });
        }
        file.write_all(&buffer[..read]).map_err(ImageError::io(&temporary))?;
    }
    Ok(file)
}
