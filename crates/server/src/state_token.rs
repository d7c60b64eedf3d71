//! The `_state` parameter of an upload's `Location`.
//!
//! Distribution keeps the state of an upload in this token and refuses to go on without it. wharf
//! keeps the state with the upload and needs no token, but adds one to every `Location`, so that a
//! Distribution that shares the volume (and `http.secret`) can go on with the upload.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use hmac::{Hmac, KeyInit as _, Mac as _};
use oci::RepositoryName;
use registry::{UploadId, UploadStatus};
use serde::{Deserialize, Serialize};

use crate::limits::STATE_TOKEN_BYTES_MAX;
use crate::options::Secret;

/// Length of an HMAC-SHA256, in bytes.
const MAC_BYTES: usize = 32;

/// What a token holds, in Distribution's words and order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StateToken {
    /// The repository.
    pub name: String,
    /// The upload.
    #[serde(rename = "UUID")]
    pub uuid: String,
    /// Bytes received so far.
    pub offset: i64,
    /// When the upload began, RFC 3339.
    pub started_at: String,
}

impl StateToken {
    /// Reads a token without checking who made it: nothing is ever believed because a token says
    /// so. `None` when it is not one.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        if text.len() > STATE_TOKEN_BYTES_MAX {
            return None;
        }
        let raw = URL_SAFE.decode(text).ok()?;
        serde_json::from_slice(raw.get(MAC_BYTES..)?).ok()
    }

    /// Whether the token belongs to another upload or repository than the one it came with.
    pub(crate) fn contradicts(&self, name: &RepositoryName, id: &UploadId) -> bool {
        self.name != name.as_str() || self.uuid != id.as_str()
    }
}

/// Makes the token for an upload as it stands: base64url with padding over HMAC and JSON.
pub(crate) fn encode(secret: &Secret, name: &RepositoryName, status: &UploadStatus) -> String {
    let token = StateToken {
        name: name.to_string(),
        uuid: status.id.to_string(),
        offset: i64::try_from(status.size_bytes).unwrap_or(i64::MAX),
        started_at: status.started_at.to_string(),
    };
    // Neither step can fail: a struct of text and numbers serialises, and an HMAC takes any key.
    let json = serde_json::to_vec(&token).unwrap_or_default();
    let mut signed = mac(secret, &json).unwrap_or_default();
    signed.extend_from_slice(&json);
    URL_SAFE.encode(signed)
}

fn mac(secret: &Secret, json: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(json);
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> UploadStatus {
        UploadStatus {
            id: UploadId::parse("6b3c9a93-af5d-473f-a4cc-69fc2e32d3d6").unwrap(),
            size_bytes: 42,
            started_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_format_is_distribution_s() {
        let name = RepositoryName::parse("library/alpine").unwrap();
        let text = encode(&Secret::new("asecret"), &name, &status());
        let raw = URL_SAFE.decode(&text).unwrap();
        let json = r#"{"Name":"library/alpine","UUID":"6b3c9a93-af5d-473f-a4cc-69fc2e32d3d6","Offset":42,"StartedAt":"2026-01-02T03:04:05Z"}"#;
        assert_eq!(std::str::from_utf8(&raw[MAC_BYTES..]).unwrap(), json);
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"asecret").unwrap();
        mac.update(json.as_bytes());
        mac.verify_slice(&raw[..MAC_BYTES]).unwrap();
        assert_eq!(text.len() % 4, 0);

        let token = StateToken::decode(&text).unwrap();
        assert_eq!((token.offset, token.uuid.as_str()), (42, status().id.as_str()));
        assert!(!token.contradicts(&name, &status().id));
        assert!(token.contradicts(&RepositoryName::parse("other").unwrap(), &status().id));
        assert!(token.contradicts(&name, &UploadId::parse("other").unwrap()));
    }

    #[test]
    fn what_is_no_token_is_ignored() {
        let no_json = URL_SAFE.encode([0; 40]);
        for text in
            ["", "x", "AAAA", "not base64!", &no_json, &"A".repeat(STATE_TOKEN_BYTES_MAX + 4)]
        {
            assert_eq!(StateToken::decode(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text: String, raw: Vec<u8>) {
            let _ = StateToken::decode(&text);
            let _ = StateToken::decode(&URL_SAFE.encode(raw));
        }
    }
}
