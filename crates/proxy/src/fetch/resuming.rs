//! For how long the bytes of a blob that is fetched are asked for anew.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::StatusCode;
use registry::{Body, BodyError};
use tracing::warn;

use super::Order;
use crate::LastError;
use crate::limits::{RESUME_AFTER, RESUMES_MAX};
use crate::upstream::{BlobBody, Break, UpstreamBlob, UpstreamError};

/// The bytes of a body that has begun. When it breaks off, the rest is asked for, at the next
/// endpoint first.
pub(super) fn body(order: Order, begun: BlobBody, last_error: LastError<UpstreamError>) -> Body {
    let Order { name, upstream, there, digest, asking, .. } = order;
    let endpoints = upstream.endpoint_count();
    let mut refusals = 0;
    let again = move |broken: &Break<'_>| {
        let Break { at_bytes, failures, is_new, error } = *broken;
        if is_new {
            refusals = 0;
        }
        refusals += usize::from(is_final(error));
        // All of them were asked before there is no such thing.
        if refusals >= endpoints || error.is_not_found() || failures > RESUMES_MAX {
            return None;
        }
        warn!(repository = %name, %digest, at_bytes, %error, "fetch goes on where it broke off");
        Some(wait(failures))
    };
    let pieces = UpstreamBlob { upstream, name: there, digest, asking }.resuming(begun, again);
    Box::pin(pieces.map(move |piece| {
        piece.map_err(|error| {
            let text = error.to_string();
            last_error.set(error);
            BodyError::Disconnected(text)
        })
    }))
}

/// Whether the endpoint would say the same the next time: it is not a matter of load or of the
/// network. Another endpoint may say something else.
fn is_final(error: &UpstreamError) -> bool {
    error.status().is_some_and(|status| {
        let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        status.is_client_error() && !may_pass.contains(&status)
    })
}

/// Longer with each failure; the first goes to the next endpoint at once.
fn wait(failures: u32) -> Duration {
    RESUME_AFTER * (failures - 1) * (failures - 1)
}
