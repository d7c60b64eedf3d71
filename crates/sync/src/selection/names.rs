//! How the repositories of the source are called at the target.

use oci::RepositoryName;

/// How the repositories of the source are called at the target.
#[derive(Debug, Clone, Default)]
pub struct NameMap {
    /// Leading components that are replaced; the first rule that matches counts. An empty text stands
    /// for no component: it matches every name, and takes away what it is put in the place of.
    pub rewrite: Vec<(String, String)>,
    /// What is put in front of every name, after that; whole components, or empty.
    pub prefix: String,
}

/// A name that would not be one at the target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} would be called {target:?} at the target, which is no name of a repository")]
pub struct NameMapError {
    /// The repository at the source.
    pub name: RepositoryName,
    /// What it would be called.
    pub target: String,
}

impl NameMap {
    /// The target's name of a repository.
    ///
    /// # Errors
    /// [`NameMapError`] when it can't be called so.
    pub fn target(&self, name: &RepositoryName) -> Result<RepositoryName, NameMapError> {
        // The prefix is a rule for every name.
        let prefix = [(String::new(), self.prefix.clone())];
        let target = [&self.rewrite[..], &prefix]
            .iter()
            .fold(name.to_string(), |name, rules| proxy::rewritten(&name, rules).unwrap_or(name));
        RepositoryName::parse(&target).map_err(|_| NameMapError { name: name.clone(), target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(rewrite: &[(&str, &str)], prefix: &str, name: &str) -> Result<String, NameMapError> {
        let rule = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        let names =
            NameMap { rewrite: rewrite.iter().map(rule).collect(), prefix: prefix.to_owned() };
        let target = names.target(&RepositoryName::parse(name).unwrap())?;
        Ok(target.as_str().to_owned())
    }

    #[test]
    fn rules_and_the_prefix() {
        for (rewrite, prefix, name, expected) in [
            (&[][..], "", "a/b", "a/b"),
            (&[], "x/y", "a/b", "x/y/a/b"),
            (&[("a", "z")], "", "a/b", "z/b"),
            (&[("a", "z")], "", "ab/c", "ab/c"),
            (&[("a/b", "z")], "", "a/b", "z"),
            (&[("a", "")], "", "a/b", "b"),
            (&[("a", "")], "x", "a", "x"),
            (&[("", "z")], "", "a/b", "z/a/b"),
            (&[("a/b", "1"), ("a", "2"), ("", "3")], "x", "a/b/c", "x/1/c"),
            (&[("a/b", "1"), ("a", "2"), ("", "3")], "x", "a/c", "x/2/c"),
            (&[("a/b", "1"), ("a", "2"), ("", "3")], "x", "b", "x/3/b"),
        ] {
            assert_eq!(target(rewrite, prefix, name).unwrap(), expected, "{rewrite:?} {name}");
        }
    }

    #[test]
    fn what_would_be_no_name_is_told() {
        let error = target(&[("a", "")], "", "a").unwrap_err().to_string();
        assert!(error.starts_with("a would be called \"\" at the target"), "{error}");
        assert!(target(&[], &"x".repeat(250), "abcdef").is_err());
    }
}
