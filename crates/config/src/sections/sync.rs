//! `sync`: jobs that copy repositories from and to other registries.

use std::num::{NonZeroU32, NonZeroU64};

use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
    size,
};

use super::{
    remote::{self, Remote, UNKNOWN},
    rewrite::{self, Rewrite},
    when::{self, When},
};

pub(crate) static SECTION: Section = Section::new(&[schema::list(
    "jobs",
    &JOB,
    "The jobs: each copies between this registry and one other.",
)])
.closed(UNKNOWN);

static JOB: Section = Section::new(&[
    schema::checked(
        "name",
        check::job_name,
        "What logs, metrics and `wharf sync` call it, and where its queue lies; no other job has the same.",
    ),
    schema::optional(
        "from",
        &REMOTE,
        "The registry that is copied from to here. A job has either this or `to`.",
    ),
    schema::optional("to", &REMOTE, "The registry that is copied to from here."),
    schema::checked_texts(
        "repositories",
        check::repository_pattern,
        "Patterns of repositories, by their names where it is copied from: `*` is any text without a slash, `**` any text. Required.",
    ),
    schema::checked_texts(
        "tags",
        check::tag_pattern,
        "Patterns of tags. Without them and `tagregex` all tags are copied.",
    ),
    schema::checked_texts(
        "tagregex",
        check::regular_expression,
        "Regular expressions that match all of a tag; beside `tags`, one of either is enough.",
    ),
    schema::checked(
        "semver",
        check::version_range,
        "Of these tags only versions such as `1.2.3` and `v1.2.3` in this range: `>=1.2, <2`, `^1.4`, `~1.4.2`.",
    ),
    schema::bounded(
        "newest",
        1,
        i64::MAX,
        "Of these tags only so many of each repository, the newest ones. A push is copied whatever its age.",
    ),
    schema::checked_texts(
        "platforms",
        check::platform,
        "Platforms such as `linux/arm64` or `linux/arm/v7`: of an image for several ones only these are copied. All unless set.",
    ),
    schema::boolean("referrers", "Whether signatures and other referrers go along.")
        .default("true"),
    schema::checked(
        "prefix",
        check::repository_path,
        "What is put in front of names where it is copied to.",
    ),
    schema::list(
        "rewrite",
        &rewrite::SECTION,
        "Replaces the first components of a name before `prefix` is put in front; the first that fits counts.",
    ),
    schema::duration("interval", "Time between the end of a run and the beginning of the next."),
    schema::checked(
        "schedule",
        when::cron,
        "When it runs instead, as five fields of cron in the machine's time zone. With neither it runs by hand and on pushes.",
    ),
    schema::boolean("onpush", "Copies at once what is pushed here; only with `to`.")
        .default("false"),
    schema::boolean("dryrun", "Only logs what would be copied.").default("false"),
    schema::checked(
        "bandwidth",
        check::positive_size,
        "Most bytes that are copied in a second, such as `10MiB`; unset is any number.",
    ),
    schema::bounded(
        "requestrate",
        1,
        1_000_000,
        "Most requests to the other registry in a minute; unset is any number.",
    ),
    schema::bounded("concurrency", 1, 16, "How many images are copied at once.").default("2"),
])
.closed(UNKNOWN);

static REMOTE: Section = Section::new(&[
    remote::URL,
    remote::URLS,
    remote::USERNAME,
    remote::PASSWORD,
    remote::HELPER,
    remote::ECR,
    remote::GAR,
    remote::ACR,
    remote::TLS,
])
.closed(UNKNOWN);

/// `sync`.
#[derive(Clone, Debug, Default)]
pub struct Sync {
    /// The jobs, in their order.
    pub jobs: Vec<SyncJob>,
}

/// The other registry of a job.
#[derive(Clone, Debug)]
pub enum SyncRemote {
    /// It is copied from there to here.
    From(Remote),
    /// It is copied from here to there.
    To(Remote),
}

impl SyncRemote {
    /// The registry.
    pub fn remote(&self) -> &Remote {
        let (Self::From(remote) | Self::To(remote)) = self;
        remote
    }

    /// The key of its section: `from` or `to`.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::From(_) => "from",
            Self::To(_) => "to",
        }
    }
}

/// One of `sync.jobs`.
#[derive(Clone, Debug)]
pub struct SyncJob {
    /// What it is called; no other job has the same name.
    pub name: String,
    /// The other registry, and which way is copied.
    pub remote: SyncRemote,
    /// Patterns of repositories, by their names in the source; at least one.
    pub repositories: Vec<String>,
    /// Patterns of tags; all when there are neither these nor expressions.
    pub tags: Vec<String>,
    /// Regular expressions of tags.
    pub tag_expressions: Vec<String>,
    /// The range of versions that tags are in; none for tags of any kind.
    pub semver: Option<String>,
    /// How many tags of a repository, the newest; none for all.
    pub newest: Option<NonZeroU64>,
    /// The platforms that are copied, as `os/arch` or `os/arch/variant`; none is all.
    pub platforms: Vec<String>,
    /// Whether referrers go along.
    pub referrers: bool,
    /// What is put in front of names in the target; whole components, or empty.
    pub prefix: String,
    /// What replaces the first components of a name before that; the first that fits counts.
    pub rewrite: Vec<Rewrite>,
    /// When it runs of its own accord; none for never.
    pub when: Option<When>,
    /// Whether what is pushed here is copied at once.
    pub on_push: bool,
    /// Whether it is only said what would be copied.
    pub dry_run: bool,
    /// Most bytes in a second; none for any number.
    pub bandwidth: Option<NonZeroU64>,
    /// Most requests to the other registry in a minute; none for any number.
    pub request_rate: Option<NonZeroU32>,
    /// How many images are copied at once: 1 to 16.
    pub concurrency: usize,
}

pub(crate) fn read(sync: Reader<'_>) -> Sync {
    Sync { jobs: sync.items("jobs").map(read_job).collect() }
}

fn read_job(job: Reader<'_>) -> SyncJob {
    let remote = match job.written("to") {
        Some(to) => SyncRemote::To(remote::read(to)),
        None => SyncRemote::From(remote::read(job.section("from"))),
    };
    let count = |name| job.set_integer(name).and_then(|number| u64::try_from(number).ok());
    let size = job.set_text("bandwidth").and_then(|text| size::bytes(&text));
    SyncJob {
        name: job.text("name"),
        remote,
        repositories: job.texts("repositories"),
        tags: job.texts("tags"),
        tag_expressions: job.texts("tagregex"),
        semver: job.set_text("semver"),
        newest: count("newest").and_then(NonZeroU64::new),
        platforms: job.texts("platforms"),
        referrers: job.boolean("referrers"),
        prefix: job.text("prefix"),
        rewrite: rewrite::read(job),
        when: when::read(job),
        on_push: job.boolean("onpush"),
        dry_run: job.boolean("dryrun"),
        bandwidth: size.and_then(NonZeroU64::new),
        request_rate: count("requestrate")
            .and_then(|rate| u32::try_from(rate).ok())
            .and_then(NonZeroU32::new),
        concurrency: count("concurrency").and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1),
    }
}
