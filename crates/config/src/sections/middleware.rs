//! `middleware`: layers around the registry, its repositories and its driver.

use std::{path::PathBuf, time::Duration};

use crate::{
    reader::Reader,
    schema::{self, Section},
    secret::Secret,
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::list("registry", &OTHER, "Around the registry; none exist."),
    schema::list("repository", &OTHER, "Around each repository; none exist."),
    schema::list("storage", &STORAGE, "Around the driver: `cloudfront`, `redirect`, `rewrite`."),
]);

static OTHER: Section = Section::new(&[
    schema::text("name", "Name of the middleware."),
    schema::boolean("disabled", "Turns it off.").default("false"),
    schema::any("options", true, "Its options."),
]);

static STORAGE: Section = Section::new(&[
    schema::text("name", "`cloudfront`, `redirect` or `rewrite`."),
    schema::boolean("disabled", "Turns it off.").default("false"),
    schema::optional("options", &OPTIONS, "Its options."),
]);

static OPTIONS: Section = Section::new(&[
    schema::text("baseurl", "`cloudfront`, `redirect`: where downloads are redirected to."),
    schema::text("privatekey", "`cloudfront`: PEM file with the signing key (RSA)."),
    schema::text("keypairid", "`cloudfront`: id of the signing key."),
    schema::duration("duration", "`cloudfront`: how long a signed URL is good.").default("20m"),
    schema::choice(
        "ipfilteredby",
        &["none", "aws", "awsregion"],
        "`cloudfront`: whether clients in Amazon's networks, or in those of some regions, are sent to the bucket itself.",
    )
    .default("none"),
    schema::text(
        "awsregion",
        "`cloudfront`: regions of `ipfilteredby: awsregion`, with commas between them.",
    ),
    schema::duration("updatefrequency", "`cloudfront`: how often the networks are read.")
        .default("12h"),
    schema::text("iprangesurl", "`cloudfront`: where the networks are read.")
        .default("https://ip-ranges.amazonaws.com/ip-ranges.json"),
    schema::text("scheme", "`rewrite`: scheme of the redirect."),
    schema::text("host", "`rewrite`: host of the redirect."),
    schema::text("trimpathprefix", "`rewrite`: prefix that is cut from the redirect's path."),
]);

/// `middleware`.
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
    /// The options of the one of this name.
    pub cloudfront: Option<CloudFront>,
}

/// The options of `cloudfront`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudFront {
    /// `baseurl`.
    pub base_url: String,
    /// `privatekey`.
    pub private_key: PathBuf,
    /// `keypairid`.
    pub key_pair_id: String,
    /// `duration`.
    pub duration: Duration,
    /// `ipfilteredby`, unless it is `none`.
    pub amazon_networks: Option<AmazonNetworks>,
}

/// Whose clients are sent to the bucket itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmazonNetworks {
    /// `awsregion`; empty for all regions.
    pub regions: Vec<String>,
    /// `iprangesurl`.
    pub url: String,
    /// `updatefrequency`.
    pub interval: Duration,
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
    let name = entry.text("name");
    MiddlewareEntry {
        cloudfront: (name == "cloudfront").then(|| read_cloudfront(entry.section("options"))),
        name,
        disabled: entry.boolean("disabled"),
        options: entry
            .entries("options")
            .filter_map(|(name, node)| Some((name.to_owned(), Secret::new(node.as_text()?))))
            .collect(),
    }
}

fn read_cloudfront(options: Reader<'_>) -> CloudFront {
    let regions = || {
        let text = options.text("awsregion");
        let regions = text.split(',').map(str::trim).filter(|region| !region.is_empty());
        regions.map(str::to_owned).collect()
    };
    let networks = |regions| AmazonNetworks {
        regions,
        url: options.text("iprangesurl"),
        interval: options.duration("updatefrequency"),
    };
    CloudFront {
        base_url: options.text("baseurl"),
        private_key: options.set_path("privatekey").unwrap_or_default(),
        key_pair_id: options.text("keypairid"),
        duration: options.duration("duration"),
        amazon_networks: match options.text("ipfilteredby").as_str() {
            "aws" => Some(networks(Vec::new())),
            "awsregion" => Some(networks(regions())),
            _ => None,
        },
    }
}
