//! `--network pasta:OPTIONS`: what is to be seen to before anything is fetched, and what is kept of it.

use std::path::Path;

use passt::{Options, Pasta};

use super::asked::{together, whole};
use crate::failure::Failure;

/// Refuses what the installed pasta, or this machine, cannot do.
pub fn refuse(words: &[String], links: &[(String, String)]) -> Result<(), Failure> {
    let options = Options::parse(words).map_err(|error| Failure::new(error.to_string()))?;
    if words.is_empty() {
        return Ok(());
    }
    if !links.is_empty() {
        return Err(together("--link", "--network pasta:OPTIONS"));
    }
    options.check(&Pasta::find().map_err(failed)?).map_err(failed)?;
    options.files().try_for_each(can_be_written)
}

fn failed(error: passt::Error) -> Failure {
    let hint = error.hint();
    Failure::from_error(error, hint)
}

/// pasta would only say so after the start.
fn can_be_written(file: &Path) -> Result<(), Failure> {
    let refused = |error| {
        Failure::new(format!("pasta cannot write {}", file.display()))
            .because(error)
            .with_hint("name a file in a folder that is there and is yours")
    };
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(file);
    opened.map(drop).map_err(refused)
}

/// The words, in which files are named wherever one is.
pub fn kept(words: &[String]) -> Result<Vec<String>, Failure> {
    Options::with_files(words, |file| whole(file).map(|path| path.to_string_lossy().into_owned()))
}
