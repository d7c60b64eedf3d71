//! Answers that are remembered for as long as nothing they were derived from has changed.
//!
//! Only where the storage tells of changes; elsewhere every answer is derived anew. What was not
//! asked lately is not remembered, since most of the pages of a long list are asked for once.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use oci::{Digest, RepositoryName};
use quick_cache::sync::Cache;
use storage::watch::{NotWatched, Source, Watch, Watcher};

use crate::limits::{ANSWER_WATCHES_MAX, ANSWERS_BYTES_MAX, ANSWERS_BYTES_MIN, WATCH_BYTES};
use crate::trail::Trail;
use crate::{Names, Page, Referrers, Registry, Result};

mod lately;

use lately::Lately;

/// An answer, shared with whoever remembers it.
pub struct Answer<T>(Arc<Shared<T>>);

struct Shared<T> {
    value: T,
    rendered: OnceLock<Bytes>,
}

impl<T> Answer<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Shared { value, rendered: OnceLock::new() }))
    }

    /// The answer in the form in which it is sent, which is remembered with it: `render` is only
    /// called the first time, so it must always be the same.
    pub fn rendered(&self, render: impl FnOnce(&T) -> Bytes) -> Bytes {
        self.0.rendered.get_or_init(|| render(&self.0.value)).clone()
    }
}

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Answer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

impl<T: PartialEq> PartialEq<T> for Answer<T> {
    fn eq(&self, other: &T) -> bool {
        self.0.value == *other
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    Repositories {
        page: OwnedPage,
    },
    Tags {
        name: RepositoryName,
        page: OwnedPage,
    },
    Referrers {
        name: RepositoryName,
        subject: Digest,
        artifact_type: Option<Box<str>>,
        page: OwnedPage,
    },
}

/// A [`Page`] that can be kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OwnedPage {
    limit: Option<usize>,
    last: Option<Box<str>>,
}

impl From<Page<'_>> for OwnedPage {
    fn from(page: Page<'_>) -> Self {
        Self { limit: page.limit, last: page.last.map(Into::into) }
    }
}

impl OwnedPage {
    pub(crate) fn borrowed(&self) -> Page<'_> {
        Page { limit: self.limit, last: self.last.as_deref() }
    }
}

impl Question {
    fn weight_bytes(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        size_of::<Self>()
            + match self {
                Self::Repositories { page } => text(&page.last),
                Self::Tags { name, page } => name.as_str().len() + text(&page.last),
                Self::Referrers { name, artifact_type, page, .. } => {
                    name.as_str().len() + text(artifact_type) + text(&page.last)
                }
            }
    }
}

/// What is answered.
#[derive(Clone)]
pub(crate) enum Reply {
    Names(Answer<Names>),
    Referrers(Answer<Referrers>),
}

impl Reply {
    /// The answer to a question about names.
    pub(crate) fn names(self) -> Answer<Names> {
        match self {
            Self::Names(names) => names,
            Self::Referrers(_) => unreachable!("a list of names was asked for"),
        }
    }

    /// The answer to a question about referrers.
    pub(crate) fn referrers(self) -> Answer<Referrers> {
        match self {
            Self::Referrers(referrers) => referrers,
            Self::Names(_) => unreachable!("a list of referrers was asked for"),
        }
    }

    /// What it takes in memory, rendered.
    fn weight_bytes(&self) -> usize {
        match self {
            Self::Names(names) => {
                let entry = size_of::<String>() + 4;
                names.names.iter().map(|name| entry + 2 * name.len()).sum()
            }
            Self::Referrers(referrers) => {
                let pointer = size_of::<usize>();
                referrers.manifests.iter().map(|m| pointer + m.json_bytes()).sum()
            }
        }
    }
}

struct Remembered {
    reply: Reply,
    sources: Vec<Source>,
    watch: Box<dyn Watch>,
    weight_bytes: u64,
}

impl Remembered {
    fn new(question: &Question, reply: Reply, sources: Vec<Source>, watch: Box<dyn Watch>) -> Self {
        let weight_bytes = weight_bytes(question, &reply, &sources, watch.watches());
        Self { reply, sources, watch, weight_bytes }
    }
}

