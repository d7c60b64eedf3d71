//! Between the API and whoever decides who may do what.

use auth::{Access, Action, Asking, Authenticator};
use http::Method;

use crate::error::ApiError;
use crate::exchange::Call;
use crate::foreign;
use crate::locations::Base;
use crate::route::Route;

/// Lets a request go on whose sender may do what it asks for, and notes who that is.
pub(crate) async fn authorize(call: &Call) -> Result<(), ApiError> {
    let Some(authenticator) = &call.app.authenticator else { return Ok(()) };
    let wanted = wanted(call);
    // Boxed, so that where nobody is asked for who they are, no request carries its state.
    let decide =
        async |asking: &Asking<'_>| Box::pin(authenticator.authorize(asking, &wanted)).await;
    let grant = with_asking(call, decide).await.map_err(|refusal| {
        if let Some(metrics) = &call.app.metrics {
            metrics.refused(&refusal);
        }
        ApiError::refused(refusal, &wanted)
    })?;
    // Nobody else sets it: a request is authorized once.
    let _ = call.grant.set(grant);
    Ok(())
}

/// Hands out what a request says about its sender.
pub(crate) async fn with_asking<T>(call: &Call, decide: impl AsyncFnOnce(&Asking<'_>) -> T) -> T {
    let base = || Base::absolute(&call.app.options, &call.parts);
    let base_url = || base().url();
    let origin = || base().origin().to_owned();
    let asking = Asking {
        authorization: foreign::authorization(call),
        address: call.client_ip(),
        base_url: &base_url,
        origin: &origin,
    };
    decide(&asking).await
}

/// Everything that a request needs to be allowed. A mount reads its source.
fn wanted(call: &Call) -> Vec<Access> {
    let Some(route) = &call.route else { return Vec::new() };
    let mut wanted = route.required(&call.parts.method);
    let is_mount = matches!(route, Route::Uploads { .. }) && call.parts.method == Method::POST;
    let query = call.query();
    if is_mount
        && query.get_filled("mount").is_some()
        && let Some(from) = query.get_filled("from")
    {
        wanted.push(Access::repository(from, Action::Pull));
    }
    wanted
}

/// Whether somebody may be allowed to read one repository and not another.
pub(crate) fn differs_by_repository(call: &Call) -> bool {
    matches!(call.app.authenticator, Some(Authenticator::Token(_)))
}
