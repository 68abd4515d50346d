//! The only code that writes to stdout and stderr: data, errors with their causes and hints, warnings, notes, progress.
//!
//! stdout carries data and nothing else; everything that is meant for a person's eye goes to stderr. Commands are the
//! callers; libraries return data and report through traits that are implemented here.

mod escape;
mod feed;
pub mod human;
mod mark;
mod output;
mod progress;
mod prompt;
mod style;
pub mod table;
mod work;

use std::io::Write as _;

use crate::failure::Failure;
use crate::settings::values::{Progress, When};
pub use feed::Feed;
pub use mark::Mark;
pub use output::Output;
pub use progress::PullProgress;
pub use prompt::is_answerable;
use style::{Paint, Style};
pub use work::WorkProgress;

/// How to speak to this user: resolved once from the settings and the two streams.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    style: Style,
    colors_output: bool,
    progress: Progress,
}

impl Ui {
    /// The interface by the settings `color` and `progress`.
    pub fn new(color: When, progress: Progress) -> Self {
        Self { style: Style::for_stderr(color), colors_output: style::for_stdout(color), progress }
    }

    /// The same interface without any progress.
    pub fn quiet(&self) -> Self {
        Self { progress: Progress::None, ..*self }
    }

    /// What a pull reports to; nothing where nothing is to be told.
    pub fn pull_progress(&self) -> Option<PullProgress<'_>> {
        match self.progress {
            Progress::Auto => Some(PullProgress::new(self, style::stderr_is_terminal())),
            Progress::Plain => Some(PullProgress::new(self, false)),
            Progress::None => None,
        }
    }

    /// What work of a known length reports to; nothing where nobody sees it move. `total`: bytes.
    pub fn work_progress(&self, what: &'static str, total: u64) -> Option<WorkProgress> {
        (self.progress == Progress::Auto && style::stderr_is_terminal()).then(|| WorkProgress::new(what, total))
    }

    /// Whether text for people on stdout, such as help, may have colour.
    pub fn colors_output(&self) -> bool {
        self.colors_output
    }

    /// Whether somebody reads what is printed.
    pub fn output_is_terminal(&self) -> bool {
        style::stdout_is_terminal()
    }

    /// Data for stdout, gathered until [`Output::finish`].
    pub fn output(&self) -> Output {
        Output::new()
    }

    /// What containers have written, for stdout and stderr; `raw`: as it is, also to a terminal.
    pub fn feed(&self, raw: bool) -> Feed {
        Feed::new(raw)
    }

    /// Prints why a command failed: `error:`, one `caused by:` for each cause, and the `hint:`.
    pub fn failure(&self, failure: &Failure) {
        let mut labels = std::iter::once((Paint::Error, "error")).chain(std::iter::repeat((Paint::Cause, "caused by")));
        for text in failure.chain() {
            if let Some((paint, label)) = labels.next() {
                self.say(paint, label, &text);
            }
        }
        if let Some(hint) = failure.hint() {
            self.say(Paint::Hint, "hint", hint);
        }
    }

    /// Something is not as the user may expect, and the command goes on.
    pub fn warning(&self, text: &str) {
        self.say(Paint::Warning, "warning", text);
    }

    /// One line of what is going on.
    pub fn note(&self, text: &str) {
        self.write(&format!("{}\n", escape::lines(text, 0)));
    }

    /// A question; the answer is typed behind it.
    pub fn ask(&self, text: &str) {
        self.write(&escape::page(text));
    }

    fn say(&self, paint: Paint, label: &str, text: &str) {
        // Later lines stand below the first, so that no text from a registry can pass for a line of ours.
        let text = escape::shortened(text);
        let body = escape::lines(&text, label.len() + 2);
        self.write(&format!("{}: {body}\n", self.style.paint(paint, label)));
    }

    /// One write for the whole, so that lines of several processes do not mix. Nothing can be said about a closed stderr.
    fn write(&self, text: &str) {
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

impl Default for Ui {
    /// The interface before the settings are known.
    fn default() -> Self {
        Self::new(When::Auto, Progress::Auto)
    }
}
