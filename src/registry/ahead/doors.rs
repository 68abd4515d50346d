//! Those who read of layers that are on their way: a thread for each of their connections.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use cowfs::arriving;
use nix::sys::socket::{Shutdown, shutdown};

use crate::store::Arrival;

/// All open doors, and who is inside.
#[derive(Debug, Default)]
pub struct Doors {
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    closed: bool,
    next: u64,
    sockets: HashMap<u64, OwnedFd>,
    guests: usize,
}

impl Doors {
    /// Lets in whoever comes to read of a layer, until the doors are closed.
    pub fn keep<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        listener: OwnedFd,
        arrival: &'scope Arrival<'scope>,
    ) {
        scope.spawn(move || {
            let Some(door) = self.enter(&listener, false) else { return };
            while let Ok(guest) = arriving::accept(&listener) {
                let Some(number) = self.enter(&guest, true) else { break };
                scope.spawn(move || {
                    arriving::answer(&guest, arrival);
                    self.leave(number, true);
                });
            }
            self.leave(door, false);
        });
    }

    /// How many are inside.
    pub fn guests(&self) -> usize {
        self.inside().guests
    }

    /// Sends everybody away, who then looks for the layer at its place.
    pub fn close(&self) {
        let mut inside = self.inside();
        inside.closed = true;
        for socket in inside.sockets.values() {
            // One that is gone already needs no telling.
            let _ = shutdown(socket.as_raw_fd(), Shutdown::Both);
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` where the doors are closed.
    fn enter(&self, socket: &OwnedFd, guest: bool) -> Option<u64> {
        let mut inside = self.inside();
        if inside.closed {
            return None;
        }
        let number = inside.next;
        inside.sockets.insert(number, socket.try_clone().ok()?);
        inside.next += 1;
        inside.guests += usize::from(guest);
        Some(number)
    }

    fn leave(&self, number: u64, guest: bool) {
        let mut inside = self.inside();
        inside.sockets.remove(&number);
        inside.guests -= usize::from(guest);
    }
}
