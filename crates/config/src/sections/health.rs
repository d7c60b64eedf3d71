//! `health`: checks that turn answers into 503 while they fail.

use std::{path::PathBuf, time::Duration};

use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
    secret::{Secret, SecretUrl},
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::section("storagedriver", &STORAGE_DRIVER, "Check of the driver."),
    schema::list("file", &FILE, "Checks of files: an existing file is unhealthy.")
        .variable("filecheckers"),
    schema::list("http", &HTTP, "Checks of URLs by HEAD.").variable("httpcheckers"),
    schema::list("tcp", &TCP, "Checks of TCP ports.").variable("tcpcheckers"),
]);

static STORAGE_DRIVER: Section = Section::new(&[
    schema::boolean("enabled", "Turns the check on.").default("false"),
    schema::duration("interval", "Time between two checks.").default("10s"),
    schema::count("threshold", "Failures in a row until it counts; 0 fails at once.").default("0"),
]);

static FILE: Section = Section::new(&[
    schema::text("file", "The file."),
    schema::duration("interval", "Time between two checks.").default("10s"),
    schema::count("threshold", "Ignored.").default("0"),
]);

static HTTP: Section = Section::new(&[
    schema::checked("uri", check::url, "The URL."),
    schema::headers("headers", true, "Headers of the request."),
    schema::count("statuscode", "Status that is healthy.").default("200"),
    schema::duration("timeout", "Time for one request; 0 is 30 s.").default("0s"),
    schema::duration("interval", "Time between two checks.").default("10s"),
    schema::count("threshold", "Failures in a row until it counts.").default("0"),
]);

static TCP: Section = Section::new(&[
    schema::text("addr", "`host:port`."),
    schema::duration("timeout", "Time to connect; 0 is 30 s.").default("0s"),
    schema::duration("interval", "Time between two checks.").default("10s"),
    schema::count("threshold", "Failures in a row until it counts.").default("0"),
]);

/// Go's default when the interval is zero.
const INTERVAL: Duration = Duration::from_secs(10);

/// `health`.
#[derive(Clone, Debug)]
pub struct Health {
    /// Check of the driver; none when off.
    pub storage_driver: Option<StorageDriverCheck>,
    /// Checks of files.
    pub file: Vec<FileCheck>,
    /// Checks of URLs.
    pub http: Vec<HttpCheck>,
    /// Checks of ports.
    pub tcp: Vec<TcpCheck>,
}

/// `health.storagedriver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageDriverCheck {
    /// Time between two checks.
    pub interval: Duration,
    /// Failures in a row until it counts; 0 fails at once.
    pub threshold: u64,
}

/// One of `health.file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// The file whose existence is unhealthy.
    pub file: PathBuf,
    /// Time between two checks.
    pub interval: Duration,
}

/// One of `health.http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// The URL.
    pub uri: SecretUrl,
    /// Headers of the request; they may hold credentials.
    pub headers: Vec<(String, Vec<Secret>)>,
    /// Status that is healthy.
    pub status_code: u64,
    /// Time for one request; zero is 30 s.
    pub timeout: Duration,
    /// Time between two checks.
    pub interval: Duration,
    /// Failures in a row until it counts.
    pub threshold: u64,
}

/// One of `health.tcp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpCheck {
    /// `host:port`.
    pub addr: String,
    /// Time to connect; zero is 30 s.
    pub timeout: Duration,
    /// Time between two checks.
    pub interval: Duration,
    /// Failures in a row until it counts.
    pub threshold: u64,
}

pub(crate) fn read(health: Reader<'_>) -> Health {
    let driver = health.section("storagedriver");
    Health {
        storage_driver: driver.boolean("enabled").then(|| StorageDriverCheck {
            interval: interval_of(driver),
            threshold: driver.count("threshold"),
        }),
        file: health
            .items("file")
            .map(|check| FileCheck {
                file: check.text("file").into(),
                interval: interval_of(check),
            })
            .collect(),
        http: health
            .items("http")
            .map(|check| HttpCheck {
                uri: SecretUrl::new(check.text("uri")),
                headers: check.secret_headers("headers"),
                status_code: check.count("statuscode"),
                timeout: check.duration("timeout"),
                interval: interval_of(check),
                threshold: check.count("threshold"),
            })
            .collect(),
        tcp: health
            .items("tcp")
            .map(|check| TcpCheck {
                addr: check.text("addr"),
                timeout: check.duration("timeout"),
                interval: interval_of(check),
                threshold: check.count("threshold"),
            })
            .collect(),
    }
}

fn interval_of(check: Reader<'_>) -> Duration {
    check.set_duration("interval").filter(|time| !time.is_zero()).unwrap_or(INTERVAL)
}
