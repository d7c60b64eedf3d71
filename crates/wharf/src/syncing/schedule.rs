//! When jobs run.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::When;
use server::App;
use sync::{Plan, Problem, RunReport, SyncError};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::Scheduled;

/// How long to wait at most before the first run of a job with an interval. A random part of it keeps
/// replicas that are started together from beginning together.
const FIRST_DELAY_MAX: Duration = Duration::from_secs(10);

/// How often to look whether another server has run the job meanwhile, or has left something in the
/// queue.
const LOOK_INTERVAL: Duration = Duration::from_secs(300);

/// How long to wait when somebody else is working on the job.
const BUSY_RETRY: Duration = Duration::from_secs(5);

/// How long to wait after something that failed as a whole.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// How often it is looked whether the storage was switched to read-only, or back.
const WRITABLE_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a run that was told to stop may take to end in order. What it has not done by then is in
/// the queue.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a job whenever it is time, and works off what is in its queue, until `stop`.
pub(crate) async fn run(job: Arc<Scheduled>, app: Arc<App>, stop: CancellationToken) {
    let remote = job.synchronizer.job().direction.remote().name();
    debug!(job = job.name(), remote, "the job is looked after");
    let mut times = Times::new(&job);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = until_read_only(&app, false) => {}
        }
        let due = times.next(&job).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = job.woken.notified() => times.work = Some(SystemTime::now()),
            () = tokio::time::sleep(due) => {}
        }
        act(&job, &app, &stop, &mut times).await;
    }
}

/// When something is to be done next.
struct Times {
    begun: SystemTime,
    /// When the first run is, of a job with an interval that never ran.
    first: Duration,
    /// When this server last told what a dry run found.
    last: Option<SystemTime>,
    /// When it runs next; none for never.
    run: Option<SystemTime>,
    /// The earliest time at which it may run, after it could not.
    run_not_before: Option<SystemTime>,
    /// When the queue is looked at next.
    work: Option<SystemTime>,
}

impl Times {
    fn new(job: &Scheduled) -> Self {
        let begun = SystemTime::now();
        let first = match &job.when {
            Some(When::Every(interval)) => FIRST_DELAY_MAX.min(*interval),
            _ => Duration::ZERO,
        };
        Self {
            begun,
            first: first.mul_f64(crate::purging::random_fraction()),
            last: None,
            run: None,
            run_not_before: None,
            // What an earlier process left is gone on with at once.
            work: Some(begun).filter(|_| !job.dry_run),
        }
    }

    /// How long until there is something to do, by whichever server ran the job last.
    async fn next(&mut self, job: &Scheduled) -> Duration {
        let now = SystemTime::now();
        self.run = match &job.when {
            Some(when) => Some(self.next_run(job, when).await).max(self.run_not_before),
            None => None,
        };
        let look = now + LOOK_INTERVAL;
        let due = [self.run, self.work, Some(look)].into_iter().flatten().min().unwrap_or(look);
        due.duration_since(now).unwrap_or_default()
    }

    async fn next_run(&self, job: &Scheduled, when: &When) -> SystemTime {
        let last = match job.synchronizer.status().await {
            Ok(status) => status.last,
            Err(failure) => {
                warn!(job = job.name(), error = %failure, "can't see when the job last ran");
                return SystemTime::now() + RETRY_AFTER;
            }
        };
        // A plan that broke off is still to be made, unless it was told of since by a dry run.
        let again = last.as_ref().and_then(|last| last.plan_again).map(SystemTime::from);
        if let Some(again) = again.filter(|again| self.last.is_none_or(|last| last < *again)) {
            return again;
        }
        let stored = last.and_then(|last| last.planned_at).map(SystemTime::from);
        when.due(stored.max(self.last), self.begun, self.first)
    }
}

