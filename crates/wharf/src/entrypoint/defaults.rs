//! Which of the image's two default files is meant.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A default file of the image.
struct Shipped<'a> {
    path: &'a Path,
    text: &'a str,
}

/// The file that the command of the image names: where the image of Distribution 2 has it.
const NAMED: (&str, &str) = (
    "/etc/docker/registry/config.yml",
    include_str!("../../../../deploy/rootfs/etc/docker/registry/config.yml"),
);

/// Where the image of Distribution 3 has it.
const OTHER: (&str, &str) = (
    "/etc/distribution/config.yml",
    include_str!("../../../../deploy/rootfs/etc/distribution/config.yml"),
);

/// The file to serve when the image's command names `file`.
///
/// One image stands in for `registry:2` and for `registry:3`, which look for their configuration
/// in different places. Whoever mounts a file, or builds an image with one, puts it in one of them.
pub(super) fn choose(file: &OsStr) -> OsString {
    let named = Shipped { path: Path::new(NAMED.0), text: NAMED.1 };
    let other = Shipped { path: Path::new(OTHER.0), text: OTHER.1 };
    if file == named.path && named.is_as_shipped() && other.is_replaced() {
        return other.path.into();
    }
    file.to_owned()
}

impl Shipped<'_> {
    fn is_as_shipped(&self) -> bool {
        std::fs::read(self.path).is_ok_and(|bytes| bytes == self.text.as_bytes())
    }

    /// A file that can't be read was put there by somebody, and is reported when it is loaded.
    fn is_replaced(&self) -> bool {
        self.path.try_exists().unwrap_or(true) && !self.is_as_shipped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_shipped_replaced_or_absent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yml");
        let shipped = Shipped { path: &path, text: "version: 0.1\n" };
        assert_eq!((shipped.is_as_shipped(), shipped.is_replaced()), (false, false));
        std::fs::write(&path, "version: 0.1\n").unwrap();
        assert_eq!((shipped.is_as_shipped(), shipped.is_replaced()), (true, false));
        std::fs::write(&path, "version: 0.1\nlog: {level: warn}\n").unwrap();
        assert_eq!((shipped.is_as_shipped(), shipped.is_replaced()), (false, true));
    }

    #[test]
    fn the_image_s_files_are_good() {
        for (path, text) in [NAMED, OTHER] {
            let source = config::Source::new(path, text);
            let findings = config::check(&source, &config::Environment::default());
            assert_eq!(findings, vec![], "{path}");
        }
    }
}
