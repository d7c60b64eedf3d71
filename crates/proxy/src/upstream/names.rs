//! An upstream's names of repositories.

use oci::RepositoryName;

use super::options::NameRules;

impl NameRules {
    /// A rule that does not replace path components with path components.
    pub(crate) fn wrong_rewrite(&self) -> Option<&(String, String)> {
        let is_path = |text: &str| text.is_empty() || RepositoryName::parse(text).is_ok();
        self.rewrite.iter().find(|(from, to)| !is_path(from) || !is_path(to))
    }

    /// The upstream's name of a repository; otherwise the name that there can't be or that is not
    /// asked for.
    pub(crate) fn translate(&self, name: &str) -> Result<RepositoryName, String> {
        let mut text = rewritten(name, &self.rewrite).unwrap_or_else(|| name.to_owned());
        if self.library && !text.contains('/') {
            text.insert_str(0, "library/");
        }
        let Ok(name) = RepositoryName::parse(&text) else {
            return Err(text.chars().take(255).collect());
        };
        let allowed = self.allow.is_empty() || self.allow.iter().any(|of| of.matches(&name));
        if allowed && !self.deny.iter().any(|of| of.matches(&name)) { Ok(name) } else { Err(text) }
    }
}

/// A name with its leading components replaced by the first rule that is for it; `None` when there
/// is none. Rules have whole components or nothing on both sides.
#[must_use]
pub fn rewritten(name: &str, rules: &[(String, String)]) -> Option<String> {
    rules.iter().find_map(|rule| replaced(name, rule))
}

fn replaced(name: &str, (from, to): &(String, String)) -> Option<String> {
    let rest = if from.is_empty() {
        name
    } else {
        let rest = name.strip_prefix(from.as_str())?;
        if rest.is_empty() { rest } else { rest.strip_prefix('/')? }
    };
    Some(match (to.is_empty(), rest.is_empty()) {
        (true, _) => rest.to_owned(),
        (false, true) => to.clone(),
        (false, false) => format!("{to}/{rest}"),
    })
}

#[cfg(test)]
mod tests {
    use registry::RepositoryPattern;

    use super::*;

    fn rules(rewrite: &[(&str, &str)], allow: &[&str], deny: &[&str]) -> NameRules {
        let patterns = |texts: &[&str]| {
            texts.iter().map(|text| RepositoryPattern::parse(text).unwrap()).collect()
        };
        let rewrite = rewrite.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        NameRules {
            library: true,
            rewrite: rewrite.collect(),
            allow: patterns(allow),
            deny: patterns(deny),
        }
    }

    fn translated(rules: &NameRules, name: &str) -> Result<String, String> {
        rules.translate(name).map(|name| name.to_string())
    }

    #[test]
    fn names_are_rewritten_by_whole_components() {
        let rules = rules(&[("a/b", "x"), ("a", ""), ("c", "d/e")], &[], &[]);
        for (name, expected) in [
            ("alpine", "library/alpine"),
            ("library/alpine", "library/alpine"),
            ("a/b/c", "x/c"),
            ("a/b", "library/x"),
            ("a/bc", "library/bc"),
            ("a/x/y", "x/y"),
            ("c", "d/e"),
            ("cc/d", "cc/d"),
        ] {
            assert_eq!(translated(&rules, name), Ok(expected.to_owned()), "{name}");
        }
        assert!(translated(&rules, "a").is_err(), "nothing is left of it");
        assert!(translated(&rules, "UPPER").is_err());
        let all = self::rules(&[("", "proxy")], &[], &[]);
        assert_eq!(translated(&all, "x/y"), Ok("proxy/x/y".to_owned()));
    }

    #[test]
    fn deny_wins_over_allow() {
        let rules = rules(&[], &["library/*", "team/**"], &["team/secret/**"]);
        assert_eq!(translated(&rules, "alpine"), Ok("library/alpine".to_owned()));
        assert_eq!(translated(&rules, "team/a/b"), Ok("team/a/b".to_owned()));
        assert_eq!(translated(&rules, "team/secret/b"), Err("team/secret/b".to_owned()));
        assert_eq!(translated(&rules, "other/a"), Err("other/a".to_owned()));
    }

    #[test]
    fn rules_are_of_path_components() {
        assert_eq!(rules(&[("a", ""), ("", "b/c")], &[], &[]).wrong_rewrite(), None);
        for (from, to) in [("a/", "b"), ("A", "b"), ("a", "/b"), ("a*", "b")] {
            assert!(rules(&[(from, to)], &[], &[]).wrong_rewrite().is_some(), "{from} {to}");
        }
    }
}
