//! OpenTelemetry's standard variables: which of them wharf follows, and what is wrong with them.

use std::time::Duration;

use anyhow::Result;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Uri};
use opentelemetry_otlp::Protocol;
use opentelemetry_sdk::trace::Sampler;

/// The specification's default for `OTEL_EXPORTER_OTLP_TIMEOUT`.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// A collector that takes longer for a batch is not going to take it.
const TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// The largest `OTEL_BSP_MAX_QUEUE_SIZE`: a queue takes memory for all of its spans at the start.
const QUEUE_SPANS_MAX: u64 = 1 << 16;

/// What the environment asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// How to send traces; nothing when none are wanted.
    pub(super) settings: Option<Settings>,
    /// What was asked for and is not done, for the log.
    pub(super) warnings: Vec<String>,
}

/// How to send traces.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    endpoint: Uri,
    pub(super) timeout: Duration,
    pub(super) sampler: Sampler,
    /// Whether clients' traces are continued.
    pub(super) propagates: bool,
    /// Whether a variable says what the service is called.
    pub(super) names_service: bool,
    /// Who to trust beside the system's authorities.
    pub(super) certificate_pem: Option<Vec<u8>>,
}

impl Settings {
    /// Reads the variables by way of `get`, which knows their values. Empty is as good as unset.
    ///
    /// # Errors
    /// For the first one that makes no sense, with its name. Values are not repeated: some of them
    /// are secrets.
    pub(super) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Asked> {
        Variables { get: &get, warnings: Vec::new() }.read()
    }

    /// Where spans go, without a path, credentials or a query.
    pub(super) fn destination(&self) -> String {
        let scheme = self.endpoint.scheme_str().unwrap_or_default();
        let host = self.endpoint.host().unwrap_or_default();
        let port = self.endpoint.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let protocol = if self.protocol == Protocol::Grpc { "grpc" } else { "http/protobuf" };
        format!("{scheme}://{host}{port} ({protocol})")
    }

    /// The URL that was configured, with whatever it holds.
    pub(super) fn url(&self) -> Result<reqwest::Url> {
        // Not with the text: it may hold a password.
        self.endpoint.to_string().parse().map_err(|_| anyhow::anyhow!("the endpoint is no URL"))
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.endpoint.scheme() == Some(&Scheme::HTTPS)
    }
}

struct Variables<'g> {
    get: &'g dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

/// What is wrong with a variable.
fn error<T>(variable: &str, reason: impl std::fmt::Display) -> Result<T> {
    Err(anyhow::anyhow!("{variable}: {reason}"))
}

