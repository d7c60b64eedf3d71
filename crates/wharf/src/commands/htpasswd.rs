//! `wharf htpasswd`.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;

use auth::htpasswd::{self, Added};

use super::{refuse, say};

/// Longest line that is read from standard input for a password, in bytes.
const LINE_BYTES_MAX: u64 = 4 << 10;

/// Adds a user, or gives one a new password.
pub(crate) fn add(file: &Path, user: &str, cost: u32) -> ExitCode {
    // Before the password is asked for.
    if let Err(error) = htpasswd::check_user(user) {
        return refuse(error);
    }
    let password = match new_password(user) {
        Ok(password) => password,
        Err(message) => return refuse(message),
    };
    match htpasswd::add(file, user, &password, cost) {
        Ok(Added::User) => said(&format!("{user} is added\n")),
        Ok(Added::Password) => said(&format!("{user} has a new password\n")),
        Err(error) => refuse(error),
    }
}

/// Removes a user.
pub(crate) fn remove(file: &Path, user: &str) -> ExitCode {
    match htpasswd::remove(file, user) {
        Ok(true) => said(&format!("{user} is removed\n")),
        Ok(false) => refuse(no_such_user(file, user)),
        Err(error) => refuse(error),
    }
}

/// Lists the users, and how their passwords are kept.
pub(crate) fn list(file: &Path) -> ExitCode {
    match htpasswd::list(file) {
        Ok(users) => {
            let width = users.iter().map(|listed| listed.user.chars().count()).max().unwrap_or(0);
            let line = |listed: &htpasswd::Listed| {
                format!("{:width$}  {}\n", shown(&listed.user), listed.kind)
            };
            said(&users.iter().map(line).collect::<String>())
        }
        Err(error) => refuse(error),
    }
}

/// Checks a password.
pub(crate) fn verify(file: &Path, user: &str) -> ExitCode {
    let password = match password(&format!("Password of {user}: ")) {
        Ok(password) => password,
        Err(message) => return refuse(message),
    };
    match htpasswd::verify(file, user, &password) {
        Ok(true) => said("the password is right\n"),
        Ok(false) => refuse("there is no such user, or the password is wrong"),
        Err(error) => refuse(error),
    }
}

/// A name as a terminal may get it: the file may hold anything.
fn shown(user: &str) -> String {
    user.replace(char::is_control, "\u{fffd}")
}

fn said(text: &str) -> ExitCode {
    say(text);
    ExitCode::SUCCESS
}

fn no_such_user(file: &Path, user: &str) -> String {
    format!("there is no user {user:?} in {}", file.display())
}

/// A password that can be used; at a terminal it is asked for twice.
fn new_password(user: &str) -> Result<Vec<u8>, String> {
    let first = password(&format!("New password of {user}: "))?;
    htpasswd::check_password(&first).map_err(|error| error.to_string())?;
    if io::stdin().is_terminal() && password("The same again: ")? != first {
        return Err("the passwords are not the same".to_owned());
    }
    Ok(first)
}

/// Asks for a password, which is not shown; or reads it from the first line of standard input.
fn password(prompt: &str) -> Result<Vec<u8>, String> {
    if io::stdin().is_terminal() {
        let asked = rpassword::prompt_password(prompt);
        return asked
            .map(String::into_bytes)
            .map_err(|error| format!("the password can't be read from the terminal: {error}"));
    }
    let mut line = Vec::new();
    let length = io::stdin()
        .lock()
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)
        .map_err(|error| format!("the password can't be read from standard input: {error}"))?;
    if length == 0 {
        return Err("there is no password on standard input: its first line is read".to_owned());
    }
    Ok(first_line(line))
}

/// A line without its ending.
fn first_line(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_in_either_way() {
        for (line, password) in [
            ("a b\n", "a b"),
            ("a\r\n", "a"),
            ("a", "a"),
            ("a\r", "a\r"),
            ("\n", ""),
            (" a \n", " a "),
        ] {
            assert_eq!(first_line(line.as_bytes().to_vec()), password.as_bytes(), "{line:?}");
        }
    }
}
