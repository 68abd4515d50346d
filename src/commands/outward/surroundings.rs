//! What a command outside is run in: whose environment, and which directory.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::Inside;

/// Deeper than processes stand below each other anywhere.
const DEEPEST: usize = 4096;

/// An environment.
pub type Variables = BTreeMap<OsString, OsString>;

/// The environment of the `enter` by which process `pid` came in: its terminal's, its session's. Where that is gone, that of who came in last;
/// where nobody is inside any more, that of this process, which is that of who started the container.
pub fn environment(pid: i32, inside: &[Inside]) -> Variables {
    let own = ancestors(pid).find_map(|ancestor| inside.iter().find(|(_, process)| *process == ancestor));
    let candidates = own.into_iter().chain(inside.iter().rev());
    let found = candidates.filter_map(|(client, _)| variables_of(*client)).next();
    found.unwrap_or_else(|| std::env::vars_os().collect())
}

/// A process, its parent, and so on.
fn ancestors(pid: i32) -> impl Iterator<Item = i32> {
    std::iter::successors((pid > 1).then_some(pid), |pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parent(&stat).filter(|parent| *parent > 1)
    })
    .take(DEEPEST)
}

/// The fourth word of proc_pid_stat(5); the second may have anything in it.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn variables_of(pid: i32) -> Option<Variables> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let pairs: Variables = bytes.split(|byte| *byte == 0).filter_map(pair).collect();
    // None is what a process has that has ended by now.
    Some(pairs).filter(|pairs| !pairs.is_empty())
}

fn pair(bytes: &[u8]) -> Option<(OsString, OsString)> {
    let at = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    let own = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    Some((own(&bytes[..at]), own(&bytes[at + 1..])))
}

/// A program of this machine, by its name and the PATH of `environment`, in which only whole paths count.
pub fn find_program(name: &str, environment: &Variables) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(name.into()).filter(|path: &PathBuf| path.is_file());
    }
    let path = environment.get(OsStr::new("PATH")).cloned().unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let folders = path.as_bytes().split(|byte| *byte == b':').map(|folder| Path::new(OsStr::from_bytes(folder)));
    let found = folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    let is_program =
        |path: &PathBuf| path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok();
    found.into_iter().find(is_program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_process_knows_its_parent_whatever_its_name() {
        assert_eq!(parent("12 (a) b) 1) S 7 12 12 0"), Some(7));
        assert_eq!(parent("nonsense"), None);
        let own = std::process::id() as i32;
        assert_eq!(ancestors(own).nth(1), Some(std::os::unix::process::parent_id() as i32).filter(|pid| *pid > 1));
        assert_eq!(ancestors(0).next(), None);
    }

    #[test]
    fn whose_environment_it_is_is_who_came_in_by_it() {
        let own = std::process::id() as i32;
        let mut child = std::process::Command::new("sleep").arg("100").env("MARK", "1").spawn().unwrap();
        let other = child.id() as i32;
        let mark = |inside: &[Inside]| environment(own, inside).contains_key(OsStr::new("MARK"));
        // A program that has just been executed has none for a moment.
        while variables_of(other).is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // Not this process's, but the last.
        assert!(mark(&[(own, 999_999_998), (other, 999_999_999)]));
        // This process's.
        assert!(!mark(&[(own, own), (other, 999_999_999)]));
        child.kill().and_then(|()| child.wait()).unwrap();
        assert!(!mark(&[(other, 999_999_999)]));
    }

    #[test]
    fn only_whole_paths_of_the_path_count() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("tool");
        std::fs::write(&program, "").unwrap();
        let with = |path: String| Variables::from([("PATH".into(), path.into())]);
        let here = with(format!(":.:relative:{}", dir.path().display()));
        assert_eq!(find_program("tool", &here), None);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_program("tool", &here), Some(program.clone()));
        assert_eq!(find_program("tool", &with(".:".into())), None);
        assert_eq!(find_program(program.to_str().unwrap(), &Variables::new()), Some(program));
    }
}
