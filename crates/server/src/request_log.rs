//! One structured event for each request, with Distribution's field names.

use http::header;
use oci::RepositoryName;
use tracing::Level;

use crate::exchange::Record;
use crate::locations::request_host;
use crate::query;
use crate::route::Route;
use crate::trace;

/// The `vars.*` of a route.
#[derive(Default)]
struct Vars<'a> {
    name: Option<&'a str>,
    reference: Option<&'a str>,
    digest: Option<&'a str>,
    uuid: Option<&'a str>,
}

impl<'a> Vars<'a> {
    fn of(route: Option<&'a Route>) -> Self {
        let mut vars = Self {
            name: route.and_then(Route::repository).map(RepositoryName::as_str),
            ..Self::default()
        };
        match route {
            Some(Route::Manifest { text, .. }) => vars.reference = Some(text),
            Some(Route::Blob { text, .. } | Route::Referrers { text, .. }) => {
                vars.digest = Some(text);
            }
            Some(Route::Upload { text, .. }) => vars.uuid = Some(text),
            _ => {}
        }
        vars
    }
}

/// Writes the event: an error when the server is to blame, otherwise for information only, as
/// "not found" and "please log in" are everyday answers.
pub(crate) fn write(record: &Record) {
    let failed = record.status.is_server_error() || record.broken.is_some();
    if failed {
        emit(record, true);
    } else if tracing::enabled!(Level::INFO) {
        emit(record, false);
    }
}

fn emit(record: &Record, failed: bool) {
    let call = &record.call;
    let vars = Vars::of(call.route.as_ref());
    let error = record.error.as_ref();
    let code = error.map(|e| e.code.as_str().to_ascii_lowercase());
    let detail = error.and_then(|e| e.detail.as_deref()).map(|detail| match detail {
        serde_json::Value::String(text) => text.clone(),
        detail => detail.to_string(),
    });
    // As Go has it, also where HTTP/2 or a proxy's request names scheme and host.
    let uri = call.parts.uri.path_and_query().map_or("*", http::uri::PathAndQuery::as_str);
    let uri = query::masked(uri);
    let trace_id = trace::trace_id(call).map(|id| id.to_string());
    let message = record.broken.as_deref().or(error.map(|e| e.message));
    // `tracing` wants the level of an event to be constant.
    macro_rules! event {
        ($level:expr, $message:literal) => {
            tracing::event!(
                $level,
                "http.request.host" = request_host(&call.parts).unwrap_or(""),
                "http.request.id" = %call.request_id(),
                "http.request.method" = call.parts.method.as_str(),
                "http.request.remoteaddr" = call.remote_address(),
                "http.request.uri" = &*uri,
                "http.request.useragent" = call.header(&header::USER_AGENT).unwrap_or(""),
                "http.response.contenttype" =
                    record.content_type.as_ref().and_then(|t| t.to_str().ok()),
                "http.response.duration" = ?call.started.elapsed(),
                "http.response.status" = record.status.as_u16(),
                "http.response.written" = record.written_bytes,
                "auth.user.name" = call.user(),
                "tls.client.subject" = call.client_certificate(),
                "vars.name" = vars.name,
                "vars.reference" = vars.reference,
                "vars.digest" = vars.digest,
                "vars.uuid" = vars.uuid,
                "trace_id" = trace_id,
                "err.code" = code,
                "err.message" = message,
                "err.detail" = detail,
                $message
            )
        };
    }
    match (failed, error) {
        (true, _) => event!(Level::ERROR, "response completed with error"),
        (false, Some(_)) => event!(Level::INFO, "response completed with error"),
        (false, None) => event!(Level::INFO, "response completed"),
    }
}
