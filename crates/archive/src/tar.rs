//! Archives: written as plain as can be, and read with suspicion.
//!
//! Nothing of an archive is unpacked. It is read once for what lies where in it, and after that its
//! files are read where they lie.

mod header;
mod reader;
mod writer;

pub use reader::TarError;
pub(crate) use reader::TarIndex;
pub(crate) use writer::TarWriter;

/// Everything in an archive takes a multiple of this, in bytes.
const BLOCK_BYTES: usize = 512;

/// The longest path that fits a header, in bytes.
const NAME_BYTES: usize = 100;

fn padding(size_bytes: u64) -> u64 {
    size_bytes.wrapping_neg() % BLOCK_BYTES as u64
}
