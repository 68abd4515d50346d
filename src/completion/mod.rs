//! What can follow on a command line that is being typed, taken from the same definition that parses it.
//!
//! Owns the walk over the words; knows no shell (that is [`shells`]) and no store (its caller brings the names).

pub mod shells;

use clap::builder::PossibleValue;
use clap::{Arg, Command, ValueHint};

/// One thing that can be typed next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The whole word.
    pub value: String,
    /// What it means, in a few words; may be empty.
    pub help: String,
}

/// What can follow.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// One of these words.
    Words(Vec<Candidate>),
    /// A file; the shell knows best how to find it.
    Files,
    /// A directory.
    Directories,
}

/// The names of a kind of thing that exists on this machine now.
pub trait Names {
    /// Images in the store, each by the shortest name that finds it.
    fn images(&self) -> Vec<String>;
    /// Boxes, by their names.
    fn boxes(&self) -> Vec<String>;
    /// Containers that are so, by their names.
    fn containers(&self, wanted: Wanted) -> Vec<String>;
    /// Networks of the user's own.
    fn networks(&self) -> Vec<String>;
    /// Volumes, by their names.
    fn volumes(&self) -> Vec<String>;
}

/// Which containers a verb is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    Any,
    /// Those that run.
    Alive,
    /// Those that do not run.
    Ended,
    /// Those that are held.
    Paused,
}

impl Wanted {
    fn by(verb: &str) -> Self {
        match verb {
            "attach" | "exec" | "kill" | "pause" | "port" | "stats" | "stop" | "top" | "wait" => Self::Alive,
            "start" => Self::Ended,
            "unpause" => Self::Paused,
            _ => Self::Any,
        }
    }
}

/// What can stand in the place of the last of `words`, which is what was typed of it. The first is the program's name.
pub fn answer(command: &Command, words: &[String], names: &dyn Names) -> Answer {
    let Some(([_program, before @ ..], current)) = words.split_last().map(|(last, rest)| (rest, last)) else {
        return Answer::Words(Vec::new());
    };
    let place = Place::after(command, before);
    if let Some(flag) = place.wants_value {
        return values(flag, current, "", &place, names);
    }
    if !place.escaped && current.starts_with('-') {
        return match current.split_once('=') {
            Some((flag, value)) => match place.flag(flag) {
                Some(arg) => values(arg, value, &format!("{flag}="), &place, names),
                None => Answer::Words(Vec::new()),
            },
            None => Answer::Words(flags(place.command, current)),
        };
    }
    let positional = place.positional();
    // The first word of several may be something else: the image whose command follows.
    if positional.is_some_and(|arg| arg.is_trailing_var_arg_set() && (place.positionals > 0 || !is_named_first(arg))) {
        return Answer::Files;
    }
    let mut words = if place.takes_subcommand() { subcommands(place.command, current) } else { Vec::new() };
    match positional.map(|positional| values(positional, current, "", &place, names)) {
        Some(Answer::Words(more)) => words.extend(more),
        Some(other) if words.is_empty() => return other,
        _ => {}
    }
    Answer::Words(words)
}

/// Where a word stands.
struct Place<'a> {
    command: &'a Command,
    /// The verb before it, of which it is one: `image`, where `inspect` follows.
    group: &'a str,
    /// How many arguments that are no flags stand before it.
    positionals: usize,
    /// Whether a `--` stands before it.
    escaped: bool,
    /// Whether a flag of this command stands before it, so that no subcommand can follow.
    flagged: bool,
    /// The flag that stands right before it and wants a value.
    wants_value: Option<&'a Arg>,
}

impl<'a> Place<'a> {
    fn after(command: &'a Command, words: &[String]) -> Self {
        let mut place = Self { command, group: "", positionals: 0, escaped: false, flagged: false, wants_value: None };
        for word in words {
            if place.wants_value.take().is_none() {
                place.step(word);
            }
            if place.positional().is_some_and(Arg::is_trailing_var_arg_set) && place.positionals > place.command_start()
            {
                place.escaped = true;
            }
        }
        place
    }

