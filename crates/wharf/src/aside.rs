//! Work that is in no hurry, kept out of the way of requests.

use std::io;
use std::thread;

use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::debug;

/// How far the priority of such work is lowered (nice(2)): requests get a processor at once, and
/// the work about a tenth of one that both want.
const NICENESS: i32 = 10;

/// Runs work that reads and writes a local disk to its end, on a thread of its own whose calls that
/// block have threads of their own, too. All of them give way to those of the main runtime: a
/// request does not wait behind a piece of the work, neither for a worker nor for a processor.
///
/// # Errors
/// When there can be no such thread.
pub(crate) fn spawn(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    // Threads inherit it from each other, so that each must not lower it once more.
    let lowered = getpriority_process(None)? + NICENESS;
    let give_way = move || give_way(lowered);
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name(name)
        .on_thread_start(give_way)
        .build()?;
    let (ended, wait) = oneshot::channel::<()>();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        runtime.block_on(work);
        drop(ended);
    })?;
    Ok(tokio::spawn(async {
        // It is never sent anything: that it is gone is the end.
        let _ = wait.await;
    }))
}

/// Lowers the priority of this thread, as Linux takes "this process" here (setpriority(2)).
fn give_way(lowered: i32) {
    if let Err(error) = setpriority_process(None, lowered) {
        debug!(%error, "the priority of a thread could not be lowered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_and_what_blocks_for_it_give_way_and_nothing_else_does() {
        let before = getpriority_process(None).unwrap();
        let (send, receive) = oneshot::channel();
        let work = async move {
            let here = getpriority_process(None).unwrap();
            let blocking = tokio::task::spawn_blocking(|| getpriority_process(None).unwrap());
            send.send((here, blocking.await.unwrap())).unwrap();
        };
        spawn("aside-test", work).unwrap().await.unwrap();
        let lowered = (before + NICENESS).min(19);
        assert_eq!(receive.await.unwrap(), (lowered, lowered));
        let blocking = tokio::task::spawn_blocking(|| getpriority_process(None).unwrap());
        assert_eq!(blocking.await.unwrap(), before);
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
