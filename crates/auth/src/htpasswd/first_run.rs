//! The file that is made when there is none, as Distribution does.

use std::ffi::OsStr;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::HtpasswdError;
use super::file::sync_directory;
use super::hash::bcrypt_hash;

/// The user of a file that was made.
const USER: &str = "docker";

/// A random password needs no dear hash.
const COST: u32 = 10;

/// Makes a file with one user and a random password if there is none, and says so in the log. It
/// is the one place where a password is logged: nobody could know it otherwise. Blocks.
///
/// # Errors
/// [`HtpasswdError::Provision`], [`HtpasswdError::Hash`].
pub(super) fn provision(path: &Path) -> Result<(), HtpasswdError> {
    // Also a link that leads nowhere is there: it is not for this to say where it should lead.
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => return Ok(()),
    }
    let mut random = [0; 32];
    rand::fill(&mut random);
    let password = URL_SAFE_NO_PAD.encode(random);
    let line = format!("{USER}:{}\n", bcrypt_hash(password.as_bytes(), COST)?);
    let failed = |source| HtpasswdError::Provision { path: path.to_owned(), source };
    if create(path, line.as_bytes()).map_err(failed)? {
        tracing::warn!(
            user = USER,
            password,
            file = %path.display(),
            "htpasswd is missing, provisioning with default user"
        );
    }
    Ok(())
}

/// Creates a file whole or not at all. False if another process was faster.
fn create(path: &Path, content: &[u8]) -> io::Result<bool> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{:016x}.new", rand::random::<u64>()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| place(&temporary, path));
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let linked = linked?;
    sync_directory(directory)?;
    Ok(linked)
}

/// Gives a file its name. False if there is one of that name.
fn place(temporary: &OsStr, path: &Path) -> io::Result<bool> {
    // Unlike a rename, a link does not replace what another process made in the meantime. Not every
    // file system of a network has links.
    match std::fs::hard_link(temporary, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(_) => std::fs::rename(temporary, path).map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::htpasswd::users::Users;

    #[test]
    fn the_file_and_its_directory_are_private() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("auth/deep/htpasswd");
        provision(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let text = std::fs::read(&path).unwrap();
        assert!(Users::parse(&text).unwrap().0.get("docker").unwrap().hash.is_usable());
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("htpasswd");
        std::fs::write(&path, "").unwrap();
        provision(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert!(!create(&path, b"x").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
        let link = home.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        provision(&link).unwrap();
        assert!(!home.path().join("nowhere").exists());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error() {
        let error = provision(Path::new("/proc/none/htpasswd")).unwrap_err();
        assert!(matches!(error, HtpasswdError::Provision { .. }));
        assert!(error.to_string().contains("/proc/none/htpasswd"), "{error}");
    }
}
