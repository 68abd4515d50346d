//! How much memory indexes may take while they are made. An image's layers come several at once, and each could describe millions
//! of files in a few bytes of gzip: so they share one room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number of bytes, shared by all who hold a clone of it.
#[derive(Clone, Debug)]
pub struct Room {
    limit: u64,
    taken: Arc<AtomicU64>,
    earned: Arc<AtomicU64>,
}

/// Bytes are taken in steps of this many, so that not every entry touches what others look at.
const STEP: u64 = 1 << 16;

impl Room {
    /// Room for so many bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, taken: Arc::default(), earned: Arc::default() }
    }

    /// Its size in bytes.
    pub fn limit(&self) -> u64 {
        self.limit.max(self.earned.load(Ordering::Relaxed))
    }

    /// So many bytes have come, compressed: whoever has sent more than the room has bytes is given as many.
    pub fn earn(&self, bytes: u64) {
        self.earned.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes nothing yet.
    pub(super) fn enter(&self) -> Held {
        Held { room: Some(self.clone()), bytes: 0 }
    }
}

/// A part of a room, given back when it is dropped. A copy of an index holds nothing.
#[derive(Debug, Default)]
pub(super) struct Held {
    room: Option<Room>,
    bytes: u64,
}

impl Held {
    /// Takes what is missing up to `bytes`; `false` where the room is full.
    pub fn grow(&mut self, bytes: u64) -> bool {
        let Some(room) = &self.room else { return true };
        if bytes <= self.bytes {
            return true;
        }
        let more = bytes - self.bytes + STEP;
        self.bytes += more;
        room.taken.fetch_add(more, Ordering::Relaxed).saturating_add(more) <= room.limit().saturating_add(STEP)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(room) = &self.room {
            room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Held {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Held {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_share_it_and_give_it_back() {
        let room = Room::new(10 * STEP);
        let (mut one, mut two) = (room.enter(), room.clone().enter());
        assert!(one.grow(5 * STEP) && one.grow(3 * STEP) && two.grow(4 * STEP));
        assert!(!two.grow(6 * STEP));
        drop(two);
        assert!(one.grow(10 * STEP));
        drop(one);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
        let mut three = room.enter();
        assert!(!three.grow(12 * STEP));
        room.earn(9 * STEP);
        assert_eq!(room.limit(), 10 * STEP);
        room.earn(9 * STEP);
        assert!(three.grow(15 * STEP) && room.limit() == 18 * STEP);
        assert!(Held::default().grow(u64::MAX));
    }
}
