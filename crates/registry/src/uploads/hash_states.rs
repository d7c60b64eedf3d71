//! Running digests of uploads, between requests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher};
use uuid::Uuid;

use crate::UploadId;
use crate::limits::HASH_STATES_MAX;

/// What a saved state begins with: the format's version and that of the library whose states it
/// holds. States of anything else are not read.
const MAGIC: &[u8] = b"wharf midstate 2 sha2 0.11\n";

/// The running digests of the first bytes of an upload.
#[derive(Debug, Clone)]
pub(crate) struct HashState {
    size_bytes: u64,
    /// That of the data: [`storage::Appender::generation`].
    generation: Option<Uuid>,
    hashers: Vec<Hasher>,
}

impl HashState {
    /// The state of no bytes: the canonical digest, and the one that was announced.
    pub(crate) fn new(announced: Option<Algorithm>) -> Self {
        let other = announced.filter(|a| *a != Algorithm::Sha256);
        let algorithms = std::iter::once(Algorithm::Sha256).chain(other);
        Self::with_hashers(algorithms.map(Algorithm::hasher).collect())
    }

    /// The state of no bytes with these hashers.
    pub(crate) const fn with_hashers(hashers: Vec<Hasher>) -> Self {
        Self { size_bytes: 0, generation: None, hashers }
    }

    /// The state of data that was kept as this generation.
    pub(super) fn kept_as(mut self, generation: Option<Uuid>) -> Self {
        self.generation = generation;
        self
    }

    /// Whether it is the state of data of this generation. Before the first byte all data is alike.
    pub(super) fn is_of(&self, generation: Option<Uuid>) -> bool {
        self.size_bytes == 0 || self.generation == generation
    }

    /// How many bytes were taken in.
    pub(crate) const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Takes in more bytes: 140 µs for 256 KiB with the processor's own instructions.
    pub(crate) fn update(&mut self, pieces: &[Bytes]) {
        for piece in pieces {
            for hasher in &mut self.hashers {
                hasher.update(piece);
            }
            self.size_bytes += piece.len() as u64;
        }
    }

    /// The digests.
    pub(crate) fn finish(self) -> impl Iterator<Item = Digest> {
        self.hashers.into_iter().map(Hasher::finish)
    }

    /// The state as bytes: the magic, the number of bytes taken in, the generation (zeros without
    /// one), and for each digest its algorithm's name, the length of its state and the state; numbers
    /// in little-endian order.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.size_bytes.to_le_bytes());
        out.extend(self.generation.unwrap_or_default().as_bytes());
        for hasher in &self.hashers {
            let state = hasher.save();
            let name = hasher.algorithm().as_str().as_bytes();
            out.extend(name);
            out.push(b'\n');
            out.extend(u32::try_from(state.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend(state);
        }
        out
    }

    /// Reads what [`HashState::encode`] wrote; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (generation, mut rest) = rest.split_first_chunk::<16>()?;
        let generation = Some(Uuid::from_bytes(*generation)).filter(|id| !id.is_nil());
        let mut hashers = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n')?;
            let algorithm = Algorithm::from_name(std::str::from_utf8(&rest[..end]).ok()?)?;
            let (length, tail) = rest[end + 1..].split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (state, tail) = tail.split_at_checked(length)?;
            hashers.push(Hasher::resume(algorithm, state)?);
            rest = tail;
        }
        let canonical = hashers.iter().any(|h| h.algorithm() == Algorithm::Sha256);
        let size_bytes = u64::from_le_bytes(*size);
        canonical.then_some(Self { size_bytes, generation, hashers })
    }
}

/// The states of the uploads that were lately worked on by this process. Losing one only costs
/// time.
pub(crate) struct HashStates(Mutex<HashMap<UploadId, HashState>>);

impl HashStates {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// Takes the state of an upload out, so that only one request works with it.
    pub(crate) fn take(&self, id: &UploadId) -> Option<HashState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// Keeps a state, at the cost of some other one when there are too many.
    pub(crate) fn store(&self, id: &UploadId, state: HashState) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if states.len() >= HASH_STATES_MAX
            && let Some(other) = states.keys().next().cloned()
        {
            states.remove(&other);
        }
        states.insert(id.clone(), state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_state_goes_on() {
        for announced in [None, Some(Algorithm::Sha256), Some(Algorithm::Sha512)] {
            let mut state = HashState::new(announced);
            state.update(&[Bytes::from_static(b"one"), Bytes::new()]);
            let generation = announced.map(|_| Uuid::from_u128(7));
            let state = state.kept_as(generation);
            let mut state = HashState::decode(&state.encode()).unwrap();
            assert_eq!(state.size_bytes(), 3);
            assert!(state.is_of(generation) && !state.is_of(Some(Uuid::from_u128(8))));
            state.update(&[Bytes::from_static(b"two")]);
            let digests: Vec<_> = state.finish().collect();
            assert_eq!(digests[0], Digest::of(Algorithm::Sha256, b"onetwo"));
            let expected = announced.map(|a| Digest::of(a, b"onetwo"));
            assert!(expected.is_none_or(|d| digests.contains(&d)));
        }
    }

    #[test]
    fn damaged_states_are_not_read() {
        let good = HashState::new(Some(Algorithm::Sha512)).encode();
        assert!(HashState::decode(&good).is_some());
        for cut in 0..good.len() {
            // A cut just behind the canonical digest leaves a shorter, valid state.
            if let Some(state) = HashState::decode(&good[..cut]) {
                assert_eq!(state.hashers.len(), 1);
            }
        }
        let mut other_version = good;
        other_version[15] ^= 1;
        assert!(HashState::decode(&other_version).is_none());
    }
}
