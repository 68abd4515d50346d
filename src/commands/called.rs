//! By which name the program was called. Programs that drive `docker` or `podman` find `enter` under that name, and expect no more
//! than the name promises: a version that they can compare, and no meaning for words that are no subcommands there.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::failure::{ENTER_FAILED, Failure, VERB_FAILED};

/// The name that a caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// By its own name, or any that is nobody else's.
    Enter,
    /// As docker.
    Docker,
    /// As podman.
    Podman,
    /// As what mounts for others: `enter cowfs`.
    Cowfs,
}

impl Called {
    /// By the first word of a command line.
    pub fn by(args: &[OsString]) -> Self {
        let name = args.first().map(Path::new).and_then(Path::file_name).and_then(OsStr::to_str);
        match name {
            Some("docker") => Self::Docker,
            Some("podman") => Self::Podman,
            Some("enter-cowfs") => Self::Cowfs,
            _ => Self::Enter,
        }
    }

    /// By the command line of this process.
    pub fn now() -> Self {
        Self::by(&std::env::args_os().take(1).collect::<Vec<_>>())
    }

    /// What is told as the version: of the program whose commands, flags and output are followed, with our own behind it as the
    /// build. Callers compare the former with what they need.
    pub fn version(self) -> &'static str {
        match self {
            Self::Enter | Self::Cowfs => env!("CARGO_PKG_VERSION"),
            Self::Docker => concat!("28.2.2+enter.", env!("CARGO_PKG_VERSION")),
            Self::Podman => concat!("4.3.1+enter.", env!("CARGO_PKG_VERSION")),
        }
    }

    /// The answer to `docker --version`, `podman -v` and `enter -v`, if that is what was asked.
    pub fn answer(self, args: &[OsString]) -> Option<String> {
        let asked = matches!(args, [_, flag] if flag == "--version" || flag == "-v");
        match self {
            Self::Docker if asked => {
                Some(format!("Docker version 28.2.2, build enter-{}\n", env!("CARGO_PKG_VERSION")))
            }
            Self::Cowfs if matches!(args, [_, _, flag] if flag == "--version" || flag == "-V") => {
                Some(format!("enter-cowfs {}\n", self.version()))
            }
            Self::Podman if asked => Some(format!("podman version {}\n", self.version())),
            // Programs that are told to take `enter` for docker ask so what it is. Who finds podman's name in the answer minds what goes
            // for every rootless container: that files of the caller's are his inside too, and that there is no SELinux label to change.
            Self::Enter if matches!(args, [_, flag] if flag == "-v") => {
                Some(format!("enter version {}, with the command line of docker and podman\n", self.version()))
            }
            _ => None,
        }
    }

    /// Refuses a word that is no subcommand. Under our own name it is an image to open a shell in.
    pub fn refuse(self, word: &OsStr) -> Result<(), Failure> {
        let (name, code) = match self {
            Self::Enter | Self::Cowfs => return Ok(()),
            Self::Docker => ("docker", VERB_FAILED),
            Self::Podman => ("podman", ENTER_FAILED),
        };
        let word = word.to_string_lossy();
        Err(Failure::new(format!("there is no `{name} {word}` here"))
            .with_hint(format!(
                "see `{name} --help`; a shell in an image of that name is opened by: {name} shell {word}"
            ))
            .with_code(code))
    }
}

/// The command line with the subcommand that the program's name stands for.
pub fn whole(mut args: Vec<OsString>) -> Vec<OsString> {
    if Called::by(&args) == Called::Cowfs {
        args.insert(1, "cowfs".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<OsString> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn the_name_is_the_last_part_of_the_path() {
        assert_eq!(Called::by(&args("/usr/bin/docker ps")), Called::Docker);
        assert_eq!(Called::by(&args("podman")), Called::Podman);
        assert_eq!(Called::by(&args("./enter")), Called::Enter);
        assert_eq!(Called::by(&[]), Called::Enter);
    }

    #[test]
    fn a_version_that_programs_compare_is_that_of_the_program_that_they_ask_for() {
        let answer = |line: &str| Called::by(&args(line)).answer(&args(line)).unwrap_or_default();
        assert!(answer("docker --version").starts_with("Docker version 28.2.2, build enter-"));
        assert!(answer("podman -v").starts_with("podman version 4.3.1+enter."));
        assert_eq!(answer("enter --version"), "");
        assert!(answer("enter -v").starts_with(concat!("enter version ", env!("CARGO_PKG_VERSION"))));
        assert_eq!(answer("enter -v /a:/a"), "");
        let cowfs = whole(args("/usr/bin/enter-cowfs --version"));
        assert!(Called::by(&cowfs).answer(&cowfs).unwrap_or_default().starts_with("enter-cowfs "));
        assert_eq!(answer("docker run --version"), "");
    }

    #[test]
    fn a_plugin_that_is_not_there_is_not_taken_for_an_image() {
        assert_eq!(Called::Docker.refuse(OsStr::new("buildx")).unwrap_err().code(), 1);
        assert_eq!(Called::Podman.refuse(OsStr::new("buildx")).unwrap_err().code(), 125);
        assert!(Called::Enter.refuse(OsStr::new("ubuntu")).is_ok());
    }
}
