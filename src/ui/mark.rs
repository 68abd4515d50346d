//! The terminal is told which shell or box it shows: by its title, and by OSC 777, which terminals that know of containers (Ptyxis, VTE) understand.

use std::io::{IsTerminal, Write};

/// The longest name that is told.
const LONGEST: usize = 64;

/// A terminal that has been told; it is told the end when this is dropped.
#[derive(Debug)]
pub struct Mark {
    end: Option<String>,
}

impl Mark {
    /// Tells the terminal at standard output, if there is one that understands, that it shows `name` from now on.
    pub fn set(name: &str, wanted: bool) -> Self {
        let term = std::env::var("TERM").unwrap_or_default();
        let understands = !matches!(term.as_str(), "" | "dumb" | "linux" | "unknown");
        if !(wanted && understands && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            return Self { end: None };
        }
        let user = nix::unistd::getuid().as_raw();
        tell(&beginning(name, user));
        Self { end: Some(ending(user)) }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.end.iter().for_each(|end| tell(end));
    }
}

fn tell(text: &str) {
    let mut out = std::io::stdout().lock();
    // A terminal that is gone shows no title either.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The title is put aside, and another set (XTWINOPS 22, OSC 2).
fn beginning(name: &str, user: u32) -> String {
    let name = plain(name);
    format!("\x1b[22;2t\x1b]2;{name}\x1b\\\x1b]777;container;push;{name};enter;{user}\x1b\\")
}

fn ending(user: u32) -> String {
    format!("\x1b]777;container;pop;;;{user}\x1b\\\x1b[23;2t")
}

/// Nothing that a terminal or the form could take for anything else.
fn plain(name: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.:/@+".contains(char);
    name.chars().take(LONGEST).map(|char| if is_plain(char) { char } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_nothing_but_a_name() {
        let text = beginning("a\x1b]0;evil\x07;b\u{9c}\n", 1000);
        assert_eq!(
            text,
            "\x1b[22;2t\x1b]2;a__0_evil__b__\x1b\\\x1b]777;container;push;a__0_evil__b__;enter;1000\x1b\\"
        );
        assert_eq!(beginning(&"a".repeat(100), 1).matches('a').count(), 2 * LONGEST + 1);
        assert_eq!(ending(1000), "\x1b]777;container;pop;;;1000\x1b\\\x1b[23;2t");
    }
}
