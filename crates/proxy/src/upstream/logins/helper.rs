//! Credentials from a command, in the protocol of docker's credential helpers.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::{Lifetime, Login};
use crate::Secret;
use crate::limits::{HELPER_BYTES_MAX, HELPER_TIMEOUT};
use crate::upstream::reading::shortened;

/// A command that knows who wharf is.
#[derive(Debug)]
pub(crate) struct Helper {
    command: PathBuf,
    url: String,
    lifetime: Lifetime,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl Helper {
    pub(crate) fn new(command: &Path, url: &str, lifetime: Option<Duration>) -> Self {
        let lifetime = match lifetime {
            None => Lifetime::ForEver,
            Some(Duration::ZERO) => Lifetime::Once,
            Some(time) => Lifetime::For(time),
        };
        Self { command: command.to_owned(), url: url.to_owned(), lifetime }
    }

    /// Runs it.
    ///
    /// # Errors
    /// Why that failed; says nothing of what a command that did well has written.
    pub(crate) async fn ask(&self) -> Result<(Login, Lifetime), String> {
        let failed = |what: String| format!("{} {what}", self.command.display());
        let output = tokio::time::timeout(HELPER_TIMEOUT, self.run())
            .await
            .map_err(|_| failed(format!("did not end within {} s", HELPER_TIMEOUT.as_secs())))?;
        let output = output.map_err(failed)?;
        let said: Said = serde_json::from_slice(&output)
            .map_err(|_| failed("did not write {\"Username\": ..., \"Secret\": ...}".to_owned()))?;
        let secret = Secret::new(said.secret);
        let login = match said.username.as_str() {
            "<token>" => Login::Identity(secret),
            _ => Login::User { username: said.username, password: secret },
        };
        Ok((login, self.lifetime))
    }

    /// What it writes when it does well.
    async fn run(&self) -> Result<Vec<u8>, String> {
        let mut child = Command::new(&self.command)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("can't be run: {error}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that needs no URL may be gone already.
            let _ = stdin.write_all(self.url.as_bytes()).await;
        }
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (output, errors) = tokio::join!(read(stdout), read(stderr));
        let output = output.ok_or_else(|| format!("wrote more than {HELPER_BYTES_MAX} bytes"))?;
        let status = child.wait().await.map_err(|error| format!("was lost: {error}"))?;
        if status.success() {
            return Ok(output);
        }
        // Helpers write what is wrong to the standard output.
        let errors = if output.is_empty() { errors.unwrap_or_default() } else { output };
        Err(format!("ended with {status}: {}", shortened(&String::from_utf8_lossy(&errors))))
    }
}

/// All that is written, if that is not too much.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut written = Vec::new();
    pipe?.take(HELPER_BYTES_MAX + 1).read_to_end(&mut written).await.ok()?;
    (written.len() as u64 <= HELPER_BYTES_MAX).then_some(written)
}
