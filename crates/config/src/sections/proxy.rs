//! `proxy`: the pull-through mirror of other registries.

mod upstream;

use std::time::Duration;

use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
    size,
};

use super::remote;

pub use self::upstream::{Caching, Prefetch, Upstream};

pub(crate) static SECTION: Section = Section::new(&[
    schema::checked("remoteurl", check::url, "One upstream for every name; empty is off."),
    schema::text("username", "User at `remoteurl`."),
    schema::secret("password", "Password at `remoteurl`."),
    schema::optional(
        "exec",
        &remote::EXEC,
        "A credential helper for `remoteurl`, in place of user and password.",
    ),
    schema::duration("ttl", "How long content stays in the cache; 0 is for ever.").default("168h"),
    schema::duration("cachewritetimeout", "Longest time of a write to the cache.").default("5m"),
    schema::checked(
        "maxsize",
        check::positive_size,
        "Most bytes that are cached, such as `100GB` or `100GiB`; beyond it what was not used for longest goes. Empty is any number. Not in Distribution.",
    ),
    schema::bounded(
        "lowwater",
        1,
        100,
        "Part of `maxsize`, in percent, down to which is evicted. Not in Distribution.",
    )
    .default("90")
    .only_with("maxsize"),
    schema::checked_texts(
        "keep",
        check::repository_pattern,
        "Patterns of mirrored repositories, by their names here, that are never evicted. Not in Distribution.",
    ),
    schema::checked_texts(
        "local",
        check::repository_pattern,
        "Patterns of repositories that are hosted here though an upstream covers their names. Not in Distribution.",
    ),
    schema::duration(
        "staleiferror",
        "How long after its last check a cached tag is served while the upstream fails; 0 is never. Not in Distribution.",
    )
    .default("8760h"),
    schema::duration(
        "tagttl",
        "How long a cached tag is served without asking the upstream again. Not in Distribution.",
    )
    .default("0s"),
    schema::duration(
        "negativettl",
        "How long it is remembered that something is not there. Not in Distribution.",
    )
    .default("10s"),
    schema::boolean(
        "offline",
        "Asks no upstream: only what is cached is served. Not in Distribution.",
    )
    .default("false"),
    schema::choice(
        "prefetch",
        upstream::PREFETCH,
        "What is fetched before clients ask for it, once they have fetched a manifest: `layers` of an image, or `all` that an index has. Not in Distribution.",
    )
    .default("none"),
    schema::list(
        "upstreams",
        &upstream::SECTION,
        "The registries that are mirrored, each under a prefix of its own. Not in Distribution.",
    ),
]);

/// `proxy`. What an upstream did not say for itself is filled in.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The registries that are mirrored; none when the mirror is off. That of `remoteurl` is first.
    pub upstreams: Vec<Upstream>,
    /// Longest time of a write to the cache.
    pub cache_write_timeout: Duration,
    /// Most bytes that are cached; none is any number.
    pub size_bytes_max: Option<u64>,
    /// Part of `size_bytes_max`, in percent from 1 to 100, down to which is evicted.
    pub low_water_percent: u8,
    /// Patterns of mirrored repositories that are never evicted.
    pub keep: Vec<String>,
    /// Patterns of repositories that are hosted here though an upstream covers their names.
    pub local: Vec<String>,
}

pub(crate) fn read(proxy: Reader<'_>) -> Proxy {
    let caching = upstream::caching(proxy, None);
    let items = proxy.items("upstreams").map(|item| upstream::read(item, &caching));
    let mut upstreams: Vec<_> =
        upstream::remote(proxy, &caching).into_iter().chain(items).collect();
    upstream::share_host_names(&mut upstreams);
    Proxy {
        upstreams,
        cache_write_timeout: proxy.duration("cachewritetimeout"),
        size_bytes_max: proxy.set_text("maxsize").and_then(|text| size::bytes(&text)),
        low_water_percent: u8::try_from(proxy.count("lowwater")).unwrap_or(100),
        keep: proxy.texts("keep"),
        local: proxy.texts("local"),
    }
}
