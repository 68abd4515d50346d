//! Users and groups of the root to be entered: read from its own files, never by the host's name services.
//!
//! The files are hostile input: size-limited, parsed line by line, and a name that is not in them is an error, not root.

use std::path::{Path, PathBuf};

use uidmap::Maps;

use super::caller::{Caller, is_name};
use super::view::View;
use crate::container::Error;

/// The most that is read of passwd(5) or group(5).
const LIMIT: usize = 1 << 20;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Who the payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id in the container.
    pub uid: u32,
    /// Group id in the container.
    pub gid: u32,
    /// Supplementary groups; `None`: the caller's own, untouched.
    pub groups: Option<Vec<u32>>,
    /// Login name, if the id has one.
    pub name: Option<String>,
    /// Home directory.
    pub home: PathBuf,
    /// The shell that passwd(5) names.
    pub shell: Option<PathBuf>,
}

impl Identity {
    /// Whether the container has the user and the group.
    ///
    /// # Errors
    /// That it has not, with the ids that it has.
    pub fn check(&self, inner: &Maps) -> Result<(), Error> {
        for (kind, map, id) in [("user", &inner.uids, self.uid), ("group", &inner.gids, self.gid)] {
            if map.to_outside(id).is_none() {
                return Err(Error::Plan {
                    doing: format!("become the {kind} {id}"),
                    reason: format!("the container has ids up to {} only", map.len().saturating_sub(1)),
                    hint: Some("use a smaller number, or add subordinate ids: see `enter doctor`".into()),
                });
            }
        }
        Ok(())
    }
}

/// One line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

/// One line of group(5).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn users(text: &str) -> impl Iterator<Item = User<'_>> {
    text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
        Some(User { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home, shell })
    })
}

fn groups(text: &str) -> impl Iterator<Item = Group<'_>> {
    text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields[..] else { return None };
        Some(Group { name, gid: gid.parse().ok()?, members })
    })
}

/// User and group of `USER[:GROUP]`.
fn parts(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    }
}

fn absolute(path: &str) -> Option<PathBuf> {
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}

