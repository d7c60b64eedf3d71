//! One file per section of the configuration: its keys, its typed struct, how it is read.

pub mod auth;
pub mod catalog;
pub mod compatibility;
pub mod health;
pub mod http;
pub mod limits;
pub mod log;
pub mod middleware;
pub mod notifications;
pub mod policy;
pub mod proxy;
pub mod redis;
pub mod remote;
pub mod reporting;
pub mod retention;
pub mod rewrite;
pub mod storage;
pub mod sync;
pub mod tags;
pub mod validation;
pub mod when;

use crate::schema::{self, Section};

/// The whole configuration.
pub(crate) static ROOT: Section = Section::new(&[
    schema::text(
        "version",
        "Version of the configuration's form; must be `0.1`. A variable can't change it.",
    ),
    schema::section("log", &log::SECTION, "Logging."),
    schema::choice(
        "loglevel",
        log::LEVELS,
        "Old spelling of `log.level`, used when that is unset.",
    ),
    schema::section(
        "storage",
        &storage::SECTION,
        "Where the data lies: exactly one driver, or just its name (`storage: inmemory`).",
    ),
    schema::optional(
        "auth",
        &auth::SECTION,
        "Who may do what: exactly one type, or just its name (`auth: none`).",
    ),
    schema::optional("middleware", &middleware::SECTION, "Middlewares around the driver."),
    schema::section("http", &http::SECTION, "The listener and the API."),
    schema::optional("notifications", &notifications::SECTION, "Webhooks."),
    schema::optional("redis", &redis::SECTION, "A shared Redis for the descriptor cache."),
    schema::section(
        "health",
        &health::SECTION,
        "Health checks that turn the registry's answers into 503 while they fail.",
    ),
    schema::section("retention", &retention::SECTION, "Which tags are kept. Not in Distribution."),
    schema::section("catalog", &catalog::SECTION, "The listing of repositories."),
    schema::section("tags", &tags::SECTION, "The listing of tags."),
    schema::optional("proxy", &proxy::SECTION, "Pull-through mirror of other registries."),
    schema::section(
        "sync",
        &sync::SECTION,
        "Jobs that copy repositories from and to other registries. Not in Distribution.",
    ),
    schema::section(
        "validation",
        &validation::SECTION,
        "What is checked when a manifest is pushed.",
    ),
    schema::section("policy", &policy::SECTION, "What may be pushed."),
    schema::optional(
        "compatibility",
        &compatibility::SECTION,
        "Removed in Distribution 3; has no effect.",
    ),
    schema::optional("reporting", &reporting::SECTION, "Removed in Distribution 3; has no effect."),
]);
