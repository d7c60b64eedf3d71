//! `/v2/_token`

use crate::body::RequestBody;
use crate::error::ApiError;
use crate::exchange::Call;
use crate::response::Response;

/// Issues a token, where wharf does so itself.
pub(super) async fn issue(_call: &Call, _body: RequestBody) -> Result<Response, ApiError> {
    Err(ApiError::no_such_endpoint())
}
