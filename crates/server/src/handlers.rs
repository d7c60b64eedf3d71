//! The endpoints. Each translates a request into one or two calls of the domain, and what comes
//! back into a response; nothing is decided here that the domain could decide.

use http::Method;
use proxy::Mirrored;

use crate::body::RequestBody;
use crate::error::ApiError;
use crate::exchange::Call;
use crate::response::{self, Response};
use crate::route::Route;

mod blobs;
mod catalog;
mod manifests;
mod mirrored;
mod multipart;
mod referrers;
mod repository;
mod tags;
mod token;
mod uploads;

/// Hands a request to its endpoint. It has passed the gate, so its method is one that the endpoint
/// has.
///
/// All but the pulls are boxed: the state of each is several times theirs, and every request would
/// carry the largest along, from the task's start and through each move of it.
pub(crate) async fn dispatch(call: &Call, body: RequestBody) -> Result<Response, ApiError> {
    let Some(route) = &call.route else { return Err(ApiError::no_such_endpoint()) };
    let method = &call.parts.method;
    if let Some(mirrored) = route.repository().and_then(|name| call.mirrored(name))
        && let Some(answered) = Box::pin(dispatch_mirrored(call, route, &mirrored)).await
    {
        return answered;
    }
    match route {
        Route::Base => Ok(base()),
        Route::Token => Box::pin(token::issue(call, body)).await,
        Route::Repository { name } => Box::pin(repository::delete(call, name)).await,
        Route::Catalog => Box::pin(catalog::list(call)).await,
        Route::Tags { name } => Box::pin(tags::list(call, name)).await,
        Route::Referrers { name, digest, .. } => {
            Box::pin(referrers::list(call, name, &digest.clone()?)).await
        }
        Route::Manifest { name, reference, .. } => {
            let reference =
                reference.as_ref().map_err(|e| ApiError::impossible_reference(e, method))?;
            match *method {
                Method::PUT => Box::pin(manifests::put(call, name, reference, body)).await,
                Method::DELETE => Box::pin(manifests::delete(call, name, reference)).await,
                _ => manifests::get(call, name, reference).await,
            }
        }
        Route::Blob { name, digest, .. } => {
            let digest = digest.clone()?;
            match *method {
                Method::DELETE => Box::pin(blobs::delete(call, name, &digest)).await,
                Method::HEAD => blobs::head(call, name, &digest).await,
                _ => blobs::get(call, name, &digest).await,
            }
        }
        Route::Uploads { name } => Box::pin(uploads::start(call, name, body)).await,
        Route::Upload { name, id, .. } => {
            let id = uploads::checked_id(call, name, id.as_ref())?;
            match *method {
                Method::PATCH => Box::pin(uploads::append(call, name, id, body)).await,
                Method::PUT => Box::pin(uploads::commit(call, name, id, body)).await,
                Method::DELETE => uploads::cancel(call, name, id).await,
                _ => uploads::status(call, name, id).await,
            }
        }
    }
}

/// Hands a request to the endpoint of what is mirrored, if that is pulled; everything else is about
/// what is kept here.
async fn dispatch_mirrored(
    call: &Call,
    route: &Route,
    mirrored: &Mirrored<'_>,
) -> Option<Result<Response, ApiError>> {
    let method = &call.parts.method;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    Some(match route {
        Route::Tags { name } => mirrored::list_tags(call, mirrored, name).await,
        Route::Referrers { name, digest: Ok(digest), .. } => {
            mirrored::list_referrers(call, mirrored, name, digest).await
        }
        Route::Manifest { name, reference: Ok(reference), .. } => {
            mirrored::manifest(call, mirrored, name, reference).await
        }
        Route::Blob { name, digest: Ok(digest), .. } => match *method {
            Method::HEAD => mirrored::blob_head(call, mirrored, name, digest).await,
            _ => mirrored::blob(call, mirrored, name, digest).await,
        },
        _ => return None,
    })
}

/// `GET /v2/`: this is a registry (distribution-spec, end-1).
fn base() -> Response {
    let mut response = Response::new(response::ResponseBody::full("{}"));
    response.headers_mut().insert(http::header::CONTENT_TYPE, crate::headers::JSON);
    response
}
