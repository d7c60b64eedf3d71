//! An archive that is written. The same content makes the same bytes, whenever it is written.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{BLOCK_BYTES, NAME_BYTES, padding};

/// Where an archive goes.
pub(crate) type Output = Box<dyn AsyncWrite + Send + Unpin>;

pub(crate) struct TarWriter {
    output: Output,
    /// What the present file lacks, in bytes.
    missing: u64,
    padding: u64,
}

impl TarWriter {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, missing: 0, padding: 0 }
    }

    /// Begins a file, whose bytes have to follow.
    pub(crate) async fn begin(&mut self, path: &str, size_bytes: u64) -> io::Result<()> {
        if path.len() > NAME_BYTES {
            let name = [path.as_bytes(), b"\0"].concat();
            let length = name.len() as u64;
            self.output.write_all(&header(b"././@LongLink", b'L', length)).await?;
            self.output.write_all(&name).await?;
            self.pad(padding(length)).await?;
        }
        let cut = &path.as_bytes()[..path.len().min(NAME_BYTES)];
        self.output.write_all(&header(cut, b'0', size_bytes)).await?;
        (self.missing, self.padding) = (size_bytes, padding(size_bytes));
        Ok(())
    }

    /// More bytes of the file that was begun.
    pub(crate) async fn write(&mut self, content: &[u8]) -> io::Result<()> {
        let left = self.missing.checked_sub(content.len() as u64);
        self.missing = left.ok_or_else(|| io::Error::other("the file is longer than it was"))?;
        self.output.write_all(content).await
    }

    /// Ends the file that was begun.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        if self.missing > 0 {
            return Err(io::Error::other("the file is shorter than it was"));
        }
        self.pad(self.padding).await
    }

    /// A whole file.
    pub(crate) async fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.begin(path, content.len() as u64).await?;
        self.write(content).await?;
        self.end().await
    }

    /// Ends the archive.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.pad(2 * BLOCK_BYTES as u64).await?;
        self.output.flush().await
    }

    async fn pad(&mut self, bytes: u64) -> io::Result<()> {
        const ZEROS: [u8; 2 * BLOCK_BYTES] = [0; 2 * BLOCK_BYTES];
        self.output.write_all(&ZEROS[..usize::try_from(bytes).unwrap_or_default()]).await
    }
}

/// A GNU header, as other sizes than POSIX's have a place in it.
fn header(name: &[u8], kind: u8, size_bytes: u64) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    block[..name.len()].copy_from_slice(name);
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    if size_bytes < 1 << 33 {
        block[124..135].copy_from_slice(format!("{size_bytes:011o}").as_bytes());
    } else {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size_bytes.to_be_bytes());
    }
    block[136..147].copy_from_slice(b"00000000000");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar  \0");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::super::header::{Kind, parse};
    use super::super::reader::TarIndex;
    use super::*;

    #[test]
    fn large_sizes_have_a_place() {
        for size in [0, 1, (1 << 33) - 1, 1 << 33, 1 << 50] {
            let parsed = parse(&header(b"a", b'0', size)).unwrap().unwrap();
            assert_eq!((parsed.size_bytes, parsed.kind), (size, Kind::File));
        }
    }

    #[tokio::test]
    async fn what_is_written_can_be_read() {
        let file = tempfile::tempfile().unwrap();
        let output = tokio::fs::File::from_std(file.try_clone().unwrap());
        let mut writer = TarWriter::new(Box::new(output));
        let long = "blobs/sha512/".to_owned() + &"0".repeat(128);
        for (path, content) in [("a", &b"content"[..]), (&long, &[7; 512]), ("empty", b"")] {
            writer.file(path, content).await.unwrap();
        }
        writer.begin("short", 3).await.unwrap();
        writer.write(b"12").await.unwrap();
        assert!(writer.end().await.is_err());
        assert!(writer.write(b"34").await.is_err());
        writer.write(b"3").await.unwrap();
        writer.end().await.unwrap();
        writer.finish().await.unwrap();
        let index = TarIndex::read(file).unwrap();
        for (path, size) in [("a", 7), (&*long, 512), ("empty", 0), ("short", 3)] {
            assert_eq!(index.find(path).unwrap().1, size, "{path}");
        }
    }
}
