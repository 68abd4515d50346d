//! What those in a shell or box may have done outside.

use serde::{Deserialize, Serialize};

/// Nothing, unless it was allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outward {
    /// Programs of this machine, each by a name without slashes, or by its whole path.
    pub programs: Vec<String>,
    /// Whether addresses and files are opened by what opens them on this machine.
    pub open: bool,
}

impl Outward {
    /// Allows one more program.
    pub fn allow(&mut self, program: &str) {
        if !self.programs.iter().any(|known| known == program) {
            self.programs.push(program.to_owned());
        }
    }
}
