//! Makes requests of one kind against the real server, all in one thread and one process:
//! `hotpaths SCENARIO COUNT`. `bench/instructions` runs it under callgrind with two counts, whose
//! difference is what the requests cost, without the start.
//!
//! Reads go to a registry in memory, since callgrind knows no `openat2` and would show the way
//! around it. Pushes go to a real directory.

mod client;
mod scenario;

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use registry::Registry;
use server::{App, ListenAddress, Listener, ServerOptions};
use storage::Driver;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;

use client::Client;
use scenario::Scenario;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(count), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: hotpaths SCENARIO COUNT, where SCENARIO is one of {}", Scenario::names());
    };
    let scenario = Scenario::named(&name)
        .with_context(|| format!("no scenario {name}: there are {}", Scenario::names()))?;
    let count: u32 = count.parse().with_context(|| format!("COUNT is {count}"))?;
    let directory = tempfile::tempdir()?;
    let driver: Arc<dyn Driver> = if scenario.pushes() {
        Arc::new(Filesystem::open(FilesystemOptions::new(directory.path()))?)
    } else {
        Arc::new(Memory::new())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(driver, scenario, count))
}

async fn run(driver: Arc<dyn Driver>, scenario: Scenario, count: u32) -> Result<()> {
    let registry = Registry::new(driver, registry::Options::default());
    let app = Arc::new(App::new(Arc::new(registry), ServerOptions::default()));
    let listener = Listener::bind(&ListenAddress::tcp("127.0.0.1:0")?).await?;
    let address = listener.local_address().context("a TCP listener has an address")?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, app, async {
        let _ = stopped.await;
    }));
    let mut client = Client::connect(address).await?;
    let requests = scenario.prepare(&mut client).await?;
    for number in 0..count {
        requests.make(&mut client, number).await?;
    }
    drop(client);
    let _ = stop.send(());
    serving.await?;
    Ok(())
}
