//! All cached blobs, each once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::claims::Claim;

/// The blobs, about 60 bytes each.
#[derive(Debug, Default)]
pub(super) struct Table {
    places: HashMap<Claim, u32>,
    blobs: Vec<Cached>,
    /// What is known of sizes from before.
    sizes: HashMap<Claim, u64>,
    bytes: u64,
}

/// A blob that cached repositories have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cached {
    /// Its size, in bytes.
    pub(super) size_bytes: u64,
    /// How many units have it.
    pub(super) units: u32,
    /// How many links lead to it.
    links: u32,
}

impl Table {
    pub(super) fn new(sizes: HashMap<Claim, u64>) -> Self {
        Self { sizes, ..Self::default() }
    }

    /// Counts a link to a blob. Returns whether it is not known how large that is.
    pub(super) fn link(&mut self, claim: Claim) -> bool {
        let place = u32::try_from(self.blobs.len()).unwrap_or(u32::MAX);
        let (place, is_new) = match self.places.entry(claim) {
            Entry::Occupied(known) => (*known.get(), false),
            Entry::Vacant(free) => (*free.insert(place), true),
        };
        let known = self.sizes.remove(&claim).filter(|_| is_new);
        if is_new {
            self.blobs.push(Cached { size_bytes: known.unwrap_or(0), units: 0, links: 0 });
            self.bytes += known.unwrap_or(0);
        }
        if let Some(blob) = self.blobs.get_mut(place as usize) {
            blob.links += 1;
        }
        is_new && known.is_none()
    }

    /// Takes in how large a blob is, in bytes.
    pub(super) fn measured(&mut self, claim: &Claim, size_bytes: u64) {
        let place = self.places.get(claim).map(|place| *place as usize);
        if let Some(blob) = place.and_then(|place| self.blobs.get_mut(place)) {
            self.bytes = self.bytes - blob.size_bytes + size_bytes;
            blob.size_bytes = size_bytes;
        }
    }

    /// Counts that a unit has a blob; returns where that is, if it is here.
    pub(super) fn take_part(&mut self, claim: &Claim) -> Option<u32> {
        let place = *self.places.get(claim)?;
        self.blobs.get_mut(place as usize)?.units += 1;
        Some(place)
    }

    /// The blobs, by their places.
    pub(super) fn blobs(&self) -> &[Cached] {
        &self.blobs
    }

    /// How large all of them are together, in bytes.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes in that so many links to a blob are gone.
    pub(super) fn unlink(&mut self, claim: &Claim, links: u32) {
        let place = self.places.get(claim).map(|place| *place as usize);
        let Some(blob) = place.and_then(|place| self.blobs.get_mut(place)) else { return };
        if blob.links > 0 && blob.links <= links {
            self.bytes -= blob.size_bytes;
        }
        blob.links = blob.links.saturating_sub(links);
    }

    /// What is known of sizes.
    pub(super) fn into_sizes(self) -> HashMap<Claim, u64> {
        let blobs = self.blobs;
        let cached = |place: &u32| blobs.get(*place as usize).filter(|blob| blob.links > 0);
        let sizes = self.places.iter().filter_map(|(c, p)| Some((*c, cached(p)?.size_bytes)));
        sizes.filter(|(_, size_bytes)| *size_bytes > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use oci::{Algorithm, Digest};

    use super::*;

    #[test]
    fn a_blob_counts_once_and_until_its_last_link_is_gone() {
        let claim = |text: &[u8]| Claim::content(&Digest::of(Algorithm::Sha256, text));
        let (a, b) = (claim(b"a"), claim(b"b"));
        let mut table = Table::new(HashMap::from([(b, 7)]));
        assert!(table.link(a));
        table.measured(&a, 5);
        assert!(!table.link(a));
        assert!(!table.link(b), "its size was known");
        assert_eq!(table.bytes(), 12);
        assert_eq!((table.take_part(&a), table.take_part(&b)), (Some(0), Some(1)));
        assert_eq!(table.take_part(&claim(b"c")), None);
        table.unlink(&a, 1);
        assert_eq!(table.bytes(), 12);
        table.unlink(&a, 1);
        table.unlink(&a, 1);
        assert_eq!(table.bytes(), 7);
        assert_eq!(table.into_sizes(), HashMap::from([(b, 7)]));
    }
}
