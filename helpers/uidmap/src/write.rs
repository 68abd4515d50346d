//! Getting the maps into the kernel: `newuidmap` and `newgidmap` for ranges, a plain write for what one may write oneself.
//!
//! This lies on the path of every container's start. Both programs are started before either is waited for, and with nothing
//! in [`Command`] that would make std fork instead of using posix_spawn(3). They are handed no descriptor but stderr, as
//! long as the caller's own are close-on-exec, which all that std opens are.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::{Pid, geteuid};

use crate::error::{Cause, Error};
use crate::{IdMap, Kind, Maps};

/// A program of the package shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// newuidmap(1)
    NewUidMap,
    /// newgidmap(1)
    NewGidMap,
    /// getsubids(1)
    GetSubIds,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tool::NewUidMap => "newuidmap",
            Tool::NewGidMap => "newgidmap",
            Tool::GetSubIds => "getsubids",
        })
    }
}

/// The absolute path of a tool: the first in `PATH`, else in the directories where a system keeps such programs, which are not in
/// everyone's `PATH`.
pub fn find_tool(tool: Tool) -> Result<PathBuf, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .chain(["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(tool.to_string()))
        .find(|file| is_program(file))
        .ok_or(Error::Missing { tool })
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Writes the maps of the new user namespace that process `pid` is in, from its parent namespace, as the user who made it.
///
/// A single id is written here, after `setgroups` has been denied as the kernel demands. Ranges go through the setuid programs;
/// root, who needs no leave, writes them itself.
pub fn write(pid: Pid, maps: &Maps) -> Result<(), Error> {
    start(pid, maps)?.finish()
}

/// Begins what [`write()`] does, for a caller that has something else to do while the programs run (about 2 ms).
pub fn start(pid: Pid, maps: &Maps) -> Result<Writing, Error> {
    match maps.kind {
        Kind::Single => {
            if !geteuid().is_root() {
                write_file(&proc_file(pid, "setgroups"), b"deny")?;
            }
            write_as_owner(pid, maps)?;
        }
        Kind::Ranges if geteuid().is_root() => match write_as_owner(pid, maps) {
            // Root of a namespace that lacks the capability: then as everyone else.
            Err(Error::Write { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                return Writing::start(pid, maps);
            }
            other => other?,
        },
        Kind::Ranges => return Writing::start(pid, maps),
    }
    Ok(Writing { pid, runs: Vec::new() })
}

/// Maps that are being written.
#[must_use = "the maps are there only when this has finished"]
pub struct Writing {
    pid: Pid,
    runs: Vec<Run>,
}

impl Writing {
    fn start(pid: Pid, maps: &Maps) -> Result<Writing, Error> {
        let mut writing = Writing { pid, runs: Vec::with_capacity(2) };
        for (tool, map) in [(Tool::NewUidMap, &maps.uids), (Tool::NewGidMap, &maps.gids)] {
            // Should the second not start, the first is waited for by `drop`.
            writing.runs.push(Run::start(tool, pid, map)?);
        }
        Ok(writing)
    }

    /// Waits until both maps are written.
    pub fn finish(mut self) -> Result<(), Error> {
        let results: Vec<_> = self.runs.drain(..).map(|run| run.finish(self.pid)).collect();
        results.into_iter().collect()
    }
}

/// Whatever happens, no zombie stays with the caller.
impl Drop for Writing {
    fn drop(&mut self) {
        for run in &mut self.runs {
            let _ = run.child.wait();
        }
    }
}

/// Writes the maps of the user namespace that `pid` is in by a process that has CAP_SETUID and CAP_SETGID over the parent
/// namespace: root, or whoever holds the outer namespace, for an inner one.
pub fn write_as_owner(pid: Pid, maps: &Maps) -> Result<(), Error> {
    write_file(&proc_file(pid, "uid_map"), maps.uids.to_string().as_bytes())?;
    write_file(&proc_file(pid, "gid_map"), maps.gids.to_string().as_bytes())
}

fn proc_file(pid: Pid, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// One write(2) for the whole text: the kernel takes no second one.
fn write_file(path: &Path, text: &[u8]) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text))
        .map_err(|source| Error::Write { path: path.into(), source })
}

struct Run {
    path: PathBuf,
    child: Child,
}

impl Run {
    fn start(tool: Tool, pid: Pid, map: &IdMap) -> Result<Run, Error> {
        let path = find_tool(tool)?;
        let numbers = map.extents().iter().flat_map(|extent| [extent.inside, extent.outside, extent.count]);
        let child = Command::new(&path)
            .arg(pid.to_string())
            .args(numbers.map(|number| number.to_string()))
            .env_clear()
            .env("PATH", OsStr::new("/usr/bin:/bin:/usr/sbin:/sbin"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| Error::Start { tool: path.clone(), source })?;
        Ok(Run { path, child })
    }

    fn finish(self, pid: Pid) -> Result<(), Error> {
        let output =
            self.child.wait_with_output().map_err(|source| Error::Start { tool: self.path.clone(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().escape_debug().to_string();
        let message = if said.is_empty() { output.status.to_string() } else { said };
        Err(Error::Refused { cause: cause(&self.path), path: self.path, pid: pid.as_raw(), message })
    }
}

/// Why a tool may have refused, found only after it has: none of this is asked on the way to success.
fn cause(tool: &Path) -> Cause {
    if nix::sys::prctl::get_no_new_privs().unwrap_or(false) {
        return Cause::NoNewPrivs;
    }
    let setuid = fs::metadata(tool).is_ok_and(|meta| meta.permissions().mode() & 0o4000 != 0);
    if setuid || sys::xattr::has(tool, c"security.capability") { Cause::Other } else { Cause::NotPrivileged }
}

#[cfg(test)]
mod tests {
    use super::{Tool, find_tool, write, write_as_owner};
    use crate::{Error, Maps};
    use nix::unistd::{Pid, getgid, getpid, getuid};

    #[test]
    fn the_tools_are_found_by_absolute_path() {
        let path = find_tool(Tool::NewUidMap).expect("the tests need newuidmap (Debian: uidmap)");
        assert!(path.is_absolute() && path.ends_with("newuidmap"));
    }

    #[test]
    fn a_process_without_a_namespace_of_its_own_is_refused_with_its_name() {
        let maps = Maps::single(getuid().as_raw(), getgid().as_raw(), 0, 0).unwrap();
        let error = write_as_owner(getpid(), &maps).unwrap_err();
        assert!(matches!(&error, Error::Write { path, .. } if path.ends_with("uid_map")), "{error}");
        assert!(error.to_string().starts_with("cannot write /proc/"));
    }

    #[test]
    fn a_process_that_does_not_exist_is_an_error_and_no_hang() {
        let maps = Maps::single(getuid().as_raw(), getgid().as_raw(), 0, 0).unwrap();
        assert!(write(Pid::from_raw(i32::MAX), &maps).is_err());
    }
}
