//! `proxy`: pull-through cache of one upstream.

use std::time::Duration;

use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
    secret::Secret,
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::checked("remoteurl", check::url, "The upstream; empty is off."),
    schema::text("username", "User at the upstream."),
    schema::secret("password", "Password at the upstream."),
    schema::optional("exec", &EXEC, "A credential helper, in place of user and password."),
    schema::duration("ttl", "How long content stays; 0 is for ever.").default("168h"),
    schema::duration("cachewritetimeout", "Longest time of a write to the cache.").default("5m"),
]);

static EXEC: Section = Section::new(&[
    schema::text("command", "Name or path of the helper."),
    schema::duration("lifetime", "How long its answer is good; unset is for one use."),
]);

/// `proxy`.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The upstream; none when off.
    pub remote_url: Option<String>,
    /// User at the upstream.
    pub username: String,
    /// Password at the upstream.
    pub password: Option<Secret>,
    /// A credential helper.
    pub exec: Option<CredentialHelper>,
    /// How long content stays; none is for ever.
    pub ttl: Option<Duration>,
    /// Longest time of a write to the cache.
    pub cache_write_timeout: Duration,
}

/// `proxy.exec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialHelper {
    /// Name or path of the helper.
    pub command: String,
    /// How long its answer is good.
    pub lifetime: Option<Duration>,
}

pub(crate) fn read(proxy: Reader<'_>) -> Proxy {
    Proxy {
        remote_url: proxy.set_text("remoteurl"),
        username: proxy.text("username"),
        password: proxy.secret("password"),
        exec: proxy.written("exec").and_then(|exec| {
            let command = exec.set_text("command")?;
            Some(CredentialHelper { command, lifetime: exec.set_duration("lifetime") })
        }),
        ttl: proxy.set_duration("ttl").filter(|ttl| !ttl.is_zero()),
        cache_write_timeout: proxy.duration("cachewritetimeout"),
    }
}
