//! Changes to the file, for `wharf htpasswd`. Everything here blocks.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use super::error::HtpasswdError;
use super::file::{read, sync_directory};
use super::hash::{HashKind, bcrypt_hash};
use super::users::{Line, Users, numbered_lines};
use crate::limits::USER_BYTES_MAX;

/// The bytes of a password that bcrypt looks at.
pub const PASSWORD_BYTES_USED: usize = 72;

/// What [`add`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The user is new.
    User,
    /// The user was there, and has another password now.
    Password,
}

/// A line of [`list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The user.
    pub user: String,
    /// How the password is kept.
    pub kind: HashKind,
}

/// Whether a user can have that name.
///
/// # Errors
/// [`HtpasswdError::User`].
pub fn check_user(user: &str) -> Result<(), HtpasswdError> {
    let wrong = if user.is_empty() {
        "it is empty"
    } else if user.len() > USER_BYTES_MAX {
        "it is longer than 255 bytes"
    } else if user.contains(':') {
        "it has a ':', which ends the name"
    } else if user.contains(char::is_control) {
        "it has a control character"
    } else if user.starts_with('#') {
        "it begins with '#', as comments do"
    } else if user.trim_ascii() != user {
        "it begins or ends with a space"
    } else {
        return Ok(());
    };
    Err(HtpasswdError::User(wrong))
}

/// Whether a user can have that password.
///
/// # Errors
/// [`HtpasswdError::Password`].
pub fn check_password(password: &[u8]) -> Result<(), HtpasswdError> {
    let wrong = if password.is_empty() {
        "it is empty"
    } else if password.len() > PASSWORD_BYTES_USED {
        "it is longer than 72 bytes, and bcrypt would ignore the rest"
    } else if password.iter().any(u8::is_ascii_control) {
        "it has a control character, which can't be sent when logging in (RFC 7617, section 2)"
    } else {
        return Ok(());
    };
    Err(HtpasswdError::Password(wrong))
}

