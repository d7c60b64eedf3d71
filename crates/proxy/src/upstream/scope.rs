//! What an endpoint has to allow for a question to be answered.

use std::fmt;

use oci::RepositoryName;

/// The scope of a token (Distribution's token specification, "Resource scope").
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Reading a repository.
    Pull(RepositoryName),
    /// Writing to it, and reading what is there.
    Push(RepositoryName),
    /// The same, and mounting blobs of another one.
    Mount { to: RepositoryName, from: RepositoryName },
    /// Listing repositories.
    Catalog,
}

impl Scope {
    /// Whether a scope as an endpoint writes it is this one.
    pub(crate) fn is(&self, text: &str) -> bool {
        parts(text) == parts(&self.to_string())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pull(name) => write!(f, "repository:{name}:pull"),
            Self::Push(name) => write!(f, "repository:{name}:pull,push"),
            Self::Mount { to, from } => {
                write!(f, "repository:{to}:pull,push repository:{from}:pull")
            }
            Self::Catalog => f.write_str("registry:catalog:*"),
        }
    }
}

/// Resources with what is done to them, in one order.
fn parts(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut parts: Vec<_> = text
        .split_whitespace()
        .map(|part| {
            let (resource, actions) = part.rsplit_once(':').unwrap_or((part, ""));
            let mut actions: Vec<_> = actions.split(',').collect();
            actions.sort_unstable();
            (resource, actions)
        })
        .collect();
    parts.sort_unstable();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_in_another_order() {
        let name = |text: &str| RepositoryName::parse(text).unwrap();
        let push = Scope::Push(name("a/b"));
        assert!(push.is("repository:a/b:pull,push") && push.is("repository:a/b:push,pull"));
        assert!(!push.is("repository:a/b:pull") && !push.is("repository:a:pull,push"));
        let mount = Scope::Mount { to: name("a"), from: name("b") };
        assert!(mount.is("repository:b:pull repository:a:push,pull"));
        assert!(!mount.is("repository:a:pull,push"));
        assert!(Scope::Catalog.is("registry:catalog:*"));
    }
}
