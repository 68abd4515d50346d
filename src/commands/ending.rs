//! From how a container ended to an exit code, or to what the user is told.

use std::process::ExitCode;

use enter::container::{End, Error, Left};
use nix::errno::Errno;
use plan::Plan;
use plan::report::{self, Stage};

use crate::failure::{CANNOT_RUN, Failure, NOT_FOUND, VERB_FAILED};

/// What a shell adds to the number of the signal that ended a command.
const SIGNALLED: i32 = 128;

/// The exit code of `enter` itself, once it has been with a container: that of what was run, 0 where it was left by the keys.
pub fn left(plan: &Plan, left: Left) -> Result<ExitCode, Failure> {
    match left {
        Left::Ended(end) => code(plan, end),
        Left::Detached => Ok(ExitCode::SUCCESS),
        Left::Interrupted(signal) => Ok(ExitCode::from(u8::try_from(SIGNALLED + signal).unwrap_or(u8::MAX))),
    }
}

/// The exit code of what was run, or why it did not run.
pub fn code(plan: &Plan, end: End) -> Result<ExitCode, Failure> {
    let code = match end {
        End::Exited(code) => code,
        End::Killed(signal) => SIGNALLED + signal,
        End::Failed(failure) => return Err(failed(plan, &failure)),
        End::Broken(told) => return Err(Error::Told(told).into()),
    };
    Ok(ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX)))
}

/// What docker says of who has left by the detach keys what he had come to later.
pub fn escaped() -> Failure {
    Failure::new("read escape sequence").with_code(VERB_FAILED)
}

fn failed(plan: &Plan, failure: &report::Failure) -> Failure {
    let errno = Errno::from_raw(failure.errno);
    let report::Failure { stage, doing, subject, .. } = failure;
    let image = &plan.container.image;
    match stage {
        Stage::Find => Failure::new(format!("cannot run `{subject}` in {image}: there is no such command"))
            .with_hint(missing_hint(subject))
            .with_code(NOT_FOUND),
        Stage::Execute => Failure::new(format!("cannot run `{subject}` in {image}"))
            .because(reason(errno))
            .with_hint(execute_hint(errno))
            .with_code(CANNOT_RUN),
        Stage::Setup => {
            let told = Failure::new(format!("cannot {doing} {subject}")).because(reason(errno));
            match setup_hint(doing, errno) {
                Some(hint) => told.with_hint(hint),
                None => told,
            }
        }
    }
}

fn reason(errno: Errno) -> String {
    let text = errno.desc();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn missing_hint(subject: &str) -> String {
    if subject.contains('/') {
        "the path is one in the container; a script's interpreter, and a program's loader, must be there too".into()
    } else {
        "see what is there with: ls /usr/bin".into()
    }
}

fn execute_hint(errno: Errno) -> String {
    match errno {
        Errno::EACCES => "it is a directory, or its permissions do not allow it to be executed".into(),
        Errno::ENOEXEC => {
            "it is a script without `#!`, or a program for another kind of machine: see --platform".into()
        }
        Errno::E2BIG => "the arguments and the environment are too large together".into(),
        _ => "see what it is with: ls -l, and file".into(),
    }
}

fn setup_hint(doing: &str, errno: Errno) -> Option<String> {
    let doctor = "`enter doctor` finds out what this machine lacks, and how to mend it";
    if doing.contains("overlay") {
        return Some(format!(
            "the kernel, or the filesystem of your data directory, does not take overlays (NFS and eCryptfs do not): make the \
             container with --storage fuse; {doctor}"
        ));
    }
    match errno {
        Errno::ENOSPC => Some("free some space, for instance with `enter rmi`".into()),
        Errno::EISDIR | Errno::ENOTDIR if matches!(doing, "show a file at" | "use as a directory") => Some(
            "a folder is shown in the place of a folder, and a file in that of a file: see what is there in the image"
                .into(),
        ),
        _ if doing.contains("working directory") => Some("give another one with -w".into()),
        Errno::EPERM | Errno::EACCES | Errno::EINVAL | Errno::ENODEV => Some(doctor.into()),
        _ => None,
    }
}
