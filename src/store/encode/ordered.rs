//! Work that is done on several threads and whose results come in order.

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread;

/// More threads than this are seldom faster than what the results are for.
const MAX_THREADS: usize = 16;

/// Makes the results of the jobs 0 to `count`, and gives them to `take` in that order. Of results that wait there are few.
///
/// # Errors
/// The first error, in order.
pub fn run<T: Send>(
    count: usize,
    make: impl Fn(usize) -> io::Result<T> + Sync,
    mut take: impl FnMut(T) -> io::Result<()>,
) -> io::Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from).clamp(1, MAX_THREADS).min(count.max(1));
    let make = &make;
    thread::scope(|scope| {
        let results: Vec<_> = (0..threads)
            .map(|first| {
                let (sender, receiver) = sync_channel(1);
                scope.spawn(move || {
                    for job in (first..count).step_by(threads) {
                        let made = make(job);
                        let is_last = made.is_err();
                        // Nobody listens any more after an error.
                        if sender.send(made).is_err() || is_last {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        for job in 0..count {
            let made = results[job % threads].recv().map_err(io::Error::other)?;
            take(made?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let mut all = Vec::new();
        run(
            1000,
            |job| Ok(job * 2),
            |made| {
                all.push(made);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(all, (0..1000).map(|job| job * 2).collect::<Vec<_>>());
        run(0, |_| Ok(()), |()| panic!("nothing to take")).unwrap();
    }

    #[test]
    fn the_first_error_ends_it() {
        let make = |job| if job == 500 { Err(io::Error::other("no")) } else { Ok(job) };
        let mut last = 0;
        assert!(
            run(10_000, make, |made| {
                last = made;
                Ok(())
            })
            .is_err()
        );
        assert_eq!(last, 499);
        assert!(run(10_000, Ok, |job| if job == 10 { Err(io::Error::other("full")) } else { Ok(()) }).is_err());
    }
}
