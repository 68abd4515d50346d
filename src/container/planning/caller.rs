//! Who starts the container: the user as this machine knows him, and what his shell was like.

use std::env;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use crate::container::Error;

/// The user who runs `enter`, and the circumstances.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Login name.
    pub name: String,
    /// Name of the group.
    pub group: String,
    /// The comment field of passwd(5), often the full name.
    pub gecos: String,
    /// Home directory, as HOME or passwd(5) says.
    pub home: PathBuf,
    /// The preferred shell.
    pub shell: PathBuf,
    /// The working directory; `None` where it is gone.
    pub directory: Option<PathBuf>,
    /// Permission bits that new files do not get.
    pub umask: u32,
}

impl Caller {
    /// Asks the system.
    ///
    /// # Errors
    /// Where no passwd entry exists for the user and HOME does not help either.
    pub fn find() -> Result<Self, Error> {
        let (uid, gid) = (Uid::effective(), Gid::effective());
        let user = User::from_uid(uid).ok().flatten();
        let variable = |name: &str| env::var_os(name).filter(|value| Path::new(value).is_absolute());
        let home = variable("HOME").map(PathBuf::from).or_else(|| user.as_ref().map(|user| user.dir.clone()));
        let home = home.ok_or_else(|| Error::Plan {
            doing: "find your home directory".into(),
            reason: format!("user {uid} is in no user database, and HOME is not set"),
            hint: Some("set HOME".into()),
        })?;
        let shell = variable("SHELL").map(PathBuf::from).or_else(|| user.as_ref().map(|user| user.shell.clone()));
        let name = user.as_ref().map_or_else(|| fallback_name(uid), |user| user.name.clone());
        let group = Group::from_gid(gid).ok().flatten();
        Ok(Self {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            group: group.map_or_else(|| name.clone(), |group| group.name),
            gecos: user.map(|user| user.gecos.to_string_lossy().into_owned()).unwrap_or_default(),
            name,
            home,
            shell: shell.unwrap_or_else(|| "/bin/sh".into()),
            directory: env::current_dir().ok(),
            umask: umask(),
        })
    }

    /// The working directory, if it lies in the home, as a path by way of HOME.
    pub fn directory_at_home(&self) -> Option<PathBuf> {
        let directory = self.directory.as_ref()?;
        // HOME may lead through links that the kernel's answer does not.
        let real = self.home.canonicalize().ok()?;
        [self.home.as_path(), &real].iter().find_map(|home| {
            let below = directory.strip_prefix(home).ok()?;
            Some(if below.as_os_str().is_empty() { self.home.clone() } else { self.home.join(below) })
        })
    }
}

fn fallback_name(uid: Uid) -> String {
    env::var("USER").ok().filter(|name| is_name(name)).unwrap_or_else(|| format!("user{uid}"))
}

/// Whether text can stand as a name in passwd(5).
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-$@\\".contains(&byte);
    !text.is_empty() && text.len() <= 256 && !text.starts_with('-') && text.bytes().all(allowed)
}

/// The umask, which can only be read by being set (umask(2)); this runs before there are threads.
fn umask() -> u32 {
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    nix::sys::stat::umask(mask);
    mask.bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_kept_where_it_lies_in_the_home_by_any_way() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("real");
        std::fs::create_dir_all(real.join("src")).unwrap();
        let home = dir.path().join("home");
        std::os::unix::fs::symlink(&real, &home).unwrap();
        let caller = |directory: PathBuf| Caller {
            uid: 1,
            gid: 1,
            name: "u".into(),
            group: "u".into(),
            gecos: String::new(),
            home: home.clone(),
            shell: "/bin/sh".into(),
            directory: Some(directory),
            umask: 0o22,
        };
        assert_eq!(caller(real.join("src")).directory_at_home(), Some(home.join("src")));
        assert_eq!(caller(home.clone()).directory_at_home(), Some(home.clone()));
        assert_eq!(caller("/usr".into()).directory_at_home(), None);
    }

    #[test]
    fn a_name_has_no_colon_and_no_newline() {
        assert!(is_name("alice"));
        for bad in ["", "-a", "a:b", "a\nb", "a b"] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
