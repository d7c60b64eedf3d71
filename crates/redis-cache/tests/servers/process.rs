//! Redis servers as child processes.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to answer.
const START_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    child: Child,
    port: u16,
    more: Vec<String>,
    directory: TempDir,
}

/// Starts a server or returns from the test, loudly.
macro_rules! server {
    ($($more:expr),*) => {
        match $crate::process::Server::start(&[$($more),*]) {
            Some(server) => server,
            None => return,
        }
    };
}
pub(crate) use server;

impl Server {
    /// Starts a server with more arguments. `None` when there is none on this machine.
    pub(crate) fn start(more: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            // Not by a macro, whose output the harness keeps to itself.
            let _ = writeln!(std::io::stderr(), "LEFT OUT: redis-server is not on this machine");
            return None;
        }
        let more: Vec<String> = more.iter().map(|text| (*text).to_owned()).collect();
        let directory = TempDir::new().unwrap();
        // Somebody may take the port meanwhile.
        for _ in 0..5 {
            let port = free_port();
            let child = spawn(port, &more, &directory);
            let mut server =
                Self { child, port, more: more.clone(), directory: TempDir::new().unwrap() };
            if server.answers() {
                server.directory = directory;
                return Some(server);
            }
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What redis-cli prints.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output =
            Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Ends the server; what it knew is lost.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on its port.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.port, &self.more, &self.directory);
        assert!(self.answers(), "it does not start again");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn answers(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < START_MAX {
            if self.cli(&["PING"]).ends_with("PONG") || self.cli(&["PING"]).contains("NOAUTH") {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, more: &[String], directory: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(directory.path())
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A port that is free now, and whose cluster bus (10000 above) is a port too.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port < 55_000 {
            return port;
        }
    }
}
