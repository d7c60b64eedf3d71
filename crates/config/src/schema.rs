//! The schema as data: every key with its type, default, spellings and meaning.
//!
//! One table drives everything: which keys are known, what a variable's name leads to, how a
//! value is checked, what is printed and masked, and the tables of `docs/configuration.md`.

/// Checks the text of a scalar; the error says what is wrong with it and what to write instead.
pub(crate) type Check = fn(&str) -> Result<(), String>;

/// The type of a key.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Text, taken as written.
    Text(Check),
    /// Text that is masked wherever it is shown.
    Secret,
    /// One of several words, in any case.
    Choice(&'static [&'static str]),
    /// YAML 1.1 boolean.
    Bool,
    /// Integer within bounds.
    Int { min: i64, max: i64 },
    /// Go duration, zero or more.
    Duration,
    /// Go duration of more than nothing, also in days (`d`) and weeks (`w`), with its unit.
    Age,
    /// Go duration; zero and less mean "off" or "the default".
    DurationOrOff,
    /// List of texts; a single text is a list of one.
    TextList(Check),
    /// Names to single values, such as log fields.
    TextMap { secret: bool },
    /// Names to lists of values, such as HTTP headers.
    Headers { secret: bool },
    /// A mapping with known keys.
    Section(&'static Section),
    /// A list of mappings with known keys.
    List(&'static Section),
    /// Anything; masked as a whole when secret.
    Any { secret: bool },
}

/// A mapping with known keys.
pub(crate) struct Section {
    pub(crate) keys: &'static [Key],
    /// What a bare scalar means in the mapping's place.
    pub(crate) bare: Bare,
    /// Segments of a variable's name that stand for nothing: Go's name of an inlined struct.
    pub(crate) silent_segments: &'static [&'static str],
    /// Whether an unknown key is an error because it would choose something (a driver).
    pub(crate) closed: Option<&'static str>,
}

/// What a bare scalar means where a mapping belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    /// An error.
    No,
    /// `storage: inmemory` is `storage: {inmemory: {}}`.
    Name,
    /// `readonly: true` is `readonly: {enabled: true}`.
    Enabled,
}

/// One key.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// The YAML name.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it means, for the documentation; one line of Markdown.
    #[cfg_attr(not(test), expect(dead_code, reason = "feeds the documentation"))]
    pub(crate) meaning: &'static str,
    /// The default as it would be written; none when unset means "not configured".
    pub(crate) default: Option<&'static str>,
    /// Other YAML names, from older versions.
    pub(crate) aliases: &'static [&'static str],
    /// Go's field name where it isn't the YAML name, for variables.
    pub(crate) variable: Option<&'static str>,
    /// A section whose defaults only count when it has been written.
    pub(crate) optional: bool,
    /// Another key of the section, without which this one's default means nothing and isn't printed.
    pub(crate) only_with: Option<&'static str>,
}

impl Section {
    pub(crate) const fn new(keys: &'static [Key]) -> Self {
        Self { keys, bare: Bare::No, silent_segments: &[], closed: None }
    }

    pub(crate) const fn bare(self, bare: Bare) -> Self {
        Self { bare, ..self }
    }

    pub(crate) const fn silent(self, silent_segments: &'static [&'static str]) -> Self {
        Self { silent_segments, ..self }
    }

    pub(crate) const fn closed(self, what: &'static str) -> Self {
        Self { closed: Some(what), ..self }
    }

    /// The key with this YAML name, old names included.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name || key.aliases.contains(&name))
    }
}

impl Key {
    pub(crate) const fn default(self, text: &'static str) -> Self {
        Self { default: Some(text), ..self }
    }

    pub(crate) const fn alias(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    pub(crate) const fn variable(self, name: &'static str) -> Self {
        Self { variable: Some(name), ..self }
    }

    pub(crate) const fn only_with(self, other: &'static str) -> Self {
        Self { only_with: Some(other), ..self }
    }

    /// All names of this key in a variable, in lower case.
    pub(crate) fn variable_names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.variable).chain(self.aliases.iter().copied())
    }
}

const fn key(name: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key {
        name,
        kind,
        meaning,
        default: None,
        aliases: &[],
        variable: None,
        optional: false,
        only_with: None,
    }
}

pub(crate) fn anything(_: &str) -> Result<(), String> {
    Ok(())
}

pub(crate) const fn text(name: &'static str, meaning: &'static str) -> Key {
    key(name, Kind::Text(anything), meaning)
}

pub(crate) const fn checked(name: &'static str, check: Check, meaning: &'static str) -> Key {
    key(name, Kind::Text(check), meaning)
}

pub(crate) const fn secret(name: &'static str, meaning: &'static str) -> Key {
    key(name, Kind::Secret, meaning)
}

pub(crate) const fn choice(
    name: &'static str,
    words: &'static [&'static str],
    meaning: &'static str,
) -> Key {
    key(name, Kind::Choice(words), meaning)
}

pub(crate) const fn boolean(name: &'static str, meaning: &'static str) -> Key {
    key(name, Kind::Bool, meaning)
}

/// An integer of zero or more.
pub(crate) const fn count(name: &'static str, meaning: &'static str) -> Key {
    key(name, Kind::Int { min: 0, max: i64::MAX }, meaning)
}

/// An integer that may be negative, as Go's own defaults use -1 for "off".
pub(crate) const fn integer(name: &'static str, meaning: &'static str) -> Key {
    key(name, Kind::Int { min: i64::MIN, max: i64::MAX }, meaning)
}

pub(crate) const fn bounded(name: &'static str, min: i64, max: i64, meaning: &'static str) -> Key {
    key(name, Kind::Int { min, max }, meaning)
}

pub(crate) const fn duration(name: &'static str, meaning: &'static str) -> Key {
    key(name, Kind::Duration, meaning)
}

pub(crate) const fn age(name: &'static str, meaning: &'static str) -> Key {
    key(name, Kind::Age, meaning)
}

pub(crate) const fn duration_or_off(name: &'static str, meaning: &'static str) -> Key {
    key(name, Kind::DurationOrOff, meaning)
}

pub(crate) const fn texts(name: &'static str, meaning: &'static str) -> Key {
    key(name, Kind::TextList(anything), meaning)
}

pub(crate) const fn checked_texts(name: &'static str, check: Check, meaning: &'static str) -> Key {
    key(name, Kind::TextList(check), meaning)
}

pub(crate) const fn text_map(name: &'static str, secret: bool, meaning: &'static str) -> Key {
    key(name, Kind::TextMap { secret }, meaning)
}

pub(crate) const fn headers(name: &'static str, secret: bool, meaning: &'static str) -> Key {
    key(name, Kind::Headers { secret }, meaning)
}

pub(crate) const fn any(name: &'static str, secret: bool, meaning: &'static str) -> Key {
    key(name, Kind::Any { secret }, meaning)
}

/// A section that is always in force, with its defaults.
pub(crate) const fn section(
    name: &'static str,
    section: &'static Section,
    meaning: &'static str,
) -> Key {
    key(name, Kind::Section(section), meaning)
}

/// A section that counts only when it has been written.
pub(crate) const fn optional(
    name: &'static str,
    section: &'static Section,
    meaning: &'static str,
) -> Key {
    Key { optional: true, ..key(name, Kind::Section(section), meaning) }
}

pub(crate) const fn list(
    name: &'static str,
    section: &'static Section,
    meaning: &'static str,
) -> Key {
    key(name, Kind::List(section), meaning)
}
