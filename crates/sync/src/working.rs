//! Working off a queue: what is due, several at a time, until nothing is.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::SyncError;
use crate::copy::{Copy, Outcome};
use crate::engine::Engine;
use crate::fault::{Fault, Result};
use crate::limits::{ATTEMPTS_MAX, CONCURRENCY_MAX, FAILURES_IN_A_ROW_MAX, PAUSE, WAITED_FOR_MAX};
use crate::queue::{Item, Queue, key_of};
use crate::retries;
use crate::tally::Tally;

/// One pass over a queue.
pub(crate) struct Worker<'a> {
    engine: &'a Engine,
    queue: &'a Queue,
    tally: &'a Tally,
    /// Told when something is queued.
    queued: &'a Notify,
    /// What may be due, the oldest first.
    ids: VecDeque<Box<str>>,
    /// What is due later, by when.
    waiting: BTreeSet<(Timestamp, Box<str>)>,
    /// What is being copied, by id and by key.
    in_hand: HashSet<Box<str>>,
    keys_in_hand: HashSet<Box<str>>,
    /// What was given up at some time, by key.
    failed: HashSet<Box<str>>,
    failures_in_a_row: u32,
}

type Copies<'a> = FuturesUnordered<BoxFuture<'a, (Item, Result<Outcome>)>>;

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    /// How many items are queued.
    pub(crate) items: u64,
    pub(crate) stopped: bool,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        queue: &'a Queue,
        tally: &'a Tally,
        queued: &'a Notify,
    ) -> Self {
        Self {
            engine,
            queue,
            tally,
            queued,
            ids: VecDeque::new(),
            waiting: BTreeSet::new(),
            in_hand: HashSet::new(),
            keys_in_hand: HashSet::new(),
            failed: HashSet::new(),
            failures_in_a_row: 0,
        }
    }

    /// Works until nothing is due, nor will be soon.
    pub(crate) async fn run(mut self, stop: &CancellationToken) -> Result<Left, SyncError> {
        self.failed = self.queue.failed_keys().await?;
        self.list().await?;
        let mut copies = Copies::new();
        loop {
            self.take_due();
            let may_begin = !stop.is_cancelled() && self.paused_until().is_none();
            if may_begin {
                self.begin(&mut copies).await?;
            }
            if copies.is_empty() {
                if !may_begin {
                    break;
                }
                self.list().await?;
                if self.ids.is_empty() && !self.wait(stop).await {
                    break;
                }
                continue;
            }
            tokio::select! {
                Some((item, outcome)) = copies.next() => self.end(item, outcome).await?,
                // What is half done is given up; it is queued still.
                () = stop.cancelled() => copies.clear(),
                () = self.queued.notified(), if may_begin => self.list().await?,
                // A place is free for what is due by then.
                () = self.due(), if may_begin && copies.len() < self.at_once() => {}
            }
        }
        let items = self.queue.ids().await?.len();
        self.engine.queued.store(items, Ordering::Relaxed);
        let next_due = match (items, self.paused_until()) {
            (0, _) => None,
            (_, Some(paused)) => Some(paused),
            (_, None) => Some(self.first_due().unwrap_or_else(Timestamp::now)),
        };
        self.engine.totals.change(|counts| {
            (counts.queued, counts.next_due) = (items as u64, next_due);
        });
        Ok(Left { items: items as u64, stopped: stop.is_cancelled() })
    }

    /// Looks what is queued, beside what is known.
    async fn list(&mut self) -> Result<(), SyncError> {
        let ids = self.queue.ids().await?;
        self.engine.queued.store(ids.len(), Ordering::Relaxed);
        self.engine.totals.change(|counts| counts.queued = ids.len() as u64);
        let waiting: HashSet<_> = self.waiting.iter().map(|(_, id)| id.clone()).collect();
        let is_new = |id: &str| !self.in_hand.contains(id) && !waiting.contains(id);
        self.ids = ids.into_iter().filter(|id| is_new(id)).collect();
        Ok(())
    }

    /// Begins as many copies as may be made at once.
    async fn begin(&mut self, copies: &mut Copies<'a>) -> Result<(), SyncError> {
        let at_once = self.at_once();
        let mut passed_over = Vec::new();
        while copies.len() < at_once
            && let Some(id) = self.ids.pop_front()
        {
            // What copies the same has to end first.
            if self.keys_in_hand.contains(key_of(&id)) {
                passed_over.push(id);
                continue;
            }
            let Some(item) = self.queue.load(&id).await? else { continue };
            if let Some(due) = item.due.filter(|due| *due > Timestamp::now()) {
                self.waiting.insert((due, id));
                continue;
            }
            self.keys_in_hand.insert(item.key().into());
            self.in_hand.insert(id);
            let (engine, tally) = (self.engine, self.tally);
            let copy = async move {
                let outcome = copy(engine, tally, &item).await;
                (item, outcome)
            };
            copies.push(copy.boxed());
        }
        passed_over.into_iter().rev().for_each(|id| self.ids.push_front(id));
        Ok(())
    }

    /// Takes note of what came of an item.
    async fn end(&mut self, item: Item, outcome: Result<Outcome>) -> Result<(), SyncError> {
        self.in_hand.remove(item.id());
        self.keys_in_hand.remove(item.key());
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(Fault::Early(_)) if item.attempts + 1 >= ATTEMPTS_MAX => Outcome::Skipped,
            Err(fault) => return self.failed(item, &fault).await,
        };
        self.failures_in_a_row = 0;
        self.tally.settled(&item.repository, &item.reference);
        match outcome {
            Outcome::Copied => {
                self.tally.copied();
                self.engine.health.note_worked();
            }
            Outcome::Skipped => self.tally.skipped(),
        }
        tracing::info!(
            job = self.engine.job.name, repository = %item.repository, reference = %item.reference,
            outcome = ?outcome, "synchronized"
        );
        self.queue.remove(item.id()).await?;
        if self.failed.remove(item.key()) {
            self.queue.forgive(item.key()).await?;
        }
        Ok(())
    }

    async fn failed(&mut self, mut item: Item, fault: &Fault) -> Result<(), SyncError> {
        if fault.is_of_all() {
            self.failures_in_a_row += 1;
            if self.failures_in_a_row >= FAILURES_IN_A_ROW_MAX {
                self.engine.health.pause(PAUSE);
            }
        }
        self.engine.health.heed(fault);
        retries::note(&mut item, fault, self.engine.health.worked_at(), Timestamp::now());
        let is_given_up = fault.is_final() || item.attempts >= ATTEMPTS_MAX;
        self.tally.failed(!is_given_up);
        tracing::warn!(
            job = self.engine.job.name, repository = %item.repository, reference = %item.reference,
            attempts = item.attempts, is_given_up, error = item.error, "not synchronized"
        );
        if is_given_up {
            self.tally.settled(&item.repository, &item.reference);
            self.tally.problem(&item.repository, Some(&item.reference), fault.text());
            self.failed.insert(item.key().into());
            return Ok(self.queue.give_up(&item).await?);
        }
        self.queue.put(&item).await?;
        self.waiting.extend(item.due.map(|due| (due, item.id().into())));
        Ok(())
    }

    /// Waits for what is due soon; returns whether there is anything to do.
    async fn wait(&mut self, stop: &CancellationToken) -> bool {
        let Some(due) = self.first_due() else { return false };
        if until(due) > WAITED_FOR_MAX {
            return false;
        }
        tokio::select! {
            () = self.due() => {}
            () = stop.cancelled() => {}
            () = self.queued.notified() => {}
        }
        true
    }

    /// Waits until something is due; for ever when nothing will be.
    async fn due(&self) {
        match self.first_due() {
            Some(due) => tokio::time::sleep(until(due)).await,
            None => std::future::pending().await,
        }
    }

    /// Moves what is due by now to the front of what may be: the rest of the queue may be long.
    fn take_due(&mut self) {
        let now = Timestamp::now();
        let mut due = Vec::new();
        while self.waiting.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, id)) = self.waiting.pop_first()
        {
            due.push(id);
        }
        due.into_iter().rev().for_each(|id| self.ids.push_front(id));
    }

    fn at_once(&self) -> usize {
        self.engine.job.concurrency.clamp(1, CONCURRENCY_MAX)
    }

    fn paused_until(&self) -> Option<Timestamp> {
        self.engine.health.paused_until()
    }

    fn first_due(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(due, _)| *due)
    }
}

fn until(due: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default()
}

async fn copy(engine: &Engine, tally: &Tally, item: &Item) -> Result<Outcome> {
    Copy::new(engine, tally, &item.repository)?.run(&item.reference).await
}
