//! `enter __manual DIR` writes the manual's pages; for those who build and package the program.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::manual;

/// Writes every page into the directory that `arguments` name.
pub fn write(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let [directory] = arguments else { return Err(Failure::new("usage: enter __manual DIR")) };
    for (name, text) in manual::pages() {
        let path = Path::new(directory).join(name);
        std::fs::write(&path, text)
            .map_err(|error| Failure::new(format!("cannot write {}", path.display())).because(error))?;
    }
    Ok(ExitCode::SUCCESS)
}