/// Adds a user, or gives one a new password. A file that isn't there is made, readable for its
/// owner only.
///
/// # Errors
/// [`HtpasswdError`]; then the file is as it was.
pub fn add(path: &Path, user: &str, password: &[u8], cost: u32) -> Result<Added, HtpasswdError> {
    check_user(user)?;
    check_password(password)?;
    let hash = bcrypt_hash(password, cost)?;
    let target = Target::lock(path)?;
    let text = match read(&target.path) {
        Ok((_, text)) => text,
        Err(HtpasswdError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    check_text(path, &text)?;
    let (text, found) = changed(&text, user, Some(&hash));
    target.replace(&text)?;
    Ok(if found { Added::Password } else { Added::User })
}

/// Removes a user. False if there is none of that name.
///
/// # Errors
/// [`HtpasswdError`]; then the file is as it was.
pub fn remove(path: &Path, user: &str) -> Result<bool, HtpasswdError> {
    let target = Target::lock(path)?;
    let (_, text) = read(&target.path)?;
    check_text(path, &text)?;
    let (text, found) = changed(&text, user, None);
    if found {
        target.replace(&text)?;
    }
    Ok(found)
}

/// The users in the order of the file. One who is listed twice is where the line is that counts.
///
/// # Errors
/// [`HtpasswdError`].
pub fn list(path: &Path) -> Result<Vec<Listed>, HtpasswdError> {
    let (_, text) = read(path)?;
    let users = check_text(path, &text)?;
    let mut listed: Vec<Listed> = Vec::new();
    for (_, line) in numbered_lines(&text) {
        let Ok(Line::Entry { user, .. }) = Line::parse(line) else { continue };
        let Some(found) = users.get(user) else { continue };
        listed.push(Listed { user: user.to_owned(), kind: found.hash.kind() });
    }
    let mut seen = std::collections::HashSet::new();
    let mut last: Vec<_> =
        listed.into_iter().rev().filter(|line| seen.insert(line.user.clone())).collect();
    last.reverse();
    Ok(last)
}

/// Whether it is the password of that user. False also if there is no such user.
///
/// # Errors
/// [`HtpasswdError`].
pub fn verify(path: &Path, user: &str, password: &[u8]) -> Result<bool, HtpasswdError> {
    let (_, text) = read(path)?;
    let users = check_text(path, &text)?;
    Ok(users.get(user).is_some_and(|user| user.hash.matches(password)))
}

/// A file with a bad line is left alone: whoever wrote it should see to it first.
fn check_text(path: &Path, text: &[u8]) -> Result<Users, HtpasswdError> {
    let bad = |(line, what)| HtpasswdError::Malformed { path: path.to_owned(), line, what };
    Users::parse(text).map(|(users, _)| users).map_err(bad)
}

/// The text with another hash for a user, or without the user; and whether the user was there.
/// Everything else stays as it is: comments, order, line endings and further fields.
fn changed(text: &[u8], user: &str, hash: Option<&str>) -> (Vec<u8>, bool) {
    let is_of_user =
        |line: &[u8]| matches!(Line::parse(line), Ok(Line::Entry { user: of, .. }) if of == user);
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let bom = &b"\xef\xbb\xbf"[..];
    let (start, first) = match lines.first().and_then(|line| line.strip_prefix(bom)) {
        Some(first) => (bom, Some(first)),
        None => (&b""[..], None),
    };
    if let (Some(first), Some(line)) = (first, lines.first_mut()) {
        *line = first;
    }
    let last = lines.iter().rposition(|line| is_of_user(line));
    let mut out = start.to_vec();
    for (index, line) in lines.iter().enumerate() {
        match hash {
            Some(hash) if Some(index) == last => out.extend(with_hash(line, hash)),
            _ if is_of_user(line) => {}
            _ => out.extend_from_slice(line),
        }
    }
    if let (Some(hash), None) = (hash, last) {
        if out.last().is_some_and(|byte| *byte != b'\n') {
            out.push(b'\n');
        }
        out.extend_from_slice(format!("{user}:{hash}\n").as_bytes());
    }
    (out, last.is_some())
}

/// A line with another hash between its first two colons.
fn with_hash(line: &[u8], hash: &str) -> Vec<u8> {
    let content = line.trim_ascii_end();
    let (content, ending) = line.split_at(content.len());
    let mut fields = content.splitn(3, |byte| *byte == b':');
    let mut out = fields.next().unwrap_or_default().to_vec();
    out.push(b':');
    out.extend_from_slice(hash.as_bytes());
    if let Some(more) = fields.nth(1) {
        out.push(b':');
        out.extend_from_slice(more);
    }
    out.extend_from_slice(ending);
    out
}

/// A file that is about to be changed by this process only.
struct Target {
    /// Without symbolic links, so that a link stays one.
    path: PathBuf,
    directory: PathBuf,
    /// Holds the lock until it is dropped.
    lock: File,
}

impl Target {
    /// Locks the directory, because the file itself will be another one.
    fn lock(path: &Path) -> Result<Self, HtpasswdError> {
        let failed = |source| HtpasswdError::Write { path: path.to_owned(), source };
        let path = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            other => other.map_err(failed)?,
        };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let lock = File::open(&directory).map_err(failed)?;
        match lock.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(failed(error)),
            // Some network file systems can't lock a directory; there one goes without.
            _ => {}
        }
        Ok(Self { path, directory, lock })
    }

    /// Puts another text in the place of the file, which keeps its mode and owner. Whoever reads
    /// the file sees the old text or the new one.
    fn replace(&self, text: &[u8]) -> Result<(), HtpasswdError> {
        let failed = |source| HtpasswdError::Write { path: self.path.clone(), source };
        let mut temporary = self.path.as_os_str().to_owned();
        temporary.push(format!(".{:016x}.new", rand::random::<u64>()));
        let temporary = PathBuf::from(temporary);
        let written = self.write(&temporary, text).and_then(|()| {
            match std::fs::rename(&temporary, &self.path) {
                // A single file that is mounted into a container can't be replaced.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    overwrite(&self.path, text).map_err(failed)?;
                    std::fs::remove_file(&temporary).map_err(failed)
                }
                renamed => renamed.map_err(failed),
            }
        });
        if written.is_err() {
            // What is wrong is said already.
            let _ = std::fs::remove_file(&temporary);
        }
        written?;
        sync_directory(&self.directory).map_err(failed)
    }

    fn write(&self, temporary: &Path, text: &[u8]) -> Result<(), HtpasswdError> {
        let failed = |source| HtpasswdError::Write { path: self.path.clone(), source };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(temporary)
            .map_err(failed)?;
        match std::fs::metadata(&self.path) {
            Ok(before) => {
                let own = file.metadata().map_err(failed)?;
                let (uid, gid) = (before.uid(), before.gid());
                if (own.uid(), own.gid()) != (uid, gid) {
                    fchown(&file, Some(uid), Some(gid)).map_err(|_| HtpasswdError::Owner {
                        path: self.path.clone(),
                        uid,
                        gid,
                    })?;
                }
                let mode = Permissions::from_mode(before.mode() & 0o777);
                file.set_permissions(mode).map_err(failed)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        file.write_all(text).and_then(|()| file.sync_all()).map_err(failed)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Closing it would do the same.
        let _ = self.lock.unlock();
    }
}

/// Writes a file in place.
fn overwrite(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
