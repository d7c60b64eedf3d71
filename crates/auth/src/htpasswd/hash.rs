//! The hashes that an htpasswd file may hold.

use std::fmt;

use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, NO_PAD};
use sha_crypt::ShaCrypt;

use crate::limits::{
    ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_PASSES_MAX, BCRYPT_COST_MAX,
    SHA_CRYPT_ROUNDS_MAX,
};

/// The 22 characters of a salt hold four bits too many, and those of a hash two. Some tools put
/// something there; every implementation of bcrypt ignores it.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));
const EXACT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::BCRYPT,
    GeneralPurposeConfig::new().with_encode_padding(false),
);

const BCRYPT_COST_MIN: u32 = 4;
const SHA_CRYPT_ROUNDS_MIN: u32 = 1000;
const SHA_CRYPT_ROUNDS_DEFAULT: u32 = 5000;

/// How a password is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashKind {
    /// bcrypt, `$2a$`, `$2b$`, `$2x$` and `$2y$`: they differ in the tools that wrote them.
    Bcrypt {
        /// The logarithm of the work.
        cost: u32,
    },
    /// SHA-crypt, `$5$` with SHA-256 and `$6$` with SHA-512.
    ShaCrypt {
        /// 256 or 512.
        bits: u32,
        /// The work.
        rounds: u32,
    },
    /// Argon2, `$argon2d$`, `$argon2i$` and `$argon2id$`.
    Argon2 {
        /// The memory, in KiB.
        memory_kib: u32,
        /// The passes over it.
        passes: u32,
    },
    /// A hash that no password matches.
    Unusable(Unusable),
}

/// Why no password matches a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// There is no hash.
    #[error("there is no hash")]
    Empty,
    /// MD5, `$apr1$` and `$1$`.
    #[error("MD5 hashes are too weak to be accepted")]
    Md5,
    /// `{SHA}` and `{SSHA}`.
    #[error("SHA-1 hashes are too weak to be accepted")]
    Sha1,
    /// What `crypt` made once, or the password itself.
    #[error("neither DES hashes nor plain passwords are accepted")]
    CryptOrPlain,
    /// A kind that is not known, such as yescrypt.
    #[error("hashes of this kind are not known")]
    Unknown,
    /// A known kind that can't be read.
    #[error("the hash is damaged")]
    Damaged,
    /// A hash whose verification would hold up the server.
    #[error("verifying the hash would take too long or too much memory")]
    TooDear,
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bcrypt { cost } => write!(f, "bcrypt, cost {cost}"),
            Self::ShaCrypt { bits, rounds } => write!(f, "SHA-{bits}-crypt, {rounds} rounds"),
            Self::Argon2 { memory_kib, passes } => {
                write!(f, "argon2, {memory_kib} KiB, {passes} passes")
            }
            Self::Unusable(reason) => write!(f, "never matches: {reason}"),
        }
    }
}

/// A hash of a password. It is a secret too: its Debug form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredHash {
    text: Box<str>,
    kind: HashKind,
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredHash({})", self.kind)
    }
}

impl StoredHash {
    /// Looks what kind of hash it is. Anything is one; what can't be verified is
    /// [`HashKind::Unusable`].
    pub(crate) fn parse(text: &str) -> Self {
        let usable = if text.starts_with("$2") {
            bcrypt_kind(text)
        } else if text.starts_with("$5$") || text.starts_with("$6$") {
            sha_crypt_kind(text).map(|kind| (kind, text.to_owned()))
        } else if text.starts_with("$argon2") {
            argon2_kind(text).map(|kind| (kind, text.to_owned()))
        } else {
            Err(not_verified(text))
        };
        match usable {
            Ok((kind, text)) => Self { text: text.into(), kind },
            Err(reason) => Self { text: text.into(), kind: HashKind::Unusable(reason) },
        }
    }

    pub(crate) const fn kind(&self) -> HashKind {
        self.kind
    }

    pub(crate) const fn is_usable(&self) -> bool {
        !matches!(self.kind, HashKind::Unusable(_))
    }

    /// The hash itself, to derive from. It must not get into a log, an answer or an error.
    pub(crate) const fn secret_text(&self) -> &str {
        &self.text
    }

    /// Whether it is the hash of the password. This takes long; it is for blocking threads.
    ///
    /// As in Apache's and Go's implementations, bcrypt looks at the first 72 bytes of a password
    /// only.
    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        match self.kind {
            HashKind::Bcrypt { .. } => bcrypt::verify(password, &self.text).unwrap_or(false),
            HashKind::ShaCrypt { .. } => {
                use sha_crypt::PasswordVerifier as _;
                ShaCrypt::default().verify_password(password, &*self.text).is_ok()
            }
            HashKind::Argon2 { .. } => PasswordHash::new(&self.text)
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
            HashKind::Unusable(_) => false,
        }
    }
}

