//! The command line as Distribution's `registry` and the entry point of its images take it.
//!
//! wharf's own command line is strict. The container image has two more names for the binary:
//! `registry`, which also takes what Go's flags take, and `/entrypoint.sh`, which follows the rules
//! of the script of that name in Distribution's images, in an image that has no shell.

mod defaults;
mod user;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    /// Something for wharf's own command line.
    Wharf(Vec<OsString>),
    /// The same, from the entry point of the image: the process need not stay root.
    Image(Vec<OsString>),
    /// Another program in the container.
    Program(Vec<OsString>),
    /// `registry --version`: the line to print.
    Version(String),
}

/// The arguments as wharf's own command line understands them.
///
/// In the container's entry point, root is left here, and another program than the registry takes
/// the place of this one.
pub(crate) fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    match request(given.collect(), defaults::choose) {
        Request::Wharf(arguments) => arguments,
        Request::Image(arguments) => {
            if works_on_data(&arguments) {
                user::leave_root(file_of_verb(&arguments).as_deref());
            }
            arguments
        }
        Request::Program(words) => become_program(&words),
        Request::Version(line) => {
            // Nowhere to report that standard output is closed.
            let _ = writeln!(std::io::stdout(), "{line}");
            std::process::exit(0);
        }
    }
}

/// The configuration file that the container's first process was told to serve, if that process is
/// the registry. A health check runs beside it and has the same environment, but not its arguments.
pub(crate) fn file_of_first_process() -> Option<PathBuf> {
    let line = std::fs::read("/proc/1/cmdline").ok()?;
    file_of(&line, defaults::choose)
}

fn file_of(command_line: &[u8], choose: impl Fn(&OsStr) -> OsString) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    let words =
        command_line.split(|byte| *byte == 0).map(|word| OsStr::from_bytes(word).to_owned());
    // `docker run --init` has its own program first, which names this one.
    let words = words.skip_while(|word| !is_name_of_ours(word)).collect();
    match request(words, choose) {
        Request::Wharf(arguments) | Request::Image(arguments) if works_on_data(&arguments) => {
            file_of_verb(&arguments)
        }
        _ => None,
    }
}

/// Whether this is about the registry's data. What the other verbs make (certificates, users, images
/// in files) is for whoever called them.
fn works_on_data(arguments: &[OsString]) -> bool {
    const VERBS: [&str; 4] = ["serve", "garbage-collect", "storage", "import"];
    arguments.get(1).is_some_and(|verb| VERBS.iter().any(|known| verb == known))
        || config_place_of_backup(arguments).is_some()
}

/// In `backup create CONFIG BACKUP` and `backup restore BACKUP CONFIG`: the place of the file. The
/// other commands have none.
fn config_place_of_backup(arguments: &[OsString]) -> Option<usize> {
    let [_, verb, command, ..] = arguments else { return None };
    match command.to_str().filter(|_| verb == "backup") {
        Some("create") => Some(0),
        Some("restore") => Some(1),
        _ => None,
    }
}

/// The words that are no options, nor the values of these.
fn positionals<'a>(
    words: &'a [OsString],
    with_value: &'a [&'a str],
) -> impl Iterator<Item = &'a OsString> {
    let mut is_value = false;
    words.iter().filter(move |word| {
        let is_skipped = std::mem::take(&mut is_value) || starts_with_dash(word);
        is_value = with_value.iter().any(|option| *word == option);
        !is_skipped
    })
}

/// The file in `serve FILE`, or the one of the storage that is written in `storage copy FROM TO`, or that
/// of the registry which is backed up, restored, or imported into.
fn file_of_verb(arguments: &[OsString]) -> Option<PathBuf> {
    if let Some(place) = config_place_of_backup(arguments) {
        let options = ["--snapshot", "--repository", "--concurrency"];
        return positionals(&arguments[3..], &options).nth(place).map(PathBuf::from);
    }
    let is_file = |word: &&OsString| !word.is_empty() && !starts_with_dash(word);
    if arguments.get(1).is_some_and(|verb| verb == "storage") {
        // The values of its options are numbers.
        let is_number =
            |word: &OsString| word.to_str().is_some_and(|text| text.parse::<u64>().is_ok());
        let words = arguments.iter().skip(3).rev();
        return words.filter(is_file).find(|word| !is_number(word)).map(PathBuf::from);
    }
    let words = arguments.get(2..).unwrap_or_default();
    positionals(words, &["--image", "--platform"]).find(is_file).map(PathBuf::from)
}

fn request(arguments: Vec<OsString>, choose: impl Fn(&OsStr) -> OsString) -> Request {
    match arguments.first().map(|program| file_name(program)) {
        Some("registry") => as_registry(arguments),
        Some("entrypoint.sh") => as_entry_point(arguments, choose),
        _ => Request::Wharf(arguments),
    }
}

