//! Several threads that work off one queue. Pulls and pushes have their layers done by such a crew.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::Error;
use super::http::Http;

/// Does `work` on each of `items`, `workers` of them at once, and returns what came of it, in no order.
///
/// # Errors
/// The first that ended it: from then on all requests are given up, and what the others then say is not the news.
pub fn each<I: Send, T: Send>(
    http: &Http<'_>,
    workers: usize,
    items: VecDeque<I>,
    work: impl Fn(I) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let (queue, done) = (Mutex::new(items), Mutex::new(Vec::new()));
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = lock(&queue).pop_front();
                    let Some(item) = next.filter(|_| !http.is_given_up()) else { return };
                    match work(item) {
                        Ok(result) => lock(&done).push(result),
                        Err(error) => {
                            http.give_up();
                            let mut failed = lock(&failed);
                            if failed.as_ref().is_none_or(|earlier| matches!(earlier, Error::GivenUp)) {
                                *failed = Some(error);
                            }
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// Locks, also after another thread has panicked: nothing that is kept so is left half changed.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
