//! An event as the outbox keeps it, and the frames that hold it in a file.
//!
//! ```text
//! frame    magic (4) | payload length (4) | sequence number (8) | checksum (8) | payload
//! payload  action (1) | id (16) | length of the media type (2) | media type | envelope
//! ```
//!
//! Numbers are little-endian. The checksum is the start of the SHA-256 over everything else.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::event::Action;
use crate::limits::EVENT_BYTES_MAX;

/// What a frame begins with, so that the next one can be found behind a damaged one.
const MAGIC: [u8; 4] = *b"\xf5WEv";

/// Bytes of a frame in front of its payload.
const HEADER_BYTES: usize = 24;

/// Bytes of a payload in front of the media type.
const FIXED_BYTES: usize = 19;

/// Most bytes of a payload: the largest media type and the largest envelope.
const PAYLOAD_BYTES_MAX: u64 = FIXED_BYTES as u64 + u16::MAX as u64 + EVENT_BYTES_MAX;

/// An event, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// What was done, for the filters.
    pub(crate) action: Action,
    /// The event's id, for the log.
    pub(crate) id: Uuid,
    /// Media type of the target, for the filters.
    pub(crate) media_type: String,
    /// The envelope.
    pub(crate) body: Bytes,
}

impl Record {
    /// Bytes that the record takes in a file.
    pub(crate) fn size_bytes(&self) -> usize {
        HEADER_BYTES + FIXED_BYTES + self.media_type().len() + self.body.len()
    }

    /// The media type as far as a frame can hold it. Real ones have less than 100 bytes.
    fn media_type(&self) -> &str {
        let end = self.media_type.floor_char_boundary(usize::from(u16::MAX));
        &self.media_type[..end]
    }

    /// Appends the frame of the record.
    pub(crate) fn write(&self, sequence: u64, out: &mut Vec<u8>) {
        let media_type = self.media_type();
        let length = self.size_bytes() - HEADER_BYTES;
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.push(code(self.action));
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(&u16::try_from(media_type.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(media_type.as_bytes());
        out.extend_from_slice(&self.body);
        let sum = checksum(&out[start..start + 16], &out[start + HEADER_BYTES..]);
        out[start + 16..start + HEADER_BYTES].copy_from_slice(&sum);
    }

    fn from_payload(payload: &[u8]) -> Option<Self> {
        let (action, rest) = payload.split_first()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (media_type, body) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        Some(Self {
            action: action_of(*action)?,
            id: Uuid::from_bytes(*id),
            media_type: std::str::from_utf8(media_type).ok()?.to_owned(),
            body: Bytes::copy_from_slice(body),
        })
    }
}

fn code(action: Action) -> u8 {
    match action {
        Action::Pull => 1,
        Action::Push => 2,
        Action::Mount => 3,
        Action::Delete => 4,
    }
}

fn action_of(code: u8) -> Option<Action> {
    [Action::Pull, Action::Push, Action::Mount, Action::Delete]
        .into_iter()
        .find(|action| self::code(*action) == code)
}

fn checksum(head: &[u8], payload: &[u8]) -> [u8; 8] {
    let sum = Sha256::new().chain_update(head).chain_update(payload).finalize();
    let mut short = [0; 8];
    short.copy_from_slice(&sum[..8]);
    short
}

/// What is at the start of some bytes.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A whole frame.
    Frame {
        /// Its sequence number.
        sequence: u64,
        /// What it holds.
        record: Record,
        /// Bytes that it takes.
        size_bytes: usize,
    },
    /// What may become a frame with more bytes.
    Incomplete,
    /// Anything else.
    Damaged,
}

/// Reads the frame at the start of some bytes.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    let seen = bytes.len().min(MAGIC.len());
    if bytes[..seen] != MAGIC[..seen] {
        return Parsed::Damaged;
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Parsed::Incomplete;
    };
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if u64::from(length) > PAYLOAD_BYTES_MAX {
        return Parsed::Damaged;
    }
    let Some((payload, _)) = usize::try_from(length).ok().and_then(|n| rest.split_at_checked(n))
    else {
        return Parsed::Incomplete;
    };
    if checksum(&head[..16], payload) != head[16..] {
        return Parsed::Damaged;
    }
    let mut sequence = [0; 8];
    sequence.copy_from_slice(&head[8..16]);
    match Record::from_payload(payload) {
        None => Parsed::Damaged,
        Some(record) => Parsed::Frame {
            sequence: u64::from_le_bytes(sequence),
            record,
            size_bytes: HEADER_BYTES + payload.len(),
        },
    }
}

/// Where the next whole frame begins, behind a damaged one at the start.
pub(crate) fn next_frame(bytes: &[u8]) -> Option<usize> {
    let starts = bytes.windows(MAGIC.len()).enumerate().skip(1).filter(|(_, w)| **w == MAGIC);
    let mut starts = starts.map(|(at, _)| at);
    starts.find(|at| matches!(parse(&bytes[*at..]), Parsed::Frame { .. }))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn record(number: u128, body: &str) -> Record {
        Record {
            action: Action::Push,
            id: Uuid::from_u128(number),
            media_type: "application/octet-stream".to_owned(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn parsed(bytes: &[u8]) -> (u64, Record, usize) {
        match parse(bytes) {
            Parsed::Frame { sequence, record, size_bytes } => (sequence, record, size_bytes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_record_comes_back() {
        let record = record(7, "{}");
        let mut bytes = Vec::new();
        record.write(u64::MAX, &mut bytes);
        assert_eq!(bytes.len(), record.size_bytes());
        assert_eq!(parsed(&bytes), (u64::MAX, record, bytes.len()));
    }

    #[test]
    fn an_absurd_media_type_is_cut_off_and_breaks_nothing() {
        let long = Record { media_type: "é".repeat(40_000), ..record(1, "x") };
        let mut bytes = Vec::new();
        long.write(1, &mut bytes);
        let (_, back, _) = parsed(&bytes);
        assert_eq!((back.media_type.len(), back.body), (65_534, long.body));
    }

    proptest! {
        #[test]
        fn a_frame_that_is_cut_short_is_incomplete(cut in 0_usize..80) {
            let mut bytes = Vec::new();
            record(1, &"x".repeat(40)).write(3, &mut bytes);
            prop_assert!(matches!(parse(&bytes[..cut]), Parsed::Incomplete));
        }

        #[test]
        fn a_flipped_bit_is_never_read_as_a_frame(at in 0_usize..100, bit in 0_u8..8) {
            let mut bytes = Vec::new();
            record(1, &"x".repeat(40)).write(3, &mut bytes);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let is_frame = matches!(parse(&bytes), Parsed::Frame { .. });
            prop_assert!(!is_frame);
        }

        #[test]
        fn the_frame_behind_a_damaged_one_is_found(at in 0_usize..100) {
            let mut bytes = Vec::new();
            record(1, &"x".repeat(40)).write(3, &mut bytes);
            let second = bytes.len();
            bytes[at % second] ^= 0xff;
            record(2, "y").write(4, &mut bytes);
            prop_assert_eq!(next_frame(&bytes), Some(second));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (parse(&bytes), next_frame(&bytes));
        }
    }
}