/// passwd(5) and group(5) of a root.
#[derive(Debug)]
pub struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Reads both files; a root without them has no names.
    pub fn read(view: &dyn View) -> Self {
        let text = |path: &str| {
            let bytes = view.read(Path::new(path), LIMIT).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self { passwd: text(PASSWD), group: text(GROUP) }
    }

    /// The caller, who is himself inside.
    pub fn caller(&self, caller: &Caller) -> Identity {
        Identity {
            uid: caller.uid,
            gid: caller.gid,
            groups: None,
            name: Some(caller.name.clone()),
            home: caller.home.clone(),
            shell: Some(caller.shell.clone()),
        }
    }

    /// Whom `USER[:GROUP]` means in this root.
    ///
    /// # Errors
    /// For a name that is in neither of the files.
    pub fn find(&self, text: &str, caller: &Caller) -> Result<Identity, Error> {
        let (user, group) = parts(text);
        let is_caller = user == caller.name || user.parse() == Ok(caller.uid);
        let identity = if is_caller { self.caller(caller) } else { self.user(user)? };
        self.with_group(identity, group)
    }

    /// Whom `USER[:GROUP]` means in this root, where the caller is nobody in particular. Empty for root.
    ///
    /// # Errors
    /// For a name that is in neither of the files.
    pub fn inside(&self, text: &str) -> Result<Identity, Error> {
        let (user, group) = parts(text);
        let identity = self.user(if user.is_empty() { "0" } else { user })?;
        self.with_group(identity, group)
    }

    fn with_group(&self, mut identity: Identity, group: Option<&str>) -> Result<Identity, Error> {
        if let Some(group) = group {
            identity.gid = self.group_id(group)?;
            identity.groups = Some(Vec::new());
        }
        Ok(identity)
    }

    /// The highest id that either file names, but for that of nobody.
    pub fn highest_id(&self) -> u32 {
        const NOBODY: u32 = 65534;
        let users = users(&self.passwd).flat_map(|user| [user.uid, user.gid]);
        let ids = users.chain(groups(&self.group).map(|group| group.gid));
        ids.filter(|id| *id < NOBODY).max().unwrap_or(0)
    }

    fn user(&self, text: &str) -> Result<Identity, Error> {
        let number: Option<u32> = text.parse().ok();
        let known = users(&self.passwd).find(|user| user.name == text).or_else(|| {
            let number = number?;
            users(&self.passwd).find(|user| user.uid == number)
        });
        if let Some(user) = known {
            return Ok(Identity {
                uid: user.uid,
                gid: user.gid,
                groups: Some(self.groups_of(&user)),
                name: Some(user.name.to_owned()),
                home: absolute(user.home).unwrap_or_else(|| "/".into()),
                shell: absolute(user.shell),
            });
        }
        match (text, number) {
            // Every Linux has these two, with or without a file that says so.
            ("root", _) | (_, Some(0)) => Ok(Identity {
                uid: 0,
                gid: 0,
                groups: Some(Vec::new()),
                name: Some("root".into()),
                home: "/root".into(),
                shell: None,
            }),
            (_, Some(uid)) => {
                Ok(Identity { uid, gid: 0, groups: Some(Vec::new()), name: None, home: "/".into(), shell: None })
            }
            _ => Err(Error::Plan {
                doing: format!("become the user `{text}`"),
                reason: format!("{PASSWD} in the container knows no such user"),
                hint: Some("use a number, such as -u 1000, or a name that is in that file".into()),
            }),
        }
    }

    /// The number of a group.
    ///
    /// # Errors
    /// For a name that is not in the file.
    pub fn group_id(&self, text: &str) -> Result<u32, Error> {
        let named = groups(&self.group).find(|group| group.name == text).map(|group| group.gid);
        named.or_else(|| text.parse().ok()).ok_or_else(|| Error::Plan {
            doing: format!("take on the group `{text}`"),
            reason: format!("{GROUP} in the container knows no such group"),
            hint: Some("give --group-add, or -u USER:GROUP, a number, or a name that is in that file".into()),
        })
    }

    fn groups_of(&self, user: &User<'_>) -> Vec<u32> {
        let member = |group: &Group<'_>| group.members.split(',').any(|member| member == user.name);
        groups(&self.group).filter(|group| group.gid != user.gid && member(group)).map(|group| group.gid).collect()
    }

    /// What passwd(5) calls a user by his number, and where his home is.
    pub fn named(&self, uid: u32) -> Option<(&str, PathBuf)> {
        let user = users(&self.passwd).find(|user| user.uid == uid)?;
        Some((user.name, absolute(user.home).unwrap_or_else(|| "/".into())))
    }

    /// passwd(5) with the caller in it, where he is not there already: content for the file.
    pub fn passwd_with(&self, caller: &Caller, shell: &Path) -> Option<String> {
        let Caller { uid, gid, name, gecos, home, .. } = caller;
        let home = home.to_str().filter(|home| !home.contains([':', '\n']))?;
        let is_there = users(&self.passwd).any(|user| user.name == name && user.uid == *uid && user.home == home);
        if is_there || !is_name(name) {
            return None;
        }
        // An image's own user of this number or name, such as ubuntu's `ubuntu`, makes room.
        let others = self.passwd.lines().filter(|line| !users(line).any(|user| user.uid == *uid || user.name == name));
        let gecos: String = gecos.chars().filter(|char| !matches!(char, ':' | '\n')).collect();
        // `*`: no password opens it, and no shadow(5) entry is looked for.
        let own = format!("{name}:*:{uid}:{gid}:{gecos}:{home}:{}", shell.display());
        // Where nobody is known, root is missed by many programs.
        let knows_root = *uid == 0 || users(&self.passwd).any(|user| user.uid == 0 || user.name == "root");
        let root = (!knows_root).then(|| format!("root:*:0:0:root:/root:{}", shell.display()));
        Some(root.as_deref().into_iter().chain(others).chain([own.as_str()]).flat_map(|line| [line, "\n"]).collect())
    }

    /// group(5) with the caller's group in it, where no group has its number: content for the file.
    pub fn group_with(&self, caller: &Caller) -> Option<String> {
        let Caller { gid, group, .. } = caller;
        if !is_name(group) || groups(&self.group).any(|known| known.gid == *gid || known.name == group) {
            return None;
        }
        let own = format!("{group}:x:{gid}:");
        let knows_root = *gid == 0 || groups(&self.group).any(|known| known.gid == 0 || known.name == "root");
        let root = (!knows_root).then_some("root:x:0:");
        Some(root.into_iter().chain(self.group.lines()).chain([own.as_str()]).flat_map(|line| [line, "\n"]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::fake::Files;
    use super::*;
    use proptest::prelude::*;

    fn accounts() -> Accounts {
        Accounts::read(&Files(
            [
                (PASSWD, "root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\nbad line\n_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"),
                (GROUP, "root:x:0:\ntty:x:5:_apt,ubuntu\nnogroup:x:65534:\n"),
            ]
            .into(),
        ))
    }

    fn caller() -> Caller {
        Caller {
            uid: 1000,
            gid: 1000,
            name: "dana".into(),
            group: "dana".into(),
            gecos: "Dana: D".into(),
            home: "/home/dana".into(),
            shell: "/bin/zsh".into(),
            directory: None,
            umask: 0o22,
        }
    }

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let expected = accounts().find("_apt", &caller()).unwrap();
        assert_eq!((expected.uid, expected.gid, expected.groups.clone()), (42, 65534, Some(vec![5])));
        assert_eq!(accounts().find("42", &caller()).unwrap(), expected);
    }

    #[test]
    fn an_unknown_name_is_an_error_and_not_root() {
        assert!(accounts().find("nobody-here", &caller()).is_err());
        assert!(accounts().find("root:nobody-here", &caller()).is_err());
        assert!(accounts().find("", &caller()).is_err());
    }

    #[test]
    fn an_unknown_number_is_taken_as_it_is() {
        let identity = accounts().find("7:8", &caller()).unwrap();
        assert_eq!((identity.uid, identity.gid), (7, 8));
    }

    #[test]
    fn root_is_root_in_a_root_without_files() {
        let empty = Accounts::read(&Files::default());
        assert_eq!(empty.find("root", &caller()).unwrap().uid, 0);
    }

    #[test]
    fn the_caller_takes_the_place_of_the_images_user_of_his_number() {
        let passwd = accounts().passwd_with(&caller(), Path::new("/bin/bash")).unwrap();
        assert!(!passwd.contains("ubuntu:"));
        assert!(passwd.ends_with("dana:*:1000:1000:Dana D:/home/dana:/bin/bash\n"));
        assert_eq!(accounts().group_with(&caller()).unwrap().lines().last(), Some("dana:x:1000:"));
    }

    #[test]
    fn root_and_the_caller_are_known_where_nobody_was() {
        let empty = Accounts::read(&Files::default());
        let passwd = empty.passwd_with(&caller(), Path::new("/bin/sh")).unwrap();
        assert_eq!(passwd, "root:*:0:0:root:/root:/bin/sh\ndana:*:1000:1000:Dana D:/home/dana:/bin/sh\n");
        assert_eq!(empty.group_with(&caller()).unwrap(), "root:x:0:\ndana:x:1000:\n");
    }

    #[test]
    fn a_caller_who_is_there_changes_nothing() {
        let passwd = "dana:x:1000:1000::/home/dana:/bin/sh\n";
        let there = Accounts::read(&Files([(PASSWD, passwd), (GROUP, "g:x:1000:\n")].into()));
        assert_eq!(there.passwd_with(&caller(), Path::new("/bin/bash")), None);
        assert_eq!(there.group_with(&caller()), None);
    }

    proptest! {
        #[test]
        fn any_file_is_survived_and_nobody_becomes_root_by_it(passwd in "[a-z0-9:x\n,-]{0,200}", name in "[a-z]{1,3}") {
            let accounts = Accounts { group: passwd.clone(), passwd };
            if let Ok(identity) = accounts.find(&name, &caller()) && identity.uid == 0 {
                prop_assert!(accounts.passwd.contains(&name) || name == "root");
            }
        }
    }
}