/// The rules of the image's `/entrypoint.sh`.
fn as_entry_point(arguments: Vec<OsString>, choose: impl Fn(&OsStr) -> OsString) -> Request {
    let registry = OsString::from("registry");
    let rest = &arguments[1..];
    let Some(first) = rest.first() else { return Request::Image(arguments) };
    let words = if is_yaml(first) {
        let files = rest.iter().enumerate().map(|(n, word)| match n {
            // The image's own command: the file that was put in place of a default one is meant.
            0 if rest.len() == 1 => choose(word),
            _ => word.clone(),
        });
        [registry, "serve".into()].into_iter().chain(files).collect()
    } else if is_verb(first) || starts_with_dash(first) {
        [registry].into_iter().chain(rest.iter().cloned()).collect()
    } else if file_name(first) == "registry" || file_name(first) == "wharf" {
        rest.to_vec()
    } else {
        return Request::Program(rest.to_vec());
    };
    match request(words, choose) {
        Request::Wharf(arguments) => Request::Image(arguments),
        other => other,
    }
}

/// The verbs that Distribution's script knows, and wharf's own, which no program is called by.
fn is_verb(word: &OsStr) -> bool {
    const VERBS: [&str; 12] = [
        "serve",
        "garbage-collect",
        "help",
        "config",
        "healthcheck",
        "htpasswd",
        "cert",
        "storage",
        "backup",
        "export",
        "import",
        "mirror",
    ];
    VERBS.iter().any(|verb| word == *verb)
}

/// What Go's command line takes and clap does not: a value for a switch.
fn as_registry(arguments: Vec<OsString>) -> Request {
    let is_version = |word: &OsString| word == "--version" || word == "-v";
    if let [program, word] = arguments.as_slice()
        && is_version(word)
    {
        // Three words, as Distribution prints: program, package, version.
        let version = env!("CARGO_PKG_VERSION");
        return Request::Version(format!("{} wharf {version}", program.display()));
    }
    Request::Wharf(arguments.into_iter().filter_map(plain_switch).collect())
}

/// `--dry-run=true` as `--dry-run`; `--dry-run=false` as nothing. The values are those of Go's
/// `strconv.ParseBool`.
fn plain_switch(word: OsString) -> Option<OsString> {
    const SWITCHES: [&str; 6] = ["--dry-run", "--delete-untagged", "--quiet", "-d", "-m", "-q"];
    let split = word.to_str().and_then(|text| text.split_once('='));
    match split {
        Some((switch, value)) if SWITCHES.contains(&switch) => match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(switch.into()),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => None,
            _ => Some(word),
        },
        _ => Some(word),
    }
}

