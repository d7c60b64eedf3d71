//! Work that is in no hurry, kept out of the way of requests.

use std::io;
use std::thread;

use rustix::process::{getpriority_process, setpriority_process};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::debug;

/// SCHED_IDLE (sched(7)): whoever else wants a processor gets it at once, also in the middle of what
/// would be the time slice of this work; with a lower priority alone, a request waits for its end.
const POLICY: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

/// How far the priority of such work is lowered (nice(2)), for where the policy is not to be had: the
/// work gets about a tenth of a processor that both want.
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

/// Has this thread give way, as Linux takes "this process" here (setpriority(2)).
fn give_way(lowered: i32) {
    // It sets the policy, and then a priority that is allowed only to some, and not wanted.
    let asked = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, POLICY);
    if let (Err(error), Ok(policy)) = (asked, thread_schedule_policy())
        && policy != POLICY
    {
        debug!(?error, "a thread could not be made to run only when nothing else does");
    }
    if let Err(error) = setpriority_process(None, lowered) {
        debug!(%error, "the priority of a thread could not be lowered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The priority and the policy of the thread that asks.
    fn here() -> (i32, ThreadSchedulePolicy) {
        (getpriority_process(None).unwrap(), thread_schedule_policy().unwrap())
    }

    #[tokio::test]
    async fn work_and_what_blocks_for_it_give_way_and_nothing_else_does() {
        let before = here();
        assert_ne!(before.1, POLICY);
        let (send, receive) = oneshot::channel();
        let work = async move {
            let blocking = tokio::task::spawn_blocking(here);
            send.send((here(), blocking.await.unwrap())).unwrap();
        };
        spawn("aside-test", work).unwrap().await.unwrap();
        let given_way = ((before.0 + NICENESS).min(19), POLICY);
        assert_eq!(receive.await.unwrap(), (given_way, given_way));
        assert_eq!(tokio::task::spawn_blocking(here).await.unwrap(), before);
        assert_eq!(here(), before);
    }
}