/// Does what it is time for.
async fn act(job: &Scheduled, app: &App, stop: &CancellationToken, times: &mut Times) {
    let now = SystemTime::now();
    let is_due = |time: Option<SystemTime>| time.is_some_and(|time| time <= now);
    let runs = is_due(times.run);
    if job.dry_run {
        if runs {
            tell_plan(job, stop).await;
            times.last = Some(SystemTime::now());
        }
        return;
    }
    // A look whether another server left something is work, too.
    let token = stop.child_token();
    let outcome = match runs {
        true => attended(job.synchronizer.run(&token), app, stop, &token).await,
        false => attended(job.synchronizer.work(&token), app, stop, &token).await,
    };
    let ended = SystemTime::now();
    let wait = match outcome {
        Some(Ok(report)) => {
            tell(job, &report, runs);
            None
        }
        Some(Err(failure @ SyncError::Running)) => {
            debug!(job = job.name(), "{failure}");
            Some(BUSY_RETRY)
        }
        Some(Err(failure @ SyncError::Paused { until })) => {
            debug!(job = job.name(), "{failure}");
            Some(SystemTime::from(until).duration_since(ended).unwrap_or_default())
        }
        Some(Err(failure)) => {
            error!(job = job.name(), error = %failure, "the job failed");
            Some(RETRY_AFTER)
        }
        None => Some(BUSY_RETRY),
    };
    times.run_not_before = wait.filter(|_| runs).map(|wait| ended + wait);
    times.work = match wait {
        Some(wait) => Some(ended + wait),
        None => {
            let due = job.synchronizer.counts().next_due.map(SystemTime::from);
            Some(due.map_or(ended + LOOK_INTERVAL, |due| due.min(ended + LOOK_INTERVAL)))
        }
    };
}

/// Waits for work that is told to end when the server does, and when the storage becomes read-only.
/// None when it did not end in time, and was dropped.
async fn attended<T>(
    work: impl Future<Output = T>,
    app: &App,
    stop: &CancellationToken,
    token: &CancellationToken,
) -> Option<T> {
    let mut work = pin!(work);
    tokio::select! {
        outcome = &mut work => return Some(outcome),
        () = stop.cancelled() => {}
        () = until_read_only(app, true) => token.cancel(),
    }
    tokio::time::timeout(END_TIMEOUT, work).await.ok()
}

async fn until_read_only(app: &App, is_on: bool) {
    while app.read_only().is_on() != is_on {
        tokio::time::sleep(WRITABLE_LOOK_INTERVAL).await;
    }
}

fn tell(job: &Scheduled, report: &RunReport, is_run: bool) {
    let RunReport { planned, copied, skipped, failed, retried, left, bytes, .. } = *report;
    let job = job.name();
    if is_run || copied + failed + retried > 0 {
        info!(
            job,
            planned,
            copied,
            skipped,
            failed,
            retried,
            left,
            copied_bytes = bytes,
            stopped = report.stopped,
            "replication finished"
        );
    }
    tell_problems(job, &report.problems, report.problems_unlisted);
    if report.deferred > 0 {
        let deferred = report.deferred;
        warn!(job, deferred, "there is more than one run takes on; the next one goes on with it");
    }
}

fn tell_problems(job: &str, problems: &[Problem], unlisted: u64) {
    for Problem { repository, reference, reason } in problems {
        let reference = reference.as_deref().unwrap_or_default();
        warn!(job, repository, reference, "replication: {reason}");
    }
    if unlisted > 0 {
        warn!(job, unlisted, "there are more problems than are told");
    }
}

/// A run of a job that only says what it would do.
async fn tell_plan(job: &Scheduled, stop: &CancellationToken) {
    let Some(plan) = stop.run_until_cancelled(job.synchronizer.plan()).await else { return };
    let Plan { items, looked_at, problems, problems_unlisted, .. } = match plan {
        Ok(plan) => plan,
        Err(failure) => {
            error!(job = job.name(), error = %failure, "the job failed");
            return;
        }
    };
    let job = job.name();
    for item in &items {
        let (repository, reference, target) = (&item.repository, &item.reference, &item.target);
        let (digest, reason) = (&item.digest, item.reason);
        info!(job, repository, reference, target, digest, ?reason, "would be copied");
    }
    tell_problems(job, &problems, problems_unlisted);
    info!(job, looked_at, would_be_copied = items.len(), "dry run finished");
}
