//! `storage`: the driver and what goes on around it.

pub mod azure;
pub mod deletion;
pub mod filesystem;
pub mod free_space;
pub mod gc;
pub mod gcs;
pub mod removed;
pub mod s3;

use std::time::Duration;

use ipnet::IpNet;
use regex::Regex;

use crate::{
    check,
    reader::Reader,
    schema::{self, Bare, Section},
};

pub use azure::{Azure, AzureCredentials};
pub use deletion::Deletion;
pub use filesystem::Filesystem;
pub use free_space::FreeSpace;
pub use gc::GarbageCollection;
pub use gcs::Gcs;
pub use s3::S3;

/// The keys of `storage` that are drivers.
pub(crate) const DRIVERS: &[&str] =
    &["filesystem", "inmemory", "s3", "s3aws", "azure", "gcs", "swift", "oss"];

pub(crate) static SECTION: Section = Section::new(&[
    schema::optional("filesystem", &filesystem::SECTION, "A directory of this machine."),
    schema::optional("inmemory", &NO_PARAMETERS, "Memory; everything is lost at the end."),
    schema::optional("s3", &s3::SECTION, "Amazon S3 and what speaks its protocol."),
    schema::optional("s3aws", &s3::SECTION, "Another name of `s3`."),
    schema::optional("azure", &azure::SECTION, "Azure Blob Storage."),
    schema::optional("gcs", &gcs::SECTION, "Google Cloud Storage."),
    schema::optional("swift", &removed::SWIFT, "OpenStack Swift; removed in Distribution 3."),
    schema::optional("oss", &removed::OSS, "Aliyun OSS; removed in Distribution 3."),
    schema::section("maintenance", &MAINTENANCE, "Housekeeping."),
    schema::section("cache", &CACHE, "The cache of blob descriptors."),
    schema::section("delete", &deletion::SECTION, "Deletion of content through the API."),
    schema::section("redirect", &REDIRECT, "Redirects of blob downloads to the driver's store."),
    schema::section("tag", &TAG, "Lookup of the tags of a digest."),
])
.bare(Bare::Name)
.closed("storage driver");

static NO_PARAMETERS: Section = Section::new(&[]);

static MAINTENANCE: Section = Section::new(&[
    schema::section("uploadpurging", &UPLOAD_PURGING, "Removal of abandoned uploads."),
    schema::section("gc", &gc::SECTION, "Online garbage collection. Not in Distribution."),
    schema::section("readonly", &READ_ONLY, "Read-only mode."),
    schema::section(
        "scrub",
        &SCRUB,
        "Reading the storage through while it serves, to find damage. Not in Distribution.",
    ),
    schema::section("freespace", &free_space::SECTION, "What is left free of the volume."),
]);

static UPLOAD_PURGING: Section = Section::new(&[
    schema::boolean("enabled", "Whether abandoned uploads are removed.").default("true"),
    schema::duration("age", "How old an upload must be.").default("168h"),
    schema::duration("interval", "Time between two rounds.").default("24h"),
    schema::boolean("dryrun", "Only logs what would be removed.").default("false"),
])
.bare(Bare::Enabled);

static SCRUB: Section = Section::new(&[
    schema::boolean("enabled", "Whether the storage is read through.").default("false"),
    schema::duration("interval", "Time from the beginning of one pass to the next one's.")
        .default("720h"),
    schema::count("rate", "Bytes that are read in a second at most; 0 is unlimited.")
        .default("10485760"),
])
.bare(Bare::Enabled);

static READ_ONLY: Section =
    Section::new(&[
        schema::boolean("enabled", "Answers 405 to everything that would write.").default("false")
    ])
    .bare(Bare::Enabled);

static CACHE: Section = Section::new(&[
    schema::text("blobdescriptor", "`inmemory` or `redis`; unset or empty means no cache.")
        .alias(&["layerinfo"]),
    schema::count("blobdescriptorsize", "Entries of the `inmemory` cache; 0 is unlimited.")
        .default("10000"),
]);

static REDIRECT: Section = Section::new(&[
    schema::boolean("disable", "Serves the bytes instead of redirecting to the store.")
        .default("false"),
    schema::section("except", &EXCEPT, "Clients that get the bytes all the same."),
]);

static EXCEPT: Section = Section::new(&[
    schema::checked_texts(
        "networks",
        check::network,
        "Addresses and networks (`10.0.0.0/8`) of clients that can't reach the store. Not in Distribution.",
    ),
    schema::checked_texts(
        "useragents",
        check::regular_expression,
        "Regular expressions for the `User-Agent` of clients that don't follow redirects. Not in Distribution.",
    ),
]);

static TAG: Section = Section::new(&[schema::count(
    "concurrencylimit",
    "Tag links read at the same time; 0 is the number of CPUs.",
)
.default("0")]);

