//! Users and groups, as the root's own files know them. Every Linux has root, with or without a file that says so.

use std::path::PathBuf;

/// The most that is read of passwd(5) or group(5).
const LIMIT: u64 = 1 << 20;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
    pub shell: PathBuf,
}

/// Both files.
#[derive(Debug, Default)]
pub struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    pub fn read() -> Self {
        let text = |path: &str| {
            let mut bytes = Vec::new();
            let _ = std::fs::File::open(path)
                .and_then(|file| std::io::Read::read_to_end(&mut std::io::Read::take(file, LIMIT), &mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self { passwd: text("/etc/passwd"), group: text("/etc/group") }
    }

    fn users(&self) -> impl Iterator<Item = Account> {
        self.passwd.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
            let or = |text: &str, other: &str| PathBuf::from(if text.starts_with('/') { text } else { other });
            let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
            Some(Account { name: name.into(), uid, gid, home: or(home, "/"), shell: or(shell, "/bin/sh") })
        })
    }

    /// The user of a name, or of a number after `#`.
    pub fn user(&self, text: &str) -> Option<Account> {
        if let Some(number) = text.strip_prefix('#') {
            return number.parse().ok().filter(|uid| *uid != u32::MAX).map(|uid| self.of(uid));
        }
        self.users().find(|user| user.name == text).or_else(|| (text == "root").then(|| self.of(0)))
    }

    /// The user of a number, which may be in no file.
    pub fn of(&self, uid: u32) -> Account {
        self.users().find(|user| user.uid == uid).unwrap_or_else(|| Account {
            name: if uid == 0 { "root".into() } else { uid.to_string() },
            uid,
            gid: if uid == 0 { 0 } else { uid },
            home: if uid == 0 { "/root".into() } else { "/".into() },
            shell: "/bin/sh".into(),
        })
    }

    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, gid, members] = fields[..] else { return None };
            Some((name, gid.parse().ok()?, members))
        })
    }

    /// The group of a name, or of a number after `#`.
    pub fn group(&self, text: &str) -> Option<u32> {
        match text.strip_prefix('#') {
            Some(number) => number.parse().ok().filter(|gid| *gid != u32::MAX),
            None => self.groups().find(|(name, ..)| *name == text).map(|(_, gid, _)| gid),
        }
    }

    /// All groups that a user is in, his own first.
    pub fn groups_of(&self, user: &Account) -> Vec<u32> {
        let has = |members: &str| members.split(',').any(|member| member == user.name);
        let others = self.groups().filter(|(_, gid, members)| *gid != user.gid && has(members)).map(|(_, gid, _)| gid);
        [user.gid].into_iter().chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/bash\nbad\nwww-data:x:33:33::/var/www:\n".into(),
            group: "root:x:0:\nwww-data:x:33:\nssl:x:7:a,www-data\n".into(),
        }
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        let user = accounts().user("www-data").unwrap();
        assert_eq!((user.uid, user.gid, user.shell.to_str()), (33, 33, Some("/bin/sh")));
        assert_eq!(accounts().user("#33"), Some(user.clone()));
        assert_eq!(accounts().groups_of(&user), [33, 7]);
        assert_eq!(accounts().user("#7").unwrap().home.to_str(), Some("/"));
        assert_eq!(accounts().group("#12"), Some(12));
        for unknown in ["nobody-here", "33", "#", "#x", "#4294967295", ""] {
            assert_eq!(accounts().user(unknown), None, "{unknown}");
            assert!(accounts().group(unknown).is_none());
        }
    }

    #[test]
    fn root_is_there_without_any_file() {
        let root = Accounts::default().user("root").unwrap();
        assert_eq!((root.uid, root.gid, root.home.to_str()), (0, 0, Some("/root")));
    }
}
