//! `proxy.upstreams`: one registry that is mirrored.

use std::{collections::HashSet, time::Duration};

use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
};

use crate::sections::{
    remote::{self, DOCKER_HUB, RegistryUrl, Remote, RemoteTls, is_docker_hub},
    rewrite::{self, Rewrite},
};

pub(super) static SECTION: Section = Section::new(&[
    schema::checked(
        "name",
        check::upstream_name,
        "What logs and metrics call it; unless set its prefix, or else the URL's host.",
    ),
    remote::URL,
    remote::URLS,
    schema::checked(
        "prefix",
        check::repository_path,
        "Where it is here: `PREFIX/NAME` is `NAME` there. The longest prefix counts; the empty one covers every name that no other does.",
    ),
    schema::checked_texts(
        "ns",
        check::registry_host,
        "Values of `?ns=`, which containerd sends, that mean this upstream. Unless set the prefix, if it is a host name; `docker.io` brings its other names along.",
    ),
    remote::USERNAME,
    remote::PASSWORD,
    remote::HELPER,
    remote::ECR,
    remote::GAR,
    remote::ACR,
    remote::TLS,
    schema::boolean(
        "library",
        "Puts `library/` in front of names of one component; on for Docker Hub unless set.",
    ),
    schema::list(
        "rewrite",
        &rewrite::SECTION,
        "Replaces the first components of a name before it is asked for; the first that fits counts.",
    ),
    schema::checked_texts(
        "allow",
        check::repository_pattern,
        "Patterns of the names there, after `rewrite`, that are mirrored; all unless set.",
    ),
    schema::checked_texts(
        "deny",
        check::repository_pattern,
        "Patterns of the names there that are not mirrored, whatever `allow` says.",
    ),
    schema::duration("ttl", "As `proxy.ttl`, which holds unless set."),
    schema::duration("tagttl", "As `proxy.tagttl`, which holds unless set."),
    schema::duration("negativettl", "As `proxy.negativettl`, which holds unless set."),
    schema::duration("staleiferror", "As `proxy.staleiferror`, which holds unless set."),
    schema::boolean("offline", "As `proxy.offline`, which holds unless set."),
    schema::choice("prefetch", PREFETCH, "As `proxy.prefetch`, which holds unless set."),
    schema::boolean(
        "forwardauth",
        "Sends it the client's own `Authorization`. Dangerous: it learns the passwords that clients have here, and what is fetched with one client's rights is served to all.",
    )
    .default("false"),
])
.closed(remote::UNKNOWN);

/// What may be fetched before it is asked for.
pub(super) const PREFETCH: &[&str] = &["none", "layers", "all"];

/// One registry that is mirrored.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// What it is called in logs and metrics; no other has the same.
    pub name: String,
    /// Where it is, and how wharf shows who it is.
    pub remote: Remote,
    /// Prefix of its repositories here: empty, or whole components of a name.
    pub prefix: String,
    /// Values of `?ns=` that mean it, in lower case. None: with an empty prefix and no other
    /// upstream beside it, any value means it; else none does.
    pub ns: Vec<String>,
    /// Whether names of one component get `library/` in front.
    pub library: bool,
    /// What replaces the first components of a name; the first that fits counts.
    pub rewrite: Vec<Rewrite>,
    /// Patterns of names there that are mirrored; none is all.
    pub allow: Vec<String>,
    /// Patterns of names there that are not mirrored, whatever `allow` says.
    pub deny: Vec<String>,
    /// How long what is cached is good.
    pub caching: Caching,
    /// Whether the client's own `Authorization` is sent to it.
    pub forward_auth: bool,
}

/// How long what is cached is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caching {
    /// How long content stays in the cache; none is for ever.
    pub ttl: Option<Duration>,
    /// How long a tag is served without asking again.
    pub tag_ttl: Duration,
    /// How long "not there" is remembered.
    pub negative_ttl: Duration,
    /// How long after its last check a tag is served while the upstream fails; zero is never.
    pub stale_if_error: Duration,
    /// Whether the upstream is never asked.
    pub offline: bool,
    /// What is fetched before clients ask for it.
    pub prefetch: Prefetch,
}