    fn step(&mut self, word: &str) {
        if !self.escaped && word == "--" {
            self.escaped = true;
        } else if !self.escaped && word.starts_with('-') && word.len() > 1 {
            self.flagged = true;
            self.wants_value = self.flag(word).filter(|arg| takes_next_word(arg));
        } else if let Some(sub) = self.command.find_subcommand(word).filter(|_| self.takes_subcommand()) {
            *self = Self {
                command: sub,
                group: self.command.get_name(),
                positionals: 0,
                escaped: false,
                flagged: false,
                wants_value: None,
            };
        } else {
            self.positionals += 1;
        }
    }

    fn takes_subcommand(&self) -> bool {
        self.positionals == 0 && !self.escaped && !self.flagged
    }

    /// The flag that `word` ends with, so that a value may be its next word: `--user`, `-u`, `-qu`; none for `-uroot`.
    fn flag(&self, word: &str) -> Option<&'a Arg> {
        let mut arguments = self.command.get_arguments();
        if let Some(long) = word.strip_prefix("--") {
            return arguments.find(|arg| arg.get_long() == Some(long));
        }
        let mut shorts = word[1..].chars();
        while let Some(short) = shorts.next() {
            let arg = self.command.get_arguments().find(|arg| arg.get_short() == Some(short))?;
            if takes_next_word(arg) {
                return shorts.as_str().is_empty().then_some(arg);
            }
        }
        None
    }

    /// The argument that stands here; the last one stands here too if it may be repeated.
    fn positional(&self) -> Option<&'a Arg> {
        let mut positionals: Vec<&Arg> = self.command.get_positionals().collect();
        positionals.sort_by_key(|arg| arg.get_index());
        let repeats = |arg: &&&Arg| arg.get_num_args().is_some_and(|count| count.max_values() > 1);
        positionals.get(self.positionals).or_else(|| positionals.last().filter(repeats)).copied()
    }

    /// How many arguments stand before the container's own command, which is never read for flags.
    fn command_start(&self) -> usize {
        self.command.get_positionals().filter(|arg| !arg.is_trailing_var_arg_set()).count()
    }
}

/// Whether a flag's value is the next word.
fn takes_next_word(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// Whether the first of an argument's words has a name of its own.
fn is_named_first(arg: &Arg) -> bool {
    arg.get_value_names().is_some_and(|names| names.len() > 1)
}

fn subcommands(command: &Command, current: &str) -> Vec<Candidate> {
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name().starts_with(current));
    shown.map(|sub| candidate(sub.get_name(), sub.get_about().map(ToString::to_string))).collect()
}

fn flags(command: &Command, current: &str) -> Vec<Candidate> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let longs =
        shown.filter_map(|arg| Some((format!("--{}", arg.get_long()?), arg.get_help().map(ToString::to_string))));
    longs.filter(|(long, _)| long.starts_with(current)).map(|(long, help)| candidate(long, help)).collect()
}