impl Variables<'_> {
    /// A variable that is set to something.
    fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// `OTEL_EXPORTER_OTLP_TRACES_<what>`, else `OTEL_EXPORTER_OTLP_<what>`, with its name.
    fn otlp(&self, what: &str) -> Option<(String, String)> {
        ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"].iter().find_map(|prefix| {
            let name = format!("{prefix}{what}");
            self.text(&name).map(|value| (name, value))
        })
    }

    fn read(mut self) -> Result<Asked> {
        let settings = if self.is_wanted()? { self.settings()? } else { None };
        Ok(Asked { settings, warnings: self.warnings })
    }

    /// `OTEL_SDK_DISABLED` and `OTEL_TRACES_EXPORTER`.
    fn is_wanted(&mut self) -> Result<bool> {
        match self.text("OTEL_SDK_DISABLED").map(|text| text.to_ascii_lowercase()).as_deref() {
            Some("true") => return Ok(false),
            None | Some("false") => {}
            // The specification: anything else is taken for false, with a warning.
            Some(_) => self.warnings.push(
                "OTEL_SDK_DISABLED is neither \"true\" nor \"false\", and is taken for false"
                    .to_owned(),
            ),
        }
        match self.text("OTEL_TRACES_EXPORTER").as_deref() {
            None => Ok(true),
            Some("otlp") => {
                if self.otlp("ENDPOINT").is_none() {
                    self.warnings.push(
                        "OTEL_TRACES_EXPORTER is \"otlp\", but no traces are sent: set \
                         OTEL_EXPORTER_OTLP_ENDPOINT to where the collector is"
                            .to_owned(),
                    );
                }
                Ok(true)
            }
            Some("none") => Ok(false),
            Some("console") => {
                self.warnings.push(
                    "OTEL_TRACES_EXPORTER is \"console\", which wharf does not offer: no traces \
                     are made"
                        .to_owned(),
                );
                Ok(false)
            }
            Some(_) => error("OTEL_TRACES_EXPORTER", "must be \"otlp\" or \"none\""),
        }
    }

    fn settings(&mut self) -> Result<Option<Settings>> {
        let Some((name, value)) = self.otlp("ENDPOINT") else { return Ok(None) };
        let endpoint = endpoint(&name, &value)?;
        let protocol = self.protocol()?;
        self.check_headers()?;
        self.check_batches()?;
        self.check_not_offered()?;
        Ok(Some(Settings {
            protocol,
            endpoint,
            timeout: self.timeout()?,
            sampler: self.sampler()?,
            propagates: self.propagates(),
            names_service: self.names_service()?,
            certificate_pem: self.certificate()?,
        }))
    }

    fn protocol(&self) -> Result<Protocol> {
        match self.otlp("PROTOCOL").as_ref().map(|(name, value)| (name, value.as_str())) {
            None | Some((_, "http/protobuf")) => Ok(Protocol::HttpBinary),
            Some((_, "grpc")) => Ok(Protocol::Grpc),
            Some((name, _)) => error(name, "must be \"http/protobuf\" or \"grpc\""),
        }
    }

    fn timeout(&self) -> Result<Duration> {
        let Some((name, value)) = self.otlp("TIMEOUT") else { return Ok(TIMEOUT_DEFAULT) };
        match value.parse().map(Duration::from_millis) {
            Ok(timeout) if !timeout.is_zero() && timeout <= TIMEOUT_MAX => Ok(timeout),
            _ => {
                error(&name, format!("must be milliseconds, from 1 to {}", TIMEOUT_MAX.as_millis()))
            }
        }
    }

    /// `name=value,name=value`; the library passes over what it can't read without a word.
    fn check_headers(&self) -> Result<()> {
        let Some((name, value)) = self.otlp("HEADERS") else { return Ok(()) };
        for (number, pair) in (1..).zip(value.split(',')) {
            let good = pair.split_once('=').is_some_and(|(key, value)| {
                key.trim().parse::<HeaderName>().is_ok()
                    && HeaderValue::from_str(value.trim()).is_ok()
            });
            if !good {
                let form = "which must look like \"name=value,name=value\"";
                return error(&name, format!("entry {number} is not a header, {form}"));
            }
        }
        Ok(())
    }

    /// The variables of the SDK's batches, which takes its defaults instead of what it can't read.
    fn check_batches(&self) -> Result<()> {
        for (name, max) in [
            ("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_SPANS_MAX),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", QUEUE_SPANS_MAX),
            ("OTEL_BSP_SCHEDULE_DELAY", 3_600_000),
            ("OTEL_BSP_EXPORT_TIMEOUT", 3_600_000),
        ] {
            let Some(value) = self.text(name) else { continue };
            if !value.parse::<u64>().is_ok_and(|number| (1..=max).contains(&number)) {
                return error(name, format!("must be a whole number from 1 to {max}"));
            }
        }
        Ok(())
    }

    fn check_not_offered(&self) -> Result<()> {
        if let Some((name, value)) = self.otlp("COMPRESSION")
            && value != "none"
        {
            return error(&name, "wharf sends traces uncompressed: leave it out, or set \"none\"");
        }
        for what in ["CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            if let Some((name, _)) = self.otlp(what) {
                return error(&name, "client certificates for the collector are not offered");
            }
        }
        Ok(())
    }

    /// `OTEL_TRACES_SAMPLER`; what the client has decided goes first, unless told otherwise.
    fn sampler(&self) -> Result<Sampler> {
        let name = "OTEL_TRACES_SAMPLER";
        let parent_based = |sampler| Sampler::ParentBased(Box::new(sampler));
        Ok(match self.text(name).as_deref() {
            None | Some("parentbased_always_on") => parent_based(Sampler::AlwaysOn),
            Some("parentbased_always_off") => parent_based(Sampler::AlwaysOff),
            Some("parentbased_traceidratio") => parent_based(self.ratio()?),
            Some("always_on") => Sampler::AlwaysOn,
            Some("always_off") => Sampler::AlwaysOff,
            Some("traceidratio") => self.ratio()?,
            Some(_) => {
                return error(
                    name,
                    "must be one of always_on, always_off, traceidratio, parentbased_always_on, \
                     parentbased_always_off, parentbased_traceidratio",
                );
            }
        })
    }

    fn ratio(&self) -> Result<Sampler> {
        let name = "OTEL_TRACES_SAMPLER_ARG";
        let Some(value) = self.text(name) else { return Ok(Sampler::TraceIdRatioBased(1.0)) };
        match value.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Sampler::TraceIdRatioBased(ratio)),
            _ => error(name, "must be a number from 0 to 1"),
        }
    }

    /// `OTEL_PROPAGATORS`. Baggage is not passed on to anybody, so there is nothing to read it for.
    fn propagates(&mut self) -> bool {
        let Some(value) = self.text("OTEL_PROPAGATORS") else { return true };
        let names: Vec<_> = value.split(',').map(str::trim).collect();
        let unknown: Vec<_> = names
            .iter()
            .filter(|name| !matches!(**name, "tracecontext" | "baggage" | "none"))
            .collect();
        if !unknown.is_empty() {
            self.warnings.push(format!(
                "OTEL_PROPAGATORS: wharf knows \"tracecontext\" and \"none\"; {unknown:?} is not \
                 followed"
            ));
        }
        names.contains(&"tracecontext")
    }

    /// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
    fn names_service(&self) -> Result<bool> {
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        let mut named = self.text("OTEL_SERVICE_NAME").is_some();
        if let Some(value) = self.text(name) {
            for (number, pair) in (1..).zip(value.split_terminator(',')) {
                let Some((key, _)) = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty())
                else {
                    let form = "must look like \"key=value,key=value\"";
                    return error(name, format!("{form}, which entry {number} does not"));
                };
                named |= key.trim() == "service.name";
            }
        }
        Ok(named)
    }

    fn certificate(&self) -> Result<Option<Vec<u8>>> {
        let Some((name, path)) = self.otlp("CERTIFICATE") else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(pem) => Ok(Some(pem)),
            Err(reason) => error(&name, format!("{path} can't be read: {reason}")),
        }
    }
}

/// An `http` or `https` URL with a host.
fn endpoint(name: &str, value: &str) -> Result<Uri> {
    let form = "must be a URL like \"http://collector.example.com:4318\"";
    let Ok(uri) = value.parse::<Uri>() else { return error(name, form) };
    let known = uri.scheme().is_some_and(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS);
    if !known || uri.host().is_none_or(str::is_empty) {
        return error(name, form);
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        let instead = "put credentials into OTEL_EXPORTER_OTLP_HEADERS";
        return error(name, format!("must not have a user in it; {instead}"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests;
