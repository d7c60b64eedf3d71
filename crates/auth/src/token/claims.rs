//! What a token says: who it is for, until when, and what it allows.

use std::time::Duration;

use serde::Deserialize;

use super::fault::{Fault, Kind, quoted};
use crate::access::Access;

/// How far the clocks of the token server and of the registry may be apart; Distribution's value.
pub(crate) const LEEWAY: Duration = Duration::from_secs(60);

/// The claims of Distribution's token specification that mean something to wharf.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    /// Seconds since 1970, as a number that may have a fraction (RFC 7519, section 2).
    exp: Option<f64>,
    nbf: Option<f64>,
    access: Option<Vec<Entry>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// What a token allows to do to one resource. The `class` has no meaning here, as in Distribution.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    name: String,
    actions: Option<Vec<String>>,
}

impl Claims {
    /// Reads claims.
    ///
    /// # Errors
    /// [`Kind::Malformed`].
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(json).map_err(|_| {
            Fault::new(
                Kind::Malformed,
                "the token's claims are not a JSON object of the right form",
            )
        })
    }

    /// Whether the token is from `issuer`, for `service`, and valid now.
    ///
    /// # Errors
    /// The check that failed.
    pub(crate) fn check(&self, issuer: &str, service: &str, now_secs: u64) -> Result<(), Fault> {
        let from = self.iss.as_deref().unwrap_or_default();
        if from != issuer {
            let reason = format!("issuer {} is not {issuer:?}", quoted(from));
            return Err(Fault::new(Kind::Issuer, reason));
        }
        if !self.audience().iter().any(|audience| audience == service) {
            let audience = quoted(&self.audience().join(" "));
            let reason = format!("audience {audience} does not contain {service:?}");
            return Err(Fault::new(Kind::Audience, reason));
        }
        let now = now_secs as f64;
        if now > self.valid_until_secs() {
            let reason = match self.exp {
                Some(exp) => format!("the token expired {:.0} s ago", now - exp),
                None => "the token has no \"exp\", which counts as expired".into(),
            };
            return Err(Fault::new(Kind::Expired, reason));
        }
        match self.nbf {
            Some(nbf) if now < nbf - LEEWAY.as_secs_f64() => {
                let reason =
                    format!("the token is valid in {:.0} s only: are clocks right?", nbf - now);
                Err(Fault::new(Kind::NotYetValid, reason))
            }
            _ => Ok(()),
        }
    }

    fn audience(&self) -> &[String] {
        match &self.aud {
            None => &[],
            Some(Audience::One(one)) => std::slice::from_ref(one),
            Some(Audience::Several(several)) => several,
        }
    }

    /// When the token is no longer accepted, in seconds since 1970, with the leeway.
    pub(crate) fn valid_until_secs(&self) -> f64 {
        self.exp.unwrap_or(0.0) + LEEWAY.as_secs_f64()
    }

    /// Who the token is for; none for somebody who did not say who they are.
    pub(crate) fn user(&self) -> Option<&str> {
        self.sub.as_deref().filter(|user| !user.is_empty())
    }

    /// Whether the token gives a right. Names are compared to the letter.
    pub(crate) fn covers(&self, wanted: &Access) -> bool {
        let (kind, name) = (wanted.resource.kind(), wanted.resource.name());
        self.access
            .iter()
            .flatten()
            .filter(|entry| entry.kind == kind && entry.name == name)
            .flat_map(|entry| entry.actions.iter().flatten())
            .any(|action| action == "*" || action == wanted.action.as_str())
    }
}
