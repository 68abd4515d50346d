//! Ways back from a throwaway shell: `enter restore` brings one back that was left, `enter keep` makes one a box that still runs.

mod clear;
mod keep;
mod list;
mod restore;

use std::path::Path;

use enter::container::dropped::{self, Dropped};

use crate::failure::{Failure, VERB_FAILED};

pub use clear::{ROLE, play, sweep};
pub use keep::{keep, keep_as};
pub use restore::run as restore;

/// The one that was meant; the last where nothing was typed.
pub fn find(root: &Path, typed: Option<&str>) -> Result<Dropped, Failure> {
    let all = dropped::all(root);
    let fail = |failure: Failure| Err(failure.with_code(VERB_FAILED));
    let Some(typed) = typed else {
        let none = || {
            Failure::new("there is no shell to be restored")
                .with_hint("a throwaway shell is kept for a while after it was left, if something was changed in it")
                .with_code(VERB_FAILED)
        };
        return all.into_iter().next().ok_or_else(none);
    };
    // Numbers are short, and the beginning of an id as people copy it is long.
    const LONGEST_NUMBER: usize = 3;
    if typed.len() <= LONGEST_NUMBER
        && let Ok(number) = typed.parse::<usize>()
    {
        let found = number.checked_sub(1).and_then(|at| all.get(at).cloned());
        return found.map_or_else(|| fail(unknown(typed)), Ok);
    }
    let is_id = !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
    let ids: Vec<&Dropped> = all.iter().filter(|one| is_id && one.id.starts_with(typed)).collect();
    match &ids[..] {
        [one] => return Ok((*one).clone()),
        [] => {}
        _ => {
            return fail(
                Failure::new(format!("`{typed}` is the beginning of several ids")).with_hint("type more of the id"),
            );
        }
    }
    let is_of =
        |one: &&Dropped| one.record().is_ok_and(|record| record.name == typed || record.spec.image.name == typed);
    all.iter().find(is_of).cloned().map_or_else(|| fail(unknown(typed)), Ok)
}

fn unknown(typed: &str) -> Failure {
    Failure::new(format!("there is no shell `{typed}` to be restored")).with_hint(format!(
        "see which there are with `enter restore --list`; to make the last one a box of that name: enter restore -n {typed}"
    ))
}
