//! Looks at what a configuration points at, without changing anything.

use std::{
    fs,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use rustix::fs::Access;

use crate::{
    config::Config,
    diagnostic::{Diagnostic, Severity},
    sections::{
        auth::{Auth, KeySet},
        http::Listen,
        remote::{Credentials, Remote},
        storage::Driver,
    },
};

/// All files, directories and sockets of the configuration that can't be used.
pub(crate) fn check(config: &Config) -> Vec<Diagnostic> {
    let mut found = Found { config, problems: Vec::new() };
    match &config.storage.driver {
        Driver::Filesystem(filesystem) => {
            let writes = !config.storage.read_only;
            found.directory("storage.filesystem.rootdirectory", &filesystem.root_directory, writes);
        }
        Driver::Gcs(gcs) => found.file("storage.gcs.keyfile", gcs.key_file.as_ref()),
        _ => {}
    }
    if let Listen::Unix(socket) = &config.http.listen {
        found.socket("http.addr", socket);
    }
    let tls = &config.http.tls;
    found.file("http.tls.certificate", tls.certificate.as_ref());
    found.file("http.tls.key", tls.key.as_ref());
    for authority in &tls.client_cas {
        found.file("http.tls.clientcas", Some(authority));
    }
    if let Some(directory) = &tls.lets_encrypt.cache_directory {
        found.directory("http.tls.letsencrypt.cachefile", directory, true);
    }
    match &config.auth {
        // One that isn't there is made.
        Auth::Htpasswd { path, .. } if path.exists() => {
            found.file("auth.htpasswd.path", Some(path));
        }
        Auth::Htpasswd { path, .. } => {
            let parent = path.parent().unwrap_or(Path::new("."));
            found.directory("auth.htpasswd.path", parent, true);
        }
        Auth::Token(token) => {
            found.file("auth.token.rootcertbundle", token.root_cert_bundle.as_ref());
            if let Some(KeySet::File(file)) = &token.jwks {
                found.file("auth.token.jwks", Some(file));
            }
        }
        _ => {}
    }
    let tls = &config.redis.tls;
    found.file("redis.tls.certificate", tls.certificate.as_ref());
    found.file("redis.tls.key", tls.key.as_ref());
    for authority in &tls.root_cas {
        found.file("redis.tls.rootcas", Some(authority));
    }
    found.upstreams();
    found.jobs();
    found.problems
}

struct Found<'a> {
    config: &'a Config,
    problems: Vec<Diagnostic>,
}

impl Found<'_> {
    fn problem(&mut self, key: &str, path: &Path, what: impl std::fmt::Display) {
        self.problems.push(Diagnostic {
            severity: Severity::Error,
            location: self.config.location(key),
            key: key.to_owned(),
            message: format!("{}: {what}", path.display()),
        });
    }

    fn upstreams(&mut self) {
        let proxy = &self.config.proxy;
        // That of `proxy.remoteurl` is not in the list and names no files.
        let items =
            self.config.tree.root.at("proxy.upstreams").map_or(0, |list| list.items().len());
        let first = proxy.upstreams.len() - items;
        for (index, upstream) in proxy.upstreams[first..].iter().enumerate() {
            self.remote(&format!("proxy.upstreams.{index}"), &upstream.remote);
        }
    }

    fn jobs(&mut self) {
        for (index, job) in self.config.sync.jobs.iter().enumerate() {
            let key = format!("sync.jobs.{index}.{}", job.remote.key());
            self.remote(&key, job.remote.remote());
        }
    }

    fn remote(&mut self, path: &str, remote: &Remote) {
        let key = |name| format!("{path}.{name}");
        self.file(&key("tls.certificate"), remote.tls.certificate.as_ref());
        self.file(&key("tls.key"), remote.tls.key.as_ref());
        for authority in &remote.tls.root_cas {
            self.file(&key("tls.rootcas"), Some(authority));
        }
        if let Credentials::Gar { key_file } = &remote.credentials {
            self.file(&key("gar.keyfile"), key_file.as_ref());
        }
    }

    /// A regular file that can be opened for reading.
    fn file(&mut self, key: &str, path: Option<&PathBuf>) {
        let Some(path) = path else { return };
        match fs::metadata(path) {
            Err(error) => self.problem(key, path, error),
            Ok(metadata) if metadata.is_dir() => self.problem(key, path, "is a directory"),
            Ok(_) => {
                if let Err(error) = rustix::fs::access(path, Access::READ_OK) {
                    self.problem(key, path, std::io::Error::from(error));
                }
            }
        }
    }

    /// A directory that can be used, or that can be made in the nearest one that exists.
    fn directory(&mut self, key: &str, path: &Path, writes: bool) {
        let access = match writes {
            true => Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
            false => Access::READ_OK | Access::EXEC_OK,
        };
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_dir() => self.problem(key, path, "is not a directory"),
            Ok(_) => {
                if let Err(error) = rustix::fs::access(path, access) {
                    let error = std::io::Error::from(error);
                    self.problem(key, path, format!("can't be read and written: {error}"));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && writes => {
                match path.parent() {
                    Some(parent) => self.directory(key, parent, true),
                    None => self.problem(key, path, error),
                }
            }
            Err(error) => self.problem(key, path, error),
        }
    }

    /// A place for a Unix socket: free, or taken by an older socket.
    fn socket(&mut self, key: &str, path: &Path) {
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                self.problem(key, path, "exists and is not a socket");
            }
            _ => {
                if let Some(parent) = path.parent() {
                    self.directory(key, parent, true);
                }
            }
        }
    }
}
