//! Boxes: containers that are kept, and that one goes into as into a shell. `enter -n BOX IMAGE`, `enter BOX`, and what is done with them.

mod copy;
mod list;
mod make;
mod rebase;
mod remake;
mod set;
mod show;
mod visit;

use enter::container::record::Record;
use enter::container::{Container, Containers};

use crate::failure::{Failure, VERB_FAILED};

pub use copy::clone;
pub use list::ls;
pub use make::{made, make, spec};
pub use rebase::rebase;
pub use set::{is_set, set};
pub use visit::{Open, enter, image, inside, open, opened, refuse};

/// The longest host name.
const LONGEST_HOSTNAME: usize = 63;

/// The box of a name, if there is one. Any other container of that name is none.
pub fn named(containers: &Containers, name: &str) -> Result<Option<Container>, Failure> {
    Ok(containers.by_name(name)?.filter(|container| container.record.spec.boxed.is_some()))
}

/// The box that was meant.
pub fn find(containers: &Containers, typed: &str) -> Result<Container, Failure> {
    match containers.find(typed) {
        Ok(container) if container.record.spec.boxed.is_some() => Ok(container),
        Ok(container) => Err(Failure::new(format!("{} is a container, and no box", container.record.name))
            .with_hint("boxes are made with `enter -n BOX IMAGE`, and listed by `enter ls`")
            .with_code(VERB_FAILED)),
        Err(enter::container::Error::NoSuchContainer(_)) => {
            let names = names(containers);
            let hint = match crate::nearest::to(typed, names.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("make it from an image: enter -n {typed} IMAGE; see which there are with `enter ls`"),
            };
            Err(Failure::new(format!("there is no box `{typed}`")).with_hint(hint).with_code(VERB_FAILED))
        }
        Err(error) => Err(Failure::from(error).with_code(VERB_FAILED)),
    }
}

/// The names of all boxes. What cannot be read has none.
pub fn names(containers: &Containers) -> Vec<String> {
    let all = containers.all().unwrap_or_default();
    all.into_iter().filter(|one| one.record.spec.boxed.is_some()).map(|one| one.record.name).collect()
}

/// Puts into the record of a box that is about to start what follows from its name and from its image, whose variables are `environment`.
pub fn complete(record: &mut Record, environment: &[String]) {
    let spec = &mut record.spec;
    if spec.boxed.is_none() {
        return;
    }
    if spec.hostname.is_empty() {
        spec.hostname = hostname(&record.name);
    }
    let own = std::mem::take(&mut spec.environment);
    spec.environment = environment.iter().map(|pair| pair.as_str().into()).chain(own).collect();
}

/// A box's name as a host name.
fn hostname(name: &str) -> String {
    let letter = |char: char| if char.is_ascii_alphanumeric() || char == '.' { char.to_ascii_lowercase() } else { '-' };
    let clean: String = name.chars().map(letter).take(LONGEST_HOSTNAME).collect();
    let clean = clean.trim_matches(['-', '.']);
    if clean.is_empty() { "box".into() } else { clean.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::hostname;

    #[test]
    fn a_box_is_called_inside_as_outside_as_far_as_that_can_be() {
        for (name, host) in [("work", "work"), ("My_box.2", "my-box.2"), ("a-", "a"), ("a..", "a")] {
            assert_eq!(hostname(name), host);
        }
    }
}
