//! The typed configuration as the rest of wharf sees it.

use std::path::PathBuf;

use crate::{
    diagnostic::{Diagnostic, Location},
    files, load, print,
    reader::Reader,
    sections::{
        auth::{self, Auth},
        catalog::{self, Catalog},
        compatibility::{self, Compatibility},
        health::{self, Health},
        http::{self, Http},
        log::{self, Log},
        middleware::{self, Middleware},
        notifications::{self, Notifications},
        policy::{self, Policy},
        proxy::{self, Proxy},
        redis::{self, Redis},
        retention::{self, Retention},
        storage::{self, Storage},
        sync::{self, Sync},
        tags::{self, Tags},
        validation::{self, Validation},
    },
    tree::Node,
    unsupported::{self, Unsupported},
};

/// A whole configuration, with variables applied and defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// `log`.
    pub log: Log,
    /// `storage`.
    pub storage: Storage,
    /// `auth`.
    pub auth: Auth,
    /// `middleware`.
    pub middleware: Middleware,
    /// `http`.
    pub http: Http,
    /// `notifications`.
    pub notifications: Notifications,
    /// `redis`.
    pub redis: Redis,
    /// `health`.
    pub health: Health,
    /// `retention`.
    pub retention: Retention,
    /// `catalog`.
    pub catalog: Catalog,
    /// `tags`.
    pub tags: Tags,
    /// `proxy`.
    pub proxy: Proxy,
    /// `sync`.
    pub sync: Sync,
    /// `validation`.
    pub validation: Validation,
    /// `policy`.
    pub policy: Policy,
    /// `compatibility`.
    pub compatibility: Compatibility,
    /// What the fields above were read from, for locations and for printing.
    pub(crate) tree: Tree,
}

/// The completed tree and the file that it came from. Its `Debug` shows no content, for it holds
/// secrets as plain text.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(crate) root: Node,
    pub(crate) path: PathBuf,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tree({})", self.path.display())
    }
}

impl Config {
    /// Reads the typed values out of a completed tree.
    pub(crate) fn read(root: Node, path: PathBuf) -> Self {
        let reader = Reader::new(&root);
        Self {
            log: log::read(reader.section("log")),
            storage: storage::read(reader.section("storage")),
            auth: auth::read(reader.section("auth")),
            middleware: middleware::read(reader.section("middleware")),
            http: http::read(reader.section("http")),
            notifications: notifications::read(reader.section("notifications")),
            redis: redis::read(reader.section("redis")),
            health: health::read(reader.section("health")),
            retention: retention::read(reader.section("retention")),
            catalog: catalog::read(reader.section("catalog")),
            tags: tags::read(reader.section("tags")),
            proxy: proxy::read(reader.section("proxy")),
            sync: sync::read(reader.section("sync")),
            validation: validation::read(reader.section("validation")),
            policy: policy::read(reader.section("policy")),
            compatibility: compatibility::read(reader.section("compatibility")),
            tree: Tree { root, path },
        }
    }

    /// What `wharf serve` runs with when there is no file and no variable: port 5000, data in
    /// `./wharf-data`, deletes allowed, storage health check on, descriptors cached in memory.
    pub fn zero_config() -> Self {
        load::zero_config()
    }

    /// Features that are configured but not built in this version. Not empty means that the
    /// registry must not start: a feature that is asked for is never left out in silence.
    pub fn unsupported(&self) -> Vec<Unsupported> {
        unsupported::find(&self.tree)
    }

    /// The effective configuration as YAML: defaults filled in, secrets masked, keys in the order
    /// of the schema. A value from a variable names the variable in a comment.
    pub fn print(&self) -> String {
        print::print(&self.tree.root)
    }

    /// Looks at what the configuration points at (directories, certificates, sockets) without
    /// changing anything. Empty when everything is there.
    pub fn check_files(&self) -> Vec<Diagnostic> {
        files::check(self)
    }

    /// Where a dotted key such as `http.addr` was set; [`Location::Builtin`] when it wasn't.
    pub fn location(&self, key: &str) -> Location {
        self.tree.location(self.tree.root.at(key))
    }
}

impl Tree {
    pub(crate) fn location(&self, node: Option<&Node>) -> Location {
        node.map_or(Location::Builtin, |node| {
            crate::diagnostic::Findings::new(self.path.clone()).location(&node.origin)
        })
    }
}
