//! What an upload has gone through: how much the registry had of it at best, and how often it has lost that. Called by `upload`.

/// After so many bytes more than ever before earlier troubles are forgotten.
const FORGIVEN: u64 = 1 << 20;
/// How often a registry may lose what it had of a blob.
const MAX_LOST: u32 = 12;

/// For how many lives of a registry nothing is sent because none seems to be long enough.
const MAX_WAITED: u32 = 3;

/// Counts troubles.
#[derive(Debug, Default)]
pub struct Trials {
    /// How much the registry had at best, since it was begun or lost.
    best: u64,
    /// At how much of that earlier troubles were forgotten.
    forgiven_at: u64,
    lost: u32,
    /// Whether bytes were on their way when something was last asked.
    pub on_the_way: bool,
    /// Whether the next death is no failure: something was done since the last one, or it was waited for.
    pub is_forgiven: bool,
    /// Whether somebody was told that the registry is waited for.
    pub is_told: bool,
    /// How often it has died since something was sent.
    deaths: u32,
}

impl Trials {
    /// So much is there.
    pub fn there(&mut self, bytes: u64) {
        self.best = self.best.max(bytes);
    }

    /// Something is sent from now on.
    pub fn sending(&mut self) {
        (self.on_the_way, self.is_forgiven, self.is_told, self.deaths) = (true, false, false, 0);
    }

    /// The registry has died.
    pub fn died(&mut self) {
        self.deaths += 1;
    }

    /// Whether it was waited for a better time often enough: there may be none.
    pub fn have_lasted(&self) -> bool {
        self.deaths > MAX_WAITED
    }

    /// Whether so much has got there since the last trouble that all earlier ones are forgotten.
    pub fn forgives(&mut self) -> bool {
        let forgives = self.best >= self.forgiven_at + FORGIVEN;
        if forgives {
            self.forgiven_at = self.best;
            self.is_forgiven = true;
        }
        forgives
    }

    /// The registry has nothing of it any more. Tells whether it had something.
    pub fn lost(&mut self) -> bool {
        let had = self.best > 0;
        self.lost += u32::from(had);
        (self.best, self.forgiven_at, self.on_the_way) = (0, 0, false);
        had
    }

    /// Whether it was lost so often that it will be lost again.
    pub fn are_too_many(&self) -> bool {
        self.lost > MAX_LOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gets_further_is_forgiven_and_what_is_always_lost_is_not() {
        let mut trials = Trials::default();
        trials.there(FORGIVEN - 1);
        assert!(!trials.forgives());
        trials.there(FORGIVEN);
        assert!(trials.forgives() && trials.is_forgiven && !trials.forgives());
        for _ in 0..=MAX_LOST {
            assert!(!trials.are_too_many());
            trials.there(1);
            assert!(trials.lost() && !trials.lost());
        }
        assert!(trials.are_too_many());
        (0..=MAX_WAITED).for_each(|_| trials.died());
        assert!(trials.have_lasted());
        trials.sending();
        assert!(!trials.have_lasted());
    }
}