fn values(arg: &Arg, current: &str, prefix: &str, place: &Place<'_>, names: &dyn Names) -> Answer {
    let possible = arg.get_possible_values();
    let words: Vec<Candidate> = if possible.is_empty() {
        match arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()) {
            Some("IMAGE") => named(names.images(), "image"),
            Some("BOX") if arg.is_positional() => named(names.boxes(), "box"),
            Some("VOLUME") => named(names.volumes(), "volume"),
            Some("CONTAINER") => named(names.containers(Wanted::by(place.command.get_name())), "container"),
            Some("NETWORK") => {
                let always = if arg.is_positional() { &[][..] } else { &["host", "none", "pasta"] };
                let always = always.iter().map(|name| candidate(*name, None));
                named(names.networks(), "network").into_iter().chain(always).collect()
            }
            Some("OBJECT") => {
                let containers = match place.group {
                    "image" => Vec::new(),
                    _ => named(names.containers(Wanted::Any), "container"),
                };
                let images = if place.group == "container" { Vec::new() } else { named(names.images(), "image") };
                let volumes = if place.group.is_empty() { named(names.volumes(), "volume") } else { Vec::new() };
                containers.into_iter().chain(images).chain(volumes).collect()
            }
            // A path of this machine, or one of a container, which begins with its name and a colon.
            Some("SOURCE" | "DESTINATION") => {
                if current.contains(['/', ':']) {
                    return Answer::Files;
                }
                let containers = names.containers(Wanted::Any).into_iter().filter(|name| name.starts_with(current));
                let containers: Vec<String> = containers.map(|name| format!("{name}:")).collect();
                if containers.is_empty() {
                    return Answer::Files;
                }
                named(containers, "container")
            }
            Some("NAME") if arg.is_positional() => {
                let host = candidate("host", Some("a throwaway view of this machine".into()));
                let boxes = named(names.boxes(), "box");
                boxes.into_iter().chain([host]).chain(named(names.images(), "image")).collect()
            }
            Some("CONTAINER[:OPTIONS]") => named(names.containers(Wanted::Any), "container"),
            Some(name) if name.starts_with("SOURCE:") && !current.contains(':') => {
                let fits = |name: &String| !current.is_empty() && name.starts_with(current);
                let volumes: Vec<String> =
                    names.volumes().into_iter().filter(fits).map(|name| format!("{name}:")).collect();
                if volumes.is_empty() {
                    return Answer::Files;
                }
                named(volumes, "volume")
            }
            _ => match arg.get_value_hint() {
                ValueHint::FilePath | ValueHint::AnyPath => return Answer::Files,
                ValueHint::DirPath => return Answer::Directories,
                _ => Vec::new(),
            },
        }
    } else {
        let help = |value: &PossibleValue| value.get_help().map(ToString::to_string);
        possible.iter().map(|value| candidate(value.get_name(), help(value))).collect()
    };
    let fits = words.into_iter().filter(|word| word.value.starts_with(current));
    Answer::Words(fits.map(|word| Candidate { value: format!("{prefix}{}", word.value), ..word }).collect())
}

fn named(names: Vec<String>, kind: &str) -> Vec<Candidate> {
    names.into_iter().map(|name| candidate(name, Some(kind.to_owned()))).collect()
}

