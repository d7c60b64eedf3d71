//! `redis`: the connection of the shared descriptor cache.

use std::{path::PathBuf, time::Duration};

use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
    secret::Secret,
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::checked_texts(
        "addrs",
        check::host_port,
        "`host:port`: one is a server, several are a cluster's or, with `mastername`, sentinels.",
    )
    .alias(&["addr"]),
    schema::text("username", "User."),
    schema::secret("password", "Password."),
    schema::count("db", "Number of the database.").default("0"),
    schema::checked("clientname", check::client_name, "Name of the connection; not in a cluster."),
    schema::count("protocol", "Version of the protocol: 2, or 3; 2 unless set."),
    schema::text("sentinelusername", "User at the sentinels."),
    schema::secret("sentinelpassword", "Password at the sentinels."),
    schema::text("mastername", "Name of the master; turns sentinel mode on."),
    schema::integer(
        "maxretries",
        "Attempts after the first, at most 10; -1 is none, 1 unless set.",
    ),
    schema::duration_or_off(
        "minretrybackoff",
        "Shortest time between two attempts; 8ms unless set.",
    ),
    schema::duration_or_off(
        "maxretrybackoff",
        "Longest time between two attempts; 512ms unless set.",
    ),
    schema::duration_or_off("dialtimeout", "Time to connect; 500ms unless set."),
    schema::duration_or_off("readtimeout", "Time until an answer is there; 250ms unless set."),
    schema::duration_or_off("writetimeout", "Added to `readtimeout`."),
    schema::boolean("contexttimeoutenabled", "Deadlines of requests hold for commands too."),
    schema::boolean("poolfifo", "First in, first out."),
    schema::integer("poolsize", "Connections."),
    schema::duration_or_off("pooltimeout", "Time to wait for a connection."),
    schema::integer("minidleconns", "Idle connections at least."),
    schema::integer("maxidleconns", "Idle connections at most."),
    schema::integer("maxactiveconns", "Connections at most."),
    schema::duration_or_off("connmaxidletime", "How long a connection may be idle."),
    schema::duration_or_off("connmaxlifetime", "How long a connection may live."),
    schema::integer("maxredirects", "Redirects of a cluster."),
    schema::boolean("readonly", "Reads from replicas."),
    schema::boolean("routebylatency", "Reads from the nearest node."),
    schema::boolean("routerandomly", "Reads from any node."),
    schema::boolean("disableidentity", "Doesn't tell the server who is there.")
        .alias(&["disableindentity"]),
    schema::text("identitysuffix", "What is added to the client's name."),
    schema::boolean("unstableresp3", "Accepts unstable answers of version 3."),
    schema::optional(
        "tls",
        &TLS,
        "TLS to the servers and the sentinels; on when anything in it is set.",
    ),
    schema::optional("pool", &POOL, "Old spelling of the pool's keys."),
])
.silent(&["options"]);

static TLS: Section = Section::new(&[
    schema::text("certificate", "PEM file with the client's certificate."),
    schema::text("key", "PEM file with the client's key."),
    schema::texts("rootcas", "PEM files with the servers' authorities; the system's unless set."),
]);

static POOL: Section = Section::new(&[
    schema::integer("maxidle", "Old spelling of `maxidleconns`."),
    schema::integer("maxactive", "Old spelling of `maxactiveconns`."),
    schema::duration_or_off("idletimeout", "Old spelling of `connmaxidletime`."),
]);

/// Keys of Distribution 2 under `redis.pool`, and what they are called now.
pub(crate) const POOL_SUCCESSORS: &[(&str, &str)] = &[
    ("maxidle", "maxidleconns"),
    ("maxactive", "maxactiveconns"),
    ("idletimeout", "connmaxidletime"),
];

