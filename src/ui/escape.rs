//! Text from elsewhere (names from a registry, labels, commands of a container) made harmless for a terminal.
//!
//! An escape sequence can retitle the window, move the cursor over what was said, or type for the user; a bidirectional
//! control makes text read as what it is not (CVE-2021-42574). They are shown as Rust writes them: `\u{1b}`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with every control and direction-changing character made visible: one line.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_dangerous) { Cow::Owned(escaped(text, |_| None)) } else { Cow::Borrowed(text) }
}

/// `text`, which may have several lines: as [`line()`], with the lines after the first moved right by `indent` columns.
pub fn lines(text: &str, indent: usize) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let margin = format!("\n{:indent$}", "");
    Cow::Owned(escaped(text.trim_end(), |c| (c == '\n').then_some(margin.as_str())))
}

/// `text` of several lines and columns: as [`line()`], but newlines and tabs stay.
pub fn page(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| matches!(c, '\n' | '\t') || !is_dangerous(c);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(escaped(text, |c| match c {
        '\n' => Some("\n"),
        '\t' => Some("\t"),
        _ => None,
    }))
}

fn escaped<'a>(text: &str, keep: impl Fn(char) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match keep(c) {
            Some(instead) => out.push_str(instead),
            None if is_dangerous(c) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "{}", c.escape_default());
            }
            None => out.push(c),
        }
    }
    out
}

fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(line("größe 3 µs"), Cow::Borrowed("größe 3 µs")));
    }

    #[test]
    fn controls_are_shown() {
        assert_eq!(line("a\x1b]0;x\x07b\r\n\u{9b}31m\u{202e}"), r"a\u{1b}]0;x\u{7}b\r\n\u{9b}31m\u{202e}");
    }

    #[test]
    fn a_page_keeps_its_lines_and_columns() {
        assert_eq!(page("a\tb\nc\r\n"), "a\tb\nc\\r\n");
    }

    #[test]
    fn later_lines_are_indented_and_still_escaped() {
        assert_eq!(lines("one\nhint: \x1b[2J\n", 7), "one\n       hint: \\u{1b}[2J");
    }
}
