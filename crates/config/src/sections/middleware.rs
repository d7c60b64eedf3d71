//! `middleware`: layers around the registry, its repositories and its driver.

use crate::{
    reader::Reader,
    schema::{self, Section},
    secret::Secret,
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::list("registry", &OTHER, "Around the registry; none exist."),
    schema::list("repository", &OTHER, "Around each repository; none exist."),
    schema::list("storage", &STORAGE, "Around the driver: `redirect`, `rewrite`."),
]);

static OTHER: Section = Section::new(&[
    schema::text("name", "Name of the middleware."),
    schema::boolean("disabled", "Turns it off.").default("false"),
    schema::any("options", true, "Its options."),
]);

static STORAGE: Section = Section::new(&[
    schema::text("name", "`redirect` or `rewrite`; `cloudfront` is refused."),
    schema::boolean("disabled", "Turns it off.").default("false"),
    schema::optional("options", &OPTIONS, "Its options."),
]);

static OPTIONS: Section = Section::new(&[
    schema::text("baseurl", "`redirect`: where downloads are redirected to."),
    schema::text("privatekey", "`cloudfront`: PEM file with the signing key."),
    schema::text("keypairid", "`cloudfront`: id of the signing key."),
    schema::duration("duration", "`cloudfront`: how long a signed URL is good.").default("20m"),
    schema::choice(
        "ipfilteredby",
        &["none", "aws", "awsregion"],
        "`cloudfront`: which clients are not redirected.",
    )
    .default("none"),
    schema::texts("awsregion", "`cloudfront`: regions of `ipfilteredby: awsregion`."),
    schema::duration("updatefrequency", "`cloudfront`: how often the ranges are read.")
        .default("12h"),
    schema::text("iprangesurl", "`cloudfront`: where the ranges are read."),
    schema::text("scheme", "`rewrite`: scheme of the redirect."),
    schema::text("host", "`rewrite`: host of the redirect."),
    schema::text("trimpathprefix", "`rewrite`: prefix that is cut from the redirect's path."),
]);

/// `middleware`. The options of built-in ones get a type with the issue that builds them.
#[derive(Clone, Debug, Default)]
pub struct Middleware {
    /// Around the registry.
    pub registry: Vec<MiddlewareEntry>,
    /// Around each repository.
    pub repository: Vec<MiddlewareEntry>,
    /// Around the driver.
    pub storage: Vec<MiddlewareEntry>,
}

/// One middleware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MiddlewareEntry {
    /// Its name.
    pub name: String,
    /// Whether it is turned off.
    pub disabled: bool,
    /// Those of its options that are single values; nobody knows which of them are secret.
    pub options: Vec<(String, Secret)>,
}

pub(crate) fn read(middleware: Reader<'_>) -> Middleware {
    let entries = |name| middleware.items(name).map(read_entry).collect();
    Middleware {
        registry: entries("registry"),
        repository: entries("repository"),
        storage: entries("storage"),
    }
}

fn read_entry(entry: Reader<'_>) -> MiddlewareEntry {
    MiddlewareEntry {
        name: entry.text("name"),
        disabled: entry.boolean("disabled"),
        options: entry
            .entries("options")
            .filter_map(|(name, node)| Some((name.to_owned(), Secret::new(node.as_text()?))))
            .collect(),
    }
}
