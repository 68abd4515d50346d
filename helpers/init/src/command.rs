//! Finding the command and executing it, the last step of every process that init starts.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use plan::report::Stage;
use plan::{Process, Text};

use crate::failure::{Doing, Failure, Result};
use crate::root::c_string;

/// Executes the command; returns why it could not.
pub fn execute(process: &Process) -> Failure {
    let prepared = prepare(process);
    let (candidates, argv, environment) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return failure,
    };
    let argv: Vec<&CStr> = argv.iter().map(CString::as_c_str).collect();
    let environment: Vec<&CStr> = environment.iter().map(CString::as_c_str).collect();
    let mut reason = Errno::ENOENT;
    for candidate in &candidates {
        let Err(errno) = nix::unistd::execve(candidate, &argv, &environment);
        match errno {
            // Keeps looking; but what was found and refused says more than what was not found.
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => reason = Errno::EACCES,
            other => {
                reason = other;
                break;
            }
        }
    }
    let name = process.arguments.first().map(|name| name.as_path().display().to_string()).unwrap_or_default();
    let stage = if reason == Errno::ENOENT { Stage::Find } else { Stage::Execute };
    Failure { stage, doing: "run".to_owned(), subject: name, errno: reason }
}

type Prepared = (Vec<CString>, Vec<CString>, Vec<CString>);

/// The paths to try, the arguments and the environment.
fn prepare(process: &Process) -> Result<Prepared> {
    let missing = || Failure::setup("run", "an empty command", Errno::EINVAL);
    let program = process.arguments.first().ok_or_else(missing)?;
    let argv = process.arguments.iter().map(|text| c_string(text.as_path())).collect::<Result<Vec<_>>>()?;
    let pair = |(name, value): &(Text, Text)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
            .map_err(|_| Errno::EINVAL)
            .doing("set the environment variable", name.as_path().display())
    };
    let environment = process.environment.iter().map(pair).collect::<Result<Vec<_>>>()?;
    let candidates = if program.as_bytes().is_empty() {
        // Joined to a directory it would be the directory.
        Vec::new()
    } else if program.as_bytes().contains(&b'/') {
        vec![c_string(program.as_path())?]
    } else {
        search_path(process)
            .split(|byte| *byte == b':')
            .map(|directory| if directory.is_empty() { b".".as_slice() } else { directory })
            .map(|directory| {
                let path = [directory, b"/", program.as_bytes()].concat();
                c_string(std::path::Path::new(std::ffi::OsStr::from_bytes(&path)))
            })
            .collect::<Result<Vec<_>>>()?
    };
    Ok((candidates, argv, environment))
}

/// The environment's PATH, or what a system without one falls back to.
fn search_path(process: &Process) -> &[u8] {
    let path = process.environment.iter().find(|(name, _)| name.as_bytes() == b"PATH");
    path.map_or(b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", |(_, value)| value.as_bytes())
}
