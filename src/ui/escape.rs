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

/// `text` without its middle where it is so long that nobody would find what is said about it.
pub fn shortened(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 4096;
    const AT_EACH_END: usize = 1024;
    if text.len() <= LONGEST {
        return Cow::Borrowed(text);
    }
    let boundary = |from: usize| (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let (front, end) = (boundary(AT_EACH_END), boundary(text.len() - AT_EACH_END));
    Cow::Owned(format!("{} [… {} bytes …] {}", &text[..front], end - front, &text[end..]))
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

/// Adds one line of a log to `out`: as [`page()`], but colours (SGR, ECMA-48, 8.3.117) stay, up to the end of the line; and so
/// does a carriage return at its end, which every line of a container with a terminal has. Bytes that are no text are shown.
pub fn log(text: &[u8], out: &mut Vec<u8>) {
    let (body, end): (&[u8], &[u8]) = match text.strip_suffix(b"\r") {
        Some(body) => (body, b"\r"),
        None => (text, b""),
    };
    let mut colored = false;
    for chunk in body.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find('\x1b') {
            let (before, sequence) = rest.split_at(at);
            out.extend_from_slice(page(before).as_bytes());
            let length = sgr(sequence).unwrap_or(0);
            if length == 0 {
                out.extend_from_slice(line("\x1b").as_bytes());
            } else {
                out.extend_from_slice(&sequence.as_bytes()[..length]);
                colored = !matches!(&sequence[..length], "\x1b[m" | "\x1b[0m");
            }
            rest = &sequence[length.max(1)..];
        }
        out.extend_from_slice(page(rest).as_bytes());
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    if colored {
        out.extend_from_slice(b"\x1b[0m");
    }
    out.extend_from_slice(end);
}

/// The length of the sequence of SGR that `text` begins with.
fn sgr(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let length = parameters.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':')).count();
    (parameters.as_bytes().get(length) == Some(&b'm')).then_some(length + 3)
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
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}')
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
    fn every_character_that_changes_direction_is_shown() {
        // Bidi_Control of Unicode's PropList.
        let all = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        assert!(line(all).is_ascii());
    }

    #[test]
    fn what_is_said_of_a_long_value_is_not_lost_behind_it() {
        let said = shortened(&format!("invalid value `{}`: expected a number", "ö".repeat(60_000))).into_owned();
        assert!(said.len() < 4096 && said.starts_with("invalid value `ö") && said.ends_with("ö`: expected a number"));
        assert_eq!(shortened("short"), "short");
    }

    #[test]
    fn a_page_keeps_its_lines_and_columns() {
        assert_eq!(page("a\tb\nc\r\n"), "a\tb\nc\\r\n");
    }

    #[test]
    fn a_log_keeps_its_colours_and_nothing_else() {
        let shown = |text: &[u8]| {
            let mut out = Vec::new();
            log(text, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(b"plain\tx\r"), "plain\tx\r");
        assert_eq!(shown(b"\x1b[1;31mred\x1b[0m on"), "\x1b[1;31mred\x1b[0m on");
        assert_eq!(shown(b"\x1b[38:5:1mred\r"), "\x1b[38:5:1mred\x1b[0m\r");
        assert_eq!(shown(b"a\x1b[2Jb\x1b"), r"a\u{1b}[2Jb\u{1b}");
        assert_eq!(shown(b"\x1b]0;title\x07\x1b[31"), r"\u{1b}]0;title\u{7}\u{1b}[31");
        assert_eq!(shown(b"50%\r60%"), r"50%\r60%");
        assert_eq!(shown("a\u{9b}31m\u{202e}".as_bytes()), r"a\u{9b}31m\u{202e}");
        assert_eq!(shown(b"\xff\x9b2J"), r"\xff\x9b2J");
    }

    #[test]
    fn later_lines_are_indented_and_still_escaped() {
        assert_eq!(lines("one\nhint: \x1b[2J\n", 7), "one\n       hint: \\u{1b}[2J");
    }
}
