//! Why a store could not be opened.

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting can't be used.
    #[error("storage.{driver}.{key} can't be used: {reason}")]
    Setting {
        /// The driver.
        driver: &'static str,
        /// The key below it.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The library refuses what it was given.
    #[error("storage.{driver} can't be used: {reason}")]
    Refused {
        /// The driver.
        driver: &'static str,
        /// Why.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn setting(
        driver: &'static str,
        key: &'static str,
        reason: impl std::fmt::Display,
    ) -> Self {
        Self::Setting { driver, key, reason: reason.to_string() }
    }

    pub(crate) fn new(driver: &'static str, error: object_store::Error) -> Self {
        let reason = match std::error::Error::source(&error) {
            Some(source) => source.to_string(),
            None => error.to_string(),
        };
        Self::Refused { driver, reason }
    }
}
