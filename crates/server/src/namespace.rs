//! Which repository a request is about that comes to a mirror.
//!
//! containerd tells a mirror by the parameter `ns` which registry it stands for: the name in the
//! path is the repository's name there.

use http::header::{self, HeaderValue};
use http::request::Parts;
use proxy::{Mirror, Namespace};

use crate::query::Query;
use crate::route::{NoRoute, Route};

/// The route, to the repository here, and the namespace that it was looked up in.
pub(crate) fn place(
    mirror: &Mirror,
    mut route: Route,
    parts: &Parts,
) -> Result<(Route, Option<HeaderValue>), NoRoute> {
    let Some(host) = Query::of(&parts.uri).get_filled("ns") else { return Ok((route, None)) };
    let Some(name) = route.repository_mut() else { return Ok((route, None)) };
    if is_here(parts, &host) {
        return Ok((route, None));
    }
    match mirror.namespace(&host, name) {
        Namespace::Repository(here) => {
            *name = here;
            // A host that is configured can be sent.
            Ok((route, HeaderValue::from_str(&host).ok()))
        }
        Namespace::Ignored => Ok((route, None)),
        Namespace::Unknown => Err(NoRoute::Namespace(host.into_owned())),
        Namespace::Invalid(reason) => Err(NoRoute::Name(reason)),
    }
}

/// Whether a namespace is this registry's own: whoever pulls from it by its name may name it.
fn is_here(parts: &Parts, namespace: &str) -> bool {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| parts.uri.authority().map(|authority| authority.as_str())) == Some(namespace)
}
