//! `auth.silly`: for development only.

use http::HeaderValue;

use crate::access::{Access, scopes_apart};
use crate::asking::{Asking, Grant};
use crate::refusal::Refusal;

/// Accepts any `Authorization` header that isn't empty. It tests how clients answer a challenge and
/// protects nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silly {
    /// Realm of the challenge.
    pub realm: String,
    /// Service of the challenge.
    pub service: String,
}

impl Silly {
    /// As [`crate::Authenticator::authorize`].
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`] without the header.
    pub fn authorize(&self, asking: &Asking<'_>, wanted: &[Access]) -> Result<Grant, Refusal> {
        if asking.authorization.is_some_and(|value| !value.is_empty()) {
            return Ok(Grant::to("silly"));
        }
        let mut challenge = format!("Bearer realm=\"{}\",service=\"{}\"", self.realm, self.service);
        if !wanted.is_empty() {
            challenge.push_str(&format!(",scope=\"{}\"", scopes_apart(wanted)));
        }
        let challenge =
            HeaderValue::try_from(challenge).unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        Err(Refusal::unauthorized(challenge, "missing", "no Authorization header"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Action;

    fn ask(authorization: Option<&HeaderValue>, wanted: &[Access]) -> Result<Grant, Refusal> {
        let silly = Silly { realm: "r".into(), service: "s".into() };
        let origin = String::new;
        silly.authorize(
            &Asking { authorization, address: None, base_url: &origin, origin: &origin },
            wanted,
        )
    }

    #[test]
    fn any_header_will_do() {
        let any = HeaderValue::from_static("x");
        assert_eq!(ask(Some(&any), &[]), Ok(Grant::to("silly")));
        let empty = HeaderValue::from_static("");
        assert!(ask(Some(&empty), &[]).is_err());
    }

    #[test]
    fn the_challenge_is_distribution_s() {
        let challenge = |wanted: &[Access]| match ask(None, wanted) {
            Err(Refusal::Unauthorized(refused)) => refused.challenge,
            other => panic!("{other:?}"),
        };
        assert_eq!(challenge(&[]), "Bearer realm=\"r\",service=\"s\"");
        let wanted = [Access::repository("n", Action::Pull), Access::repository("n", Action::Push)];
        let expected =
            "Bearer realm=\"r\",service=\"s\",scope=\"repository:n:pull repository:n:push\"";
        assert_eq!(challenge(&wanted), expected);
    }
}
