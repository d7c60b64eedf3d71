//! Kills a registry at random moments under a push load, starts it again, and checks that all it
//! acknowledged is there and whole. See `e2e/crash`.
//!
//! SIGKILL takes the process and leaves the page cache, so this is about the order of operations
//! on the volume and not about power failures; those are for the tests of the `storage` crate.
#![allow(clippy::print_stdout, reason = "a program that reports to who started it")]

mod http;
mod ledger;
mod random;
mod report;
mod server;
mod verify;
mod volume;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use clap::Parser;

use ledger::Ledger;
use random::Random;
use report::{Report, count};
use server::{Server, Settings};
use verify::Verification;
use volume::Volume;
use worker::{Round, Session, Worker};

const CLIENTS: usize = 6;
/// The kill comes this long after the load began, at most.
const LOAD_MAX: Duration = Duration::from_millis(400);
/// One kill in so many hits a server that is still starting, within this time.
const KILL_AT_START_ONE_IN: u64 = 12;
const START_MAX: Duration = Duration::from_millis(30);
/// A volume is given up after this many kills, so that a long run needs no more disk than a short.
const KILLS_PER_VOLUME: u64 = 10;

/// Kills a registry at random moments and checks what it acknowledged.
#[derive(Debug, Parser)]
struct Arguments {
    /// The registry; it is started as `BINARY serve CONFIG`.
    #[arg(long)]
    binary: PathBuf,
    /// A directory for volumes and logs.
    #[arg(long)]
    directory: PathBuf,
    /// How often to kill it.
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Gives the operations and the moments of the kills; how they meet is up to the machine.
    #[arg(long)]
    seed: Option<u64>,
    /// Goes on after something was wrong, to see what else is.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(seed_of_now);
    println!("crash: {} kills, seed {seed}", arguments.kills);
    let report = Report::default();
    let started = Instant::now();
    let ended = run(&arguments, seed, &report);
    report.print();
    println!("crash: {} s", started.elapsed().as_secs());
    ended?;
    let missing = report.missing();
    let code = if report.violations() > 0 {
        println!("crash: FAIL; once more: e2e/crash {} {seed}", arguments.kills);
        ExitCode::FAILURE
    } else if !missing.is_empty() {
        println!("crash: FAIL: too little took place: {}", missing.join(", "));
        ExitCode::FAILURE
    } else {
        println!("crash: passed");
        ExitCode::SUCCESS
    };
    Ok(code)
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ now.as_secs() << 20
}

fn run(arguments: &Arguments, seed: u64, report: &Report) -> Result<()> {
    let mut random = Random::new(seed);
    let mut kills = 0;
    while kills < arguments.kills {
        let directory = arguments.directory.join(format!("kills-from-{kills}"));
        fs::create_dir_all(&directory)?;
        let share = KILLS_PER_VOLUME.min(arguments.kills - kills);
        let random = random.fork();
        Life::begin(arguments, &directory, report, random, kills)?.live(share)?;
        kills += share;
        if report.violations() == 0 || arguments.keep_going {
            fs::remove_dir_all(&directory)?;
        }
        let enough = report.violations() >= report::VIOLATIONS_MAX;
        if enough || (report.violations() > 0 && !arguments.keep_going) {
            println!("crash: stopped after {kills} kills; kept {}", directory.display());
            return Ok(());
        }
    }
    Ok(())
}

/// The life of one volume.
struct Life<'a> {
    report: &'a Report,
    settings: Settings,
    volume: Volume,
    ledger: Ledger,
    random: Random,
    server: Server,
    /// Number of the next kill.
    number: u64,
}

impl<'a> Life<'a> {
    fn begin(
        arguments: &Arguments,
        directory: &Path,
        report: &'a Report,
        random: Random,
        number: u64,
    ) -> Result<Self> {
        let root = directory.join("volume");
        fs::create_dir_all(&root)?;
        let settings = Settings::write(&arguments.binary, directory, &root)?;
        let mut server = Server::spawn(&settings)?;
        server.wait(&settings)?;
        let (volume, ledger) = (Volume::new(root), Ledger::default());
        Ok(Self { report, settings, volume, ledger, random, server, number })
    }

    /// Kills it this often, then checks everything once more.
    fn live(mut self, kills: u64) -> Result<()> {
        for _ in 0..kills {
            let sessions = self.load_and_kill()?;
            self.number += 1;
            self.walk()?;
            self.start_again()?;
            self.verify(false, sessions);
        }
        self.verify(true, Vec::new());
        self.kill()?;
        let when = format!("at the end, after kill {}", self.number);
        self.volume.last_walk(self.report, &when).context("walking the volume")
    }

    /// Lets the clients work until the server is killed among them.
    fn load_and_kill(&mut self) -> Result<Vec<Session>> {
        let killed = AtomicBool::new(false);
        let round = Round {
            number: self.number,
            address: self.settings.address,
            ledger: &self.ledger,
            report: self.report,
            killed: &killed,
        };
        let workers: Vec<Worker<'_>> =
            (0..CLIENTS).map(|id| Worker::new(&round, id, self.random.fork())).collect();
        let load_us = self.random.below(1 + LOAD_MAX.as_micros() as u64);
        let server = &mut self.server;
        let (sessions, ended) = thread::scope(|scope| {
            let threads: Vec<_> =
                workers.into_iter().map(|worker| scope.spawn(move || worker.run())).collect();
            thread::sleep(Duration::from_micros(load_us));
            killed.store(true, SeqCst);
            let ended = server.kill();
            let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
            (joined.collect::<Vec<_>>(), ended)
        });
        self.ended_by_itself(ended?);
        count(&self.report.counters.kills, 1);
        let mut all = Vec::new();
        for sessions in sessions {
            all.extend(sessions.map_err(|_| anyhow::anyhow!("a client panicked"))?);
        }
        Ok(all)
    }

    fn ended_by_itself(&self, status: Option<String>) {
        if let Some(status) = status {
            let log = server::last_lines(&self.settings.log);
            self.report.violation(format!("the server ended by itself ({status}): {log}"));
        }
    }

    fn kill(&mut self) -> Result<()> {
        let ended = self.server.kill()?;
        self.ended_by_itself(ended);
        Ok(())
    }

    /// Starts the server, which may be killed once more before it serves.
    fn start_again(&mut self) -> Result<()> {
        self.server = Server::spawn(&self.settings)?;
        if self.random.below(KILL_AT_START_ONE_IN) == 0 {
            let wait_us = self.random.below(START_MAX.as_micros() as u64);
            thread::sleep(Duration::from_micros(wait_us));
            self.kill()?;
            count(&self.report.counters.kills_at_start, 1);
            self.server = Server::spawn(&self.settings)?;
        }
        let time = self.server.wait(&self.settings)?;
        self.report.started_in(time);
        Ok(())
    }

    fn verify(&self, everything: bool, sessions: Vec<Session>) {
        let when = format!("after kill {}", self.number);
        let (address, ledger, report) = (self.settings.address, &self.ledger, self.report);
        Verification { address, ledger, report, when }.run(everything, sessions);
    }

    fn walk(&mut self) -> Result<()> {
        let when = format!("on the volume after kill {}", self.number);
        self.volume.walk(self.report, &when).context("walking the volume")
    }
}