fn weight_bytes(question: &Question, reply: &Reply, sources: &[Source], watches: usize) -> u64 {
    let source = |source: &Source| {
        let (Source::Listing(path) | Source::File(path)) = source;
        size_of::<Source>() + path.as_str().len()
    };
    let sources: usize = sources.iter().map(source).sum();
    let all = question.weight_bytes() + reply.weight_bytes() + sources + watches * WATCH_BYTES;
    all as u64
}

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<Question, Arc<Remembered>> for ByBytes {
    fn weight(&self, _: &Question, remembered: &Arc<Remembered>) -> u64 {
        remembered.weight_bytes
    }
}

/// The answers that are remembered, and what was asked lately.
pub(crate) struct Answers {
    remembered: Cache<Question, Arc<Remembered>, ByBytes>,
    lately: Lately,
}

impl Answers {
    pub(crate) fn new() -> Self {
        // Few entries, so that the cache is in one piece and one answer may fill much of it.
        let remembered = Cache::with_weighter(32, ANSWERS_BYTES_MAX, ByBytes);
        Self { remembered, lately: Lately::default() }
    }

    /// Whether an answer is worth to be remembered: its question was asked lately.
    fn is_wanted(&self, question: &Question, reply: &Reply, sources: &[Source]) -> bool {
        // Each has a directory or two of its own, or more.
        let watches = 2 * sources.len();
        let weight_bytes = weight_bytes(question, reply, sources, watches);
        self.lately.note(question, weight_bytes, self.remembered.capacity())
    }

    /// Makes do with less: no more can be watched.
    fn shrink(&self) {
        let less = self.remembered.weight() / 4 * 3;
        self.remembered.set_capacity(less.clamp(ANSWERS_BYTES_MIN, ANSWERS_BYTES_MAX));
    }
}

impl Registry {
    /// The answer to a question: what is remembered while it is certain to be right, and otherwise
    /// what the storage says.
    pub(crate) async fn answer(&self, question: Question) -> Result<Reply> {
        let Some(watcher) = self.driver.watcher() else {
            return self.derive(&question, &mut Trail::none()).await;
        };
        let known = self.answers.remembered.get(&question);
        if let Some(known) = &known
            && known.watch.is_current()
        {
            return Ok(known.reply.clone());
        }
        // What it was derived from the last time is mostly what it is derived from now.
        let sources = match known {
            Some(known) => known.sources.clone(),
            None => {
                let mut trail = Trail::new();
                let reply = self.derive(&question, &mut trail).await?;
                match trail.into_sources() {
                    Some(sources) if self.answers.is_wanted(&question, &reply, &sources) => sources,
                    _ => return Ok(reply),
                }
            }
        };
        self.answer_under_watch(watcher, question, sources).await
    }

    /// Derives an answer while its sources are watched, and remembers it. `sources` are those that
    /// it is likely to have.
    async fn answer_under_watch(
        &self,
        watcher: &dyn Watcher,
        question: Question,
        mut sources: Vec<Source>,
    ) -> Result<Reply> {
        let mut rounds = 0;
        loop {
            let watch = watcher.watch(&sources, ANSWER_WATCHES_MAX).await;
            let mut trail = Trail::new();
            let reply = self.derive(&question, &mut trail).await?;
            rounds += 1;
            match watch {
                Ok(watch) if trail.is_within(&sources) => {
                    if watch.is_current() {
                        let remembered = Remembered::new(&question, reply.clone(), sources, watch);
                        self.answers.remembered.insert(question, Arc::new(remembered));
                    }
                    return Ok(reply);
                }
                Ok(_) => {}
                Err(reason) => {
                    if reason == NotWatched::Full {
                        self.answers.shrink();
                    }
                    return Ok(reply);
                }
            }
            // The sources have become others. Once more, but not again and again.
            match trail.into_sources() {
                Some(others) if rounds < 2 => sources = others,
                _ => return Ok(reply),
            }
        }
    }

    /// The answer, from the storage.
    async fn derive(&self, question: &Question, trail: &mut Trail) -> Result<Reply> {
        Ok(match question {
            Question::Repositories { page } => {
                let names = self.derive_repositories(page.borrowed(), trail).await?;
                Reply::Names(Answer::new(names))
            }
            Question::Tags { name, page } => {
                let names = self.derive_tags(name, page.borrowed(), trail).await?;
                Reply::Names(Answer::new(names))
            }
            Question::Referrers { name, subject, artifact_type, page } => {
                let artifact_type = artifact_type.as_deref();
                let page = page.borrowed();
                let found =
                    self.derive_referrers(name, subject, artifact_type, page, trail).await?;
                Reply::Referrers(Answer::new(found))
            }
        })
    }
}
