//! The memory that all zstd streams of this process have together: large windows one at a time, and what is decompressed ahead within a limit.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What all pieces that are decompressed ahead may take, compressed and not, in bytes.
const ROOM: usize = 40 << 20;

#[derive(Debug)]
struct Taken {
    large: bool,
    bytes: usize,
}

static TAKEN: Mutex<Taken> = Mutex::new(Taken { large: false, bytes: 0 });
static FREE: Condvar = Condvar::new();

fn taken() -> MutexGuard<'static, Taken> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to have a large window.
pub struct Turn(());

impl Turn {
    /// Waits until nobody else has one, and nobody has room, which from here on nobody gets. Who waits must have no room.
    pub fn wait() -> Self {
        let mut all = taken();
        while all.large {
            all = FREE.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
        all.large = true;
        while all.bytes > 0 {
            all = FREE.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        taken().large = false;
        FREE.notify_all();
    }
}

/// The right to decompress ahead.
#[derive(Default)]
pub struct Room(usize);

impl Room {
    /// Makes it so many bytes; `false` where there is no room for that, and it stays what it was.
    pub fn becomes(&mut self, bytes: usize) -> bool {
        let mut all = taken();
        let now = all.bytes - self.0 + bytes;
        if all.large || now > ROOM {
            return false;
        }
        (all.bytes, self.0) = (now, bytes);
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.0 > 0 {
            taken().bytes -= self.0;
            FREE.notify_all();
        }
    }
}