/// `redis`. What is none is left to the client library's default; a duration that was written
/// negative is none too.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Servers; empty means that Redis isn't configured.
    pub addrs: Vec<String>,
    /// User.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Database.
    pub db: u64,
    /// Name of the connection.
    pub client_name: Option<String>,
    /// Version of the protocol.
    pub protocol: Option<i64>,
    /// User at the sentinels.
    pub sentinel_username: Option<String>,
    /// Password at the sentinels.
    pub sentinel_password: Option<Secret>,
    /// Name of the master.
    pub master_name: Option<String>,
    /// Attempts after the first.
    pub max_retries: Option<i64>,
    /// Shortest time between two attempts.
    pub min_retry_backoff: Option<Duration>,
    /// Longest time between two attempts.
    pub max_retry_backoff: Option<Duration>,
    /// Time to connect.
    pub dial_timeout: Option<Duration>,
    /// Time to read.
    pub read_timeout: Option<Duration>,
    /// Time to write.
    pub write_timeout: Option<Duration>,
    /// Connections.
    pub pool_size: Option<i64>,
    /// Time to wait for a connection.
    pub pool_timeout: Option<Duration>,
    /// Idle connections at least.
    pub min_idle_conns: Option<i64>,
    /// Idle connections at most.
    pub max_idle_conns: Option<i64>,
    /// Connections at most.
    pub max_active_conns: Option<i64>,
    /// How long a connection may be idle.
    pub conn_max_idle_time: Option<Duration>,
    /// How long a connection may live.
    pub conn_max_lifetime: Option<Duration>,
    /// Redirects of a cluster.
    pub max_redirects: Option<i64>,
    /// Which nodes of a cluster are read from.
    pub routing: RedisRouting,
    /// TLS.
    pub tls: RedisTls,
}

/// Which nodes of a cluster are read from, and other switches of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisRouting {
    /// Reads from replicas.
    pub read_only: bool,
    /// Reads from the nearest node.
    pub by_latency: bool,
    /// Reads from any node.
    pub randomly: bool,
    /// First in, first out.
    pub pool_fifo: bool,
    /// Deadlines of requests hold for commands too.
    pub context_timeout_enabled: bool,
    /// Doesn't tell the server who is there.
    pub disable_identity: bool,
    /// What is added to the client's name.
    pub identity_suffix: Option<String>,
    /// Accepts unstable answers of version 3.
    pub unstable_resp3: bool,
}

/// `redis.tls`; on when anything is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// Client certificate.
    pub certificate: Option<PathBuf>,
    /// Client key.
    pub key: Option<PathBuf>,
    /// The server's authorities.
    pub root_cas: Vec<PathBuf>,
}

pub(crate) fn read(redis: Reader<'_>) -> Redis {
    let tls = redis.section("tls");
    Redis {
        addrs: redis.texts("addrs"),
        username: redis.set_text("username"),
        password: redis.secret("password"),
        db: redis.count("db"),
        client_name: redis.set_text("clientname"),
        protocol: redis.set_integer("protocol"),
        sentinel_username: redis.set_text("sentinelusername"),
        sentinel_password: redis.secret("sentinelpassword"),
        master_name: redis.set_text("mastername"),
        max_retries: redis.set_integer("maxretries"),
        min_retry_backoff: redis.set_duration("minretrybackoff"),
        max_retry_backoff: redis.set_duration("maxretrybackoff"),
        dial_timeout: redis.set_duration("dialtimeout"),
        read_timeout: redis.set_duration("readtimeout"),
        write_timeout: redis.set_duration("writetimeout"),
        pool_size: redis.set_integer("poolsize"),
        pool_timeout: redis.set_duration("pooltimeout"),
        min_idle_conns: redis.set_integer("minidleconns"),
        max_idle_conns: redis.set_integer("maxidleconns"),
        max_active_conns: redis.set_integer("maxactiveconns"),
        conn_max_idle_time: redis.set_duration("connmaxidletime"),
        conn_max_lifetime: redis.set_duration("connmaxlifetime"),
        max_redirects: redis.set_integer("maxredirects"),
        routing: read_routing(redis),
        tls: RedisTls {
            certificate: tls.set_path("certificate"),
            key: tls.set_path("key"),
            root_cas: tls.texts("rootcas").into_iter().map(PathBuf::from).collect(),
        },
    }
}

fn read_routing(redis: Reader<'_>) -> RedisRouting {
    RedisRouting {
        read_only: redis.boolean("readonly"),
        by_latency: redis.boolean("routebylatency"),
        randomly: redis.boolean("routerandomly"),
        pool_fifo: redis.boolean("poolfifo"),
        context_timeout_enabled: redis.boolean("contexttimeoutenabled"),
        disable_identity: redis.boolean("disableidentity"),
        identity_suffix: redis.set_text("identitysuffix"),
        unstable_resp3: redis.boolean("unstableresp3"),
    }
}
