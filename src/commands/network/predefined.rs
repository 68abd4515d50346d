//! The networks that are always there, and that nobody makes or removes.

use crate::failure::{Failure, VERB_FAILED};

/// One of them.
#[derive(Debug)]
pub struct Predefined {
    /// Its name.
    pub name: &'static str,
    /// Other words for it.
    aliases: &'static [&'static str],
    /// Docker's word for how it works, or the program's.
    pub driver: &'static str,
    /// 64 hex digits that no other has.
    pub id: &'static str,
}

/// All of them, by name.
pub const ALL: &[Predefined] = &[
    Predefined {
        name: "host",
        aliases: &[],
        driver: "host",
        id: "686f737400000000000000000000000000000000000000000000000000000000",
    },
    Predefined {
        name: "none",
        aliases: &[],
        driver: "null",
        id: "6e6f6e6500000000000000000000000000000000000000000000000000000000",
    },
    Predefined {
        name: "pasta",
        aliases: &["bridge", "default"],
        driver: "pasta",
        id: "7061737461000000000000000000000000000000000000000000000000000000",
    },
];

/// Whom a word means.
pub fn find(typed: &str) -> Option<&'static Predefined> {
    let by_id = |one: &Predefined| typed.len() >= 12 && one.id.starts_with(typed);
    ALL.iter().find(|one| one.name == typed || one.aliases.contains(&typed) || by_id(one))
}

/// Refuses what cannot be done to any of them.
pub fn refuse(typed: &str, what: &str) -> Result<(), Failure> {
    match find(typed) {
        None => Ok(()),
        Some(one) => Err(Failure::new(format!("{} is a pre-defined network and cannot be {what}", one.name))
            .with_hint("see which networks are your own with `enter network ls --filter type=custom`")
            .with_code(VERB_FAILED)),
    }
}
