//! The binary as a person runs it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use crate::support::wharf;

fn output(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (Output, String) {
    let mut command = wharf(directory);
    command.args(arguments).envs(environment.iter().copied());
    let output = command.output().unwrap();
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    (output, String::from_utf8(text).unwrap())
}

/// A server that is ended with the test. It logs JSON.
struct Server {
    child: Child,
    log: BufReader<ChildStderr>,
    /// The line that says where it listens.
    listening: serde_json::Value,
}

impl Server {
    fn start(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = wharf(directory);
        command.arg("serve").args(arguments).envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self { child, log, listening: serde_json::Value::Null };
        while !server.listening["msg"].as_str().is_some_and(|m| m.starts_with("listening on ")) {
            let mut line = String::new();
            assert_ne!(server.log.read_line(&mut line).unwrap(), 0, "it ended early");
            server.listening = serde_json::from_str(&line).unwrap();
        }
        server
    }

    fn address(&self) -> &str {
        self.listening["address"].as_str().unwrap()
    }

    fn get(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(self.address()).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends it as an init system does; returns its exit code and what it logged.
    fn terminate(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CONFIG: &str = "\
version: 0.1
log:
  formatter: json
  fields:
    service: registry
storage:
  filesystem:
    rootdirectory: data
http:
  addr: 127.0.0.1:0
  secret: hunter2
";

#[test]
fn serves_says_where_and_stops_in_order() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.yml"), CONFIG).unwrap();
    let server = Server::start(directory.path(), &["config.yml"], &[]);
    assert!(server.address().starts_with("127.0.0.1:"), "{}", server.listening);
    let data = directory.path().canonicalize().unwrap().join("data");
    assert_eq!(server.listening["data"], data.display().to_string());
    let answer = server.get("/v2/");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nDocker-Distribution-Api-Version: registry/2.0\r\n"), "{answer}");
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["service"], "registry", "{line}");
    }
    assert!(log.contains("\"msg\":\"stopped\""), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn the_environment_overrides_and_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("elsewhere.yml");
    std::fs::write(&file, CONFIG).unwrap();
    let environment = [
        ("REGISTRY_CONFIGURATION_PATH", file.to_str().unwrap()),
        ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "other"),
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true"),
        ("REGISTRY_HTTP_HEADERS_X-Test", "[from the environment]"),
    ];
    let server = Server::start(directory.path(), &[], &environment);
    assert!(server.listening["data"].as_str().unwrap().ends_with("/other"));
    let answer = server.get("/v2/");
    assert!(answer.to_lowercase().contains("\r\nx-test: from the environment\r\n"), "{answer}");
    assert!(server.get("/v2/_catalog").contains("{\"repositories\":[]}"));
}

#[test]
fn configurations_are_checked_and_printed() {
    let directory = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(directory.path().join("config.yml"), text).unwrap();
    let run = |arguments: &[&str]| output(directory.path(), arguments, &[]);
    write(CONFIG);
    let (result, text) = run(&["config", "check", "config.yml"]);
    assert!(result.status.success(), "{text}");
    assert_eq!(text, "config.yml: good\n");
    let (result, text) = run(&["config", "print", "config.yml"]);
    assert!(result.status.success(), "{text}");
    assert!(text.contains("rootdirectory: data") && !text.contains("hunter2"), "{text}");

    for (config, expected) in [
        ("version: 0.1\nstorage:\n  filesystem: {}\nhttp:\n  adr: :5000\n", "config.yml:5:3"),
        ("version: 0.1\nstorage: inmemory\nhttp:\n  draintimeout: soon\n", "config.yml:4:17"),
        ("version: 0.1\nstorage: inmemory\nlog:\n  hooks: [{type: mail}]\n", "not built"),
        ("version: 0.1\nstorage: inmemory\n  x: [\n", "config.yml:3"),
        ("version: 0.3\nstorage: inmemory\n", "0.3"),
    ] {
        write(config);
        let (result, text) = run(&["config", "check", "config.yml"]);
        assert!(text.contains(expected), "{config}{text}");
        // An unknown key is a warning, the others are errors.
        assert_eq!(result.status.success(), config.contains("adr"), "{config}{text}");
        if !config.contains("adr") {
            let (result, text) = run(&["serve", "config.yml"]);
            assert_eq!(result.status.code(), Some(1), "{config}{text}");
            assert!(text.contains(expected), "{config}{text}");
        }
    }
}

#[test]
fn what_is_missing_or_taken_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (result, text) = output(directory.path(), &["serve", "missing.yml"], &[]);
    assert_eq!(result.status.code(), Some(1));
    assert!(text.contains("missing.yml"), "{text}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    std::fs::write(directory.path().join("config.yml"), CONFIG).unwrap();
    let environment = [("REGISTRY_HTTP_ADDR", address.as_str())];
    let (result, text) = output(directory.path(), &["serve", "config.yml"], &environment);
    assert_eq!(result.status.code(), Some(1), "{text}");
    assert!(text.contains(&address), "{text}");

    std::fs::write(directory.path().join("file"), "").unwrap();
    let environment = [("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "file")];
    let (result, text) = output(directory.path(), &["serve", "config.yml"], &environment);
    assert_eq!(result.status.code(), Some(1), "{text}");
    assert!(text.contains("rootdirectory") && text.contains("file"), "{text}");
}

#[test]
fn unknown_verbs_and_flags_exit_with_usage() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["sevre"][..], &["serve", "--port", "1"], &["config", "chekc"], &[]] {
        let (result, text) = output(directory.path(), arguments, &[]);
        assert!(!result.status.success(), "{arguments:?} {text}");
        assert!(text.contains("Usage: wharf"), "{arguments:?} {text}");
    }
    for flag in ["--version", "-v", "-V"] {
        let (result, text) = output(directory.path(), &[flag], &[]);
        assert!(result.status.success() && text.starts_with("wharf "), "{text}");
    }
}