/// Makes a bcrypt hash, for blocking threads. It begins with `$2y$`, which Apache's tools, Go and
/// libxcrypt all read.
pub(crate) fn bcrypt_hash(password: &[u8], cost: u32) -> Result<String, bcrypt::BcryptError> {
    let mut salt = [0; 16];
    rand::fill(&mut salt);
    Ok(bcrypt::hash_with_salt(password, cost, salt)?.format_for_version(bcrypt::Version::TwoY))
}

/// The kind, and the hash in the one form that the bcrypt crate reads.
fn bcrypt_kind(text: &str) -> Result<(HashKind, String), Unusable> {
    // What comes after 60 characters is ignored, as Go does.
    let text = text.get(..60).filter(|text| text.is_ascii()).ok_or(Unusable::Damaged)?;
    let (head, tail) = text.split_at(7);
    let cost = head
        .strip_prefix("$2")
        .and_then(|rest| rest.strip_prefix(['a', 'b', 'x', 'y']))
        .and_then(|rest| rest.strip_prefix('$')?.strip_suffix('$'))
        .filter(|cost| cost.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|cost| cost.parse::<u32>().ok())
        .filter(|cost| *cost >= BCRYPT_COST_MIN)
        .ok_or(Unusable::Damaged)?;
    if cost > BCRYPT_COST_MAX {
        return Err(Unusable::TooDear);
    }
    let (salt, hash) = tail.split_at(22);
    let exact = |part: &str| LENIENT.decode(part).map(|bytes| EXACT.encode(bytes));
    let salt = exact(salt).map_err(|_| Unusable::Damaged)?;
    let hash = exact(hash).map_err(|_| Unusable::Damaged)?;
    Ok((HashKind::Bcrypt { cost }, format!("{head}{salt}{hash}")))
}

/// `$5$[rounds=N$]salt$hash`.
fn sha_crypt_kind(text: &str) -> Result<HashKind, Unusable> {
    let (bits, length) = if text.starts_with("$5$") { (256, 43) } else { (512, 86) };
    let mut fields = text.split('$').skip(2).peekable();
    let rounds = match fields.peek().and_then(|field| field.strip_prefix("rounds=")) {
        Some(rounds) => {
            let rounds = rounds.parse().map_err(|_| Unusable::Damaged)?;
            fields.next();
            rounds
        }
        None => SHA_CRYPT_ROUNDS_DEFAULT,
    };
    let (Some(salt), Some(hash), None) = (fields.next(), fields.next(), fields.next()) else {
        return Err(Unusable::Damaged);
    };
    if salt.len() > 16 || hash.len() != length || sha_crypt::PasswordHashRef::new(text).is_err() {
        return Err(Unusable::Damaged);
    }
    if rounds > SHA_CRYPT_ROUNDS_MAX {
        return Err(Unusable::TooDear);
    }
    if rounds < SHA_CRYPT_ROUNDS_MIN {
        return Err(Unusable::Damaged);
    }
    Ok(HashKind::ShaCrypt { bits, rounds })
}

/// The PHC form, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
fn argon2_kind(text: &str) -> Result<HashKind, Unusable> {
    let hash = PasswordHash::new(text).map_err(|_| Unusable::Damaged)?;
    let params = argon2::Params::try_from(&hash).map_err(|_| Unusable::Damaged)?;
    let known = argon2::Algorithm::try_from(hash.algorithm.as_str()).is_ok()
        && hash.version.is_none_or(|version| argon2::Version::try_from(version).is_ok());
    if !known || hash.salt.is_none() || hash.hash.is_none() {
        return Err(Unusable::Damaged);
    }
    let (memory_kib, passes) = (params.m_cost(), params.t_cost());
    if memory_kib > ARGON2_MEMORY_KIB_MAX
        || passes > ARGON2_PASSES_MAX
        || params.p_cost() > ARGON2_LANES_MAX
    {
        return Err(Unusable::TooDear);
    }
    Ok(HashKind::Argon2 { memory_kib, passes })
}

/// Why the others are not verified.
fn not_verified(text: &str) -> Unusable {
    if text.is_empty() {
        Unusable::Empty
    } else if text.starts_with("$apr1$") || text.starts_with("$1$") {
        Unusable::Md5
    } else if text.starts_with("{SHA}") || text.starts_with("{SSHA}") {
        Unusable::Sha1
    } else if text.starts_with('$') || text.starts_with('{') {
        Unusable::Unknown
    } else {
        Unusable::CryptOrPlain
    }
}

#[cfg(test)]
mod tests;
