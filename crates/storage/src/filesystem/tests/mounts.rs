//! Mounting anything ends every watch of the process, so that tests that mount and tests that watch
//! keep out of each other's way.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static MOUNTS: RwLock<()> = RwLock::new(());

/// Nothing is mounted for as long as this is there.
pub(crate) struct Unchanged(#[expect(dead_code)] RwLockReadGuard<'static, ()>);

/// Nobody else relies on the mounts for as long as this is there.
pub(crate) struct Changing(#[expect(dead_code)] RwLockWriteGuard<'static, ()>);

pub(crate) fn unchanged() -> Unchanged {
    Unchanged(MOUNTS.read().unwrap_or_else(PoisonError::into_inner))
}

pub(crate) fn changing() -> Changing {
    Changing(MOUNTS.write().unwrap_or_else(PoisonError::into_inner))
}
