//! Refuses pushes before the volume is full, and has a mirror keep nothing then. What is read, deleted
//! or collected needs no room to speak of, and with a full volume even that may fail.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Method, StatusCode};
use oci::ErrorCode;
use registry::BodyError;
use storage::{Driver, Space};
use tracing::{info, warn};

use crate::body::RequestBody;
use crate::error::ApiError;
use crate::limits::{FREE_SPACE_DEFAULT_BYTES_MAX, FREE_SPACE_DEFAULT_DIVISOR, FREE_SPACE_KEPT};
use crate::route::Route;

/// `storage.maintenance.freespace.min`: how much of the volume is to stay free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FreeSpaceMin {
    /// One part in [`FREE_SPACE_DEFAULT_DIVISOR`], but at most [`FREE_SPACE_DEFAULT_BYTES_MAX`].
    #[default]
    Default,
    /// So many bytes; with none, pushes are never refused.
    Bytes(u64),
    /// A part of the volume, in millionths.
    Millionths(u32),
}

impl FreeSpaceMin {
    fn bytes(self, total_bytes: u64) -> u64 {
        match self {
            Self::Default => {
                (total_bytes / FREE_SPACE_DEFAULT_DIVISOR).min(FREE_SPACE_DEFAULT_BYTES_MAX)
            }
            Self::Bytes(bytes) => bytes,
            Self::Millionths(millionths) => {
                let part = u128::from(total_bytes) * u128::from(millionths) / 1_000_000;
                u64::try_from(part).unwrap_or(u64::MAX)
            }
        }
    }
}

/// The room that there was at some moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    space: Option<Space>,
}

/// Knows how much room there is, as of a moment ago.
#[derive(Debug)]
pub(crate) struct FreeSpaceGuard {
    driver: Arc<dyn Driver>,
    min: FreeSpaceMin,
    last: Mutex<Option<Reading>>,
    /// Whether pushes are refused, to say so once in the log.
    is_low: AtomicBool,
}

/// The room, and what of it is to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
    pub(crate) min_bytes: u64,
}

impl FreeSpaceGuard {
    pub(crate) fn new(driver: Arc<dyn Driver>, min: FreeSpaceMin) -> Self {
        Self { driver, min, last: Mutex::new(None), is_low: AtomicBool::new(false) }
    }

    /// Refuses a request that brings content for which there is no room. One that only finishes
    /// what has come already is let through: that is what the reserve is for.
    pub(crate) async fn admit(
        &self,
        route: &Route,
        method: &Method,
        body: &RequestBody,
    ) -> Result<(), ApiError> {
        let brings = match (route, method) {
            (Route::Manifest { .. }, &Method::PUT)
            | (Route::Uploads { .. }, &Method::POST)
            | (Route::Upload { .. }, &Method::PATCH) => true,
            (Route::Upload { .. }, &Method::PUT) => body.size_bytes() != Some(0),
            _ => false,
        };
        if !brings {
            return Ok(());
        }
        match self.refuses(body.size_bytes().unwrap_or(0)).await {
            None => Ok(()),
            Some(reason) => Err(insufficient(reason)),
        }
    }

    /// Why there is no room for so much, if there is none.
    pub(crate) async fn refuses(&self, bytes: u64) -> Option<String> {
        if self.min == FreeSpaceMin::Bytes(0) {
            return None;
        }
        self.room().await?.refuses(bytes)
    }

    /// A body that ends with an error when there is no more room for it. Of how long it is nothing
    /// need be known, as docker says nothing.
    pub(crate) fn watched(self: &Arc<Self>, body: registry::Body) -> registry::Body {
        if self.min == FreeSpaceMin::Bytes(0) || self.is_unbounded() {
            return body;
        }
        let guard = Arc::clone(self);
        Box::pin(body.then(move |piece| {
            let guard = Arc::clone(&guard);
            async move {
                let piece = piece?;
                match guard.room().await.and_then(|room| room.refuses(0)) {
                    None => Ok(piece),
                    Some(reason) => Err(BodyError::Refused(reason)),
                }
            }
        }))
    }

    /// Looks at the room anew.
    pub(crate) async fn look(&self) -> Option<Room> {
        let space = match self.driver.space().await {
            Ok(space) => space,
            Err(error) => {
                tracing::debug!(%error, "could not look how much of the storage is free");
                None
            }
        };
        let reading = Reading { at: Instant::now(), space };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        let room = self.room_of(reading)?;
        self.tell(&room);
        Some(room)
    }

    /// Whether there was too little room when it was last looked at.
    pub(crate) fn is_low(&self) -> bool {
        self.is_low.load(Ordering::Relaxed)
    }

