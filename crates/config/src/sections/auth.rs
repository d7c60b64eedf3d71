//! `auth`: who is asking.

use std::{path::PathBuf, time::Duration};

use crate::{
    check,
    reader::Reader,
    schema::{self, Bare, Section},
    secret::SecretUrl,
};

/// The keys of `auth`, each a type.
pub(crate) const TYPES: &[&str] = &["none", "silly", "htpasswd", "token"];

pub(crate) static SECTION: Section = Section::new(&[
    schema::optional("none", &NO_PARAMETERS, "Open to everyone; the same as no `auth` at all."),
    schema::optional("silly", &SILLY, "For development: any Authorization header is accepted."),
    schema::optional("htpasswd", &HTPASSWD, "Users and bcrypt passwords in a file."),
    schema::optional("token", &TOKEN, "Bearer tokens of a token server."),
])
.bare(Bare::Name)
.closed("auth type");

static NO_PARAMETERS: Section = Section::new(&[]);

static SILLY: Section = Section::new(&[
    schema::text("realm", "Realm of the challenge; required."),
    schema::text("service", "Service of the challenge; required."),
]);

static HTPASSWD: Section = Section::new(&[
    schema::text("realm", "Realm of the challenge; required."),
    schema::checked(
        "path",
        check::path,
        "The htpasswd file; required. When it is not there it is made, with a user whose password is logged.",
    ),
    schema::checked_texts(
        "anonymous",
        check::anonymous_right,
        "What may be done without logging in: `pull`, `catalog`. Not in Distribution.",
    ),
]);

static TOKEN: Section = Section::new(&[
    schema::text("realm", "URL of the token server; required."),
    schema::text("service", "Service that tokens are for; required."),
    schema::text("issuer", "Issuer of the tokens; required."),
    schema::checked(
        "rootcertbundle",
        check::path,
        "PEM file with the certificates that sign tokens.",
    ),
    schema::checked(
        "jwks",
        check::path_or_url,
        "JSON Web Key Set with the keys that sign tokens: a file, or (not in Distribution) a URL.",
    ),
    schema::duration(
        "jwksrefresh",
        "How often a key set is fetched again when `jwks` is a URL. Not in Distribution.",
    )
    .default("1h"),
    schema::boolean("autoredirect", "Realm on the host of the request.").default("false"),
    schema::checked(
        "autoredirectpath",
        check::absolute_path,
        "Path of the realm with `autoredirect`.",
    )
    .default("/auth/token"),
    schema::checked_texts(
        "signingalgorithms",
        check::signing_algorithm,
        "Accepted signatures; all when empty.",
    ),
]);

/// `auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Open to everyone.
    None,
    /// Any Authorization header is accepted.
    Silly {
        /// Realm of the challenge.
        realm: String,
        /// Service of the challenge.
        service: String,
    },
    /// Users in a file.
    Htpasswd {
        /// Realm of the challenge.
        realm: String,
        /// The file.
        path: PathBuf,
        /// What may be done without logging in.
        anonymous: Anonymous,
    },
    /// Bearer tokens.
    Token(Box<TokenAuth>),
}

/// `auth.htpasswd.anonymous`: what may be done without logging in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anonymous {
    /// Reading repositories.
    pub pull: bool,
    /// Listing them.
    pub catalog: bool,
}

/// `auth.token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAuth {
    /// URL of the token server.
    pub realm: String,
    /// Service that tokens are for.
    pub service: String,
    /// Issuer of the tokens.
    pub issuer: String,
    /// PEM file with certificates.
    pub root_cert_bundle: Option<PathBuf>,
    /// JSON Web Key Set: a file or a URL.
    pub jwks: Option<KeySet>,
    /// How often a key set at a URL is fetched again.
    pub jwks_refresh: Duration,
    /// Realm on the host of the request.
    pub auto_redirect: bool,
    /// Path of that realm.
    pub auto_redirect_path: String,
    /// Accepted signatures; empty means all.
    pub signing_algorithms: Vec<String>,
}

/// Where a JSON Web Key Set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySet {
    /// A file.
    File(PathBuf),
    /// An `http://` or `https://` URL, the scheme in any case.
    Url(SecretUrl),
}

impl KeySet {
    fn of(text: &str) -> Self {
        if check::is_url(text) { Self::Url(SecretUrl::new(text)) } else { Self::File(text.into()) }
    }
}

pub(crate) fn read(auth: Reader<'_>) -> Auth {
    if let Some(silly) = auth.written("silly") {
        return Auth::Silly { realm: silly.text("realm"), service: silly.text("service") };
    }
    if let Some(htpasswd) = auth.written("htpasswd") {
        let path = htpasswd.text("path").into();
        let rights = htpasswd.texts("anonymous");
        let may = |right| rights.iter().any(|given| given == right);
        let anonymous = Anonymous { pull: may("pull"), catalog: may("catalog") };
        return Auth::Htpasswd { realm: htpasswd.text("realm"), path, anonymous };
    }
    if let Some(token) = auth.written("token") {
        return Auth::Token(Box::new(TokenAuth {
            realm: token.text("realm"),
            service: token.text("service"),
            issuer: token.text("issuer"),
            root_cert_bundle: token.set_path("rootcertbundle"),
            jwks: token.set_text("jwks").map(|text| KeySet::of(&text)),
            jwks_refresh: token.duration("jwksrefresh"),
            auto_redirect: token.boolean("autoredirect"),
            auto_redirect_path: token.text("autoredirectpath"),
            signing_algorithms: token.texts("signingalgorithms"),
        }));
    }
    Auth::None
}
