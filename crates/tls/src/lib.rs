//! Certificates that reload, ACME, and a local authority.
//!
//! [`Server`] holds what connections are accepted with. It is loaded once, which checks everything,
//! and then follows its files or its ACME account for as long as [`Server::watch`] runs. Whoever
//! accepts connections takes [`Server::config`] for each one, so a new certificate reaches the next
//! connection and leaves those that exist alone.
//!
//! [`authority`] makes what a home network has nobody to ask for: an authority of its own, and
//! certificates from it.

mod acme;
pub mod authority;
mod certificate;
mod client;
mod durable;
mod error;
mod files;
mod limits;
mod options;
mod pem;
mod server;
mod suites;
#[cfg(test)]
mod testing;

pub use acme::is_challenge;
pub use error::TlsError;
pub use options::{AcmeOptions, CertificateSource, ClientAuth, MinimumVersion, Options};
pub use server::{ReloadOutcome, Server};
