//! `wharf htpasswd` as a person or a script runs it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Exit code, standard output and standard error.
fn run(file: &Path, arguments: &[&str], stdin: &str) -> (i32, String, String) {
    let (verb, rest) = arguments.split_first().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wharf"))
        .args(["htpasswd", verb])
        .arg(file)
        .args(rest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_user_is_added_listed_verified_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("users");
    let add = ["add", "alice", "--cost", "4"];
    let out = |(code, out, _): (i32, String, String)| (code, out);
    let said = |text: &str| (0, format!("{text}\n"));
    assert_eq!(out(run(&file, &add, "pass word\nmore\n")), said("alice is added"));
    assert_eq!(out(run(&file, &["list"], "")), said("alice  bcrypt, cost 4"));
    let verify = |password: &str| run(&file, &["verify", "alice"], password);
    assert_eq!(out(verify("pass word\r\n")), said("the password is right"));
    let (code, out_text, error) = verify("wrong\n");
    assert_eq!((code, out_text.as_str()), (1, ""));
    assert!(error.contains("the password is wrong"), "{error}");
    assert_eq!(out(run(&file, &add, "another")), said("alice has a new password"));
    assert_eq!(verify("pass word\n").0, 1);
    assert_eq!(verify("another\n").0, 0);
    assert_eq!(out(run(&file, &["remove", "alice"], "")), said("alice is removed"));
    let (code, _, error) = run(&file, &["remove", "alice"], "");
    assert_eq!(code, 1);
    assert!(error.contains("there is no user \"alice\" in "), "{error}");
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("users");
    let long = "p".repeat(73);
    for (user, stdin, reason) in [
        ("a:b", "x\n", "':'"),
        ("", "x\n", "it is empty"),
        ("alice", "\n", "it is empty"),
        ("alice", "", "no password on standard input"),
        ("alice", &long, "72 bytes"),
    ] {
        let (code, out, error) = run(&file, &["add", user], stdin);
        assert_eq!((code, out.as_str()), (1, ""), "{user}");
        assert!(error.starts_with("wharf: ") && error.contains(reason), "{error}");
        assert!(!error.contains(&long));
    }
    assert!(!file.exists());
    // A password is no argument, and a cost has bounds.
    assert_eq!(run(&file, &["add", "alice", "password"], "").0, 2);
    assert_eq!(run(&file, &["add", "alice", "--cost", "17"], "x\n").0, 2);
    assert_eq!(run(&file, &["list"], "").0, 1);
    assert_eq!(run(&file, &["verify", "alice"], "x\n").0, 1);
}
