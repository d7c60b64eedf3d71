//! The text of an htpasswd file.

use std::collections::HashMap;
use std::sync::Arc;

use super::hash::{HashKind, StoredHash, Unusable};
use crate::limits::{HTPASSWD_LINES_MAX, HTPASSWD_WARNINGS_MAX};

/// What a line of the file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Blank, or begins with `#`.
    Comment,
    /// `user:hash`.
    Entry {
        /// The user; never empty.
        user: &'a str,
        /// The hash; may be empty.
        hash: &'a str,
    },
}

/// A line that is neither, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// No colon.
    #[error("it has no ':' between a user and a hash")]
    NoColon,
    /// Nothing before the colon.
    #[error("it has no user before the ':'")]
    NoUser,
    /// Another encoding.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// More lines than are read.
    #[error("it is one too many; at most {HTPASSWD_LINES_MAX} lines are read")]
    TooMany,
}

impl<'a> Line<'a> {
    /// Reads a line. Space around it is no part of it, a carriage return included.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, BadLine> {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(Self::Comment);
        }
        let line = std::str::from_utf8(line).map_err(|_| BadLine::NotUtf8)?;
        let (user, rest) = line.split_once(':').ok_or(BadLine::NoColon)?;
        if user.is_empty() {
            return Err(BadLine::NoUser);
        }
        // Apache's files may hold more fields, such as a comment.
        let hash = rest.split(':').next().unwrap_or(rest);
        Ok(Self::Entry { user, hash })
    }
}

/// The lines of a file with their numbers, from 1. A byte order mark is skipped.
pub(super) fn numbered_lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.split(|byte| *byte == b'\n').enumerate().map(|(index, line)| (index + 1, line))
}

/// A user of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: Arc<str>,
    pub(crate) hash: StoredHash,
}

/// The users of a file.
#[derive(Debug, Default)]
pub(crate) struct Users {
    by_name: HashMap<Arc<str>, Arc<User>>,
    /// Those whose hash can be verified, in an order of their own.
    usable: Vec<Arc<User>>,
    /// Of each kind of hash that can be verified the dearest one; nobody if all cost the same.
    dearest: Arc<[Arc<User>]>,
}

/// Something in the file that is no error and that its owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) user: Arc<str>,
    pub(super) about: About,
}

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum About {
    #[error("nobody can log in as this user: {0}; set the password anew with `wharf htpasswd add`")]
    Unusable(#[from] Unusable),
    #[error("the user is in the file twice; this line counts, and not the one before")]
    Twice,
}

impl Users {
    /// Reads the text of a file. The last line of a user counts, as in Distribution.
    ///
    /// # Errors
    /// The number of the first bad line, and what is wrong with it.
    pub(crate) fn parse(text: &[u8]) -> Result<(Self, Vec<Remark>), (usize, BadLine)> {
        let mut by_name: HashMap<Arc<str>, Arc<User>> = HashMap::new();
        let mut remarks = Vec::new();
        for (number, line) in numbered_lines(text) {
            if number > HTPASSWD_LINES_MAX && !line.is_empty() {
                return Err((number, BadLine::TooMany));
            }
            let Line::Entry { user, hash } = Line::parse(line).map_err(|bad| (number, bad))? else {
                continue;
            };
            let name: Arc<str> = user.into();
            let hash = StoredHash::parse(hash);
            let mut remark =
                |about| remarks.push(Remark { line: number, user: name.clone(), about });
            if let HashKind::Unusable(reason) = hash.kind() {
                remark(reason.into());
            }
            let user = Arc::new(User { name: name.clone(), hash });
            if by_name.insert(name.clone(), user).is_some() {
                remark(About::Twice);
            }
        }
        let mut usable: Vec<_> =
            by_name.values().filter(|user| user.hash.is_usable()).cloned().collect();
        usable.sort_by(|a, b| a.name.cmp(&b.name));
        let dearest = dearest(&usable);
        Ok((Self { by_name, usable, dearest }, remarks))
    }

    /// The user of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<User>> {
        self.by_name.get(name)
    }

    /// The user whose hash is looked at in the place of one that isn't there. The name's keyed
    /// hash picks one, so that unknown names take as long as known ones do, also in a file that
    /// mixes kinds and costs. None if no hash can be verified: then nobody can log in anyway.
    pub(crate) fn stand_in(&self, keyed_hash: u64) -> Option<&Arc<User>> {
        let count = u64::try_from(self.usable.len()).ok().filter(|count| *count > 0)?;
        self.usable.get(usize::try_from(keyed_hash % count).ok()?)
    }

    /// Of each kind of hash the dearest one, in a file that mixes kinds or costs.
    pub(super) fn dearest(&self) -> &Arc<[Arc<User>]> {
        &self.dearest
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }
}

