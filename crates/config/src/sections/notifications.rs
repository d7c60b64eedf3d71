//! `notifications`: webhooks.

use std::{path::PathBuf, time::Duration};

use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
    secret::{Secret, SecretUrl},
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::section("events", &EVENTS, "What events hold.").variable("eventconfig"),
    schema::list("endpoints", &ENDPOINT, "Where events are sent."),
    schema::section(
        "outbox",
        &OUTBOX,
        "Where events wait on the disk until they are delivered. Not in Distribution.",
    ),
]);

static OUTBOX: Section = Section::new(&[
    schema::text(
        "path",
        "Directory, for one wharf alone. Empty: `wharf/v1/outbox` below `storage.filesystem.rootdirectory`; with other drivers, and where that can't be used, events wait in memory.",
    ),
    schema::bounded(
        "maxevents",
        1,
        i64::MAX,
        "Most events that are kept; beyond it the oldest are dropped and counted.",
    )
    .default("100000"),
    schema::bounded(
        "maxbytes",
        1 << 20,
        i64::MAX,
        "Most bytes that are kept; beyond it the oldest are dropped and counted.",
    )
    .default("268435456"),
]);

static EVENTS: Section =
    Section::new(&[
        schema::boolean("includereferences", "Adds what a manifest refers to.").default("false")
    ]);

static ENDPOINT: Section = Section::new(&[
    schema::text("name", "Name of the endpoint, for logs and metrics."),
    schema::boolean("disabled", "Turns it off.").default("false"),
    schema::checked("url", check::url, "Where events are sent."),
    schema::headers("headers", true, "Headers of each request."),
    schema::secret(
        "secret",
        "Key that signs each request: `X-Wharf-Signature-256` is then the HMAC-SHA256 of the body. Not in Distribution.",
    ),
    schema::duration_or_off("timeout", "Time for one request.").default("1s"),
    schema::integer("threshold", "Failures until it backs off.").default("10"),
    schema::duration_or_off("backoff", "How long it backs off.").default("1s"),
    schema::texts("ignoredmediatypes", "Media types whose events are not sent."),
    schema::section("ignore", &IGNORE, "Events that are not sent."),
]);

static IGNORE: Section = Section::new(&[
    schema::texts("mediatypes", "By media type."),
    schema::texts("actions", "By action: `push`, `pull`, `mount`, `delete`."),
]);

/// `notifications`.
#[derive(Clone, Debug, Default)]
pub struct Notifications {
    /// Whether events hold what a manifest refers to.
    pub include_references: bool,
    /// Where events are sent, disabled ones included.
    pub endpoints: Vec<Endpoint>,
    /// Where events wait until they are delivered.
    pub outbox: Outbox,
}

/// `notifications.outbox`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// Directory; none when not set.
    pub path: Option<PathBuf>,
    /// Most events that are kept.
    pub events_max: u64,
    /// Most bytes that are kept.
    pub size_bytes_max: u64,
}

/// One of `notifications.endpoints`.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Whether it is turned off.
    pub disabled: bool,
    /// Where events are sent.
    pub url: SecretUrl,
    /// Headers of each request; they often hold credentials.
    pub headers: Vec<(String, Vec<Secret>)>,
    /// Key that signs each request.
    pub secret: Option<Secret>,
    /// Time for one request.
    pub timeout: Duration,
    /// Failures until it backs off.
    pub threshold: u64,
    /// How long it backs off.
    pub backoff: Duration,
    /// Media types whose events are not sent.
    pub ignored_media_types: Vec<String>,
    /// Actions whose events are not sent.
    pub ignored_actions: Vec<String>,
}

const TIMEOUT: Duration = Duration::from_secs(1);
const BACKOFF: Duration = Duration::from_secs(1);
const THRESHOLD: u64 = 10;

pub(crate) fn read(notifications: Reader<'_>) -> Notifications {
    Notifications {
        include_references: notifications.section("events").boolean("includereferences"),
        endpoints: notifications.items("endpoints").map(read_endpoint).collect(),
        outbox: read_outbox(notifications.section("outbox")),
    }
}

fn read_outbox(outbox: Reader<'_>) -> Outbox {
    Outbox {
        path: outbox.set_path("path"),
        events_max: outbox.count("maxevents"),
        size_bytes_max: outbox.count("maxbytes"),
    }
}

fn read_endpoint(endpoint: Reader<'_>) -> Endpoint {
    let ignore = endpoint.section("ignore");
    let mut ignored_media_types = endpoint.texts("ignoredmediatypes");
    ignored_media_types.extend(ignore.texts("mediatypes"));
    // Zero and less stand for the default, as in Distribution.
    let positive = |name, default| {
        endpoint.set_duration(name).filter(|time| !time.is_zero()).unwrap_or(default)
    };
    Endpoint {
        name: endpoint.text("name"),
        disabled: endpoint.boolean("disabled"),
        url: SecretUrl::new(endpoint.text("url")),
        headers: endpoint.secret_headers("headers"),
        secret: endpoint.secret("secret"),
        timeout: positive("timeout", TIMEOUT),
        threshold: Some(endpoint.count("threshold")).filter(|n| *n > 0).unwrap_or(THRESHOLD),
        backoff: positive("backoff", BACKOFF),
        ignored_media_types,
        ignored_actions: ignore.texts("actions"),
    }
}
