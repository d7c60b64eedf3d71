//! Who is asking, and may they.
//!
//! [`Authenticator`] answers that for every request: [`Authenticator::authorize`] takes what the
//! request brings ([`Asking`]) and what it wants ([`Access`]), and gives a [`Grant`] or a
//! [`Refusal`]. The kinds are Distribution's: `htpasswd`, `token` and `silly`.

mod access;
mod asking;
mod authenticator;
pub mod htpasswd;
pub mod issuer;
pub mod limits;
mod refusal;
mod silly;
mod throttle;
pub mod token;

pub use access::{Access, Action, Resource, scopes};
pub use asking::{Asking, Grant};
pub use authenticator::Authenticator;
pub use refusal::{Refusal, Unauthorized};
pub use silly::Silly;
