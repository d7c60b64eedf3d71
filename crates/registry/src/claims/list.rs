//! The records in which a collector says what it is about to do.

use bytes::Bytes;
use storage::StoragePath;
use uuid::Uuid;

use super::Claim;
/// The first line of a list, with its version.
const MAGIC: &[u8] = b"wharf claims 1\n";

/// What an announcement says: the id of the list that is in force.
pub(crate) fn announcement(list: &ClaimList) -> Bytes {
    Bytes::from(list.id.to_string())
}

/// The list that is announced; one that there can't be when the announcement is damaged.
pub(crate) fn announced_id(content: &[u8]) -> Uuid {
    std::str::from_utf8(content).ok().and_then(|id| id.parse().ok()).unwrap_or_default()
}

/// A set of claims under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimList {
    /// What tells it from every other one.
    pub(crate) id: Uuid,
    /// Sorted; `None` for all there are.
    claims: Option<Box<[Claim]>>,
}

impl ClaimList {
    pub(crate) fn new(claims: impl IntoIterator<Item = Claim>) -> Self {
        let mut claims: Vec<_> = claims.into_iter().collect();
        claims.sort_unstable();
        claims.dedup();
        Self { id: Uuid::new_v4(), claims: Some(claims.into()) }
    }

    /// One that has everything: what is made of a list that can't be read, as a loss of power may
    /// leave it. It costs pins that nobody needs, and is safe.
    pub(crate) const fn of_everything(id: Uuid) -> Self {
        Self { id, claims: None }
    }

    pub(crate) fn contains(&self, claim: Claim) -> bool {
        self.claims.as_ref().is_none_or(|claims| claims.binary_search(&claim).is_ok())
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut content = MAGIC.to_vec();
        content.extend_from_slice(self.id.as_bytes());
        content.extend(self.claims.iter().flatten().flat_map(|claim| claim.0));
        content.into()
    }

    /// Reads the list that lies at `path`. One that can't be read has everything, and an id that no
    /// other has.
    pub(crate) fn read(path: &StoragePath, content: &[u8]) -> Self {
        Self::parse(content).unwrap_or_else(|| {
            tracing::warn!(
                %path,
                size_bytes = content.len(),
                "list of a collection can't be read; until the next one, everything that pushes \
                 rely on is pinned"
            );
            Self::of_everything(Uuid::nil())
        })
    }

    fn parse(content: &[u8]) -> Option<Self> {
        let (id, rest) = content.strip_prefix(MAGIC)?.split_first_chunk::<16>()?;
        let (claims, remainder) = rest.as_chunks::<{ Claim::BYTES }>();
        let claims: Box<[Claim]> = claims.iter().map(|claim| Claim(*claim)).collect();
        let whole = remainder.is_empty() && claims.is_sorted();
        whole.then_some(Self { id: Uuid::from_bytes(*id), claims: Some(claims) })
    }
}

#[cfg(test)]
mod tests {
    use oci::{Algorithm, Digest};

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let path = StoragePath::parse("/list").unwrap();
        let claim = |n: u8| Claim::content(&Digest::of(Algorithm::Sha256, &[n]));
        let list = ClaimList::new((0..100).map(claim).chain([claim(5)]));
        let bytes = list.to_bytes();
        assert_eq!(ClaimList::read(&path, &bytes), list);
        assert!((0..100).all(|n| list.contains(claim(n))));
        assert!(!list.contains(claim(100)));
        for cut in [0, 5, MAGIC.len() + 7, bytes.len() - 1] {
            let damaged = ClaimList::read(&path, &bytes[..cut]);
            assert!(damaged.contains(claim(100)), "{cut}");
        }
        assert_eq!(announced_id(&announcement(&list)), list.id);
        assert_eq!(announced_id(b""), Uuid::nil());
    }
}
