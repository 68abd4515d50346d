//! When a registry dies and comes back, as its uploads see it, and how long the next death is away.
//!
//! By the specification a registry keeps what a connection that broke has brought. Some do not: docker-registry 2 throws an upload away whose
//! connection broke within a part, as it has more of it than it has said, and one without a configured secret throws all away when it starts.
//! Once that was seen, nothing is sent that would still be on its way when the registry dies as it has died before. Called by `upload`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::crew::lock;

/// So many lives are remembered.
const REMEMBERED: usize = 8;
/// Whoever lives longer than this is not waited for.
const LONGEST: Duration = Duration::from_secs(30);
/// A death that comes so much later than expected does not come.
const LATE: Duration = Duration::from_millis(700);
/// The same where the only life that was seen may have begun before that.
const LATER: Duration = Duration::from_secs(2);
/// The longest life of which a second one is waited for.
const OVERLOOKED: Duration = Duration::from_secs(5);
/// Which part of a life is made use of, and how much less of it each time that this was too much.
const USED: f64 = 0.75;
const LESS: f64 = 0.8;
const LEAST_USED: f64 = 0.3;
/// How long a registry that has died is asked again and again, before it is only one that is gone.
const GONE: Duration = Duration::from_secs(10);

/// What is known of a registry's lives.
#[derive(Debug, Default)]
pub struct Rhythm {
    state: Mutex<State>,
    /// Whether somebody has the only turn.
    taken: AtomicBool,
}

/// The right to be the only one who sends; it ends when dropped.
#[derive(Debug)]
pub struct Turn<'a>(&'a Rhythm);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
    }
}

#[derive(Debug)]
struct State {
    /// Since when it has answered; `None` before it first did, and since it died.
    up: Option<Instant>,
    /// When it died, until it is back.
    died: Option<Instant>,
    /// How long it has lived, of each life that was seen from its beginning.
    lives: VecDeque<Duration>,
    /// Whether this life was seen from its beginning.
    whole: bool,
    /// How long it was seen to live when it was first met.
    first: Option<Duration>,
    nature: Nature,
    used: f64,
    speed: Option<f64>,
}

impl Default for State {
    fn default() -> Self {
        let (lives, nature) = (VecDeque::new(), Nature::Keeps);
        Self { up: None, died: None, lives, whole: false, first: None, nature, used: USED, speed: None }
    }
}

/// What becomes of an upload when the registry dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nature {
    /// Nothing is lost, as far as is known.
    Keeps,
    /// It is lost if a part of it was on its way.
    LosesBroken,
    /// It is lost.
    LosesAll,
}

impl State {
    /// How long it lives at least, and at most.
    fn expected(&self) -> Option<(Duration, Duration)> {
        match (self.lives.iter().min(), self.lives.iter().max(), self.first) {
            // One death may have been overlooked: to wait for the next costs less than to lose all.
            (Some(least), Some(most), _) => Some((*least, *most + LATE + (*most).min(OVERLOOKED))),
            (_, _, first) => first.map(|first| (first, first + LATER)),
        }
    }
}

impl Rhythm {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// It has answered something.
    pub fn answered(&self) {
        let mut state = self.state();
        if state.up.is_none() {
            state.whole = state.died.take().is_some();
            state.up = Some(Instant::now());
        }
    }

    /// A connection broke over which something was asked at `began`, or none came about.
    pub fn broke(&self, began: Instant) {
        let mut state = self.state();
        if let Some(up) = state.up.filter(|up| *up <= began) {
            state.up = None;
            state.died = Some(Instant::now());
            if state.whole {
                state.lives.truncate(REMEMBERED - 1);
                state.lives.push_front(up.elapsed());
            } else {
                state.first = Some(up.elapsed());
            }
        }
    }

    /// It has lost an upload; `broken` if a part of it was on its way.
    pub fn lost(&self, nature: Nature) {
        let mut state = self.state();
        if nature == Nature::LosesBroken && state.nature == nature && !state.lives.is_empty() {
            state.used = (state.used * LESS).max(LEAST_USED);
        }
        state.nature = state.nature.max(nature);
    }

