//! Waiting until something changes in a folder: what follows a file asks here instead of looking again and again.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// How often one looks where the kernel has no more watches to give (inotify(7), `max_user_instances`).
const PERIOD: Duration = Duration::from_millis(100);

/// Folders that are watched.
#[derive(Debug)]
pub struct Changes(Option<Inotify>);

impl Changes {
    /// Watches some folders. One that is not there is not watched: whoever waits looks now and then anyway.
    pub fn within<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Self {
        let Ok(inotify) = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC) else { return Self(None) };
        let what = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_CLOSE_WRITE;
        let watched = folders.into_iter().filter(|folder| inotify.add_watch(*folder, what).is_ok()).count();
        Self((watched > 0).then_some(inotify))
    }

    /// Returns when something has changed since the last call, or after `patience`; a signal returns too.
    pub fn wait(&mut self, patience: Duration) {
        let Some(inotify) = &self.0 else { return std::thread::sleep(patience.min(PERIOD)) };
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)], timeout);
        while inotify.read_events().is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_change_ends_the_wait_also_one_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut changes = Changes::within([dir.path(), Path::new("/nonexistent")]);
        std::fs::write(dir.path().join("file"), "x").unwrap();
        let start = Instant::now();
        changes.wait(Duration::from_secs(100));
        assert!(start.elapsed() < Duration::from_secs(50));
        // All of that change was taken in.
        changes.wait(Duration::from_millis(1));
    }
}
