//! `wharf healthcheck`: what a container's health check runs, in an image without a shell or curl.

mod target;
mod tls;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use config::Environment;

use self::target::{Endpoint, Target};
use super::{find, refuse, say};
use crate::entrypoint;

/// For looking up a name, connecting, the handshake and the answer together.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What is read of an answer: the head and the list of failing checks, with room to spare.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// What is shown of an answer that is not good.
const REASON_CHARS_MAX: usize = 300;

/// Asks the running server whether it is well: `/readyz` where the configuration says that it
/// listens, or `url`. The configuration is the one that the container's first process was started
/// with, or else found as for `serve`.
pub(crate) fn run(url: Option<&str>) -> ExitCode {
    let target = match url {
        Some(url) => Target::from_url(url),
        None => configured(),
    };
    match target.and_then(ask_in_time) {
        Ok(answer) => {
            say(&format!("{answer}\n"));
            ExitCode::SUCCESS
        }
        Err(reason) => refuse(format_args!("not healthy: {reason}")),
    }
}

/// The server of the configuration.
fn configured() -> Result<Target, String> {
    let environment = Environment::of_process();
    let first = entrypoint::file_of_first_process();
    let config = find(first.as_deref(), &environment)
        .and_then(|(source, _)| config::load(&source, &environment))
        .map_err(|errors| {
            let all: Vec<_> = errors.errors.iter().map(ToString::to_string).collect();
            format!("configuration error: {}", all.join("; "))
        })?
        .config;
    Target::of_config(&config.http)
}

/// Everything that may hang does so in a thread of its own, which ends with the process.
fn ask_in_time(target: Target) -> Result<String, String> {
    let (sender, receiver) = mpsc::channel();
    let name = target.to_string();
    std::thread::spawn(move || {
        // Nobody listens any more after the timeout.
        let _ = sender.send(ask(&target));
    });
    match receiver.recv_timeout(TIMEOUT) {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no answer from {name} within {} seconds", TIMEOUT.as_secs())),
    }
}

fn ask(target: &Target) -> Result<String, String> {
    let failed = |error: io::Error| format!("{target}: {error}");
    match &target.endpoint {
        Endpoint::Unix(path) => exchange(target, UnixStream::connect(path).map_err(failed)?),
        Endpoint::Tcp { host, port } => {
            exchange(target, TcpStream::connect((host.as_str(), *port)).map_err(failed)?)
        }
    }
}

fn exchange(target: &Target, mut socket: impl Read + Write) -> Result<String, String> {
    let Some(wanted) = &target.tls else { return answer(target, &mut socket) };
    let failed = |error| format!("{target}: TLS: {error}");
    let mut connection = tls::client(&wanted.server_name).map_err(failed)?;
    let mut stream = rustls::Stream::new(&mut connection, &mut socket);
    // An alert to a client without a certificate is the server at work. In TLS 1.3 it comes in
    // the place of the answer.
    match stream.flush() {
        Err(error) if wanted.asks_for_certificate && tls::is_alert(&error) => {
            return Ok(format!("{target}: asks for a client certificate, as configured"));
        }
        outcome => outcome.map_err(|error| format!("{target}: {error}"))?,
    }
    let mut stream = tls::Watched { stream, was_alerted: false };
    match answer(target, &mut stream) {
        Err(_) if wanted.asks_for_certificate && stream.was_alerted => {
            Ok(format!("{target}: asks for a client certificate, as configured"))
        }
        outcome => outcome,
    }
}

/// Sends the request; the answer counts by its status.
fn answer(target: &Target, stream: &mut (impl Read + Write)) -> Result<String, String> {
    let failed = |error: io::Error| format!("{target}: {error}");
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: wharf-healthcheck\r\nConnection: close\r\n\r\n",
        target.path, target.host
    );
    stream.write_all(request.as_bytes()).and_then(|()| stream.flush()).map_err(failed)?;
    let mut bytes = Vec::new();
    let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
    // What matters may have come before a connection broke off.
    let text = String::from_utf8_lossy(&bytes);
    if text.is_empty() {
        let error = read.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
        return Err(failed(error));
    }
    let status = status(&text).ok_or_else(|| format!("{target}: the answer is not HTTP"))?;
    if (200..300).contains(&status) {
        return Ok(format!("{target}: {status}"));
    }
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let reason: String =
        body.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_CHARS_MAX).collect();
    Err(format!("{target}: {status} {}", reason.trim()))
}

/// The status of an HTTP/1 answer.
fn status(answer: &str) -> Option<u16> {
    let rest = answer.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.lines().next()?.parse().ok()
}

#[cfg(test)]
mod tests;
