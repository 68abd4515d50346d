//! A connection over which a byte comes now and then is as dead as one over which none comes.

use std::time::Duration;

/// So many bytes at least must come within the time after which silence is a stall.
const LEAST: u64 = 1024;

/// Counts what comes, and how long it was waited for: the time in which nobody asked for more does not count.
#[derive(Debug)]
pub struct Pace {
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Starts to count; `window` is how long silence is borne.
    pub fn new(window: Duration) -> Self {
        Self { window, waited: Duration::ZERO, bytes: 0 }
    }

    /// Counts bytes that were waited for so long. `false` where too few have come in too long a time.
    pub fn keeps(&mut self, bytes: usize, waited: Duration) -> bool {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.waited += waited;
        if self.waited < self.window {
            return true;
        }
        let enough = self.bytes >= LEAST;
        *self = Self::new(self.window);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_a_stall_and_a_slow_stream_is_none() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(10 * second);
        assert!((0..9).all(|_| pace.keeps(1, second)) && !pace.keeps(1, second));
        assert!((0..100).all(|_| pace.keeps(103, second)));
    }
}
