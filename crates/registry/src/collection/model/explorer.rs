//! Goes through all orders.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::stepped::{Stage, Stepped};
use crate::claims::{Claims, Clock, Timing};
use crate::{Options, Registry};

/// How long nothing may have happened to something for it to go.
pub(super) const GRACE: Duration = Duration::from_secs(1000);

/// For how long what was written counts as pinned where no link leads to it.
pub(super) const YOUNG: Duration = Duration::from_secs(100);

/// What an announcement that was looked at is good for, in ticks: to begin with for less than one,
/// to end with for two. A collector waits for four.
const TIMING: Timing = Timing {
    fresh: Duration::from_secs(10),
    valid: Duration::from_secs(30),
    wait: Duration::from_secs(40),
    batch: Duration::from_secs(200),
};

const TICK: Duration = Duration::from_secs(11);

/// How many ticks a long while has: after it an announcement is good for nothing, and a collector has
/// waited long enough.
const LONG: u32 = 4;

/// What an actor does: a client's push, or a collection. An error is a push that failed.
pub(super) type Act = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// The actors and what must hold.
pub(super) trait Scenario {
    /// How many actors there are.
    const ACTORS: usize;
    /// How often a tick and a long while may pass while somebody could act. They pass anyway while
    /// nobody can.
    const TICKS: u32;
    /// The same for long whiles.
    const WHILES: u32;
    /// How many actors may be killed, the first ones.
    const MORTALS: usize = 0;
    /// How old what was prepared is at the beginning.
    const AGE: Duration = GRACE.saturating_mul(3);
    /// Whether a push of a tag that is there shows.
    const RENEWS: bool = false;

    /// Brings things about as they are at the beginning.
    fn prepare(&self, world: &World) -> impl Future<Output = ()>;

    /// What an actor does.
    fn act(&self, actor: usize, registry: Arc<Registry>) -> Act;

    /// What must hold in the end.
    fn check(&self, world: &World) -> impl Future<Output = Result<(), String>>;
}

/// A storage, and servers on it.
pub(super) struct World {
    pub(super) stage: Arc<Stage>,
    pub(super) clock: Clock,
    renew_tags: bool,
}

impl World {
    /// A server with nothing in its memory.
    pub(super) fn server(&self, actor: usize) -> Arc<Registry> {
        let driver = Arc::new(Stepped { stage: Arc::clone(&self.stage), actor });
        let options = Options { grace: GRACE, renew_tags: self.renew_tags, ..Options::default() };
        let mut registry = Registry::new(driver.clone(), options);
        registry.claims =
            Claims::new(&*driver, GRACE).with_clock(self.clock, TIMING).with_young(YOUNG);
        Arc::new(registry)
    }
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Act(usize),
    Tick,
    While,
    Kill(usize),
}

/// What came of going through all orders.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) states: usize,
    pub(super) ends: usize,
    /// The first order in which something did not hold.
    pub(super) violation: Option<String>,
}

/// Goes through all orders, or up to the first in which something does not hold.
pub(super) fn explore<S: Scenario>(scenario: &S) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut seen = HashSet::new();
    let mut outcome = Outcome::default();
    let mut open: Vec<Vec<Choice>> = vec![Vec::new()];
    while let Some(prefix) = open.pop() {
        let violation =
            runtime.block_on(play(scenario, prefix, &mut seen, &mut open, &mut outcome));
        if violation.is_some() {
            outcome.violation = violation;
            break;
        }
    }
    outcome.states = seen.len();
    outcome
}

