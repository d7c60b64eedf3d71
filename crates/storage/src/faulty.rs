//! A driver that fails on purpose.
