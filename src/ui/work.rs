//! How far something is whose length is known: one line that moves on a terminal, and nothing elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::human;

/// Between two drawings of the line.
const PERIOD: Duration = Duration::from_millis(100);

/// The line. It leaves nothing on the screen.
#[derive(Debug)]
pub struct WorkProgress {
    bar: ProgressBar,
    what: &'static str,
    done: AtomicU64,
    total: u64,
}

impl WorkProgress {
    pub(super) fn new(what: &'static str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is constant, and known to be one.
        bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(PERIOD);
        Self { bar, what, done: AtomicU64::new(0), total }
    }

    /// So many bytes more are done.
    pub fn add(&self, bytes: u64) {
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        let done = before + bytes;
        // The line is drawn by a thread of its own; a text for each chunk would cost more than hashing it.
        if before == 0 || before >> 24 != done >> 24 {
            let total = self.total.max(done);
            let percent = (u128::from(done) * 100).checked_div(total.into()).unwrap_or(100);
            self.bar.set_message(format!(
                "{}: {} of {} ({percent}%)",
                self.what,
                human::size(done),
                human::size(total)
            ));
        }
    }

    /// Takes it off the screen.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
