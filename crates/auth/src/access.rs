//! What a request wants to do, in the words of the token specification: `repository:name:pull`.

use std::fmt;

/// A thing that rights are about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resource {
    /// A repository, by its name.
    Repository(String),
    /// The list of repositories, `registry:catalog`.
    Catalog,
}

impl Resource {
    /// The type, as scopes and Distribution's error details name it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Repository(_) => "repository",
            Self::Catalog => "registry",
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Repository(name) => name,
            Self::Catalog => "catalog",
        }
    }
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read.
    Pull,
    /// Add.
    Push,
    /// Take away.
    Delete,
    /// Everything; what the catalog asks for.
    All,
}

impl Action {
    /// The word in a scope.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::All => "*",
        }
    }
}

/// One right that a request needs: a resource and an action. A push needs two of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    /// The resource.
    pub resource: Resource,
    /// The action.
    pub action: Action,
}

impl Access {
    /// The right to do `action` to a repository.
    pub fn repository(name: impl Into<String>, action: Action) -> Self {
        Self { resource: Resource::Repository(name.into()), action }
    }

    /// The right to list the repositories.
    #[must_use]
    pub const fn catalog() -> Self {
        Self { resource: Resource::Catalog, action: Action::All }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, action } = self;
        write!(f, "{}:{}:{}", resource.kind(), resource.name(), action.as_str())
    }
}

/// The scopes of several rights: actions on the same resource are put together, resources stand in
/// the order in which they come first (`repository:a:pull,push repository:b:pull`).
#[must_use]
pub fn scopes(wanted: &[Access]) -> String {
    let mut resources: Vec<&Resource> = Vec::new();
    for access in wanted {
        if !resources.contains(&&access.resource) {
            resources.push(&access.resource);
        }
    }
    let scope = |resource: &&Resource| {
        let mut actions: Vec<_> = Vec::new();
        for access in wanted.iter().filter(|access| access.resource == **resource) {
            if !actions.contains(&access.action.as_str()) {
                actions.push(access.action.as_str());
            }
        }
        format!("{}:{}:{}", resource.kind(), resource.name(), actions.join(","))
    };
    resources.iter().map(scope).collect::<Vec<_>>().join(" ")
}

/// The scopes of several rights, each for itself, as the `silly` kind lists them.
pub(crate) fn scopes_apart(wanted: &[Access]) -> String {
    wanted.iter().map(Access::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_as_clients_expect_them() {
        assert_eq!(scopes(&[]), "");
        assert_eq!(scopes(&[Access::catalog()]), "registry:catalog:*");
        let wanted = [
            Access::repository("a/b", Action::Pull),
            Access::repository("a/b", Action::Push),
            Access::repository("c", Action::Pull),
            Access::repository("a/b", Action::Pull),
        ];
        assert_eq!(scopes(&wanted), "repository:a/b:pull,push repository:c:pull");
        assert_eq!(wanted[1].to_string(), "repository:a/b:push");
    }
}
