//! `wharf export` and `wharf import`: single images as files.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use archive::image::{
    Destination, ExportOptions, ExportReport, Format, ImportOptions, ImportReport, Source, export,
    import,
};
use indicatif::{HumanBytes, HumanCount};
use oci::{Reference, RepositoryName};
use registry::Registry;

use super::job::{self, Outcome};
use super::registry_of;
use crate::cli::{ExportArguments, ExportFormat, ImportArguments};
use crate::{options, storage_driver};

/// `wharf export`.
pub(crate) fn run_export(arguments: &ExportArguments) -> ExitCode {
    job::run(async |meter| {
        let (name, reference) = parse_image(&arguments.image)?;
        let is_stdout = is_stream(&arguments.output);
        anyhow::ensure!(
            !is_stdout || !arguments.json,
            "the archive and the report can't both go to standard output"
        );
        let destination = destination(arguments)?;
        let config = registry_of(&arguments.config)?;
        let driver = storage_driver::open_for_reading(&config.storage).await;
        let driver = driver.with_context(|| arguments.config.display().to_string())?;
        let registry = Registry::new(driver, options::registry(&config));
        let options = ExportOptions {
            format: match arguments.format {
                ExportFormat::Oci => Format::Oci,
                ExportFormat::DockerArchive => Format::DockerArchive,
            },
            platform: arguments.platform.clone(),
            name: arguments.name.clone(),
        };
        let exported = export(&registry, &name, &reference, &destination, &options, &meter).await;
        let report = match exported {
            Ok(report) => report,
            Err(error) => return Ok(failed(error, &arguments.image)),
        };
        let summary = match (arguments.json, is_stdout) {
            (true, _) => job::json(&report)?,
            (false, true) => String::new(),
            (false, false) => text_of_export(&report, &arguments.output),
        };
        let missing = |what| format!("not at the registry, left out: {what}");
        let findings = report.missing.iter().filter(|_| !arguments.json).map(missing).collect();
        Ok(Outcome::Done { summary, findings, is_success: true })
    })
}

/// `wharf import`.
pub(crate) fn run_import(arguments: &ImportArguments) -> ExitCode {
    job::run(async |meter| {
        let (name, reference) = parse_image(&arguments.image)?;
        let shown = arguments.source.display().to_string();
        let config = registry_of(&arguments.config)?;
        let source = match is_stream(&arguments.source) {
            true => Source::of(same_file(std::io::stdin().as_fd())?, "standard input".into()).await,
            false => Source::open(&arguments.source).await,
        };
        let source = match source {
            Ok(source) => source,
            Err(error) => return Ok(failed(error, &shown)),
        };
        let driver = storage_driver::open_for_writing(&config.storage).await;
        let driver = driver.with_context(|| arguments.config.display().to_string())?;
        let registry = Registry::new(driver, options::registry(&config));
        let options =
            ImportOptions { image: arguments.wanted.clone(), platform: arguments.platform.clone() };
        match import(&source, &registry, &name, &reference, &options, &meter).await {
            Ok(report) => {
                let summary =
                    if arguments.json { job::json(&report)? } else { text_of_import(&report) };
                Ok(Outcome::Done { summary, findings: Vec::new(), is_success: true })
            }
            Err(error) => Ok(failed(error, &shown)),
        }
    })
}

fn failed(error: archive::ImageError, about: &str) -> Outcome {
    Outcome::Failed(anyhow::Error::from(error).context(about.to_owned()))
}

/// Whether standard input or output is meant.
fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

fn same_file(descriptor: BorrowedFd<'_>) -> anyhow::Result<File> {
    Ok(descriptor.try_clone_to_owned()?.into())
}

fn destination(arguments: &ExportArguments) -> anyhow::Result<Destination> {
    let output = &arguments.output;
    if is_stream(output) {
        return Ok(Destination::Open(same_file(std::io::stdout().as_fd())?));
    }
    let is_archive = output.extension().is_some_and(|extension| extension == "tar");
    if is_archive || arguments.format == ExportFormat::DockerArchive {
        return Ok(Destination::Archive(output.clone()));
    }
    anyhow::ensure!(
        !output.is_file(),
        "{} is a file: name a directory, or an archive that ends in .tar",
        output.display()
    );
    Ok(Destination::Directory(output.clone()))
}

/// NAME, NAME:TAG or NAME@DIGEST. Without a tag it is `latest`.
fn parse_image(text: &str) -> anyhow::Result<(RepositoryName, Reference)> {
    let (name, reference) = match text.split_once('@') {
        Some((name, digest)) => (name, digest),
        None => match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, "latest"),
        },
    };
    let what = || format!("{text:?} is no image of this registry");
    let is_digest = text.contains('@');
    anyhow::ensure!(!is_digest || reference.contains(':'), "{reference:?} is no digest");
    let name = RepositoryName::parse(name).with_context(what)?;
    Ok((name, Reference::parse(reference).with_context(what)?))
}

fn text_of_export(report: &ExportReport, output: &Path) -> String {
    format!(
        "{}: {} as {}, {} manifests, {} blobs, {}\n",
        output.display(),
        report.digest,
        report.format,
        HumanCount(report.manifests),
        HumanCount(report.blobs),
        HumanBytes(report.bytes),
    )
}

fn text_of_import(report: &ImportReport) -> String {
    let separator = if report.reference.contains(':') { '@' } else { ':' };
    format!(
        "{}{separator}{}: {}, {} manifests\npushed: {} blobs of {}\nthere before: {} blobs\n",
        report.repository,
        report.reference,
        report.digest,
        HumanCount(report.manifests),
        HumanCount(report.pushed_blobs),
        HumanBytes(report.pushed_bytes),
        HumanCount(report.there_blobs),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (text, expected) in [
            ("a/b", Some(("a/b", "latest"))),
            ("a/b:v1", Some(("a/b", "v1"))),
            (&format!("a@{digest}"), Some(("a", digest))),
            ("a@v1", None),
            ("a:", None),
            ("localhost:5000/a", None),
            ("A", None),
            ("", None),
        ] {
            let parsed = parse_image(text).ok();
            let parsed = parsed.map(|(name, reference)| (name.to_string(), reference.to_string()));
            let expected =
                expected.map(|(name, reference)| (name.to_owned(), reference.to_owned()));
            assert_eq!(parsed, expected, "{text}");
        }
    }
}