/// Of each family of hashes the dearest one: within a family they can be compared by what their
/// parameters say. Nobody if all are alike.
fn dearest(usable: &[Arc<User>]) -> Arc<[Arc<User>]> {
    if usable.windows(2).all(|pair| pair[0].hash.kind() == pair[1].hash.kind()) {
        return Arc::default();
    }
    let mut families: HashMap<u32, (u64, &Arc<User>)> = HashMap::new();
    for user in usable {
        let (family, work) = match user.hash.kind() {
            HashKind::Bcrypt { cost } => (0, u64::from(cost)),
            HashKind::ShaCrypt { bits, rounds } => (bits, u64::from(rounds)),
            HashKind::Argon2 { memory_kib, passes } => {
                (1, u64::from(memory_kib) * u64::from(passes))
            }
            HashKind::Unusable(_) => continue,
        };
        let dearest = families.entry(family).or_insert((work, user));
        if dearest.0 < work {
            *dearest = (work, user);
        }
    }
    families.into_values().map(|(_, user)| Arc::clone(user)).collect()
}

/// Writes the remarks to the log.
pub(super) fn log_remarks(path: &std::path::Path, remarks: &[Remark]) {
    for Remark { line, user, about } in remarks.iter().take(HTPASSWD_WARNINGS_MAX) {
        tracing::warn!(file = %path.display(), line, user = &**user, "htpasswd: {about}");
    }
    if let Some(more) = remarks.len().checked_sub(HTPASSWD_WARNINGS_MAX).filter(|more| *more > 0) {
        tracing::warn!(file = %path.display(), "htpasswd: {more} more lines have something of this kind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

    #[test]
    fn comments_blanks_and_line_endings() {
        let text = format!(
            "\u{feff}# users\r\n\r\n  alice:{SECRET}  \r\nbob:{SECRET}:Bob B.\n\t# bob:x\nc d:x"
        );
        let (users, remarks) = Users::parse(text.as_bytes()).unwrap();
        assert_eq!(users.len(), 3);
        for user in ["alice", "bob"] {
            assert!(users.get(user).unwrap().hash.matches(b"secret"), "{user}");
        }
        assert!(users.get("c d").is_some_and(|user| !user.hash.is_usable()));
        assert!(users.get("# bob").is_none() && users.get("").is_none());
        assert_eq!(remarks.len(), 1);
        assert_eq!((remarks[0].line, &*remarks[0].user), (6, "c d"));
        assert!(Users::parse(b"").unwrap().0.get("alice").is_none());
        // A comment may be in any encoding.
        assert!(Users::parse(b"# Gr\xfc\xdfe\n").is_ok());
    }

    #[test]
    fn the_last_line_of_a_user_counts() {
        let text = format!("alice:x\nalice:{SECRET}\n");
        let (users, remarks) = Users::parse(text.as_bytes()).unwrap();
        assert!(users.get("alice").unwrap().hash.matches(b"secret"));
        assert_eq!(remarks.last().unwrap().about, About::Twice);
        assert_eq!(remarks.last().unwrap().line, 2);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let bad = |text: &[u8]| Users::parse(text).unwrap_err();
        assert_eq!(bad(b"a:b\n\nhunter2\n"), (3, BadLine::NoColon));
        assert_eq!(bad(b":hunter2"), (1, BadLine::NoUser));
        assert_eq!(bad(b"a:b\ngr\xfc:x"), (2, BadLine::NotUtf8));
        let many = "a:b\n".repeat(HTPASSWD_LINES_MAX);
        assert!(Users::parse(many.as_bytes()).is_ok());
        assert_eq!(
            bad(format!("{many}a:b").as_bytes()),
            (HTPASSWD_LINES_MAX + 1, BadLine::TooMany)
        );
    }

    #[test]
    fn the_dearest_hashes_of_a_file_that_mixes_them() {
        let hash = |cost: u32| format!("$2y${cost:02}${}", &SECRET[7..]);
        let dearest = |text: String| {
            let (users, _) = Users::parse(text.as_bytes()).unwrap();
            let mut names: Vec<_> =
                users.dearest().iter().map(|one| one.name.to_string()).collect();
            names.sort();
            names
        };
        let (cheap, dear, too_dear) = (hash(4), hash(10), hash(20));
        assert!(dearest(String::new()).is_empty());
        assert!(dearest(format!("a:{dear}\nb:{dear}\nc:x\nd:{too_dear}\n")).is_empty());
        assert_eq!(dearest(format!("a:{cheap}\nb:{dear}\nc:{cheap}\nd:{too_dear}\n")), ["b"]);
        let sha = format!("$5$rounds=1000$salt${}", "a".repeat(43));
        assert_eq!(dearest(format!("a:{cheap}\nb:{dear}\nc:{sha}\n")), ["b", "c"]);
    }

    #[test]
    fn a_stand_in_is_one_that_can_be_verified() {
        let text = format!("a:x\nb:{SECRET}\nc:{SECRET}\n");
        let (users, _) = Users::parse(text.as_bytes()).unwrap();
        let names: Vec<_> = (0..4).map(|n| users.stand_in(n).unwrap().name.to_string()).collect();
        assert_eq!(names, ["b", "c", "b", "c"]);
        assert!(Users::parse(b"a:x").unwrap().0.stand_in(7).is_none());
    }
}
