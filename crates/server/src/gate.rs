//! The one gate in front of everything that changes something.

use http::Method;
use http::header::HeaderValue;

use crate::app::App;
use crate::error::ApiError;
use crate::headers;
use crate::options::Deletion;
use crate::route::{Deleted, Route};

/// Lets a request through that its endpoint has, and that may change what it would change.
pub(crate) fn pass(app: &App, route: &Route, method: &Method) -> Result<(), ApiError> {
    // Distribution answers its base path whatever the method.
    if *route == Route::Base {
        return Ok(());
    }
    let refuse = |reason: String| Err(ApiError::method_not_allowed(allowed(app, route), reason));
    if !route.methods().contains(method) {
        return refuse(format!("{method} means nothing here"));
    }
    if is_write(method)
        && *route != Route::Token
        && let Some(reason) = app.read_only.reason()
    {
        return refuse(reason);
    }
    if is_mirrored(app, route) && route.pushes(method) {
        return refuse(MIRRORED.into());
    }
    if let Some(deleted) = route.deletes(method)
        && !may_delete(&app.options.deletion, deleted)
    {
        return refuse(disabled(deleted).into());
    }
    Ok(())
}

/// The methods that would get through, for `Allow`.
pub(crate) fn allowed(app: &App, route: &Route) -> HeaderValue {
    let may_delete = |deleted| may_delete(&app.options.deletion, deleted);
    let is_read_only = app.read_only.is_on();
    let is_mirrored = is_mirrored(app, route);
    let names: Vec<_> = route
        .methods()
        .iter()
        .filter(|method| !(is_read_only && is_write(method)))
        .filter(|method| !(is_mirrored && route.pushes(method)))
        .filter(|method| route.deletes(method).is_none_or(may_delete))
        .map(Method::as_str)
        .collect();
    headers::value(&names.join(", "))
}

/// Why a mirrored repository takes no pushes, and how to have one here in its place.
const MIRRORED: &str = "this repository is mirrored from an upstream and takes no pushes: push to \
                        another name, or have this one hosted here with proxy.local";

fn is_mirrored(app: &App, route: &Route) -> bool {
    let (Some(mirror), Some(name)) = (&app.mirror, route.repository()) else { return false };
    mirror.covers(name)
}

/// Whether a method changes something.
pub(crate) fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

const fn may_delete(deletion: &Deletion, deleted: Deleted) -> bool {
    match deleted {
        Deleted::Tag => deletion.tags,
        Deleted::Manifest => deletion.manifests,
        Deleted::Blob => deletion.blobs,
        Deleted::Repository => deletion.repositories,
    }
}

/// What stands in the way of a deletion, and how to change that.
const fn disabled(deleted: Deleted) -> &'static str {
    match deleted {
        Deleted::Tag => {
            "deleting tags is disabled: set storage.delete.tags to true, or \
             storage.delete.enabled, which it follows when it is not set"
        }
        Deleted::Manifest => {
            "deleting manifests is disabled: set storage.delete.manifests to true, or \
             storage.delete.enabled, which it follows when it is not set"
        }
        Deleted::Blob => {
            "deleting blobs is disabled: set storage.delete.blobs to true, or \
             storage.delete.enabled, which it follows when it is not set"
        }
        Deleted::Repository => {
            "deleting repositories is disabled: set storage.delete.repositories to true, or use \
             `wharf repo delete` on the server"
        }
    }
}