/// Plays one order to its end, and notes the others that branch off.
async fn play<S: Scenario>(
    scenario: &S,
    prefix: Vec<Choice>,
    seen: &mut HashSet<u64>,
    open: &mut Vec<Vec<Choice>>,
    outcome: &mut Outcome,
) -> Option<String> {
    let clock =
        Clock::Of(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), Instant::now());
    let world = World { stage: Stage::new(S::ACTORS, clock), clock, renew_tags: S::RENEWS };
    scenario.prepare(&world).await;
    tokio::time::advance(S::AGE).await;
    world.stage.set_stepped(true);
    let mut troupe = Troupe {
        acts: (0..S::ACTORS).map(|i| Some(scenario.act(i, world.server(i)))).collect(),
        ticks: S::TICKS,
        whiles: S::WHILES,
        killed: false,
        failure: None,
    };
    let mut path = Vec::with_capacity(prefix.len() + 64);
    for actor in 0..S::ACTORS {
        troupe.poll(actor, &world.stage);
    }
    loop {
        let choices = troupe.choices::<S>(&world.stage);
        let Some(first) = choices.first().copied() else { break };
        let choice = match prefix.get(path.len()) {
            Some(choice) => *choice,
            None => {
                if !seen.insert(world.stage.fingerprint((troupe.ticks, troupe.whiles)).await) {
                    return None;
                }
                for other in &choices[1..] {
                    let mut branch = path.clone();
                    branch.push(*other);
                    open.push(branch);
                }
                first
            }
        };
        path.push(choice);
        troupe.take(choice, &world.stage).await;
        if let Some(failure) = &troupe.failure {
            return Some(format!("{failure}\nafter {path:?}"));
        }
        assert!(path.len() < 2000, "it has no end: {path:?}");
    }
    outcome.ends += 1;
    world.stage.set_stepped(false);
    let checked = scenario.check(&world).await;
    checked.err().map(|failure| format!("{failure}\nafter {path:?}"))
}

struct Troupe {
    acts: Vec<Option<Act>>,
    /// How many of each may still pass.
    ticks: u32,
    whiles: u32,
    killed: bool,
    failure: Option<String>,
}

impl Troupe {
    fn choices<S: Scenario>(&self, stage: &Stage) -> Vec<Choice> {
        let alive = |actor: &usize| self.acts[*actor].is_some();
        let mut choices: Vec<_> = (0..self.acts.len())
            .filter(|actor| alive(actor) && stage.is_waiting(*actor))
            .map(Choice::Act)
            .collect();
        let anybody = (0..self.acts.len()).any(|actor| alive(&actor));
        if anybody && (choices.is_empty() || self.ticks > 0) {
            choices.push(Choice::Tick);
        }
        if anybody && self.whiles > 0 {
            choices.push(Choice::While);
        }
        if !self.killed {
            choices.extend((0..S::MORTALS).filter(alive).map(Choice::Kill));
        }
        choices
    }

    async fn take(&mut self, choice: Choice, stage: &Stage) {
        match choice {
            Choice::Act(actor) => {
                stage.give_turn(actor);
                self.poll(actor, stage);
            }
            Choice::Tick => {
                self.ticks = self.ticks.saturating_sub(1);
                self.pass(1, stage).await;
            }
            Choice::While => {
                self.whiles -= 1;
                self.pass(LONG, stage).await;
            }
            Choice::Kill(actor) => {
                self.killed = true;
                self.acts[actor] = None;
                stage.forget(actor);
            }
        }
    }

    async fn pass(&mut self, ticks: u32, stage: &Stage) {
        stage.pass(u64::from(ticks));
        tokio::time::advance(ticks * TICK).await;
        for actor in 0..self.acts.len() {
            self.poll(actor, stage);
        }
    }

    /// Has an actor go on until it waits for its turn or for time to pass.
    fn poll(&mut self, actor: usize, stage: &Stage) {
        let mut context = Context::from_waker(Waker::noop());
        // It may give way to others now and then.
        for _ in 0..4 {
            let Some(act) = &mut self.acts[actor] else { return };
            match act.as_mut().poll(&mut context) {
                Poll::Ready(outcome) => {
                    self.acts[actor] = None;
                    self.failure = outcome.err();
                    return;
                }
                Poll::Pending if stage.is_waiting(actor) => return,
                Poll::Pending => {}
            }
        }
    }
}
