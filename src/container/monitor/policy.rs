//! Whether a container that has ended is started again, and when: docker's restart policies.

use std::time::Duration;

use crate::container::record::Restart;

/// The first pause; each is twice as long as the one before.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// A payload that has run for so long was well: the pauses begin anew.
const WELL: Duration = Duration::from_secs(10);

/// A restart policy at work.
#[derive(Debug)]
pub struct Policy {
    pause: Duration,
    count: u32,
}

impl Policy {
    /// At the container's start by hand.
    pub fn new() -> Self {
        Self { pause: Duration::ZERO, count: 0 }
    }

    /// The pause before the next start; `None` where the container stays as it is.
    ///
    /// `code`: what the payload ended with, after it has run for `ran`. `asked`: somebody asked it to end.
    pub fn after(&mut self, restart: Restart, code: i32, ran: Duration, asked: bool) -> Option<Duration> {
        let again = match restart {
            Restart::No => false,
            Restart::OnFailure { retries } => code != 0 && (retries == 0 || self.count < retries),
            Restart::Always | Restart::UnlessStopped => true,
        };
        if !again || asked {
            return None;
        }
        self.count += 1;
        self.pause = if self.pause.is_zero() || ran >= WELL { FIRST } else { (self.pause * 2).min(LONGEST) };
        Some(self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn pauses_double_until_a_run_went_well() {
        let mut policy = Policy::new();
        let mut pause = |ran| policy.after(Restart::Always, 0, ran, false).unwrap().as_millis();
        assert_eq!([pause(SHORT), pause(SHORT), pause(SHORT), pause(WELL), pause(SHORT)], [100, 200, 400, 100, 200]);
        assert_eq!((0..20).map(|_| pause(SHORT)).max(), Some(60_000));
    }

    #[test]
    fn each_policy_does_what_docker_s_does() {
        let after = |restart, code, asked| Policy::new().after(restart, code, SHORT, asked).is_some();
        assert!(!after(Restart::No, 1, false));
        assert!(after(Restart::Always, 0, false) && !after(Restart::Always, 0, true));
        assert!(after(Restart::UnlessStopped, 1, false) && !after(Restart::UnlessStopped, 1, true));
        assert!(!after(Restart::OnFailure { retries: 0 }, 0, false));
        let mut policy = Policy::new();
        let tries = (0..9).filter(|_| policy.after(Restart::OnFailure { retries: 3 }, 1, SHORT, false).is_some());
        assert_eq!(tries.count(), 3);
    }
}
