//! Of which platforms the children of an index are copied.

use std::collections::HashSet;

use crate::{Child, ChildPlatform};

/// The annotation of an attestation in an index, as buildkit writes it: the digest of what it is
/// about.
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// A platform: `linux/arm64`, `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no platform: write os/architecture, perhaps with /variant")]
pub struct PlatformError(String);

impl Platform {
    /// Parses `os/architecture` or `os/architecture/variant`.
    ///
    /// # Errors
    /// [`PlatformError`] when it is neither.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(PlatformError(text.to_owned())),
        };
        if parts.contains(&"") {
            return Err(PlatformError(text.to_owned()));
        }
        Ok(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        })
    }

    /// Whether it is that of a child. Without a variant it is any of them; with one, a child without
    /// is the usual one of its architecture.
    fn is_of(&self, child: &ChildPlatform) -> bool {
        let usual = || match child.architecture.as_str() {
            "amd64" => "v1",
            "arm" => "v7",
            "arm64" => "v8",
            _ => "",
        };
        let has_variant = |wanted: &String| match child.variant.as_str() {
            "" => wanted == usual(),
            variant => wanted == variant,
        };
        self.os == child.os
            && self.architecture == child.architecture
            && self.variant.as_ref().is_none_or(has_variant)
    }
}

/// The platforms of which a job copies the children of an index; of all when there are none.
#[derive(Debug, Clone, Default)]
pub struct Platforms(pub Vec<Platform>);

impl Platforms {
    /// Whether children are copied whatever they are for.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// The children that are copied: those for one of the platforms, the attestations about one of
    /// these, and what says neither what it is for nor what it is about.
    #[must_use]
    pub fn chosen<'a>(&self, children: &'a [Child]) -> Vec<&'a Child> {
        let is_meant = |child: &Child| match &child.platform {
            _ if child.annotations.contains_key(REFERENCE_DIGEST) => false,
            None => true,
            Some(platform) => self.0.iter().any(|wanted| wanted.is_of(platform)),
        };
        let images: HashSet<&str> = children
            .iter()
            .filter(|child| is_meant(child))
            .map(|child| child.digest.as_str())
            .collect();
        let is_chosen = |child: &&Child| {
            let about = child.annotations.get(REFERENCE_DIGEST);
            self.is_all() || images.contains(about.unwrap_or(&child.digest).as_str())
        };
        children.iter().filter(is_chosen).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(digest: &str, platform: Option<&str>, about: Option<&str>) -> Child {
        let platform = platform.map(|text| {
            let mut parts = text.split('/').map(str::to_owned);
            let mut part = || parts.next().unwrap_or_default();
            ChildPlatform { os: part(), architecture: part(), variant: part() }
        });
        let about = about.map(|digest| (REFERENCE_DIGEST.to_owned(), digest.to_owned()));
        let annotations = about.into_iter().collect();
        Child { digest: digest.to_owned(), platform, annotations, ..Child::default() }
    }

    fn chosen(platforms: &[&str], children: &[Child]) -> Vec<String> {
        let platforms = platforms.iter().map(|text| Platform::parse(text).unwrap()).collect();
        Platforms(platforms).chosen(children).iter().map(|child| child.digest.clone()).collect()
    }

    #[test]
    fn children_of_other_platforms_stay_and_so_do_attestations_about_them() {
        let children = [
            child("amd", Some("linux/amd64"), None),
            child("arm", Some("linux/arm64/v8"), None),
            child("win", Some("windows/amd64"), None),
            child("about-amd", Some("unknown/unknown"), Some("amd")),
            child("about-arm", Some("unknown/unknown"), Some("arm")),
            child("any", None, None),
            child("about-win", None, Some("win")),
        ];
        assert_eq!(chosen(&["linux/amd64"], &children), ["amd", "about-amd", "any"]);
        let both = ["amd", "arm", "about-amd", "about-arm", "any"];
        assert_eq!(chosen(&["linux/amd64", "linux/arm64"], &children), both);
        assert_eq!(chosen(&["linux/riscv64"], &children), ["any"]);
        assert_eq!(chosen(&[], &children).len(), children.len());
    }

    #[test]
    fn variants() {
        for (wanted, platform, is_chosen) in [
            ("linux/arm", "linux/arm/v6", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm/v7", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/arm/v6", "linux/arm", false),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/amd64/v3", "linux/amd64", false),
        ] {
            let children = [child("a", Some(platform), None)];
            assert_eq!(chosen(&[wanted], &children).len() == 1, is_chosen, "{wanted} {platform}");
        }
        for wrong in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/arm/"] {
            assert!(Platform::parse(wrong).is_err(), "{wrong}");
        }
    }
}