    /// What becomes of uploads there.
    pub fn nature(&self) -> Nature {
        self.state().nature
    }

    /// How long from now on something may be on its way. `None`: as long as it takes.
    pub fn room(&self) -> Option<Duration> {
        let mut state = self.state();
        let (shortest, latest) = state.expected()?;
        let (true, Some(up)) = (state.nature > Nature::Keeps && shortest < LONGEST, state.up) else { return None };
        let elapsed = up.elapsed();
        if elapsed > latest {
            // It goes on living, or has begun another life without our seeing it.
            state.lives.clear();
            state.first = None;
            return None;
        }
        Some(shortest.mul_f64(state.used).saturating_sub(elapsed))
    }

    /// Whether so many bytes can go before it dies; of what is too much for a life, whether most of one is left.
    #[expect(clippy::cast_precision_loss, reason = "a rough figure")]
    pub fn has_room_for(&self, bytes: u64) -> bool {
        let Some(room) = self.room() else { return true };
        let state = self.state();
        let Some((shortest, _)) = state.expected() else { return true };
        let most = shortest.mul_f64(state.used * 0.9);
        state.speed.is_none_or(|speed| room >= most.min(Duration::from_secs_f64(bytes as f64 / speed.max(1024.0))))
    }

    /// The right to be the only one who sends, unless somebody has it.
    pub fn turn(&self) -> Option<Turn<'_>> {
        (!self.taken.swap(true, Ordering::Acquire)).then(|| Turn(self))
    }

    /// For how long it has been gone, if it may well be back soon.
    pub fn away(&self) -> Option<Duration> {
        self.state().died.map(|died| died.elapsed()).filter(|away| *away < GONE)
    }

    /// How quickly it takes what it is sent, in bytes a second, as was last seen.
    pub fn speed(&self) -> Option<f64> {
        self.state().speed
    }

    /// So quickly something was taken.
    pub fn took(&self, speed: f64) {
        self.state().speed = Some(speed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that was seen to live for 2 s, and is in a life for so long now.
    fn living(elapsed: Duration, nature: Nature) -> Rhythm {
        let rhythm = Rhythm::default();
        {
            let mut state = rhythm.state();
            state.lives.push_front(Duration::from_secs(2));
            state.up = Instant::now().checked_sub(elapsed);
            state.nature = nature;
        }
        rhythm
    }

    #[test]
    fn only_whoever_loses_something_is_waited_for() {
        let second = Duration::from_secs(1);
        assert_eq!(living(second, Nature::Keeps).room(), None);
        let room = living(second, Nature::LosesBroken).room().unwrap();
        assert!(room > Duration::from_millis(300) && room < Duration::from_millis(550), "{room:?}");
        assert_eq!(living(2 * second, Nature::LosesAll).room(), Some(Duration::ZERO));
        assert_eq!(living(5 * second, Nature::LosesBroken).room(), None, "it has not died");
        assert_eq!(Rhythm::default().room(), None);
    }

    #[test]
    fn a_life_is_what_lies_between_a_return_and_a_death() {
        let rhythm = Rhythm::default();
        rhythm.broke(Instant::now());
        assert!(rhythm.state().lives.is_empty());
        rhythm.answered();
        let began = Instant::now();
        rhythm.broke(began);
        assert!(rhythm.state().lives.is_empty(), "nobody knows when that one began");
        rhythm.answered();
        rhythm.broke(began);
        assert_eq!(rhythm.away(), None, "that was asked in the life before");
        rhythm.broke(Instant::now());
        assert!(rhythm.away().is_some());
        assert!(rhythm.state().lives[0] < Duration::from_secs(1));
    }

    #[test]
    fn less_is_dared_after_each_loss() {
        let rhythm = living(Duration::ZERO, Nature::LosesBroken);
        let before = rhythm.room().unwrap();
        rhythm.lost(Nature::LosesBroken);
        let after = rhythm.room().unwrap();
        assert!(after < before.mul_f64(0.85), "{after:?} {before:?}");
        for _ in 0..20 {
            rhythm.lost(Nature::LosesBroken);
        }
        assert!(rhythm.room().unwrap() > Duration::from_millis(400));
    }
}
