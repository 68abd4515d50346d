//! What is shown: data to standard output, all else to standard error. Control characters of others are not passed on to a terminal.

use std::io::Write;
use std::process::ExitCode;

/// Ended with where nobody outside could be asked, as everywhere where `enter` itself fails.
pub const FAILED: u8 = 125;

/// Writes data.
pub fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    // Who does not listen to the end has heard enough.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Says what failed, and what can be done about it.
pub fn failure(reasons: &[String], hint: Option<&str>, code: u8) -> ExitCode {
    let mut text = String::new();
    for (number, reason) in reasons.iter().enumerate() {
        text.push_str(if number == 0 { "enter: " } else { "  caused by: " });
        text.push_str(&plain(reason));
        text.push('\n');
    }
    if let Some(hint) = hint {
        text.push_str("  hint: ");
        text.push_str(&plain(hint));
        text.push('\n');
    }
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    ExitCode::from(code)
}

fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
