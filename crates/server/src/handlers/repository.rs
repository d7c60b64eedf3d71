//! `/v2/<name>/_wharf/repository`

use http::StatusCode;
use oci::RepositoryName;

use crate::error::ApiError;
use crate::events;
use crate::exchange::Call;
use crate::response::{self, Response};

/// Deletes the repository with all its tags, manifests and uploads. Those below it stay.
pub(super) async fn delete(call: &Call, name: &RepositoryName) -> Result<Response, ApiError> {
    let deleted = call.app.registry.delete_repository(name).await?;
    let registry::DeletedRepository { tags, manifests, layers, uploads } = deleted;
    let id = call.request_id();
    tracing::info!(
        "http.request.id" = %id, repository = %name, tags, manifests, layers, uploads,
        "repository deleted"
    );
    events::repository_deleted(call, name).await;
    Ok(response::empty(StatusCode::ACCEPTED))
}
