//! Work that many ask for at once and that is done once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

/// What is being done just now, by what it is about.
pub(crate) struct Flights<K, T: Clone>(Arc<Mutex<Map<K, T>>>);

type Map<K, T> = HashMap<K, Shared<BoxFuture<'static, Option<T>>>>;

impl<K, T: Clone> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, T> Flights<K, T>
where
    K: Hash + Eq + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Waits for what is being done about `key`, or has `work` do it, in a task of its own that goes
    /// on without whoever asked for it. `None` when that task panicked.
    pub(crate) async fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let flight = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match flights.get(&key) {
                Some(flight) => flight.clone(),
                None => {
                    let landed = Landed { flights: Arc::clone(&self.0), key: key.clone() };
                    let work = work();
                    let task = tokio::spawn(async move {
                        let _landed = landed;
                        work.await
                    });
                    let flight = task.map(Result::ok).boxed().shared();
                    flights.insert(key, flight.clone());
                    flight
                }
            }
        };
        flight.await
    }
}

/// Takes a flight off the list at its end, however it ends.
struct Landed<K: Hash + Eq, T: Clone> {
    flights: Arc<Mutex<Map<K, T>>>,
    key: K,
}

impl<K: Hash + Eq, T: Clone> Drop for Landed<K, T> {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_cost_one_and_the_next_costs_another() {
        let flights = Flights::<u8, usize>::default();
        let (done, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let work = || {
            let (done, gate) = (Arc::clone(&done), Arc::clone(&gate));
            async move {
                let _ = gate.acquire().await;
                done.fetch_add(1, Ordering::Relaxed) + 1
            }
        };
        let open = async {
            tokio::task::yield_now().await;
            gate.add_permits(100);
        };
        let (first, second, ()) = tokio::join!(flights.join(1, work), flights.join(1, work), open);
        assert_eq!((first, second), (Some(1), Some(1)));
        assert_eq!(flights.join(1, work).await, Some(2));
        assert!(flights.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn it_goes_on_without_whoever_asked_for_it() {
        let flights = Flights::<u8, u8>::default();
        let (began, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let work = || {
            let (began, go) = (Arc::clone(&began), Arc::clone(&go));
            async move {
                began.add_permits(1);
                let _ = go.acquire().await;
                7
            }
        };
        tokio::select! {
            _ = flights.join(1, work) => panic!("it can't be done"),
            _ = began.acquire() => {}
        }
        go.add_permits(1);
        let again = flights.join(1, || async { 8 }).await;
        assert_eq!(again, Some(7));
    }

    #[tokio::test]
    async fn a_panic_is_an_end_as_well() {
        let flights = Flights::<u8, u8>::default();
        assert_eq!(flights.join(1, || async { panic!("on purpose") }).await, None);
        assert_eq!(flights.join(1, || async { 1 }).await, Some(1));
    }
}