/// What is fetched before clients ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefetch {
    /// Nothing.
    #[default]
    Nothing,
    /// Configuration and layers of the images whose manifests they fetch.
    Layers,
    /// All that the indexes have which they fetch, as well.
    All,
}

/// The keys of a section about caching; what is unset is as in `above`.
pub(super) fn caching(from: Reader<'_>, above: Option<&Caching>) -> Caching {
    let time =
        |name, above: Option<Duration>| from.set_duration(name).or(above).unwrap_or_default();
    let ttl = from.set_duration("ttl").or(above.and_then(|above| above.ttl));
    Caching {
        ttl: ttl.filter(|ttl| !ttl.is_zero()),
        tag_ttl: time("tagttl", above.map(|above| above.tag_ttl)),
        negative_ttl: time("negativettl", above.map(|above| above.negative_ttl)),
        stale_if_error: time("staleiferror", above.map(|above| above.stale_if_error)),
        offline: from
            .set_boolean("offline")
            .unwrap_or_else(|| above.is_some_and(|above| above.offline)),
        prefetch: match from.set_text("prefetch").as_deref() {
            Some("layers") => Prefetch::Layers,
            Some("all") => Prefetch::All,
            Some(_) => Prefetch::Nothing,
            None => above.map_or(Prefetch::Nothing, |above| above.prefetch),
        },
    }
}

/// The upstream of `proxy.remoteurl`.
pub(super) fn remote(proxy: Reader<'_>, caching: &Caching) -> Option<Upstream> {
    let url = RegistryUrl::parse(&proxy.set_text("remoteurl")?)?;
    Some(Upstream {
        name: url.host.clone(),
        prefix: String::new(),
        ns: Vec::new(),
        library: is_docker_hub(&url.host),
        remote: Remote {
            credentials: remote::read_credentials(proxy, &url.host, url.login),
            tls: RemoteTls::default(),
            urls: vec![url.url],
        },
        rewrite: Vec::new(),
        allow: Vec::new(),
        deny: Vec::new(),
        caching: caching.clone(),
        forward_auth: false,
    })
}

/// One of `proxy.upstreams`.
pub(super) fn read(from: Reader<'_>, above: &Caching) -> Upstream {
    let remote = remote::read(from);
    let prefix = from.text("prefix");
    let named = from.set_text("name").or_else(|| Some(prefix.clone()).filter(|p| !p.is_empty()));
    Upstream {
        name: named.or_else(|| remote.host()).unwrap_or_default(),
        ns: host_names(from.texts("ns"), &prefix),
        library: from.set_boolean("library").unwrap_or_else(|| remote.is_docker_hub()),
        remote,
        prefix,
        rewrite: rewrite::read(from),
        allow: from.texts("allow"),
        deny: from.texts("deny"),
        caching: caching(from, Some(above)),
        forward_auth: from.boolean("forwardauth"),
    }
}

/// What was written, or else the prefix where it is a host name.
fn host_names(written: Vec<String>, prefix: &str) -> Vec<String> {
    let is_host = prefix.contains('.') && !prefix.contains('/');
    match written.as_slice() {
        [] if is_host => names_of(prefix),
        names => names.iter().map(|name| name.to_ascii_lowercase()).collect(),
    }
}

/// All names of the registry that has this one.
fn names_of(registry: &str) -> Vec<String> {
    match is_docker_hub(registry) {
        true => DOCKER_HUB.map(str::to_owned).to_vec(),
        false => vec![registry.to_owned()],
    }
}

/// An upstream without a prefix means any host name while it is alone. Beside others it means the
/// registry that it is, by those of its names that mean no other upstream.
pub(super) fn share_host_names(upstreams: &mut [Upstream]) {
    let taken: HashSet<String> =
        upstreams.iter().flat_map(|upstream| upstream.ns.clone()).collect();
    let is_alone = upstreams.len() < 2;
    for upstream in upstreams.iter_mut().filter(|upstream| upstream.prefix.is_empty()) {
        if upstream.ns.is_empty() && !is_alone {
            let names = upstream.remote.registry().map(|registry| names_of(&registry));
            upstream.ns = names.unwrap_or_default();
            upstream.ns.retain(|name| !taken.contains(name));
        }
    }
}
