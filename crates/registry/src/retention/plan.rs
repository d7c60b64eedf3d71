//! What the rules say of a repository's tags.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::{Duration, SystemTime};

use oci::Tag;

use super::version::Version;
use super::{RetentionRule, RulesOf};

/// A tag, as far as rules ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagState {
    /// The tag.
    pub tag: Tag,
    /// When it was last pushed; also when that is not known and no rule asks for it.
    pub pushed: SystemTime,
    /// When it, or what it names, was last pulled as far as that is known. If it was never seen to
    /// be pulled, when pulls began to be noted.
    pub pulled: Option<SystemTime>,
    /// For a tag that attaches something to a manifest, whether that is there.
    pub subject: Option<bool>,
}

/// What becomes of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The place of the rule in the list, from 0 on; none when no rule is about the tag.
    pub rule: Option<usize>,
    /// What it says.
    pub verdict: Verdict,
}

/// What a rule says of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No rule is about it, so it stays.
    NoRule,
    /// Its rule keeps all.
    All,
    /// It is among those that were pushed last.
    Newest(u64),
    /// It is among the highest versions.
    Version(u64),
    /// It was pushed within this time.
    Pushed(Duration),
    /// It was pulled within this time, or it is not known for so long whether it was.
    Pulled(Duration),
    /// It attaches something to a manifest that is there.
    Attached,
    /// Nothing keeps it.
    Gone,
    /// What it attaches something to is gone.
    SubjectGone,
    /// The same, but it was pushed a moment ago.
    Young,
}

impl Verdict {
    /// Whether the tag stays.
    #[must_use]
    pub const fn keeps(self) -> bool {
        !matches!(self, Self::Gone | Self::SubjectGone)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some(rule) => write!(f, "rule {}: ", rule + 1)?,
            None => return f.write_str("no rule is about it"),
        }
        match self.verdict {
            Verdict::NoRule => f.write_str("it is not about it"),
            Verdict::All => f.write_str("it keeps all"),
            Verdict::Newest(count) => write!(f, "among the newest {count}"),
            Verdict::Version(count) => write!(f, "among the highest {count} versions"),
            Verdict::Pushed(within) => write!(f, "pushed within {}", Words(within)),
            Verdict::Pulled(within) => write!(f, "pulled within {}, or not known", Words(within)),
            Verdict::Attached => f.write_str("what it is attached to is there"),
            Verdict::Gone => f.write_str("nothing keeps it"),
            Verdict::Young => f.write_str("what it is attached to is not there yet"),
            Verdict::SubjectGone => f.write_str("what it is attached to is gone"),
        }
    }
}

/// A time in words.
struct Words(Duration);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "no time"),
            s if s % 86_400 == 0 => write!(f, "{} d", s / 86_400),
            s if s % 3600 == 0 => write!(f, "{} h", s / 3600),
            s if s % 60 == 0 => write!(f, "{} min", s / 60),
            s => write!(f, "{s} s"),
        }
    }
}

impl RulesOf<'_> {
    /// Decides about the tags of the repository: all there are, as some rules compare them. The
    /// decisions are in the order of the tags.
    pub(crate) fn plan(&self, tags: &[TagState], now: SystemTime) -> Vec<Decision> {
        let mut of_rules: HashMap<usize, (&RetentionRule, Vec<usize>)> = HashMap::new();
        let none = Decision { rule: None, verdict: Verdict::NoRule };
        let mut decisions = vec![none; tags.len()];
        for (index, state) in tags.iter().enumerate() {
            let Some((place, rule)) = self.of_tag(&state.tag) else { continue };
            decisions[index].rule = Some(place);
            match state.subject {
                Some(is_there) => decisions[index].verdict = attached(rule, is_there),
                None => of_rules.entry(place).or_insert((rule, Vec::new())).1.push(index),
            }
        }
        for (rule, indexes) in of_rules.into_values() {
            let ranks = Ranks::new(rule, tags, &indexes);
            for index in indexes {
                decisions[index].verdict = judge(rule, &tags[index], index, &ranks, now);
            }
        }
        decisions
    }
}

const fn attached(rule: &RetentionRule, is_there: bool) -> Verdict {
    match (rule.keep.all, is_there) {
        (true, _) => Verdict::All,
        (false, true) => Verdict::Attached,
        (false, false) => Verdict::SubjectGone,
    }
}

/// Which tags of a rule come first.
struct Ranks {
    newest: BTreeSet<usize>,
    versions: BTreeSet<Version>,
}

impl Ranks {
    fn new(rule: &RetentionRule, tags: &[TagState], indexes: &[usize]) -> Self {
        let mut newest = BTreeSet::new();
        if let Some(count) = rule.keep.newest {
            let mut sorted = indexes.to_vec();
            // Of those that were pushed in the same moment the one stays whose name is behind.
            sorted.sort_by(|a, b| {
                let key = |index: usize| (tags[index].pushed, &tags[index].tag);
                key(*b).cmp(&key(*a))
            });
            newest.extend(sorted.into_iter().take(usize::try_from(count).unwrap_or(usize::MAX)));
        }
        let mut versions = BTreeSet::new();
        if let Some(count) = rule.keep.semver {
            versions.extend(indexes.iter().filter_map(|i| Version::parse(tags[*i].tag.as_str())));
            while versions.len() as u64 > count {
                versions.pop_first();
            }
        }
        Self { newest, versions }
    }
}

fn judge(
    rule: &RetentionRule,
    state: &TagState,
    index: usize,
    ranks: &Ranks,
    now: SystemTime,
) -> Verdict {
    let keep = &rule.keep;
    // What is in the future has just been.
    let is_within = |time: SystemTime, within: &Duration| {
        now.duration_since(time).map_or(true, |age| age < *within)
    };
    if keep.all {
        return Verdict::All;
    }
    if let Some(count) = keep.newest.filter(|_| ranks.newest.contains(&index)) {
        return Verdict::Newest(count);
    }
    let version = keep.semver.and_then(|_| Version::parse(state.tag.as_str()));
    if let Some(count) = keep.semver
        && version.is_some_and(|version| ranks.versions.contains(&version))
    {
        return Verdict::Version(count);
    }
    if let Some(within) = keep.pushed_within.filter(|within| is_within(state.pushed, within)) {
        return Verdict::Pushed(within);
    }
    let was_pulled =
        |within: &Duration| state.pulled.is_none_or(|pulled| is_within(pulled, within));
    match keep.pulled_within.filter(was_pulled) {
        Some(within) => Verdict::Pulled(within),
        None => Verdict::Gone,
    }
}

#[cfg(test)]
mod tests;
