//! The tables of contents of an image's layers, several at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::super::Error;
use super::super::crew::lock;
use super::job::Wanted;
use super::ranges::Fetcher;
use crate::image::Contents;
use crate::store::{Limits, MAX_TABLE, TAIL, Toc, Unfit};

/// So many are fetched at once: they are small, and what they cost is the way to the registry and back.
const AT_ONCE: usize = 8;

/// Fetches and reads the tables of some layers, in their order.
///
/// # Errors
/// Where one cannot be had, or cannot be used.
pub fn fetch(fetcher: &Fetcher<'_>, wanted: &[&Wanted], limits: &Limits) -> Result<Vec<Toc>, Error> {
    let queue = Mutex::new(wanted.iter().enumerate().collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    // Of a table more is in memory while it is read than is kept: one is read at a time.
    let reading = Mutex::new(());
    let bytes = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(wanted.len()) {
            scope.spawn(|| {
                loop {
                    let Some((at, wanted)) = lock(&queue).pop_front() else { return };
                    let table = one(fetcher, wanted, limits, &reading, &bytes);
                    if table.is_err() {
                        lock(&queue).clear();
                    }
                    lock(&done).push((at, table));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, table)| table).collect()
}

fn one(
    fetcher: &Fetcher<'_>,
    wanted: &Wanted,
    limits: &Limits,
    reading: &Mutex<()>,
    bytes: &AtomicU64,
) -> Result<Toc, Error> {
    let blob = &wanted.blob;
    let unfit = |source| Error::Table { layer: blob.digest.clone(), source };
    let enough = |length: u64| {
        let sum = bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length);
        if sum > MAX_TABLE { Err(unfit(Unfit::Long)) } else { Ok(()) }
    };
    match &wanted.contents {
        None => Err(unfit(Unfit::Wrong("there is none"))),
        Some(Contents::Chunked { digest, offset, length }) => {
            enough(*length)?;
            let frame = fetcher.fetch(blob, &(*offset..offset + length))?;
            let _reading = lock(reading);
            Toc::from_chunked(&frame, *offset, digest, limits).map_err(unfit)
        }
        Some(Contents::Stargz { digest }) => {
            let mut from = blob.size.saturating_sub(TAIL);
            for _ in 0..2 {
                enough(blob.size - from)?;
                let tail = fetcher.fetch(blob, &(from..blob.size))?;
                let _reading = lock(reading);
                match Toc::from_tail(&tail, blob.size, digest, limits).map_err(unfit)? {
                    Ok(toc) => return Ok(toc),
                    Err(sooner) => from = sooner,
                }
            }
            Err(unfit(Unfit::Wrong("its beginning moves")))
        }
    }
}
