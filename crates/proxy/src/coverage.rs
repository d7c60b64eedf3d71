//! Which upstream covers which repository.

use std::sync::Arc;
use std::time::Duration;

use oci::{NameError, RepositoryName};
use registry::RepositoryPattern;
use registry::eviction::Lifetime;

use crate::ahead::Prefetch;
use crate::upstream::Upstream;

/// An upstream, what it covers, and how it is asked.
#[derive(Debug, Clone)]
pub struct Covering<U = Arc<Upstream>> {
    /// Who is asked; nobody (`()`) where only names matter.
    pub upstream: U,
    /// Repository `<prefix>/<name>` here is `<name>` there. Empty for every name that no other
    /// upstream covers.
    pub prefix: String,
    /// The hosts whose namespace it is, as containerd names them (`?ns=`).
    pub namespaces: Vec<String>,
    /// How it is asked.
    pub policy: Policy,
}

/// How an upstream is asked.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// How long a tag is served without asking again.
    pub tag_ttl: Duration,
    /// How long it is remembered that there is no such thing.
    pub negative_ttl: Duration,
    /// How long after it was looked up last a tag is served when the upstream can't be asked; `None`
    /// for ever.
    pub stale_if_error: Option<Duration>,
    /// How long what was fetched stays here without being used; `None` as long as there is room.
    pub ttl: Option<Duration>,
    /// Whether it is not asked at all.
    pub offline: bool,
    /// Whether it gets the credentials that the client sent here.
    pub forward_auth: bool,
    /// What is fetched ahead of clients.
    pub prefetch: Prefetch,
    /// The largest image of which something is fetched ahead, in bytes; `None` for any size.
    pub prefetch_bytes_max: Option<u64>,
}

/// Upstreams that can't stand beside each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Two cover the same names.
    #[error("two upstreams have the prefix {0:?}")]
    SamePrefix(String),
    /// Two are the namespace of one host.
    #[error("two upstreams have the ns {0:?}")]
    SameNamespace(String),
}

/// What the `ns` parameter of a request leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespace {
    /// This repository.
    Repository(RepositoryName),
    /// The name as it is: the one upstream there is covers everything, whatever it is called.
    Ignored,
    /// No upstream is this namespace.
    Unknown,
    /// The name is too long, or otherwise none that a repository here can have.
    Invalid(NameError),
}

/// All upstreams, and what they don't cover.
#[derive(Debug)]
pub struct Coverage<U = Arc<Upstream>> {
    /// The longest prefix first.
    upstreams: Vec<Covering<U>>,
    /// Repositories that are hosted here whatever the upstreams cover.
    local: Vec<RepositoryPattern>,
}

impl<U> Coverage<U> {
    /// What these upstreams cover. Repositories that `local` matches are hosted here.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(
        mut upstreams: Vec<Covering<U>>,
        local: Vec<RepositoryPattern>,
    ) -> Result<Self, SetupError> {
        upstreams.sort_by(|a, b| {
            b.prefix.len().cmp(&a.prefix.len()).then_with(|| a.prefix.cmp(&b.prefix))
        });
        if let Some(pair) = upstreams.windows(2).find(|pair| pair[0].prefix == pair[1].prefix) {
            return Err(SetupError::SamePrefix(pair[0].prefix.clone()));
        }
        let mut namespaces: Vec<&String> =
            upstreams.iter().flat_map(|covering| &covering.namespaces).collect();
        namespaces.sort_unstable();
        if let Some(pair) = namespaces.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(SetupError::SameNamespace(pair[0].clone()));
        }
        Ok(Self { upstreams, local })
    }

    /// Whether a repository is mirrored, and not hosted here.
    #[must_use]
    pub fn covers(&self, name: &RepositoryName) -> bool {
        self.of(name).is_some()
    }

    /// How long what a repository has may go unused.
    #[must_use]
    pub fn lifetime(&self, name: &RepositoryName) -> Lifetime {
        match self.of(name).map(|(covering, _)| covering.policy.ttl) {
            None => Lifetime::Local,
            Some(None) => Lifetime::Unlimited,
            Some(Some(ttl)) => Lifetime::Unused(ttl),
        }
    }

    /// The upstream that covers a repository, and the name without its prefix; `None` for one that
    /// is hosted here.
    pub(crate) fn of<'a>(&'a self, name: &'a RepositoryName) -> Option<(&'a Covering<U>, &'a str)> {
        let (covering, rest) =
            self.upstreams.iter().find_map(|c| Some((c, below(name.as_str(), &c.prefix)?)))?;
        let is_local = self.local.iter().any(|pattern| pattern.matches(name));
        (!is_local).then_some((covering, rest))
    }

    pub(crate) fn upstreams(&self) -> &[Covering<U>] {
        &self.upstreams
    }

    /// The repository that a request for `name` is about which says `?ns=host`.
    pub(crate) fn namespace(&self, host: &str, name: &RepositoryName) -> Namespace {
        let is_of = |covering: &&Covering<U>| covering.namespaces.iter().any(|ns| ns == host);
        match self.upstreams.iter().find(is_of) {
            Some(covering) if covering.prefix.is_empty() => Namespace::Repository(name.clone()),
            Some(covering) => match RepositoryName::parse(&format!("{}/{name}", covering.prefix)) {
                Ok(name) => Namespace::Repository(name),
                Err(error) => Namespace::Invalid(error),
            },
            None => match self.upstreams.as_slice() {
                // As with Distribution's one upstream, which is everybody's.
                [all] if all.prefix.is_empty() && all.namespaces.is_empty() => Namespace::Ignored,
                // Without an upstream to ask for it, the name is that of a local repository.
                _ => Namespace::Unknown,
            },
        }
    }
}

