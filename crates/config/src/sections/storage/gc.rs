//! `storage.maintenance.gc`: online garbage collection.

use std::time::Duration;

use crate::{
    reader::Reader,
    schema::{self, Bare, Section},
    sections::when::{self, When},
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::boolean("enabled", "Whether the server collects by itself.").default("false"),
    schema::duration("interval", "Time between the ends and beginnings of two collections.")
        .default("24h"),
    schema::checked(
        "schedule",
        when::cron,
        "When it collects instead, as five fields of cron in the machine's time zone: `0 3 * * *`.",
    ),
    schema::duration(
        "grace",
        "How long something is kept that nothing refers to, after it was written or a client was told that it is there.",
    )
    .default("24h"),
    schema::boolean(
        "untagged",
        "Removes manifests, too, that have no tag and are no part of a tagged one.",
    )
    .default("false"),
    schema::boolean(
        "referrers",
        "Removes untagged manifests, such as signatures, whose subject was deleted.",
    )
    .default("true"),
    schema::count("rate", "Operations on the storage in a second at most; 0 is any number.")
        .default("0"),
    schema::boolean("dryrun", "Only logs what would be removed.").default("false"),
])
.bare(Bare::Enabled);

/// `storage.maintenance.gc`.
#[derive(Clone, Debug)]
pub struct GarbageCollection {
    /// Whether the server collects by itself.
    pub enabled: bool,
    /// When it does.
    pub when: When,
    /// How long something is kept that nothing refers to.
    pub grace: Duration,
    /// Whether untagged manifests go.
    pub untagged: bool,
    /// Whether untagged manifests go whose subject is gone.
    pub referrers: bool,
    /// Operations on the storage in a second at most; `None` for any number.
    pub rate: Option<u32>,
    /// Whether it is only logged what would be removed.
    pub dry_run: bool,
}

pub(crate) fn read(gc: Reader<'_>) -> GarbageCollection {
    GarbageCollection {
        enabled: gc.boolean("enabled"),
        when: when::read(gc).unwrap_or(When::Every(gc.duration("interval"))),
        grace: gc.duration("grace"),
        untagged: gc.boolean("untagged"),
        referrers: gc.boolean("referrers"),
        rate: u32::try_from(gc.count("rate")).ok().filter(|rate| *rate > 0),
        dry_run: gc.boolean("dryrun"),
    }
}
