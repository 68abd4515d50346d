//! What was typed wrongly, in the form of every other error: message, hint, exit code 125.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::elsewhere;
use crate::failure::{Failure, VERB_FAILED};
use crate::nearest;

/// What clap has to say: either something that was asked for, or an error.
#[derive(Debug)]
pub enum Said {
    /// `--help` or `--version`: for stdout.
    Asked(clap::builder::StyledStr),
    /// Nothing was typed: help, for stderr.
    Help(clap::builder::StyledStr),
    /// A mistake.
    Wrong(Failure),
}

/// Sorts what clap has to say of a command line, which begins with the program's name.
pub fn said(error: &clap::Error, args: &[OsString]) -> Said {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Said::Asked(error.render()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Said::Help(error.render()),
        _ => Said::Wrong(failure(error, args)),
    }
}

/// Verbs of docker, its plugins and podman that `enter` does not have. Whoever types one does not mean an image of that name.
#[rustfmt::skip]
pub const FOREIGN_VERBS: &[&str] = &["build", "builder", "buildx", "compose", "kube", "machine", "pod", "secret", "swarm"];

/// The first word, where it is one of [`FOREIGN_VERBS`].
fn foreign(args: &[OsString]) -> Option<&str> {
    args.get(1)?.to_str().filter(|word| FOREIGN_VERBS.contains(word))
}

/// What to do where one of [`FOREIGN_VERBS`] is wanted.
pub fn instead_of(verb: &str) -> Option<&'static str> {
    matches!(verb, "build" | "builder" | "buildx").then_some(
        "images are pulled, or made of a container by `enter commit`; a devcontainer.json does without building where it names an \
         `image`, has no `features`, and says `\"updateRemoteUserUID\": false`",
    )
}

fn failure(error: &clap::Error, args: &[OsString]) -> Failure {
    let argument = texts(error, ContextKind::InvalidArg);
    let name = argument.first().map(|argument| bare(argument)).unwrap_or_default();
    let value = texts(error, ContextKind::InvalidValue).concat();
    let see = format!("see `{} --help`", command(error, args));
    match error.kind() {
        ErrorKind::UnknownArgument if foreign(args).is_some() => {
            let verb = foreign(args).unwrap_or_default();
            Failure::new(format!("there is no subcommand `{verb}`")).with_hint(instead_of(verb).unwrap_or(&see))
        }
        ErrorKind::UnknownArgument if argument.is_empty() => Failure::new(own_words(error)).with_hint(see),
        ErrorKind::UnknownArgument => {
            let meant = texts(error, ContextKind::SuggestedArg);
            let hint = meant.first().map_or(see, |flag| format!("did you mean `{}`?", bare(flag)));
            let hint = elsewhere::of_flag(&command(error, args), name).map_or(hint, str::to_owned);
            let is_flag = name.starts_with('-');
            let kind = if is_flag { "flag" } else { "argument" };
            let failure = Failure::new(format!("unknown {kind} `{name}`")).with_hint(hint);
            // Too many arguments are docker's 1, as too few are.
            if is_flag { failure } else { failure.with_code(VERB_FAILED) }
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            Failure::new(format!("{} is given no value", said_as(&argument))).with_hint(see)
        }
        ErrorKind::InvalidValue => {
            let valid = texts(error, ContextKind::ValidValue);
            let hint = nearest::to(&value, valid.iter().map(String::as_str));
            let hint = hint.map_or(see, |meant| format!("did you mean `{meant}`?"));
            Failure::new(format!("{name} must be one of {}, not `{value}`", valid.join(", "))).with_hint(hint)
        }
        ErrorKind::ValueValidation => {
            let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            Failure::new(format!("{name} cannot be `{value}`{why}")).with_hint(see)
        }
        ErrorKind::MissingRequiredArgument => {
            let names: Vec<&str> = argument.iter().map(|argument| bare(argument)).collect();
            // Docker has another exit code for this.
            Failure::new(format!("{} is missing", names.join(" and "))).with_hint(see).with_code(VERB_FAILED)
        }
        ErrorKind::InvalidSubcommand => {
            let name = texts(error, ContextKind::InvalidSubcommand).concat();
            let hint = elsewhere::of_verb(&command(error, args), &name).map_or(see, str::to_owned);
            Failure::new(format!("there is no subcommand `{name}`")).with_hint(hint)
        }
        _ => Failure::new(own_words(error)).with_hint(see),
    }
}

/// Every text of one kind that the error carries.
fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// `--user` of `--user <USER>`, `NAME` of `<NAME>`.
fn bare(argument: &str) -> &str {
    let first = argument.split([' ', '=']).next().unwrap_or(argument);
    let first = first.strip_suffix("...").unwrap_or(first);
    // Of `--rm[=<BOOL>]`.
    let first = first.strip_suffix('[').unwrap_or(first);
    let within = |open, close| first.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
    within('<', '>').or_else(|| within('[', ']')).unwrap_or(first)
}

/// An argument with its value's name, without clap's brackets: `--user USER[:GROUP]`.
fn said_as(argument: &[String]) -> String {
    let text = argument.concat();
    format!("`{}`", text.replace(['<', '>'], ""))
}

/// clap's first paragraph, for what is too rare to have words of ours.
fn own_words(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The command that was being read, as clap's usage line names it; where there is none, as it was typed.
fn command(error: &clap::Error, args: &[OsString]) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let words = usage.trim_start_matches("Usage:").split_whitespace();
    let words = words.take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
    let command = words.collect::<Vec<_>>().join(" ");
    if command.is_empty() { typed(args) } else { command }
}

/// The words of a command line that lead to a subcommand.
fn typed(args: &[OsString]) -> String {
    let root = super::definition();
    let (mut at, mut words) = (&root, vec!["enter"]);
    while let Some(next) = args.get(words.len()).and_then(|word| at.find_subcommand(word)) {
        words.push(next.get_name());
        at = next;
    }
    words.join(" ")
}