/// Runs another program in place of this one, as the script's `exec "$@"`.
fn become_program(words: &[OsString]) -> ! {
    let [program, arguments @ ..] = words else { std::process::exit(0) };
    let error = std::process::Command::new(program).args(arguments).exec();
    say(format_args!(
        "could not run {}: {error}. The image holds wharf and nothing else; \
         its verbs are serve, config, htpasswd, cert, storage, backup, export, import, mirror, \
         healthcheck and help",
        program.display()
    ));
    // The codes of a shell.
    std::process::exit(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
}

/// Writes a line to standard error; the log is not started yet.
fn say(message: impl std::fmt::Display) {
    // Nowhere to report that standard error is closed.
    let _ = writeln!(std::io::stderr(), "wharf: {message}");
}

fn is_name_of_ours(word: &OsStr) -> bool {
    ["registry", "entrypoint.sh", "wharf"].contains(&file_name(word))
}

/// The file name in a path, as text; empty when there is none.
fn file_name(path: &OsStr) -> &str {
    Path::new(path).file_name().and_then(OsStr::to_str).unwrap_or_default()
}

fn is_yaml(word: &OsStr) -> bool {
    word.to_str().is_some_and(|text| text.ends_with(".yaml") || text.ends_with(".yml"))
}

fn starts_with_dash(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn asked(line: &str) -> Request {
        request(
            words(line),
            |file| if file == "/default.yml" { "/mine.yml".into() } else { file.into() },
        )
    }

    #[test]
    fn wharf_is_left_as_it_is() {
        for line in ["wharf serve a.yml", "/bin/wharf a.yml", "wharf garbage-collect -d=true", ""] {
            assert_eq!(asked(line), Request::Wharf(words(line)), "{line}");
        }
    }

    #[test]
    fn the_entry_point_follows_the_script() {
        for (line, expected) in [
            ("/entrypoint.sh /c.yml", "registry serve /c.yml"),
            ("/entrypoint.sh c.yaml", "registry serve c.yaml"),
            ("/entrypoint.sh serve /c.conf", "registry serve /c.conf"),
            ("/entrypoint.sh garbage-collect -m=true /c.yml", "registry garbage-collect -m /c.yml"),
            ("/entrypoint.sh help", "registry help"),
            ("/entrypoint.sh --help", "registry --help"),
            ("/entrypoint.sh registry serve /c.yml", "registry serve /c.yml"),
            ("/entrypoint.sh /bin/registry serve /c.yml", "/bin/registry serve /c.yml"),
            ("/entrypoint.sh wharf config check", "wharf config check"),
            ("/entrypoint.sh htpasswd add f alice", "registry htpasswd add f alice"),
            ("/entrypoint.sh storage copy a.yml b.yml", "registry storage copy a.yml b.yml"),
            ("/entrypoint.sh backup list /b", "registry backup list /b"),
            ("/entrypoint.sh export c.yml a -o -", "registry export c.yml a -o -"),
            ("/entrypoint.sh mirror config /c.yml", "registry mirror config /c.yml"),
            ("/entrypoint.sh", "/entrypoint.sh"),
            // The image's own command, with a file in place of the other default one.
            ("/entrypoint.sh /default.yml", "registry serve /mine.yml"),
            ("/entrypoint.sh serve /default.yml", "registry serve /default.yml"),
        ] {
            assert_eq!(asked(line), Request::Image(words(expected)), "{line}");
        }
        for (line, expected) in
            [("/entrypoint.sh sh -c date", "sh -c date"), ("entrypoint.sh ls", "ls")]
        {
            assert_eq!(asked(line), Request::Program(words(expected)), "{line}");
        }
    }

    #[test]
    fn registry_takes_what_go_s_flags_take() {
        for (line, expected) in [
            (
                "registry garbage-collect --dry-run=true c.yml",
                "registry garbage-collect --dry-run c.yml",
            ),
            ("registry garbage-collect -d=1 -m=F c.yml", "registry garbage-collect -d c.yml"),
            ("registry garbage-collect --quiet=maybe", "registry garbage-collect --quiet=maybe"),
            ("registry garbage-collect --other=true", "registry garbage-collect --other=true"),
        ] {
            assert_eq!(asked(line), Request::Wharf(words(expected)), "{line}");
        }
        let version = env!("CARGO_PKG_VERSION");
        for (line, program) in [
            ("registry --version", "registry"),
            ("/bin/registry -v", "/bin/registry"),
            ("/entrypoint.sh --version", "registry"),
        ] {
            assert_eq!(
                asked(line),
                Request::Version(format!("{program} wharf {version}")),
                "{line}"
            );
        }
    }

    #[test]
    fn the_data_is_that_of_the_file_which_is_worked_on() {
        for (line, file) in [
            ("registry serve /c.yml", Some("/c.yml")),
            ("registry garbage-collect -m /c.yml", Some("/c.yml")),
            ("registry storage copy /from.yml /to.yml", Some("/to.yml")),
            ("registry storage copy --json /from.yml /to.yml --passes 2", Some("/to.yml")),
            ("registry storage copy --passes=2 --help", None),
            ("registry backup create --concurrency 2 /c.yml /backup", Some("/c.yml")),
            ("registry backup restore --repository a/* /b.yml --json /c.yml", Some("/c.yml")),
            ("registry backup restore --snapshot=1 /backup /c.yml -d", Some("/c.yml")),
            ("registry backup restore", None),
            ("registry import --image a:1 /c.yml - b:1", Some("/c.yml")),
        ] {
            assert!(works_on_data(&words(line)), "{line}");
            assert_eq!(file_of_verb(&words(line)).as_deref(), file.map(Path::new), "{line}");
        }
        for line in ["cert new nas.lan", "backup verify /backup", "export /c.yml a -o -", "backup"]
        {
            assert!(!works_on_data(&words(&format!("registry {line}"))), "{line}");
        }
    }

    #[test]
    fn the_first_process_tells_what_it_serves() {
        for (line, file) in [
            ("/entrypoint.sh\0/a.yml\0", Some("/a.yml")),
            ("/sbin/docker-init\0--\0/entrypoint.sh\0serve\0/b.conf\0", Some("/b.conf")),
            ("/bin/registry\0serve\0/c.yml\0", Some("/c.yml")),
            ("registry\0serve\0", None),
            ("/lib/systemd/systemd\0--system\0", None),
            ("/entrypoint.sh\0sh\0-c\0serve\0", None),
            ("", None),
        ] {
            let found = file_of(line.as_bytes(), OsStr::to_owned);
            assert_eq!(found.as_deref(), file.map(Path::new), "{line:?}");
        }
    }
}
