//! The configuration of wharf: the file that Distribution's `registry` reads, its `REGISTRY_*`
//! overrides, and their validation.
//!
//! ```text
//! text --yaml--> located tree --canonical--> today's spellings --environment--> overridden
//!      --complete--> checked, with defaults --sections--> Config
//! ```
//!
//! The crate runs nothing and opens no sockets. [`load()`] works on text and a given environment;
//! only [`Environment::of_process`] and [`load_file`] look at the world.

mod canonical;
mod check;
mod complete;
mod config;
mod diagnostic;
mod environment;
mod files;
mod fuzz;
pub mod limits;
mod load;
mod locate;
mod nearest;
mod print;
mod reader;
mod scalar;
mod schema;
mod secret;
pub mod sections;
mod size;
mod tree;
mod unsupported;
mod validate;
mod yaml;

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use diagnostic::{ConfigErrors, Diagnostic, Location, Severity};
pub use environment::Environment;
pub use fuzz::fuzz_bytes;
pub use load::{Loaded, Source, check, load, load_file};
pub use locate::{DEFAULT_PATHS, Located, locate};
pub use scalar::parse_duration;
pub use secret::{MASK, Secret, SecretUrl};
pub use sections::{
    auth::{Anonymous, Auth, KeySet, TokenAuth},
    catalog::Catalog,
    compatibility::Compatibility,
    health::{FileCheck, Health, HttpCheck, StorageDriverCheck, TcpCheck},
    http::{Http, LetsEncrypt, Listen, Tls},
    limits::{Limits, RateLimit},
    log::{FieldValue, Log, LogFormat, LogHook, LogLevel},
    middleware::{AmazonNetworks, CloudFront, Middleware, MiddlewareEntry},
    notifications::{Endpoint, Notifications, Outbox},
    policy::Policy,
    proxy::{Caching, Prefetch, Proxy, Upstream},
    redis::{Redis, RedisRouting, RedisTls},
    remote::{CredentialHelper, Credentials, Remote, RemoteTls},
    retention::{Retention, RetentionRule},
    rewrite::Rewrite,
    storage::{
        Azure, AzureCredentials, Deletion, DescriptorCache, Driver, Filesystem, FreeSpace,
        GarbageCollection, Gcs, S3, Scrub, Storage, UploadPurging,
    },
    sync::{Sync, SyncJob, SyncRemote},
    tags::Tags,
    validation::{IndexPlatforms, Platform, ReferencePolicy, Validation},
    when::When,
};
pub use unsupported::Unsupported;
