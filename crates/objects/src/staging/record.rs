//! The record of an unfinished upload: all that another replica needs to go on with it, in one
//! object, so that it is replaced as a whole.
//!
//! A line of JSON, and behind it the tail: bytes that are too few for a part.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The version of the format that is written here.
const VERSION: u32 = 1;

/// An upload in parts that was begun at the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Multipart {
    /// Where it is going to be an object.
    pub(crate) key: String,
    /// What the store calls it.
    pub(crate) id: String,
    /// What it has, in order.
    pub(crate) parts: Vec<Part>,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// What the store calls it.
    pub(crate) id: String,
    /// Its size, in bytes.
    pub(crate) size_bytes: u64,
}

/// What an unfinished file consists of, but for the tail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    version: u32,
    /// The object at the file's own key that holds its beginning, in bytes; the parts of what
    /// came after it follow. Zero when there is none.
    #[serde(default)]
    pub(crate) base_bytes: u64,
    /// The parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) multipart: Option<Multipart>,
    /// How many bytes follow the line.
    pub(crate) tail_bytes: u64,
    /// Drawn anew for each record that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<String>,
}

impl Head {
    pub(crate) fn new(base_bytes: u64, multipart: Option<Multipart>, tail_bytes: u64) -> Self {
        Self { version: VERSION, base_bytes, multipart, tail_bytes, generation: None }
    }

    /// The same as the record of this generation.
    pub(crate) fn of(mut self, generation: Uuid) -> Self {
        self.generation = Some(generation.to_string());
        self
    }

    /// The record's generation. One that has none, as earlier versions wrote them, is taken for
    /// another one each time.
    pub(crate) fn generation(&self) -> Uuid {
        let text = self.generation.as_deref();
        text.and_then(|text| Uuid::parse_str(text).ok()).unwrap_or_else(Uuid::new_v4)
    }

    /// All bytes of the file.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.base_bytes + self.parts_bytes() + self.tail_bytes
    }

    /// The bytes of the parts.
    pub(crate) fn parts_bytes(&self) -> u64 {
        self.multipart.iter().flat_map(|m| &m.parts).map(|part| part.size_bytes).sum()
    }

    /// The line.
    pub(crate) fn encode(&self) -> Bytes {
        // A struct of numbers and texts always has a JSON form.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line.into()
    }

    /// Reads the line that `bytes` begins with, and says where the tail begins. `None` when it is
    /// not whole, or is of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Self = serde_json::from_slice(&bytes[..end]).ok()?;
        (head.version == VERSION).then_some((head, end + 1))
    }
}

/// Reads a whole record. `None` when it is damaged or of another version.
pub(crate) fn decode(bytes: &Bytes) -> Option<(Head, Bytes)> {
    let (head, begin) = Head::decode(bytes)?;
    let tail = bytes.slice(begin..);
    (tail.len() as u64 == head.tail_bytes).then_some((head, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let part = |size_bytes| Part { id: "\"etag\"".into(), size_bytes };
        let multipart =
            Multipart { key: "a/b".into(), id: "x y".into(), parts: vec![part(7), part(9)] };
        for (multipart, size_bytes) in [(None, 3), (Some(multipart), 19)] {
            let head = Head::new(0, multipart, 3).of(Uuid::from_u128(7));
            assert_eq!(head.generation(), Uuid::from_u128(7));
            assert_eq!(head.size_bytes(), size_bytes);
            let whole = Bytes::from([&head.encode()[..], b"\n\xff\n"].concat());
            assert_eq!(decode(&whole), Some((head, Bytes::from_static(b"\n\xff\n"))));
            for cut in 0..whole.len() {
                assert_eq!(decode(&whole.slice(..cut)), None, "{cut}");
            }
        }
    }

    #[test]
    fn other_versions_are_not_read() {
        assert_eq!(Head::decode(b"{\"version\":2,\"tail_bytes\":0}\n"), None);
        // What an earlier release wrote.
        let (head, _) = Head::decode(b"{\"version\":1,\"tail_bytes\":0}\n").unwrap();
        assert_ne!(head.generation(), head.generation());
    }
}
