//! Errors of streams whose readers know another type of them.

use std::sync::{Arc, Mutex, PoisonError};

/// Why a body ended early, for whoever reads it by another type.
#[derive(Debug)]
pub struct LastError<E>(Arc<Mutex<Option<E>>>);

impl<E> Clone for LastError<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> Default for LastError<E> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<E> LastError<E> {
    /// Keeps what happened.
    pub fn set(&self, error: E) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// What happened; `None` when it was not this body's fault.
    #[must_use]
    pub fn take(&self) -> Option<E> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
