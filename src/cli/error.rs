//! What was typed wrongly, in the form of every other error: message, hint, exit code 125.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::Failure;

/// What clap has to say: either something that was asked for, or an error.
pub enum Said {
    /// `--help` or `--version`: text for stdout.
    Asked(String),
    /// Nothing was typed: help, for stderr.
    Help(String),
    /// A mistake.
    Wrong(Failure),
}

/// Sorts what clap has to say.
pub fn said(error: &clap::Error) -> Said {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Said::Asked(error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Said::Help(error.to_string()),
        _ => Said::Wrong(failure(error)),
    }
}

/// clap's own words, taken apart: the first paragraph is the message, the lines that begin with "tip:" are the hint.
fn failure(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let message = paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let tips: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("tip: ")).collect();
    let hint = if tips.is_empty() { format!("see `{} --help`", command(error)) } else { tips.join("\n") };
    Failure::new(message.replace('\'', "`")).with_hint(hint.replace('\'', "`"))
}

/// The command that was being read, as clap's usage line names it.
fn command(error: &clap::Error) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let words = usage.trim_start_matches("Usage:").split_whitespace();
    let words = words.take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
    let command = words.collect::<Vec<_>>().join(" ");
    if command.is_empty() { "enter".into() } else { command }
}
