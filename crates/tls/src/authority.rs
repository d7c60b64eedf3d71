//! An authority of one's own, and certificates from it.