/// `storage`.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The one driver.
    pub driver: Driver,
    /// `maintenance.uploadpurging`.
    pub upload_purging: UploadPurging,
    /// `maintenance.gc`.
    pub gc: GarbageCollection,
    /// `maintenance.scrub`.
    pub scrub: Scrub,
    /// `maintenance.readonly.enabled`.
    pub read_only: bool,
    /// `cache.blobdescriptor`; none means no cache.
    pub descriptor_cache: Option<DescriptorCache>,
    /// `cache.blobdescriptorsize`: entries of the in-memory cache; 0 is unlimited.
    pub descriptor_cache_size: u64,
    /// `maintenance.freespace.min`.
    pub free_space: FreeSpace,
    /// `delete`.
    pub deletion: Deletion,
    /// `redirect.disable`.
    pub redirect_disabled: bool,
    /// `redirect.except.networks`.
    pub redirect_except_networks: Vec<IpNet>,
    /// `redirect.except.useragents`.
    pub redirect_except_user_agents: Vec<Regex>,
    /// `tag.concurrencylimit`; 0 is the number of CPUs.
    pub tag_concurrency_limit: u64,
}

/// The storage driver and its parameters.
#[derive(Clone, Debug)]
pub enum Driver {
    /// A directory.
    Filesystem(Filesystem),
    /// Memory.
    InMemory,
    /// S3; also under the name `s3aws`.
    S3(Box<S3>),
    /// Azure Blob Storage.
    Azure(Box<Azure>),
    /// Google Cloud Storage.
    Gcs(Box<Gcs>),
    /// A driver that Distribution 3 removed: `swift` or `oss`.
    Removed(&'static str),
}

impl Driver {
    /// The driver's name as the configuration has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Filesystem(_) => "filesystem",
            Self::InMemory => "inmemory",
            Self::S3(_) => "s3",
            Self::Azure(_) => "azure",
            Self::Gcs(_) => "gcs",
            Self::Removed(name) => name,
        }
    }
}

/// `storage.maintenance.uploadpurging`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPurging {
    /// Whether abandoned uploads are removed.
    pub enabled: bool,
    /// How old an upload must be.
    pub age: Duration,
    /// Time between two rounds.
    pub interval: Duration,
    /// Whether it is only logged what would be removed.
    pub dry_run: bool,
}

/// `storage.maintenance.scrub`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrub {
    /// Whether the storage is read through.
    pub enabled: bool,
    /// Time from the beginning of one pass to the next one's.
    pub interval: Duration,
    /// Bytes that are read in a second at most; 0 is unlimited.
    pub rate: u64,
}

/// Where blob descriptors are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptorCache {
    /// In this process.
    InMemory,
    /// In Redis.
    Redis,
}

pub(crate) fn read(storage: Reader<'_>) -> Storage {
    let maintenance = storage.section("maintenance");
    let purging = maintenance.section("uploadpurging");
    let scrub = maintenance.section("scrub");
    let cache = storage.section("cache");
    let redirect = storage.section("redirect");
    let except = redirect.section("except");
    let (networks, agents) = (except.texts("networks"), except.texts("useragents"));
    Storage {
        driver: read_driver(storage),
        upload_purging: UploadPurging {
            enabled: purging.boolean("enabled"),
            age: purging.duration("age"),
            interval: purging.duration("interval"),
            dry_run: purging.boolean("dryrun"),
        },
        gc: gc::read(maintenance.section("gc")),
        scrub: Scrub {
            enabled: scrub.boolean("enabled"),
            interval: scrub.duration("interval"),
            rate: scrub.count("rate"),
        },
        read_only: maintenance.section("readonly").boolean("enabled"),
        descriptor_cache: match cache.text("blobdescriptor").as_str() {
            "inmemory" => Some(DescriptorCache::InMemory),
            "redis" => Some(DescriptorCache::Redis),
            _ => None,
        },
        descriptor_cache_size: cache.count("blobdescriptorsize"),
        free_space: free_space::read(maintenance.section("freespace")),
        deletion: deletion::read(storage.section("delete")),
        redirect_disabled: redirect.boolean("disable"),
        redirect_except_networks: networks.iter().filter_map(|n| check::parse_network(n)).collect(),
        redirect_except_user_agents: agents.iter().filter_map(|a| check::compile(a).ok()).collect(),
        tag_concurrency_limit: storage.section("tag").count("concurrencylimit"),
    }
}

fn read_driver(storage: Reader<'_>) -> Driver {
    if let Some(parameters) = storage.written("filesystem") {
        return Driver::Filesystem(filesystem::read(parameters));
    }
    if let Some(parameters) = storage.written("s3").or_else(|| storage.written("s3aws")) {
        return Driver::S3(Box::new(s3::read(parameters)));
    }
    if let Some(parameters) = storage.written("azure") {
        return Driver::Azure(Box::new(azure::read(parameters)));
    }
    if let Some(parameters) = storage.written("gcs") {
        return Driver::Gcs(Box::new(gcs::read(parameters)));
    }
    for removed in ["swift", "oss"] {
        if storage.written(removed).is_some() {
            return Driver::Removed(removed);
        }
    }
    Driver::InMemory
}
