//! What the end-to-end tests stand on: a user with a home of its own, a real registry, and a terminal.
//!
//! Nothing here skips. What a test needs and is not there is a failure that names it; `helpers/test.sh` installs it all.

// Each test program includes this and uses a part of it.
#![allow(dead_code, unused_imports)]

pub mod guarded;
pub mod hub;
pub mod pty;
pub mod tokens;
pub mod user;

pub use guarded::Guarded;
pub use hub::hub;
pub use pty::Terminal;
pub use user::{ENTER, Outcome, User};

use std::time::{Duration, Instant};

/// Runs tests on each of the drivers that can keep a container's changes: functions that take a [`User`].
#[macro_export]
macro_rules! on_both_drivers {
    ($($name:ident),+ $(,)?) => {
        mod overlay {
            $(#[test]
            fn $name() {
                super::$name(&$crate::support::User::on("overlay"));
            })+
        }

        mod fuse {
            $(#[test]
            fn $name() {
                super::$name(&$crate::support::User::on("fuse"));
            })+
        }
    };
}

/// How long anything may take before a test gives up on it. No test asserts a time; this only ends what hangs.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Waits until `look` finds something, and says what was waited for where it never does.
#[track_caller]
pub fn wait_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_for_some(look).unwrap_or_else(|| panic!("waited {DEADLINE:?} for {what}"))
}

/// Waits until `look` finds something; None after [`DEADLINE`].
pub fn wait_for_some<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
