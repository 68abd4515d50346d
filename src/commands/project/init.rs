//! `enter init`: a first project file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use super::super::state::State;
use super::kept::Kept;
use crate::cli::InitArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::project::{self, NAME, guess};
use crate::ui::Ui;

/// Writes it, allows it, and prints its path.
pub fn init(ui: &Ui, args: &InitArgs) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| {
        let hint = match error.kind() {
            ErrorKind::AlreadyExists => "see what it does, and allow it: enter allow".to_owned(),
            _ => "go to a folder that you may write to".to_owned(),
        };
        Failure::new(format!("cannot write {NAME} here")).because(error).with_hint(hint).with_code(VERB_FAILED)
    };
    let folder = std::env::current_dir().map_err(failed)?;
    let file = folder.join(NAME);
    let (text, sign) = guess::text(&folder, args.image.as_deref());
    // What cannot be read again is not written.
    project::parse(&file, &text).map_err(|_| {
        let image = args.image.clone().unwrap_or_default();
        Failure::new(format!("`{image}` is no image for a project"))
            .with_hint("name one such as debian:13 or quay.io/fedora/fedora:42")
            .with_code(VERB_FAILED)
    })?;
    let mut new = OpenOptions::new().write(true).create_new(true).open(&file).map_err(failed)?;
    new.write_all(text.as_bytes()).and_then(|()| new.sync_data()).map_err(|error| {
        // Half a file would be in the way.
        let _ = std::fs::remove_file(&file);
        failed(error)
    })?;
    Kept::about(State::of_user()?.root(), &file).allow(&file, &text)?;
    let guessed =
        sign.map(|sign| format!(", guessed from {sign}")).filter(|_| args.image.is_none()).unwrap_or_default();
    ui.note(&format!("allowed{guessed}; change it as you like, `enter allow` it again, and `enter`"));
    let mut output = ui.output();
    output.line(file.to_string_lossy());
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}
