//! `enter host-exec PROGRAM …`, typed inside: a program of this machine, where it was allowed.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use enter::container::outward::outside;
use enter::container::record::{Outward, Record};
use plan::Text;
use plan::outward::Reply;

use super::Call;
use super::running::{self, Command};
use super::surroundings::{self, Variables};
use crate::failure::{CANNOT_RUN, Failure, NOT_FOUND};

/// Runs it, and returns how it ended.
pub fn run(call: Call<'_>) -> Result<Reply, Failure> {
    let mut words = call.request.arguments.iter().map(Text::as_os_str).peekable();
    words.next_if(|word| *word == "--");
    let name = words.next().filter(|name| !name.is_empty()).ok_or_else(|| {
        Failure::new("no program is named").with_hint("name one that is allowed: enter host-exec PROGRAM [ARGUMENTS]")
    })?;
    let arguments: Vec<&OsStr> = words.collect();
    let mut environment = surroundings::environment(call.pid, &call.inside);
    let path = allowed(&call.container.record, name, &environment)?;
    if !call.request.term.is_empty() {
        // What it writes to is the terminal inside.
        environment.insert("TERM".into(), call.request.term.as_str().into());
    }
    let plan = call.plan();
    let directory = plan.and_then(|plan| outside(&plan, call.request.directory.as_path()));
    let command = Command {
        path: text(path.as_os_str())?,
        arguments: std::iter::once(name).chain(arguments).map(text).collect::<Result<_, _>>()?,
        environment: variables(&environment)?,
        directory: directory.map(|(directory, _)| directory),
        name: shown(name),
    };
    running::run(&command, call)
}

/// Where the program is that `name` means, if it is allowed.
fn allowed(record: &Record, name: &OsStr, environment: &Variables) -> Result<std::path::PathBuf, Failure> {
    let program = named(&record.spec.outward, name, |program| surroundings::find_program(program, environment));
    let program = program.ok_or_else(|| refused(record, name))?;
    surroundings::find_program(program, environment).ok_or_else(|| {
        Failure::new(format!("cannot run `{}` outside: there is no such program on this machine", shown(name)))
            .with_hint("it is looked for in the PATH of the `enter` that you came in by")
            .with_code(NOT_FOUND)
    })
}

/// The allowed program that `name` means: one of that very name or path; one whose path ends in the name; or one by whose name that path is
/// found.
fn named<'a>(allowed: &'a Outward, name: &OsStr, find: impl Fn(&str) -> Option<std::path::PathBuf>) -> Option<&'a str> {
    let programs = || allowed.programs.iter().map(String::as_str);
    let has_path = name.as_bytes().contains(&b'/');
    let same = programs().find(|program| *program == name);
    let by_name = || {
        programs()
            .find(|program| program.starts_with('/') && Path::new(program).file_name() == Some(name))
            .filter(|_| !has_path)
    };
    let by_path = || {
        programs()
            .filter(|program| {
                has_path && !program.starts_with('/') && Path::new(name).file_name() == Some(program.as_ref())
            })
            .find(|program| find(program).is_some_and(|path| path == Path::new(name)))
    };
    same.or_else(by_name).or_else(by_path)
}

fn refused(record: &Record, name: &OsStr) -> Failure {
    let name = shown(name);
    let quoted = if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./+".contains(&byte)) {
        name.clone()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    };
    let mend = if record.spec.boxed.is_some() {
        format!("allow it, outside: enter set {} --allow-host-exec {quoted}", record.name)
    } else {
        format!("open the shell with it: enter --allow-host-exec {quoted} {}", record.spec.image.name)
    };
    Failure::new(format!("cannot run `{name}` outside: that is not allowed here")).with_hint(mend).with_code(CANNOT_RUN)
}

/// As it can be shown.
fn shown(name: &OsStr) -> String {
    name.to_string_lossy().chars().filter(|char| !char.is_control()).take(200).collect()
}

fn variables(environment: &Variables) -> Result<Vec<CString>, Failure> {
    environment
        .iter()
        .map(|(name, value)| {
            let pair: OsString = [name.as_os_str(), OsStr::new("="), value].into_iter().collect();
            text(&pair)
        })
        .collect()
}

fn text(text: &OsStr) -> Result<CString, Failure> {
    CString::new(text.as_bytes()).map_err(|error| Failure::new("cannot pass the arguments on").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_meant_by_its_very_name_or_path() {
        let programs = ["git", "/opt/tool/bin/tool"].map(String::from).to_vec();
        let allowed = Outward { programs, open: false };
        let find = |name: &str| (name == "git").then(|| "/usr/bin/git".into());
        let named = |name: &str| named(&allowed, OsStr::new(name), find);
        assert_eq!(named("git"), Some("git"));
        assert_eq!(named("/usr/bin/git"), Some("git"));
        assert_eq!(named("tool"), Some("/opt/tool/bin/tool"));
        assert_eq!(named("/opt/tool/bin/tool"), Some("/opt/tool/bin/tool"));
        for no in ["", "Git", "git ", "/tmp/git", "./git", "/usr/bin/../bin/git", "/opt/tool/bin/git", "sh", "/tool"] {
            assert_eq!(named(no), None, "{no}");
        }
    }
}
