//! What an image runs on.

use std::fmt;

use crate::oci_layout::{Entry, EntryPlatform};

/// A platform that is asked for: `os/architecture` or `os/architecture/variant`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformSelector {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl PlatformSelector {
    /// Parses a platform; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match *parts {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return None,
        };
        let good = |part: &str| !part.is_empty();
        (good(os) && good(architecture) && variant.is_none_or(good)).then(|| Self {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.map(Into::into),
        })
    }

    /// Whether an image for this platform is meant. arm64 is v8 unless something else is said.
    pub(super) fn fits(&self, platform: &EntryPlatform) -> bool {
        let there = match (&platform.variant, &*platform.architecture) {
            (Some(variant), _) if !variant.is_empty() => Some(&**variant),
            (_, "arm64") => Some("v8"),
            _ => None,
        };
        self.os == platform.os
            && self.architecture == platform.architecture
            && self.variant.as_deref().is_none_or(|wanted| Some(wanted) == there)
    }
}

impl fmt::Display for PlatformSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// The platforms that an index lists, for a person.
pub(super) fn listed(entries: &[Entry]) -> String {
    let images = entries.iter().filter(|entry| !entry.is_attestation());
    let platforms = images.filter_map(|entry| entry.platform.as_ref());
    let texts: Vec<_> = platforms.take(50).map(text).collect();
    if texts.is_empty() { "none".into() } else { texts.join(", ") }
}

fn text(platform: &EntryPlatform) -> String {
    let variant = platform.variant.as_deref().filter(|variant| !variant.is_empty());
    let variant = variant.map_or_else(String::new, |variant| format!("/{variant}"));
    format!("{}/{}{variant}", platform.os, platform.architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_fit() {
        let platform = |architecture: &str, variant: Option<&str>| EntryPlatform {
            os: "linux".into(),
            architecture: architecture.into(),
            variant: variant.map(Into::into),
            ..EntryPlatform::default()
        };
        for (wanted, there, expected) in [
            ("linux/amd64", platform("amd64", None), true),
            ("linux/amd64", platform("arm64", None), false),
            ("windows/amd64", platform("amd64", None), false),
            ("linux/arm64", platform("arm64", Some("v8")), true),
            ("linux/arm64/v8", platform("arm64", None), true),
            ("linux/arm/v7", platform("arm", Some("v7")), true),
            ("linux/arm/v7", platform("arm", Some("v6")), false),
            ("linux/arm/v7", platform("arm", None), false),
            ("linux/arm", platform("arm", Some("v6")), true),
        ] {
            let selector = PlatformSelector::parse(wanted).unwrap();
            assert_eq!(selector.to_string(), wanted);
            assert_eq!(selector.fits(&there), expected, "{wanted} {there:?}");
        }
        for bad in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/arm/"] {
            assert_eq!(PlatformSelector::parse(bad), None, "{bad}");
        }
    }
}
