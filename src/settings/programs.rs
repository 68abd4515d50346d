//! Programs of this machine, as they are named in settings and flags.

use std::ffi::{OsStr, OsString};

use super::lists::Element;

/// The longest path.
const LONGEST: usize = 4096;

/// A program of this machine: a name without slashes, looked for in the PATH when it is run; or a whole path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(pub String);

impl Element for Program {
    const FORM: &'static str = "names or absolute paths of programs";

    fn parse(text: &OsStr) -> Result<Self, String> {
        let text = text.to_str().ok_or("the name of the program is not UTF-8")?;
        let is_path = text.starts_with('/') && !text.split('/').any(|part| part == "..") && !text.ends_with('/');
        let is_name = !text.contains('/') && !text.starts_with(['-', '.']);
        if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) || !(is_path || is_name) {
            return Err("expected the name of a program, such as git, or its absolute path".into());
        }
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> OsString {
        self.0.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_name_or_a_whole_path() {
        for good in ["git", "/usr/bin/git", "python3.12", "my tool"] {
            assert_eq!(Program::parse(good.as_ref()), Ok(Program(good.into())));
        }
        for bad in ["", "-x", "./git", "bin/git", "/usr/../x", "/usr/bin/", "..", "a\n"] {
            assert!(Program::parse(bad.as_ref()).is_err(), "{bad}");
        }
    }
}
