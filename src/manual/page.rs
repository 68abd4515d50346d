//! One page in the man(7) macros. Text between backticks becomes bold.

use clap::{Arg, Command};
use roff::{Inline, Roff, bold, italic, roman};

/// The day on which the text of the manual last changed its meaning; man(7) wants one on each page.
const DATE: &str = "2026-11-22";

/// A page that is being written.
pub struct Page {
    roff: Roff,
}

impl Page {
    /// A page with its title line and its NAME section.
    pub fn new(name: &str, section: &str, about: &str) -> Self {
        let source = concat!("enter ", env!("CARGO_PKG_VERSION"));
        let manual = if section == "5" { "File Formats" } else { "User Commands" };
        let mut roff = Roff::new();
        roff.control("TH", [name.to_uppercase().as_str(), section, DATE, source, manual]);
        roff.control("SH", ["NAME"]);
        roff.text([roman(format!("{name} - {}", lower_first(about)))]);
        Self { roff }
    }

    /// Begins a section.
    pub fn section(&mut self, title: &str) {
        self.roff.control("SH", [title]);
    }

    /// One form of a command line.
    pub fn synopsis(&mut self, command: &str, arguments: &str) {
        self.roff.control("SY", [command]);
        self.roff.text([roman(arguments)]);
        self.roff.control("YS", []);
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.roff.text(marked(&wrapped(text)));
    }

    /// Paragraphs, parted.
    pub fn paragraphs(&mut self, paragraphs: &[impl AsRef<str>]) {
        for (i, text) in paragraphs.iter().enumerate() {
            if i > 0 {
                self.roff.control("PP", []);
            }
            self.paragraph(text.as_ref());
        }
    }

    /// A term and what is to say of it.
    pub fn entry(&mut self, term: &str, paragraphs: &[&str]) {
        self.term(marked(term), paragraphs);
    }

    /// Terms and what is to say of each.
    pub fn entries(&mut self, entries: &[(&str, &str)]) {
        for (term, text) in entries {
            self.entry(term, &[text]);
        }
    }

    /// Every flag and argument of a command.
    pub fn arguments(&mut self, command: &Command) {
        let (positionals, flags): (Vec<&Arg>, Vec<&Arg>) =
            command.get_arguments().filter(|arg| !arg.is_hide_set()).partition(|arg| arg.is_positional());
        for arg in positionals.into_iter().chain(flags) {
            let mut paragraphs = help(arg);
            let possible = arg.get_possible_values();
            let takes_values = arg.get_action().takes_values();
            let values = possible
                .iter()
                .filter(|value| takes_values && !arg.is_hide_possible_values_set() && !value.is_hide_set());
            let values: Vec<String> = values
                .map(|value| match value.get_help() {
                    Some(help) => format!("`{}`: {}", value.get_name(), lower_first(&help.to_string())),
                    None => format!("`{}`", value.get_name()),
                })
                .collect();
            if !values.is_empty() {
                paragraphs.push(format!("{}.", values.join("; ")));
            }
            self.term(header(arg), &paragraphs.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// The EXAMPLES section, where there is one.
    pub fn examples(&mut self, examples: &[(&str, &str)]) {
        if !examples.is_empty() {
            self.section("EXAMPLES");
        }
        for (line, does) in examples {
            self.term(vec![bold(*line)], &[does]);
        }
    }

    /// Text as it is.
    pub fn verbatim(&mut self, text: &str) {
        self.roff.control("EX", []);
        for line in text.lines() {
            self.roff.text([roman(line)]);
        }
        self.roff.control("EE", []);
    }

    /// The page.
    pub fn finish(self) -> String {
        self.roff.render()
    }

    fn term(&mut self, term: Vec<Inline>, paragraphs: &[&str]) {
        self.roff.control("TP", []);
        self.roff.text(term);
        for (i, text) in paragraphs.iter().enumerate() {
            if i > 0 {
                self.roff.control("IP", []);
            }
            self.paragraph(text);
        }
    }
}

/// What follows the name of a subcommand.
pub fn usage(command: &Command) -> String {
    let mut words = vec!["[OPTIONS]".to_owned()];
    for arg in command.get_positionals() {
        if let Some((first, rest)) = several_names(arg) {
            words.push(format!("{first} [{rest}]..."));
            continue;
        }
        let name = value_name(arg);
        let many = if is_repeated(arg) { "..." } else { "" };
        words.push(if arg.is_required_set() { format!("{name}{many}") } else { format!("[{name}]{many}") });
    }
    words.join(" ")
}

/// The two names of an argument that stands for something and for what follows it, as `IMAGE` and `COMMAND` do.
fn several_names(arg: &Arg) -> Option<(String, String)> {
    match arg.get_value_names()? {
        [first, rest] if arg.is_positional() => Some((first.to_string(), rest.to_string())),
        _ => None,
    }
}

/// `-u`, `--user USER`, or the name of an argument.
fn header(arg: &Arg) -> Vec<Inline> {
    if let Some((first, rest)) = several_names(arg) {
        return vec![italic(first), roman(" ["), italic(rest), roman("]...")];
    }
    if arg.is_positional() {
        let many = if is_repeated(arg) { "..." } else { "" };
        return vec![italic(value_name(arg)), roman(many)];
    }
    let mut header = Vec::new();
    if let Some(short) = arg.get_short() {
        header.push(bold(format!("-{short}")));
    }
    if let Some(long) = arg.get_long() {
        if !header.is_empty() {
            header.push(roman(", "));
        }
        header.push(bold(format!("--{long}")));
    }
    if arg.is_require_equals_set() {
        header.extend([roman("[="), italic(value_name(arg)), roman("]")]);
    } else if arg.get_action().takes_values() {
        header.extend([roman(" "), italic(value_name(arg))]);
    }
    header
}

/// The paragraphs of the long help if there is one, else of the short one, as sentences.
fn help(arg: &Arg) -> Vec<String> {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let sentence = |text: &str| if text.ends_with('.') { text.to_owned() } else { format!("{text}.") };
    help.split("\n\n").map(sentence).collect()
}

fn value_name(arg: &Arg) -> String {
    arg.get_value_names().and_then(|names| names.first()).map_or_else(|| arg.get_id().to_string(), ToString::to_string)
}

fn is_repeated(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|count| count.max_values() > 1)
}

/// Text with line breaks for blanks, so that no line of the page's source is long; a formatter takes the one for the other.
fn wrapped(text: &str) -> String {
    let (mut out, mut column) = (String::with_capacity(text.len()), 0);
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 {
            out.push(if column + width > 66 { '\n' } else { ' ' });
            column = if column + width > 66 { 0 } else { column + 1 };
        }
        out.push_str(word);
        column += width;
    }
    out
}

/// Text with what stands between backticks in bold, on as many lines as it has.
fn marked(text: &str) -> Vec<Inline> {
    let part = |(i, part): (usize, &str)| if i % 2 == 1 { bold(part) } else { roman(part) };
    text.split('`').enumerate().filter(|(_, part)| !part.is_empty()).map(part).collect()
}

/// The text with a small first letter, unless its first word is a name of some kind: `A` is an article, `TOML` is not.
fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(characters).collect(),
        _ => text.to_owned(),
    }
}
