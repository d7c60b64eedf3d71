//! From a request target to what it names.
//!
//! Repository names contain slashes, so a path is read from its end. It is percent-decoded once,
//! as a whole, before that; `%2F` in a name therefore is a slash, as with Distribution. Runs of
//! slashes count as one and a slash at the end as none: Distribution redirects those requests, and
//! a redirected POST loses its body. `.` and `..` are not resolved; no name can contain them.

use std::borrow::Cow;

use auth::{Access, Action};
use http::Method;
use oci::{Digest, DigestError, NameError, Reference, ReferenceError, RepositoryName};
use percent_encoding::percent_decode_str;
use registry::UploadId;

/// What a request is about. The name has been checked; the other parts are checked by whoever
/// answers, because what a bad one means depends on the method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_token`, where wharf issues tokens itself (`auth.htpasswd.anonymous`). No repository
    /// can have a name that starts like this.
    Token,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/_wharf/repository`: the repository as a whole. No repository can have a name with
    /// a component that starts like this, and no reference or upload has two components.
    Repository {
        /// The repository.
        name: RepositoryName,
    },
    /// `/v2/<name>/tags/list`
    Tags {
        /// The repository.
        name: RepositoryName,
    },
    /// `/v2/<name>/manifests/<tag-or-digest>`
    Manifest {
        /// The repository.
        name: RepositoryName,
        /// The reference as text.
        text: String,
        /// The reference, if it is one.
        reference: Result<Reference, ReferenceError>,
    },
    /// `/v2/<name>/blobs/<digest>`
    Blob {
        /// The repository.
        name: RepositoryName,
        /// The digest as text.
        text: String,
        /// The digest, if it is one.
        digest: Result<Digest, DigestError>,
    },
    /// `/v2/<name>/blobs/uploads/`
    Uploads {
        /// The repository.
        name: RepositoryName,
    },
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload {
        /// The repository.
        name: RepositoryName,
        /// The id as text.
        text: String,
        /// The id, if it is one.
        id: Option<UploadId>,
    },
    /// `/v2/<name>/referrers/<digest>`
    Referrers {
        /// The repository.
        name: RepositoryName,
        /// The digest as text.
        text: String,
        /// The digest, if it is one.
        digest: Result<Digest, DigestError>,
    },
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoute {
    /// No such endpoint.
    Unknown,
    /// An endpoint of a repository with a name that none can have.
    Name(NameError),
    /// One of a repository in the namespace of a host that is not mirrored.
    Namespace(String),
}

impl Route {
    /// Reads the path of a request target; `prefix` has no slash at its end.
    ///
    /// # Errors
    /// [`NoRoute`] when the path is not one of the API's.
    pub fn parse(path: &str, prefix: &str) -> Result<Self, NoRoute> {
        let path = clean(path).ok_or(NoRoute::Unknown)?;
        let below = path.strip_prefix(prefix).ok_or(NoRoute::Unknown)?;
        let rest = match below.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Base),
            Some(rest) => rest.strip_prefix('/').ok_or(NoRoute::Unknown)?,
            None => return Err(NoRoute::Unknown),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest == "_catalog" {
            return Ok(Self::Catalog);
        }
        if rest == "_token" {
            return Ok(Self::Token);
        }
        Self::of_repository(rest)
    }

    /// `rest` is what follows `/v2/`.
    fn of_repository(rest: &str) -> Result<Self, NoRoute> {
        let (head, last) = rest.rsplit_once('/').ok_or(NoRoute::Unknown)?;
        let (name, kind) = head.rsplit_once('/').ok_or(NoRoute::Unknown)?;
        let parse_name = |text: &str| RepositoryName::parse(text).map_err(NoRoute::Name);
        match (kind, last) {
            ("_wharf", "repository") => Ok(Self::Repository { name: parse_name(name)? }),
            ("tags", "list") => Ok(Self::Tags { name: parse_name(name)? }),
            ("manifests", text) => Ok(Self::Manifest {
                name: parse_name(name)?,
                text: text.to_owned(),
                reference: Reference::parse(text),
            }),
            ("blobs", "uploads") => Ok(Self::Uploads { name: parse_name(name)? }),
            ("blobs", text) => Ok(Self::Blob {
                name: parse_name(name)?,
                text: text.to_owned(),
                digest: Digest::parse(text),
            }),
            ("referrers", text) => Ok(Self::Referrers {
                name: parse_name(name)?,
                text: text.to_owned(),
                digest: Digest::parse(text),
            }),
            ("uploads", text) => {
                let name = name.strip_suffix("/blobs").ok_or(NoRoute::Unknown)?;
                Ok(Self::Upload {
                    name: parse_name(name)?,
                    text: text.to_owned(),
                    id: UploadId::parse(text),
                })
            }
            _ => Err(NoRoute::Unknown),
        }
    }

    /// Distribution's name for the handler, as its metrics have it.
    #[must_use]
    pub const fn handler(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Token => "token",
            Self::Catalog => "catalog",
            Self::Repository { .. } => "repository",
            Self::Tags { .. } => "tags",
            Self::Manifest { .. } => "manifest",
            Self::Blob { .. } => "blob",
            Self::Uploads { .. } => "blob_upload",
            Self::Upload { .. } => "blob_upload_chunk",
            Self::Referrers { .. } => "referrers",
        }
    }

    /// The repository, where there is one.
    #[must_use]
    pub const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Base | Self::Token | Self::Catalog => None,
            Self::Repository { name }
            | Self::Tags { name }
            | Self::Manifest { name, .. }
            | Self::Blob { name, .. }
            | Self::Uploads { name }
            | Self::Upload { name, .. }
            | Self::Referrers { name, .. } => Some(name),
        }
    }

    /// The repository, to be another one.
    pub(crate) const fn repository_mut(&mut self) -> Option<&mut RepositoryName> {
        match self {
            Self::Base | Self::Token | Self::Catalog => None,
            Self::Repository { name }
            | Self::Tags { name }
            | Self::Manifest { name, .. }
            | Self::Blob { name, .. }
            | Self::Uploads { name }
            | Self::Upload { name, .. }
            | Self::Referrers { name, .. } => Some(name),
        }
    }

    /// Whether the request brings content to a repository.
    pub(crate) fn pushes(&self, method: &Method) -> bool {
        match self {
            Self::Manifest { .. } => *method == Method::PUT,
            Self::Uploads { .. } | Self::Upload { .. } => true,
            _ => false,
        }
    }

    /// Every method the endpoint has, sorted as `Allow` lists them. `OPTIONS` is answered for all.
    #[must_use]
    pub const fn methods(&self) -> &'static [Method] {
        match self {
            Self::Base | Self::Catalog | Self::Tags { .. } | Self::Referrers { .. } => {
                &[Method::GET, Method::HEAD]
            }
            Self::Token => &[Method::GET, Method::POST],
            Self::Repository { .. } => &[Method::DELETE],
            Self::Manifest { .. } => &[Method::DELETE, Method::GET, Method::HEAD, Method::PUT],
            Self::Blob { .. } => &[Method::DELETE, Method::GET, Method::HEAD],
            Self::Uploads { .. } => &[Method::POST],
            Self::Upload { .. } => {
                &[Method::DELETE, Method::GET, Method::HEAD, Method::PATCH, Method::PUT]
            }
        }
    }

    /// The rights that the request needs; none for the base, which only asks who is there. A mount
    /// needs [`Action::Pull`] on its source as well, which the query names and this does not know.
    #[must_use]
    pub fn required(&self, method: &Method) -> Vec<Access> {
        let Some(name) = self.repository() else {
            return if *self == Self::Catalog { vec![Access::catalog()] } else { Vec::new() };
        };
        let actions: &[Action] = match *method {
            Method::GET | Method::HEAD => &[Action::Pull],
            Method::DELETE => &[Action::Delete],
            _ => &[Action::Pull, Action::Push],
        };
        actions.iter().map(|action| Access::repository(name.as_str(), *action)).collect()
    }

    /// What the request takes away of what was pushed, if it does: `storage.delete` is about that.
    /// Cancelling an upload is not.
    #[must_use]
    pub fn deletes(&self, method: &Method) -> Option<Deleted> {
        if *method != Method::DELETE {
            return None;
        }
        match self {
            Self::Manifest { reference: Ok(Reference::Tag(_)), .. } => Some(Deleted::Tag),
            Self::Manifest { .. } => Some(Deleted::Manifest),
            Self::Blob { .. } => Some(Deleted::Blob),
            Self::Repository { .. } => Some(Deleted::Repository),
            _ => None,
        }
    }
}

/// What a request takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// A tag.
    Tag,
    /// A manifest, and the tags that name it.
    Manifest,
    /// A blob.
    Blob,
    /// A whole repository.
    Repository,
}

/// Decodes a path and removes surplus slashes; `None` when it does not decode to UTF-8.
fn clean(path: &str) -> Option<Cow<'_, str>> {
    let decoded = if path.contains('%') {
        percent_decode_str(path).decode_utf8().ok()?
    } else {
        Cow::Borrowed(path)
    };
    if !decoded.contains("//") {
        return Some(decoded);
    }
    let mut clean = String::with_capacity(decoded.len());
    for c in decoded.chars() {
        if c != '/' || !clean.ends_with('/') {
            clean.push(c);
        }
    }
    Some(Cow::Owned(clean))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(path: &str, prefix: &str) -> String {
        match Route::parse(path, prefix) {
            Ok(route) => {
                let name = route.repository().map(ToString::to_string).unwrap_or_default();
                let last = match &route {
                    Route::Manifest { text, .. }
                    | Route::Blob { text, .. }
                    | Route::Upload { text, .. }
                    | Route::Referrers { text, .. } => text.as_str(),
                    _ => "",
                };
                format!("{} {name} {last}", route.handler()).trim_end().to_owned()
            }
            Err(NoRoute::Unknown) => "unknown".into(),
            Err(NoRoute::Name(_)) => "bad name".into(),
            Err(NoRoute::Namespace(host)) => format!("namespace {host}"),
        }
    }

    #[test]
    fn every_endpoint() {
        for (path, expected) in [
            ("/v2", "base"),
            ("/v2/", "base"),
            ("/v2//", "base"),
            ("/v2/_catalog", "catalog"),
            ("/v2/_catalog/", "catalog"),
            ("/v2/_token", "token"),
            ("/v2/a/_wharf/repository", "repository a"),
            ("/v2/a/b/_wharf/repository/", "repository a/b"),
            ("/v2/a/tags/list", "tags a"),
            ("/v2/a/b/c/tags/list", "tags a/b/c"),
            ("/v2/a/manifests/latest", "manifest a latest"),
            ("/v2/a/manifests/.bad", "manifest a .bad"),
            ("/v2/a/manifests/sha256:x", "manifest a sha256:x"),
            ("/v2/a/blobs/sha256:x", "blob a sha256:x"),
            ("/v2/a/blobs/uploads", "blob_upload a"),
            ("/v2/a/blobs/uploads/", "blob_upload a"),
            ("/v2/a/blobs/uploads/some-id", "blob_upload_chunk a some-id"),
            ("/v2/a/referrers/sha256:x", "referrers a sha256:x"),
        ] {
            assert_eq!(show(path, ""), expected, "{path}");
        }
    }

    #[test]
    fn names_that_look_like_endpoints() {
        for (path, expected) in [
            ("/v2/tags/list/tags/list", "tags tags/list"),
            ("/v2/a/manifests/tags/list", "tags a/manifests"),
            ("/v2/a/blobs/uploads/manifests/x", "manifest a/blobs/uploads x"),
            ("/v2/a/manifests/blobs/uploads", "blob_upload a/manifests"),
            ("/v2/a/blobs/blobs/uploads/x", "blob_upload_chunk a/blobs x"),
            ("/v2/v2/manifests/v2", "manifest v2 v2"),
            ("/v2/a/manifests/list", "manifest a list"),
            ("/v2/a/manifests/_wharf/repository", "repository a/manifests"),
            ("/v2/a/blobs/uploads/_wharf/repository", "repository a/blobs/uploads"),
            ("/v2/a/manifests/_wharf", "manifest a _wharf"),
            ("/v2/a/_wharf/manifests/repository", "bad name"),
        ] {
            assert_eq!(show(path, ""), expected, "{path}");
        }
    }

    #[test]
    fn decoding_and_slashes() {
        for (path, expected) in [
            ("/v2/library%2Falpine/manifests/latest", "manifest library/alpine latest"),
            ("/v2/a/blobs/sha256%3Ax", "blob a sha256:x"),
            ("//v2//a///tags/list/", "tags a"),
            ("/v2/a%252Fb/tags/list", "bad name"),
            ("/v2/a%00/tags/list", "bad name"),
            ("/v2/a%FF/tags/list", "unknown"),
            ("/v2/%2e%2e/tags/list", "bad name"),
            ("/v2/a/../b/tags/list", "bad name"),
            ("/v2/./tags/list", "bad name"),
        ] {
            assert_eq!(show(path, ""), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_endpoint() {
        for path in [
            "",
            "/",
            "/v1/",
            "/v2x",
            "/v20/",
            "v2/",
            "/v2/a",
            "/v2/tags/list",
            "/v2/manifests/x",
            "/v2/_wharf/repository",
            "/v2/a/_wharf/other",
            "/v2/a/tags/other",
            "/v2/a/tags",
            "/v2/a/uploads/x",
            "/v2/a/other/x",
            "/v2/blobs/uploads/x",
            "/V2/",
        ] {
            assert_eq!(show(path, ""), "unknown", "{path}");
        }
        assert_eq!(show("/v2/A/tags/list", ""), "bad name");
        assert_eq!(show(&format!("/v2/{}/tags/list", "a".repeat(300)), ""), "bad name");
    }

    #[test]
    fn prefixes() {
        assert_eq!(show("/registry/v2/", "/registry"), "base");
        assert_eq!(show("/registry/v2/a/tags/list", "/registry"), "tags a");
        assert_eq!(show("/v2/", "/registry"), "unknown");
        assert_eq!(show("/registryv2/", "/registry"), "unknown");
    }

    #[test]
    fn what_must_be_allowed() {
        let route = |path| Route::parse(path, "").unwrap();
        let required = |path, method| auth::scopes(&route(path).required(&method));
        assert_eq!(required("/v2/", Method::GET), "");
        assert_eq!(required("/v2/_token", Method::POST), "");
        assert_eq!(required("/v2/_catalog", Method::GET), "registry:catalog:*");
        assert_eq!(required("/v2/a/manifests/x", Method::HEAD), "repository:a:pull");
        assert_eq!(required("/v2/a/manifests/x", Method::PUT), "repository:a:pull,push");
        assert_eq!(required("/v2/a/manifests/x", Method::DELETE), "repository:a:delete");
        let manifest = route("/v2/a/manifests/x");
        assert_eq!(manifest.deletes(&Method::DELETE), Some(Deleted::Tag));
        assert_eq!(manifest.deletes(&Method::PUT), None);
        assert_eq!(route("/v2/a/blobs/uploads/x").deletes(&Method::DELETE), None);
        let repository = route("/v2/a/b/_wharf/repository");
        assert_eq!(repository.deletes(&Method::DELETE), Some(Deleted::Repository));
        let required = auth::scopes(&repository.required(&Method::DELETE));
        assert_eq!(required, "repository:a/b:delete");
    }

    proptest::proptest! {
        #[test]
        fn no_path_breaks_it(path: String, prefix in "(/[a-z]{1,3})?") {
            let _ = Route::parse(&path, &prefix);
        }

        #[test]
        fn a_routed_name_is_in_the_path(path in "/v2(/([a-z.]{1,3}|blobs|uploads|tags|list|manifests)){1,7}") {
            if let Ok(route) = Route::parse(&path, "") && let Some(name) = route.repository() {
                let head = format!("/v2/{name}/");
                proptest::prop_assert!(path.starts_with(&head));
            }
        }
    }
}