fn candidate(value: impl Into<String>, help: Option<String>) -> Candidate {
    let help = help.unwrap_or_default().lines().next().unwrap_or_default().to_owned();
    Candidate { value: value.into(), help }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    struct Two;

    impl Names for Two {
        fn images(&self) -> Vec<String> {
            vec!["debian:12".into(), "quay.io/a/b".into()]
        }

        fn boxes(&self) -> Vec<String> {
            vec!["work".into()]
        }

        fn volumes(&self) -> Vec<String> {
            vec!["data".into()]
        }

        fn containers(&self, wanted: Wanted) -> Vec<String> {
            let all = [("web", Wanted::Alive), ("done", Wanted::Ended)];
            let fits = |state| wanted == Wanted::Any || wanted == state;
            all.into_iter().filter(|(_, state)| fits(*state)).map(|(name, _)| name.to_owned()).collect()
        }

        fn networks(&self) -> Vec<String> {
            vec!["learning".into()]
        }
    }

    /// The candidates for the last word of `line`, which ends where the cursor stands.
    fn words(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
        match answer(&cli::definition(), &words, &Two) {
            Answer::Words(candidates) => candidates.into_iter().map(|candidate| candidate.value).collect(),
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn the_first_word_is_a_subcommand_or_a_name() {
        assert_eq!(words("enter comp"), ["completion"]);
        assert_eq!(words("enter ho"), ["host"]);
        assert_eq!(words("enter deb"), ["debian:12"]);
        assert!(words("enter ").contains(&"shell".into()));
        assert_eq!(words("enter -- com"), [""; 0]);
        assert_eq!(words("enter shell q"), ["quay.io/a/b"]);
    }

    #[test]
    fn flags_and_their_values() {
        assert_eq!(words("enter --st"), ["--storage"]);
        assert_eq!(words("enter --storage o"), ["overlay"]);
        assert_eq!(words("enter --storage=o"), ["--storage=overlay"]);
        assert_eq!(words("enter run --storage f"), ["fuse"]);
        assert_eq!(words("enter --nonsense=o"), [""; 0]);
        assert_eq!(words("enter -u root deb"), ["debian:12"]);
        assert_eq!(words("enter -u root com"), [""; 0]);
        assert_eq!(words("enter -uroot deb"), ["debian:12"]);
        assert_eq!(words("enter debian --st"), ["--storage"]);
        assert_eq!(words("enter completion f"), ["fish"]);
        assert_eq!(words("enter logs -f w"), ["web"]);
    }

    #[test]
    fn a_verb_is_offered_the_containers_that_it_is_good_for() {
        assert_eq!(words("enter stop "), ["web"]);
        assert_eq!(words("enter start "), ["done"]);
        assert_eq!(words("enter unpause "), [""; 0]);
        assert_eq!(words("enter rm "), ["web", "done"]);
        assert_eq!(words("enter container rm d"), ["done"]);
        assert_eq!(words("enter rename d"), ["done"]);
        assert_eq!(words("enter exec w"), ["web"]);
        assert_eq!(words("enter inspect "), ["web", "done", "debian:12", "quay.io/a/b"]);
        assert_eq!(words("enter container pr"), ["prune"]);
        assert_eq!(words("enter image inspect "), ["debian:12", "quay.io/a/b"]);
        assert_eq!(words("enter container inspect "), ["web", "done"]);
    }

    #[test]
    fn boxes_are_offered_where_one_is_entered_or_changed() {
        assert_eq!(words("enter wo"), ["work"]);
        assert_eq!(words("enter shell wo"), ["work"]);
        assert_eq!(words("enter set "), ["work"]);
        assert_eq!(words("enter clone "), ["work"]);
        assert_eq!(words("enter -n "), [""; 0]);
        assert_eq!(words("enter clone work "), [""; 0]);
    }

    #[test]
    fn networks_are_offered_where_one_is_named() {
        assert_eq!(words("enter network rm "), ["learning"]);
        assert_eq!(words("enter network connect l"), ["learning"]);
        assert_eq!(words("enter network connect learning w"), ["web"]);
        assert_eq!(words("enter run --network "), ["learning", "host", "none", "pasta"]);
    }

    #[test]
    fn a_copy_is_from_or_to_a_container_or_a_file() {
        assert_eq!(words("enter cp w"), ["web:"]);
        assert_eq!(words("enter cp ./x do"), ["done:"]);
        assert_eq!(words("enter cp no-such"), ["Files"]);
        assert_eq!(words("enter cp ./w"), ["Files"]);
        assert_eq!(words("enter cp web:/e"), ["Files"]);
    }

    #[test]
    fn paths_are_the_shells_business() {
        assert_eq!(words("enter -v ./a"), ["Files"]);
        assert_eq!(words("enter -v ./a:/"), [""; 0]);
        assert_eq!(words("enter --env-file "), ["Files"]);
        assert_eq!(words("enter -w /"), ["Directories"]);
    }

    #[test]
    fn the_command_inside_is_not_ours() {
        assert_eq!(words("enter debian l"), ["Files"]);
        assert_eq!(words("enter debian ls --st"), ["Files"]);
        assert_eq!(words("enter debian -- ls --st"), ["Files"]);
        assert_eq!(words("enter debian completion f"), ["Files"]);
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "(enter|-|--|=|:|u|host|images|rmi|help|debian| |'|\"|\\\\|\\PC){0,12}", breaks in "[ =:é]{0,3}") {
            use crate::cli::CompletionShell::{Bash, Fish};
            let arguments = [line.clone(), breaks];
            let answer_to = |words: &[String]| answer(&cli::definition(), words, &Two);
            let _ = shells::show(Bash, &arguments, &answer_to(&shells::words(Bash, &arguments)));
            let words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
            let _ = shells::show(Fish, &words, &answer_to(&words));
        }
    }
}