    /// The room when it was last looked at.
    pub(crate) fn last_room(&self) -> Option<Room> {
        self.room_of(self.last()?)
    }

    async fn room(&self) -> Option<Room> {
        let last = self.last().filter(|last| last.at.elapsed() < FREE_SPACE_KEPT);
        match last.map(|last| self.room_of(last)) {
            // Nobody is turned away because of what was a moment ago.
            Some(room) if room.is_none_or(|room| room.refuses(0).is_none()) => room,
            _ => self.look().await,
        }
    }

    fn last(&self) -> Option<Reading> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the storage is one that has no bound to be known.
    fn is_unbounded(&self) -> bool {
        self.last().is_some_and(|last| last.space.is_none())
    }

    fn room_of(&self, reading: Reading) -> Option<Room> {
        let Space { free_bytes, total_bytes } = reading.space?;
        Some(Room { free_bytes, total_bytes, min_bytes: self.min.bytes(total_bytes) })
    }

    fn tell(&self, room: &Room) {
        let is_low = room.free_bytes < room.min_bytes;
        if self.is_low.swap(is_low, Ordering::Relaxed) == is_low {
            return;
        }
        let Room { free_bytes, min_bytes, .. } = *room;
        if is_low {
            warn!(free_bytes, min_bytes, "the storage is nearly full: pushes get 507 from now on");
        } else {
            info!(free_bytes, min_bytes, "the storage has room again: pushes are taken");
        }
    }
}

impl proxy::FreeSpace for FreeSpaceGuard {
    fn refuses(&self, size_bytes: u64) -> BoxFuture<'_, Option<String>> {
        self.refuses(size_bytes).boxed()
    }

    fn watched(self: Arc<Self>, body: registry::Body) -> registry::Body {
        Self::watched(&self, body)
    }
}

impl Room {
    /// Why so much can't be taken, if it can't.
    fn refuses(&self, wanted_bytes: u64) -> Option<String> {
        let Self { free_bytes, total_bytes, min_bytes } = *self;
        if free_bytes >= min_bytes.saturating_add(wanted_bytes) {
            return None;
        }
        let (free, total, min) = (Size(free_bytes), Size(total_bytes), Size(min_bytes));
        let fault = if free_bytes < min_bytes {
            "the storage is nearly full".to_owned()
        } else {
            format!("the storage has no room for {}", Size(wanted_bytes))
        };
        Some(format!(
            "{fault}: {free} of {total} are free, and {min} have to stay free \
             (storage.maintenance.freespace.min). Delete what is not needed and collect garbage, \
             or enlarge the volume"
        ))
    }
}

/// 507, with the reason.
pub(crate) fn insufficient(reason: String) -> ApiError {
    ApiError::new(StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Unavailable).detail(reason)
}

/// A size as a person reads it.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.iter().find(|(size, _)| self.0 >= *size) {
            Some((size, unit)) => {
                write!(
                    f,
                    "{}.{} {unit}",
                    self.0 / size,
                    u128::from(self.0 % size) * 10 / u128::from(*size)
                )
            }
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_free() {
        let gib = 1 << 30;
        for (min, total_bytes, expected) in [
            (FreeSpaceMin::Default, 20 * gib, 20 * gib / 200),
            (FreeSpaceMin::Default, 4096 * gib, gib),
            (FreeSpaceMin::Bytes(7), 20, 7),
            (FreeSpaceMin::Millionths(50_000), 20 * gib, gib),
            (FreeSpaceMin::Millionths(999_999), u64::MAX, u64::MAX / 1_000_000 * 999_999 + 551_616),
        ] {
            let actual = min.bytes(total_bytes);
            assert!(actual.abs_diff(expected) < 1_000_000, "{min:?} of {total_bytes}: {actual}");
        }
    }

    #[test]
    fn what_is_refused_and_why() {
        let room = Room { free_bytes: 3 << 29, total_bytes: 20 << 30, min_bytes: 1 << 30 };
        assert_eq!(room.refuses(0), None);
        assert_eq!(room.refuses(1 << 29), None);
        let reason = room.refuses((1 << 29) + 1).unwrap();
        assert!(reason.starts_with("the storage has no room for 512.0 MiB: 1.5 GiB of 20.0 GiB are free, and 1.0 GiB have to stay free"), "{reason}");
        assert!(room.refuses(u64::MAX).is_some());
        let reason = Room { free_bytes: 999, ..room }.refuses(0).unwrap();
        assert!(reason.starts_with("the storage is nearly full: 999 bytes of"), "{reason}");
        assert_eq!(Room { min_bytes: 0, free_bytes: 0, ..room }.refuses(0), None);
    }
}
