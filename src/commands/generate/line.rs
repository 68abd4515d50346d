//! Command lines in units: what made a container, as what makes it again, and quoted as systemd.syntax(7) has it.

use clap::{Arg, Command};
use plan::Text;

use crate::cli;
use crate::failure::{Failure, VERB_FAILED};

/// Flags that belong to the moment, and not to the container; or that a unit has a say in.
const LEFT_OUT: &[&str] =
    &["detach", "attach", "sig_proxy", "preserve_fds", "name", "replace", "rm", "cidfile", "quiet", "restart"];

/// `create …` for the command line that made a container, with its name.
pub fn create(created_by: &[Text], name: &str) -> Result<String, Failure> {
    let lost = || {
        Failure::new("cannot tell by which command line the container was made")
            .with_hint("leave --new away: the unit then starts the container that there is")
            .with_code(VERB_FAILED)
    };
    let text = |word: &Text| word.as_os_str().to_str().map(ToOwned::to_owned);
    let words: Vec<String> = created_by.iter().map(text).collect::<Option<_>>().ok_or_else(lost)?;
    let verb = words.iter().position(|word| word == "run" || word == "create").ok_or_else(lost)?;
    let definition = cli::definition();
    let command = definition.find_subcommand("run").ok_or_else(lost)?;
    let mut kept = vec!["create".to_owned(), "--replace".into(), "--name".into(), name.to_owned()];
    let mut rest = words[verb + 1..].iter();
    while let Some(word) = rest.next() {
        if word == "--" || !word.starts_with('-') || word == "-" {
            // The image, and what follows.
            kept.extend((word != "--").then(|| word.clone()));
            kept.extend(rest.cloned());
            break;
        }
        for (flag, arg, value) in flags(command, word).ok_or_else(lost)? {
            let value = value.or_else(|| if takes_next(arg) { rest.next().cloned() } else { None });
            if LEFT_OUT.contains(&arg.get_id().as_str()) {
                continue;
            }
            match value {
                Some(value) if flag.starts_with("--") => kept.push(format!("{flag}={value}")),
                Some(value) => kept.extend([flag, value]),
                None => kept.push(flag),
            }
        }
    }
    Ok(kept.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
}

/// A flag as it was typed, what it is, and the value that is in the same word.
type Flag<'a> = (String, &'a Arg, Option<String>);

/// The flags in a word; `None` where one of them is none.
fn flags<'a>(command: &'a Command, word: &str) -> Option<Vec<Flag<'a>>> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
        let is = |arg: &&Arg| {
            arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        };
        return Some(vec![(format!("--{name}"), command.get_arguments().find(is)?, value)]);
    }
    let mut found = Vec::new();
    let mut letters = word[1..].chars();
    while let Some(letter) = letters.next() {
        let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
        let rest = letters.as_str();
        if (takes_next(arg) || rest.starts_with('=')) && !rest.is_empty() {
            let value = rest.strip_prefix('=').unwrap_or(rest).to_owned();
            found.push((format!("-{letter}"), arg, Some(value)));
            break;
        }
        found.push((format!("-{letter}"), arg, None));
    }
    Some(found)
}

/// Whether a flag's value may be the next word.
fn takes_next(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// A word of `Exec…=`: systemd's own signs as they are, in quotes where that is needed.
pub fn quoted(word: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./:=,@+".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    // Only commands are searched for variables.
    quoted_setting(word).replace('$', "$$")
}

/// A word of another setting, in quotes.
pub fn quoted_setting(word: &str) -> String {
    let mut text = String::from("\"");
    for char in word.chars() {
        match char {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '%' => text.push_str("%%"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            char if char.is_ascii_control() => text.push_str(&format!("\\x{:02x}", char as u32)),
            char => text.push(char),
        }
    }
    text + "\""
}

/// The value of a setting that takes specifiers, to its line's end.
pub fn escaped(value: &str) -> String {
    value.replace('%', "%%").replace('\n', " ")
}
