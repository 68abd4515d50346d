//! Colour: only on a terminal, never with `NO_COLOR` (<https://no-color.org>) or `TERM=dumb`, unless the user insists.
//! Whatever is said by a colour is said by a word too.

use std::io::IsTerminal as _;

use crate::settings::values::When;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// The word `error`.
    Error,
    /// The words `caused by`.
    Cause,
    /// The word `hint`.
    Hint,
    /// The word `warning`.
    Warning,
}

impl Paint {
    /// The parameters of the SGR escape sequence (ECMA-48, 8.3.117).
    fn sgr(self) -> &'static str {
        match self {
            Self::Error => "1;31",
            Self::Cause => "1",
            Self::Hint => "1;36",
            Self::Warning => "1;33",
        }
    }
}

/// Whether to colour.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    color: bool,
}

impl Style {
    /// The style of stderr.
    pub fn for_stderr(color: When) -> Self {
        Self { color: color.resolve(|| stderr_is_terminal() && environment_allows_color()) }
    }

    /// `text` in the colour of `paint`, or as it is.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        if self.color { format!("\x1b[{}m{text}\x1b[0m", paint.sgr()) } else { text.to_owned() }
    }
}

/// Whether to colour stdout.
pub fn for_stdout(color: When) -> bool {
    color.resolve(|| stdout_is_terminal() && environment_allows_color())
}

/// Whether stderr is a terminal.
pub fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether stdout is a terminal.
pub fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

fn environment_allows_color() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !no_color && !dumb
}