/// What of a name lies below a prefix.
fn below<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() {
        return Some(name);
    }
    name.strip_prefix(prefix)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covering(prefix: &str, namespaces: &[&str]) -> Covering<()> {
        Covering {
            upstream: (),
            prefix: prefix.to_owned(),
            namespaces: namespaces.iter().map(ToString::to_string).collect(),
            policy: Policy::default(),
        }
    }

    fn name(text: &str) -> RepositoryName {
        RepositoryName::parse(text).unwrap()
    }

    #[test]
    fn the_longest_prefix_counts_and_what_is_local_stays_here() {
        let local = vec![RepositoryPattern::parse("ghcr.io/mine/**").unwrap()];
        let upstreams = vec![covering("ghcr.io", &[]), covering("ghcr.io/deep", &[])];
        let coverage = Coverage::new(upstreams, local.clone()).unwrap();
        let of = |text: &str| {
            let name = name(text);
            let found = coverage.of(&name);
            found.map(|(covering, rest)| (covering.prefix.clone(), rest.to_owned()))
        };
        let found = |prefix: &str, rest: &str| Some((prefix.to_owned(), rest.to_owned()));
        assert_eq!(of("ghcr.io/owner/app"), found("ghcr.io", "owner/app"));
        assert_eq!(of("ghcr.io/deep/app"), found("ghcr.io/deep", "app"));
        assert_eq!(of("ghcr.io/deeper/app"), found("ghcr.io", "deeper/app"));
        for here in ["app", "ghcr.io", "ghcr.ion/app", "ghcr.io/mine/app"] {
            assert_eq!(of(here), None, "{here}");
        }
        let everything = Coverage::new(vec![covering("", &[])], local).unwrap();
        assert!(everything.of(&name("app")).is_some());
        assert!(everything.of(&name("ghcr.io/mine/app")).is_none());
    }

    #[test]
    fn namespaces() {
        let app = name("owner/app");
        let upstreams = vec![covering("", &["docker.io"]), covering("ghcr.io", &["ghcr.io"])];
        let coverage = Coverage::new(upstreams, vec![]).unwrap();
        let repository = |text| Namespace::Repository(name(text));
        assert_eq!(coverage.namespace("docker.io", &app), repository("owner/app"));
        assert_eq!(coverage.namespace("ghcr.io", &app), repository("ghcr.io/owner/app"));
        // Another registry's image of the same name is another image.
        assert_eq!(coverage.namespace("quay.io", &app), Namespace::Unknown);
        let long = name(&format!("a/{}", "b".repeat(250)));
        assert!(matches!(coverage.namespace("ghcr.io", &long), Namespace::Invalid(_)));
        let one = Coverage::new(vec![covering("", &[])], vec![]).unwrap();
        assert_eq!(one.namespace("docker.io", &app), Namespace::Ignored);
        // What lies outside of a prefix is local, and no other registry's.
        for prefixes in [["hub"].as_slice(), &["hub", "quay"], &["", "hub"]] {
            let upstreams = prefixes.iter().map(|prefix| covering(prefix, &[])).collect();
            let coverage = Coverage::new(upstreams, vec![]).unwrap();
            assert_eq!(coverage.namespace("ghcr.io", &app), Namespace::Unknown, "{prefixes:?}");
        }
        let named = Coverage::new(vec![covering("", &["docker.io"])], vec![]).unwrap();
        assert_eq!(named.namespace("ghcr.io", &app), Namespace::Unknown);
    }

    #[test]
    fn upstreams_that_can_not_stand_beside_each_other() {
        let of = |upstreams| Coverage::new(upstreams, vec![]).unwrap_err();
        assert_eq!(
            of(vec![covering("a", &[]), covering("b", &[]), covering("a", &[])]),
            SetupError::SamePrefix("a".into())
        );
        assert_eq!(
            of(vec![covering("a", &["h"]), covering("b", &["h"])]),
            SetupError::SameNamespace("h".into())
        );
    }
}
