//! Whether there is room for what comes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use registry::Body;

/// Who knows how much more the storage may take.
pub trait FreeSpace: fmt::Debug + Send + Sync {
    /// Why there is no room for so many bytes, if there is none.
    fn refuses(&self, size_bytes: u64) -> BoxFuture<'_, Option<String>>;

    /// A body that ends with an error when there is no more room for it.
    fn watched(self: Arc<Self>, body: Body) -> Body;
}

/// The room that there is, with what is to be taken of it by what is coming.
#[derive(Default)]
pub(super) struct Room {
    free_space: OnceLock<Arc<dyn FreeSpace>>,
    /// What has not come yet of all that is to be stored, in bytes.
    coming_bytes: Arc<AtomicU64>,
}

impl Room {
    /// Asks this from now on. The first one counts.
    pub(super) fn ask(&self, free_space: Arc<dyn FreeSpace>) {
        let _ = self.free_space.set(free_space);
    }

    /// A place for so many bytes, beside all that is coming already.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn take(&self, size_bytes: u64) -> Result<Place, String> {
        let before = self.coming_bytes.fetch_add(size_bytes, Ordering::Relaxed);
        let coming_bytes = Arc::clone(&self.coming_bytes);
        let free_space = self.free_space.get().cloned();
        let place = Place { coming_bytes, left_bytes: size_bytes, free_space };
        let refused = match &place.free_space {
            Some(free_space) => free_space.refuses(before.saturating_add(size_bytes)).await,
            None => None,
        };
        refused.map_or(Ok(place), Err)
    }
}

/// Room that somebody has taken; given back with what does not come.
pub(super) struct Place {
    coming_bytes: Arc<AtomicU64>,
    left_bytes: u64,
    free_space: Option<Arc<dyn FreeSpace>>,
}

impl Place {
    /// Fills the room with what comes, as long as nobody else has taken it.
    pub(super) fn filled_by(mut self, body: Body) -> Body {
        let body = match self.free_space.take() {
            Some(free_space) => free_space.watched(body),
            None => body,
        };
        Box::pin(body.inspect(move |piece| {
            if let Ok(piece) = piece {
                self.has_come(piece.len() as u64);
            }
        }))
    }

    fn has_come(&mut self, size_bytes: u64) {
        let size_bytes = size_bytes.min(self.left_bytes);
        self.left_bytes -= size_bytes;
        self.coming_bytes.fetch_sub(size_bytes, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.has_come(self.left_bytes);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::{FutureExt as _, stream};

    use super::*;

    #[derive(Debug)]
    struct Ten;

    impl FreeSpace for Ten {
        fn refuses(&self, size_bytes: u64) -> BoxFuture<'_, Option<String>> {
            async move { (size_bytes > 10).then(|| "full".to_owned()) }.boxed()
        }

        fn watched(self: Arc<Self>, body: Body) -> Body {
            body
        }
    }

    #[tokio::test]
    async fn what_is_coming_counts_until_it_has_come() {
        let room = Room::default();
        drop(room.take(1000).await.unwrap());
        room.ask(Arc::new(Ten));
        assert_eq!(room.take(11).await.err().as_deref(), Some("full"));
        let place = room.take(8).await.unwrap();
        assert!(room.take(3).await.is_err());
        let pieces = [Ok(Bytes::from_static(b"12345")), Ok(Bytes::from_static(b"67"))];
        let mut body = place.filled_by(Box::pin(stream::iter(pieces)));
        assert!(room.take(3).await.is_err());
        body.next().await.unwrap().unwrap();
        assert!(room.take(8).await.is_err());
        drop(room.take(7).await.unwrap());
        drop(body);
        assert!(room.take(10).await.is_ok());
    }
}
