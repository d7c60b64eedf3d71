//! Leaving root in a container.
//!
//! The image starts as root, as Distribution's do: the volumes, bind mounts and keys that people
//! have belong to root, and an image with another user could not use them. The server itself does
//! not run as root. It goes on as the owner of the data, or as the image's own user where the data
//! belongs to root, with two of root's capabilities: to read and write files whoever owns them, and to
//! listen on ports below 1024. Everything else that root could do is given up for good.
//!
//! A container that is started as another user (`--user`, `runAsUser`) has nothing to leave.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use config::{Driver, Environment, Located, Source};
use rustix::process::{Gid, Uid, getgroups, getuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_keep_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// User and group of the image: they own its `/var/lib/registry`.
const IMAGE_USER: Owner = Owner { user: 65532, group: 65532 };

/// What is kept of root's capabilities, as far as the container has them.
const KEPT: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::NET_BIND_SERVICE);

/// What it takes to become another user.
const NEEDED: CapabilitySet = CapabilitySet::SETUID.union(CapabilitySet::SETGID);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    user: u32,
    group: u32,
}

/// Goes on as another user than root, if this is root and can. Where it can't, a line says so and
/// the process goes on as it was started.
///
/// Must be called while the process has one thread: the kernel keeps users by thread.
pub(super) fn leave_root(file: Option<&Path>) {
    if !getuid().is_root() || is_root_of_a_user_namespace() {
        return;
    }
    let may = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    if !may.contains(NEEDED) {
        // `--cap-drop ALL`: a root that can do little, and can't become anybody else.
        return;
    }
    let data = data_directory(file);
    let owner = data.as_deref().and_then(owner_of_data).unwrap_or(IMAGE_USER);
    if let Some(data) = data.as_deref().filter(|_| owner == IMAGE_USER) {
        hand_over_if_empty(data);
    }
    if let Err(error) = go_on_as(owner, may.intersection(KEPT)) {
        super::say(format_args!(
            "could not leave root for user {}: {error}; going on as root",
            owner.user
        ));
    }
}

/// Whether "root" is an ordinary user outside, as with rootless docker and podman: the files that
/// are made shall go on belonging to that user.
fn is_root_of_a_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !is_identity(&map))
}

/// `user_namespaces(7)`: the initial namespace maps all 2^32 - 1 users to themselves.
fn is_identity(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// `storage.filesystem.rootdirectory`. None with another driver, or when the configuration can't be
/// loaded, which `serve` will report.
fn data_directory(file: Option<&Path>) -> Option<PathBuf> {
    let environment = Environment::of_process();
    let source = match config::locate(file, &environment) {
        Located::File(path) => Source::read(&path).ok()?,
        Located::None => Source::zero_config(),
    };
    match config::load(&source, &environment).ok()?.config.storage.driver {
        Driver::Filesystem(filesystem) => Some(filesystem.root_directory),
        _ => None,
    }
}

/// Who owns the registry's files, unless it is root. The layout's own directory goes first: its
/// owner is who wrote, also where a network file system has made somebody else of root.
fn owner_of_data(root: &Path) -> Option<Owner> {
    let written = root.join("docker/registry/v2");
    let metadata = std::fs::metadata(written).or_else(|_| std::fs::metadata(root)).ok()?;
    Some(Owner { user: metadata.uid(), group: metadata.gid() }).filter(|owner| owner.user != 0)
}

/// A directory that docker made for a bind mount belongs to root; while it is empty, it is handed
/// to the image's user, so that a later start without any capability can use it too.
fn hand_over_if_empty(data: &Path) {
    let is_empty = std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_none());
    if is_empty {
        // It can be used as it is, too.
        let Owner { user, group } = IMAGE_USER;
        let _ = std::os::unix::fs::chown(data, Some(user), Some(group));
    }
}

fn go_on_as(owner: Owner, kept: CapabilitySet) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(owner.user), Gid::from_raw(owner.group));
    // `--group-add` goes on working.
    let groups: Vec<_> = getgroups()?.into_iter().filter(|group| !group.is_root()).collect();
    set_keep_capabilities(true)?;
    set_thread_groups(&groups)?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: none })?;
    set_no_new_privs(true)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_user_namespace_is_known_by_its_map() {
        assert!(is_identity("         0          0 4294967295\n"));
        for rootless in ["0 1000 1\n1 100000 65536\n", "0 100000 65536\n", ""] {
            assert!(!is_identity(rootless), "{rootless}");
        }
    }

    #[test]
    fn data_of_root_has_no_owner_to_become() {
        let directory = tempfile::tempdir().unwrap();
        let own = std::fs::metadata(directory.path()).unwrap();
        let expected =
            Some(Owner { user: own.uid(), group: own.gid() }).filter(|owner| owner.user != 0);
        assert_eq!(owner_of_data(directory.path()), expected);
        assert_eq!(owner_of_data(&directory.path().join("absent")), None);
        if getuid().is_root() {
            let someone = Some(Owner { user: 1234, group: 1235 });
            let written = directory.path().join("docker/registry/v2");
            std::fs::create_dir_all(&written).unwrap();
            std::os::unix::fs::chown(&written, Some(1234), Some(1235)).unwrap();
            assert_eq!(owner_of_data(directory.path()), someone);
        }
    }

    #[test]
    fn the_data_is_found_through_the_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yml");
        std::fs::write(&file, "version: 0.1\nstorage: {filesystem: {rootdirectory: /data}}\n")
            .unwrap();
        assert_eq!(data_directory(Some(&file)), Some(PathBuf::from("/data")));
        std::fs::write(&file, "version: 0.1\nstorage: inmemory\n").unwrap();
        assert_eq!(data_directory(Some(&file)), None);
        std::fs::write(&file, ":").unwrap();
        assert_eq!(data_directory(Some(&file)), None);
    }
}
