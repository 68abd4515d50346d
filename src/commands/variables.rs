//! What flags say that name files and variables of the caller's: read here, for shells and containers alike.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::settings::lists::{Element as _, EnvVar};

/// One NAME=VALUE or NAME a line, taken as it stands, as docker does; `#` begins a comment line.
pub fn file(path: &Path) -> Result<Vec<EnvVar>, Failure> {
    let text = fs::read(path).map_err(|error| {
        Failure::new(format!("cannot read the variables in {}", path.display()))
            .because(error)
            .with_hint("check the path given to --env-file")
    })?;
    let mut variables = Vec::new();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii_start();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let wrong = |reason: String| {
            Failure::new(format!("{}, line {}: {reason}", path.display(), number + 1))
                .with_hint("write one NAME=VALUE a line")
        };
        let variable = EnvVar::parse(OsStr::from_bytes(line)).map_err(wrong)?;
        if variable.name.as_bytes().contains(&b' ') || line.contains(&0) {
            return Err(wrong("the name of a variable has neither spaces nor NUL in it".into()));
        }
        variables.push(variable);
    }
    Ok(variables)
}

/// What files and flags set, in the order in which later ones win. A variable without a value has the caller's, if he has one.
pub fn given(files: &[PathBuf], flags: &[EnvVar]) -> Result<Vec<(OsString, OsString)>, Failure> {
    let mut variables = Vec::new();
    for path in files {
        variables.extend(file(path)?.iter().filter_map(pair));
    }
    variables.extend(flags.iter().filter_map(pair));
    Ok(variables)
}

/// Name and value, where that is not said, of the caller's.
pub fn pair(variable: &EnvVar) -> Option<(OsString, OsString)> {
    let value = variable.value.clone().or_else(|| std::env::var_os(&variable.name))?;
    Some((variable.name.clone(), value))
}

/// A path of this machine, from / on.
pub fn whole_path(path: &Path) -> io::Result<PathBuf> {
    std::path::absolute(expand(path))
}

/// `~/…`, which a shell leaves alone inside a word.
fn expand(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.to_owned(),
    }
}
