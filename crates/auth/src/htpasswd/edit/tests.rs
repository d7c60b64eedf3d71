use std::sync::Barrier;

use super::*;
use crate::htpasswd::Unusable;

struct Home {
    directory: tempfile::TempDir,
    path: PathBuf,
}

fn home(text: Option<&str>) -> Home {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("htpasswd");
    if let Some(text) = text {
        std::fs::write(&path, text).unwrap();
    }
    Home { directory, path }
}

impl Home {
    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    fn mode(&self) -> u32 {
        std::fs::metadata(&self.path).unwrap().mode() & 0o777
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.directory.path()).unwrap().count()
    }
}

#[test]
fn a_user_is_added_changed_and_removed() {
    let home = home(None);
    assert_eq!(add(&home.path, "alice", b"secret", 4).unwrap(), Added::User);
    assert_eq!(home.mode(), 0o600);
    assert_eq!(add(&home.path, "bob", b"other", 5).unwrap(), Added::User);
    assert!(verify(&home.path, "alice", b"secret").unwrap());
    assert!(!verify(&home.path, "alice", b"other").unwrap());
    assert!(!verify(&home.path, "carol", b"secret").unwrap());
    assert_eq!(add(&home.path, "alice", b"changed", 6).unwrap(), Added::Password);
    assert!(verify(&home.path, "alice", b"changed").unwrap());
    assert!(!verify(&home.path, "alice", b"secret").unwrap());
    let listed = |user: &str, cost| Listed { user: user.into(), kind: HashKind::Bcrypt { cost } };
    assert_eq!(list(&home.path).unwrap(), [listed("alice", 6), listed("bob", 5)]);
    assert!(remove(&home.path, "alice").unwrap());
    assert!(!remove(&home.path, "alice").unwrap());
    assert_eq!(list(&home.path).unwrap(), [listed("bob", 5)]);
    assert_eq!(home.files(), 1, "nothing is left behind");
}

#[test]
fn everything_else_in_the_file_stays() {
    let text = "\u{feff}# users\r\nbob:x\r\nalice:old:Alice A.\r\n\r\n# alice:no\ncarol:{SHA}x";
    let home = home(Some(text));
    std::fs::set_permissions(&home.path, Permissions::from_mode(0o640)).unwrap();
    add(&home.path, "alice", b"secret", 4).unwrap();
    let changed = home.text();
    let hash = changed.split("alice:").nth(1).unwrap().split(':').next().unwrap();
    assert!(hash.starts_with("$2y$04$"), "{changed}");
    assert_eq!(changed, text.replacen("alice:old:", &format!("alice:{hash}:"), 1));
    add(&home.path, "dave", b"secret", 4).unwrap();
    assert!(home.text().starts_with(&format!("{changed}\ndave:$2y$04$")));
    assert!(remove(&home.path, "dave").unwrap());
    assert!(remove(&home.path, "bob").unwrap());
    assert_eq!(home.text(), format!("{changed}\n").replacen("bob:x\r\n", "", 1));
    assert_eq!(home.mode(), 0o640);
}

#[test]
fn of_a_user_who_is_there_twice_one_is_left() {
    let home = home(Some("alice:x\nbob:y\nalice:{SHA}z\n"));
    let kinds: Vec<_> = list(&home.path).unwrap().into_iter().map(|l| (l.user, l.kind)).collect();
    let unusable = |reason| HashKind::Unusable(reason);
    assert_eq!(
        kinds,
        [
            ("bob".to_owned(), unusable(Unusable::CryptOrPlain)),
            ("alice".to_owned(), unusable(Unusable::Sha1))
        ]
    );
    add(&home.path, "alice", b"secret", 4).unwrap();
    assert!(home.text().starts_with("bob:y\nalice:$2y$"), "{}", home.text());
    std::fs::write(&home.path, "alice:x\nbob:y\nalice:z\n").unwrap();
    assert!(remove(&home.path, "alice").unwrap());
    assert_eq!(home.text(), "bob:y\n");
}

#[test]
fn names_and_passwords_that_cannot_be_used() {
    let home = home(Some("bob:y\n"));
    let long = "u".repeat(256);
    for user in ["", "a:b", "#a", " a", "a ", "a\nb", "a\u{7f}", &long] {
        let error = add(&home.path, user, b"secret", 4).unwrap_err();
        assert!(matches!(error, HtpasswdError::User(_)), "{user:?}");
    }
    for password in [&b""[..], &[b'p'; 73], b"a\0b", b"a\nb"] {
        let error = add(&home.path, "alice", password, 4).unwrap_err();
        assert!(matches!(error, HtpasswdError::Password(_)), "{password:?}");
        assert!(!error.to_string().contains("ppp"));
    }
    for cost in [3, 32] {
        let error = add(&home.path, "alice", b"secret", cost).unwrap_err();
        assert!(matches!(error, HtpasswdError::Hash(_)), "{cost}");
    }
    assert_eq!(home.text(), "bob:y\n");
    add(&home.path, "ü b", &[b'p'; 72], 4).unwrap();
    assert!(verify(&home.path, "ü b", &[b'p'; 72]).unwrap());
}

#[test]
fn a_file_with_a_bad_line_is_left_alone() {
    let home = home(Some("alice:x\nhunter2\n"));
    let errors = [
        add(&home.path, "alice", b"secret", 4).map(|_| ()),
        remove(&home.path, "alice").map(|_| ()),
        list(&home.path).map(|_| ()),
        verify(&home.path, "alice", b"secret").map(|_| ()),
    ];
    for error in errors {
        let text = error.unwrap_err().to_string();
        assert!(text.contains("line 2") && !text.contains("hunter2"), "{text}");
    }
    assert_eq!(home.text(), "alice:x\nhunter2\n");
    assert_eq!(home.files(), 1);
}

#[test]
fn what_is_not_there_cannot_be_read() {
    let home = home(None);
    for error in [
        remove(&home.path, "alice").unwrap_err(),
        list(&home.path).unwrap_err(),
        verify(&home.path, "alice", b"secret").unwrap_err(),
    ] {
        assert!(matches!(error, HtpasswdError::Read { .. }), "{error}");
    }
    assert!(!home.path.exists());
    let error = add(&home.path.join("not/there"), "alice", b"secret", 4).unwrap_err();
    assert!(matches!(error, HtpasswdError::Write { .. }), "{error}");
}

#[test]
fn a_link_stays_a_link() {
    let home = home(Some("bob:y\n"));
    let link = home.directory.path().join("link");
    std::os::unix::fs::symlink("htpasswd", &link).unwrap();
    add(&link, "alice", b"secret", 4).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert!(home.text().contains("alice:"));
}

#[test]
fn adding_at_the_same_time_loses_nobody() {
    let home = home(None);
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (start, path) = (&start, &home.path);
            scope.spawn(move || {
                start.wait();
                add(path, &format!("user-{n}"), b"secret", 4).unwrap();
            });
        }
    });
    assert_eq!(list(&home.path).unwrap().len(), 8);
}
