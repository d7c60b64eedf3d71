//! What a manifest must satisfy beyond its format: Distribution's `validation` and `policy`.

use oci::{Descriptor, Manifest, ManifestKind, MediaType, Platform, RepositoryName};
use regex::Regex;

use crate::{Error, ReferenceFault, Registry, Result};

/// The rules for manifests that are pushed.
#[derive(Debug, Clone)]
pub struct Validation {
    /// Which URLs a descriptor may name; `None` checks none (`validation.disabled`).
    pub urls: Option<UrlRules>,
    /// Which children of an index must exist (`validation.manifests.indexes`).
    pub index_platforms: IndexPlatforms,
    /// Whether configuration and layers must exist (`validation.manifests.references`).
    pub missing_references: MissingReferences,
    /// Which classes of images may be pushed (`policy.repository.classes`); empty for all.
    pub repository_classes: Vec<String>,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            urls: Some(UrlRules::default()),
            index_platforms: IndexPlatforms::All,
            missing_references: MissingReferences::Refuse,
            repository_classes: Vec::new(),
        }
    }
}

/// Which URLs a descriptor may name (`validation.manifests.urls`).
#[derive(Debug, Clone, Default)]
pub struct UrlRules {
    /// At least one of them must match; none given allows every URL.
    pub allow: Vec<Regex>,
    /// None of them may match.
    pub deny: Vec<Regex>,
}

impl UrlRules {
    fn accepts(&self, url: &str) -> bool {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let absolute = rest.is_some_and(|r| !r.is_empty() && !r.starts_with('/'));
        absolute
            && !url.contains('#')
            && (self.allow.is_empty() || self.allow.iter().any(|r| r.is_match(url)))
            && !self.deny.iter().any(|r| r.is_match(url))
    }
}

/// Which children of an index must exist when it is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexPlatforms {
    /// All of them.
    All,
    /// None need to.
    None,
    /// Those for one of these platforms.
    List(Vec<Platform>),
}

impl IndexPlatforms {
    fn must_exist(&self, child: &Descriptor) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            // Distribution: a child without a platform is not one of the listed.
            Self::List(platforms) => child.platform.as_ref().is_some_and(|p| {
                platforms
                    .iter()
                    .any(|wanted| wanted.os == p.os && wanted.architecture == p.architecture)
            }),
        }
    }
}

/// What happens to an image whose configuration or layers are not in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingReferences {
    /// It is refused, as Distribution does: nobody can pull it.
    Refuse,
    /// It is accepted (a sparse manifest).
    Accept,
}

impl Registry {
    /// Checks a manifest against the rules and the repository it is pushed to.
    ///
    /// # Errors
    /// [`Error::ManifestReferences`] with every fault, or [`Error::Denied`].
    pub(crate) async fn check_manifest(
        &self,
        name: &RepositoryName,
        manifest: &Manifest,
    ) -> Result<()> {
        self.check_class(manifest)?;
        let mut faults = Vec::new();
        for descriptor in manifest.references() {
            let urls_faulty = self.check_urls(manifest.media_type, descriptor, &mut faults);
            if !urls_faulty && self.is_missing(name, manifest, descriptor).await? {
                faults.push(ReferenceFault {
                    digest: descriptor.digest.clone(),
                    missing: true,
                    reason: format!("{} is not in {name}; push it first", descriptor.digest),
                });
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::ManifestReferences(faults)) }
    }

    async fn is_missing(
        &self,
        name: &RepositoryName,
        manifest: &Manifest,
        descriptor: &Descriptor,
    ) -> Result<bool> {
        let wanted = match manifest.kind {
            ManifestKind::Image { .. } | ManifestKind::Schema1 { .. } => {
                self.options.validation.missing_references == MissingReferences::Refuse
                    && (!descriptor.is_foreign() || descriptor.urls.is_empty())
            }
            ManifestKind::Index { .. } => {
                self.options.validation.index_platforms.must_exist(descriptor)
            }
        };
        if !wanted {
            return Ok(false);
        }
        // An algorithm that is not supported: it can't be here.
        let Ok(digest) = descriptor.parsed_digest() else { return Ok(true) };
        // BuildKit's registry cache is an index whose children are layers.
        let exists = (manifest.media_type.is_index() && self.has_manifest(name, &digest).await?)
            || self.has_blob(name, &digest).await?;
        Ok(!exists)
    }

    /// Checks the URLs of a descriptor; returns whether one is faulty.
    fn check_urls(
        &self,
        media_type: MediaType,
        descriptor: &Descriptor,
        faults: &mut Vec<ReferenceFault>,
    ) -> bool {
        let Some(rules) = &self.options.validation.urls else { return false };
        let reason = if descriptor.urls.is_empty() {
            if !media_type.is_docker() || !descriptor.is_foreign() {
                return false;
            }
            "a foreign layer must name a URL to fetch it from".to_owned()
        } else {
            match descriptor.urls.iter().find(|url| !rules.accepts(url)) {
                Some(_) => {
                    "the URL of a layer is not allowed here: it must be http or https, without \
                     fragment, and pass validation.manifests.urls"
                        .to_owned()
                }
                None => return false,
            }
        };
        faults.push(ReferenceFault { digest: descriptor.digest.clone(), missing: false, reason });
        true
    }

    /// `policy.repository.classes`: what kind of image the configuration's type stands for.
    fn check_class(&self, manifest: &Manifest) -> Result<()> {
        let classes = &self.options.validation.repository_classes;
        let ManifestKind::Image { config, .. } = &manifest.kind else { return Ok(()) };
        if classes.is_empty() {
            return Ok(());
        }
        let class = match config.media_type.as_str() {
            "application/vnd.docker.container.image.v1+json"
            | "application/vnd.oci.image.config.v1+json" => "image",
            "application/vnd.docker.plugin.v1+json" => "plugin",
            other => return Err(Error::Denied(format!("unknown manifest class for {other}"))),
        };
        if classes.iter().any(|c| c == class) {
            return Ok(());
        }
        Err(Error::Denied(format!("registry does not allow {class} manifest")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let regexes = |texts: &[&str]| texts.iter().map(|t| Regex::new(t).unwrap()).collect();
        let rules =
            |allow: &[&str], deny: &[&str]| UrlRules { allow: regexes(allow), deny: regexes(deny) };
        let open = rules(&[], &[]);
        let picky = rules(&["^https://a/", "^https://b/"], &["secret"]);
        for (rules, url, expected) in [
            (&open, "https://a/b", true),
            (&open, "http://a", true),
            (&open, "ftp://a/b", false),
            (&open, "https://", false),
            (&open, "https:///x", false),
            (&open, "https://a/b#c", false),
            (&open, "", false),
            (&picky, "https://a/x", true),
            (&picky, "https://b/x", true),
            (&picky, "https://c/x", false),
            (&picky, "https://a/secret", false),
        ] {
            assert_eq!(rules.accepts(url), expected, "{url}");
        }
    }

    #[test]
    fn listed_platforms() {
        let platform = |os: &str, architecture: &str| Platform {
            os: os.into(),
            architecture: architecture.into(),
        };
        let child = |p: Option<Platform>| Descriptor { platform: p, ..Descriptor::default() };
        let list = IndexPlatforms::List(vec![platform("linux", "amd64")]);
        assert!(list.must_exist(&child(Some(platform("linux", "amd64")))));
        assert!(!list.must_exist(&child(Some(platform("linux", "arm64")))));
        assert!(!list.must_exist(&child(None)));
        assert!(IndexPlatforms::All.must_exist(&child(None)));
        assert!(!IndexPlatforms::None.must_exist(&child(None)));
    }
}
