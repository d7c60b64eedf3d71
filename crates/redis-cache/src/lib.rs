//! The descriptor cache that several servers on one storage share, in Redis.
//!
//! Keys and fields are those of CNCF Distribution, so that both can use one Redis; what Distribution
//! has no place for lies beside them under `wharf::` (`keys.rs`). Every key that is written here gets
//! a lifetime, which is how long something wrong can last at most.
//!
//! Redis is never waited for long, and never needed: while it can't be had, the storage is asked.
//! What could not be revoked is kept in mind, and sent before Redis is believed again.

mod availability;
mod cache;
mod commands;
mod connection;
mod error;
mod keys;
pub mod limits;
mod metrics;
mod options;
mod pending;

pub use cache::RedisCache;
pub use error::OpenError;
pub use options::{Options, Password, Tls};
