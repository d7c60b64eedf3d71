//! `http.limits` and `http.ratelimit`: what clients may take up.

use std::time::Duration;

use crate::{
    reader::Reader,
    schema::{self, Section},
};

pub(crate) static LIMITS: Section = Section::new(&[
    schema::bounded("connections", 1, 1_000_000, "Connections at a time; further ones wait.")
        .default("16384"),
    schema::count("connectionsperaddress", "Connections at a time from one address; 0 is no limit.")
        .default("0"),
    schema::duration("handshaketimeout", "Time for the handshake of TLS; for this and the times below, 0 is no limit.").default("10s"),
    schema::duration("headertimeout", "Time for the head of a request.").default("30s"),
    schema::duration("idletimeout", "How long a connection may stay without a request.")
        .default("75s"),
    schema::duration(
        "bodytimeout",
        "How long the body of a request may pause or crawl. A slow push goes on as long as it moves.",
    )
    .default("2m"),
    schema::duration("writetimeout", "How long a client may stop reading an answer.").default("5m"),
    schema::bounded("manifestsize", 1 << 10, 16 << 20, "Largest manifest, in bytes.")
        .default("4194304"),
]);

pub(crate) static RATE_LIMIT: Section = Section::new(&[
    schema::bounded("requests", 0, 1_000_000, "Requests in each period; 0 is no limit.")
        .default("0"),
    schema::duration("period", "The period.").default("1s"),
    schema::bounded("burst", 0, 1_000_000, "Requests at once; 0 is as many as in a period.")
        .default("0"),
    schema::choice(
        "by",
        &["address", "user"],
        "Who is counted: addresses, or users who logged in.",
    )
    .default("address"),
]);

/// `http.limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: u64,
    /// Connections at a time from one address; none is no limit.
    pub connections_per_address: Option<u64>,
    /// Time for the handshake of TLS; for this and the times below, zero is no limit.
    pub handshake_timeout: Duration,
    /// Time for the head of a request.
    pub header_timeout: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// How long the body of a request may pause.
    pub body_timeout: Duration,
    /// How long a client may stop reading.
    pub write_timeout: Duration,
    /// Largest manifest.
    pub manifest_size_bytes: u64,
}

/// `http.ratelimit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in each period, at least 1.
    pub requests: u32,
    /// The period, more than nothing.
    pub period: Duration,
    /// Requests at once, at least 1.
    pub burst: u32,
    /// Whether users are counted in place of addresses.
    pub by_user: bool,
}

pub(crate) fn read(limits: Reader<'_>) -> Limits {
    Limits {
        connections: limits.count("connections"),
        connections_per_address: Some(limits.count("connectionsperaddress")).filter(|n| *n > 0),
        handshake_timeout: limits.duration("handshaketimeout"),
        header_timeout: limits.duration("headertimeout"),
        idle_timeout: limits.duration("idletimeout"),
        body_timeout: limits.duration("bodytimeout"),
        write_timeout: limits.duration("writetimeout"),
        manifest_size_bytes: limits.count("manifestsize"),
    }
}

pub(crate) fn read_rate(limit: Reader<'_>) -> Option<RateLimit> {
    let count = |name| u32::try_from(limit.count(name)).unwrap_or(u32::MAX);
    let requests = Some(count("requests")).filter(|n| *n > 0)?;
    Some(RateLimit {
        requests,
        period: limit
            .set_duration("period")
            .filter(|period| !period.is_zero())
            .unwrap_or(Duration::from_secs(1)),
        burst: Some(count("burst")).filter(|n| *n > 0).unwrap_or(requests),
        by_user: limit.text("by") == "user",
    })
}
