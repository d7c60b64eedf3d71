//! Pushes, for the jobs that copy them.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use oci::{Digest, Reference, RepositoryName, Tag};
use server::PushWatcher;
use tracing::error;

use super::Scheduled;

/// Who queues what was pushed; none when no job copies that.
pub(crate) fn watcher(jobs: &[Arc<Scheduled>]) -> Option<Arc<dyn PushWatcher>> {
    let jobs: Vec<_> = jobs.iter().filter(|job| job.on_push).cloned().collect();
    let watcher: Arc<dyn PushWatcher> = Arc::new(OnPush(jobs.clone()));
    Some(watcher).filter(|_| !jobs.is_empty())
}

/// The jobs that copy what is pushed.
#[derive(Debug)]
struct OnPush(Vec<Arc<Scheduled>>);

#[async_trait]
impl PushWatcher for OnPush {
    async fn pushed(&self, name: &RepositoryName, tags: &[Tag], digest: &Digest) {
        let references = match tags {
            [] => vec![Reference::Digest(*digest)],
            tags => tags.iter().cloned().map(Reference::Tag).collect(),
        };
        let queued = self.0.iter().map(|job| queue(job, name, &references, digest));
        join_all(queued).await;
    }
}

/// Queues what was pushed, and wakes who works on it. The push is done, whatever comes of it here:
/// what is not queued is copied by the next run.
async fn queue(job: &Scheduled, name: &RepositoryName, references: &[Reference], digest: &Digest) {
    for reference in references {
        match job.synchronizer.pushed(name, reference, *digest).await {
            Ok(true) => job.woken.notify_one(),
            Ok(false) => {}
            Err(failure) => error!(
                job = job.name(),
                repository = %name,
                %reference,
                error = %failure,
                "a push could not be queued to be copied; the next run of the job copies it"
            ),
        }
    }
}
