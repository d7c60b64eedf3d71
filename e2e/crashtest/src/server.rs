//! The registry under test, as a process.

use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::http::{Body, Client};

/// How long a start may take, also after a crash.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How to start the registry.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) binary: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Settings {
    /// Writes the config file, which Distribution reads as well.
    pub(crate) fn write(binary: &Path, directory: &Path, volume: &Path) -> Result<Self> {
        let address = free_address()?;
        let config = directory.join("config.yml");
        let text = format!(
            "version: 0.1\n\
             log:\n  level: warn\n  accesslog:\n    disabled: true\n\
             storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n  \
             maintenance:\n    uploadpurging:\n      enabled: false\n\
             http:\n  addr: {address}\n  secret: the same after each restart\n",
            volume.display()
        );
        fs::write(&config, text).with_context(|| format!("writing {}", config.display()))?;
        let log = directory.join("server.log");
        Ok(Self { binary: binary.to_owned(), config, log, address })
    }
}

/// A port below the range that clients' connections get theirs from.
fn free_address() -> Result<SocketAddr> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or(0);
    for port in (first..32_000).chain(20_000..first) {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port between 20000 and 32000 is free")
}

/// A running registry, killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts the process, and does not wait for it.
    pub(crate) fn spawn(settings: &Settings) -> Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(&settings.log)?;
        let child = Command::new(&settings.binary)
            .arg("serve")
            .arg(&settings.config)
            // Both registries read REGISTRY_* variables.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", settings.binary.display()))?;
        Ok(Self { child })
    }

    /// Waits until it answers.
    pub(crate) fn wait(&mut self, settings: &Settings) -> Result<Duration> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended by itself ({status}): {}", last_lines(&settings.log));
            }
            let answer = Client::new(settings.address).send("GET", "/v2/", &[], Body::None);
            if answer.is_ok_and(|a| a.status == 200) {
                return Ok(started.elapsed());
            }
            if started.elapsed() > START_TIMEOUT {
                bail!("no answer {START_TIMEOUT:?} after the start: {}", last_lines(&settings.log));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// SIGKILL, and waits until it is gone. `Some` with how it ended if it was gone before.
    pub(crate) fn kill(&mut self) -> Result<Option<String>> {
        let ended = self.child.try_wait()?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(ended.map(|status| status.to_string()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The end of the server's log.
pub(crate) fn last_lines(log: &Path) -> String {
    let text = File::open(log).and_then(std::io::read_to_string).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
