//! `wharf export` and `wharf import`.

use std::path::PathBuf;

use archive::image::PlatformSelector;
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The configuration of the registry; REGISTRY_* variables apply to it.
    pub(crate) config: PathBuf,
    /// The image: NAME, NAME:TAG or NAME@DIGEST.
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Where it goes: a file that ends in .tar, a directory for an OCI layout, or - for standard
    /// output.
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: PathBuf,
    /// The form in which it is written.
    #[arg(long, value_enum, default_value_t = ExportFormat::Oci)]
    pub(crate) format: ExportFormat,
    /// Only the image for this platform, as linux/arm64 or linux/arm/v7.
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub(crate) platform: Option<PlatformSelector>,
    /// What docker shall call it, as registry.example.com/app:1; NAME:TAG unless told.
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) name: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The form of an exported image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// An OCI image layout, as a directory or an archive.
    Oci,
    /// What `docker save` writes and `docker load` reads.
    DockerArchive,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The configuration of the registry; REGISTRY_* variables apply to it.
    pub(crate) config: PathBuf,
    /// Where the image is: an archive, which may be compressed with gzip, the directory of an OCI
    /// layout, or - for standard input.
    pub(crate) source: PathBuf,
    /// What it shall be: NAME, NAME:TAG or NAME@DIGEST; the tag is latest unless told.
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Which image, where there are several: what it is called in there, or its digest.
    #[arg(long = "image", value_name = "NAME")]
    pub(crate) wanted: Option<String>,
    /// Only the image for this platform, as linux/arm64 or linux/arm/v7.
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub(crate) platform: Option<PlatformSelector>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn platform(text: &str) -> Result<PlatformSelector, String> {
    let wrong = || "a platform is os/architecture or os/architecture/variant".to_owned();
    PlatformSelector::parse(text).ok_or_else(wrong)
}
