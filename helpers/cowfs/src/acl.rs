//! POSIX access control lists (acl(5)), in the form in which the kernel gives and takes them: as the values of the extended
//! attributes [`ACCESS`] and [`DEFAULT`].
//!
//! `include/uapi/linux/posix_acl_xattr.h`: a version, then entries of tag, permissions and id, all little-endian. What is said here
//! of creation and of chmod(2) is what the kernel does on its own filesystems. Nothing here touches a file.

use nix::errno::Errno;

use crate::bytes::{Put, u16_at, u32_at};

/// The attribute with the list that rules access.
pub const ACCESS: &[u8] = b"system.posix_acl_access";
/// The attribute of a directory with the list that what is made in it inherits.
pub const DEFAULT: &[u8] = b"system.posix_acl_default";

/// Whom an entry is about. The order is that of the entries in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The file's owner.
    Owner,
    /// Another user.
    User(u32),
    /// The file's group.
    OwningGroup,
    /// Another group.
    Group(u32),
    /// The most that any of the three above may have, but for the owner.
    Mask,
    /// Everybody else.
    Other,
}

/// A list that is whole and in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl(Vec<(Who, u16)>);

const VERSION: u32 = 2;
const HEADER: usize = 4;
const ENTRY: usize = 8;
/// The id of entries that need none, which is nobody's.
const NO_ID: u32 = u32::MAX;

impl Acl {
    /// Reads an attribute's value. `None` where the list has no entries, by which it is removed.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for another version, `EINVAL` for what is no list.
    pub fn parse(value: &[u8]) -> Result<Option<Acl>, Errno> {
        if u32_at(value, 0).ok_or(Errno::EINVAL)? != VERSION {
            return Err(Errno::EOPNOTSUPP);
        }
        let (entries, rest) = value[HEADER..].as_chunks::<ENTRY>();
        if !rest.is_empty() {
            return Err(Errno::EINVAL);
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let entries: Option<Vec<_>> = entries.iter().map(|entry| parse_entry(entry)).collect();
        let acl = Acl(entries.ok_or(Errno::EINVAL)?);
        if acl.is_whole() { Ok(Some(acl)) } else { Err(Errno::EINVAL) }
    }

    /// Whether the entries are in order, each that must be there is, and none twice but those with a name.
    fn is_whole(&self) -> bool {
        let kinds: Vec<u8> = self.0.iter().map(|(who, _)| kind(*who)).collect();
        let count = |who| kinds.iter().filter(|&&k| k == kind(who)).count();
        let named = count(Who::User(0)) + count(Who::Group(0)) > 0;
        kinds.is_sorted()
            && [Who::Owner, Who::OwningGroup, Who::Other].into_iter().all(|who| count(who) == 1)
            && count(Who::Mask) <= 1
            && (!named || count(Who::Mask) == 1)
    }

    /// The attribute's value.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.0.len() * ENTRY);
        out.put_u32(VERSION);
        for &(who, permissions) in &self.0 {
            out.put_u16(1 << kind(who));
            out.put_u16(permissions);
            out.put_u32(match who {
                Who::User(id) | Who::Group(id) => id,
                _ => NO_ID,
            });
        }
        out
    }

    /// The same list about the users and groups that `user` and `group` put in the place of those named.
    pub fn translated(&self, user: impl Fn(u32) -> u32, group: impl Fn(u32) -> u32) -> Acl {
        let translate = |&(who, permissions): &(Who, u16)| match who {
            Who::User(id) => (Who::User(user(id)), permissions),
            Who::Group(id) => (Who::Group(group(id)), permissions),
            other => (other, permissions),
        };
        Acl(self.0.iter().map(translate).collect())
    }

    /// The nine permission bits of a file with this list: those of the group are the mask's where there is one.
    pub fn permissions(&self) -> u32 {
        let of = |who| self.0.iter().find(|entry| entry.0 == who).map(|entry| u32::from(entry.1));
        let group = of(Who::Mask).or(of(Who::OwningGroup));
        of(Who::Owner).unwrap_or(0) << 6 | group.unwrap_or(0) << 3 | of(Who::Other).unwrap_or(0)
    }

    /// The permission bits that say all that this list says; `None` where it says more. Such a list is not kept.
    pub fn equivalent_mode(&self) -> Option<u32> {
        (self.0.len() == 3).then(|| self.permissions())
    }

    /// Follows a chmod(2) of the file to `mode`.
    pub fn chmod(&mut self, mode: u32) {
        self.change(|_, class| class & mode);
    }

    /// What something gets that is made with `mode` in a directory whose default list this is: its mode, and its access list where
    /// that says more. (A new directory has this list as its own default, too. The umask does not count.)
    pub fn inherited(&self, mode: u32) -> (u32, Option<Acl>) {
        let mut acl = self.clone();
        acl.change(|permissions, class| permissions & class & mode);
        let mode = mode & !0o777 | acl.permissions();
        let more = acl.equivalent_mode().is_none();
        (mode, more.then_some(acl))
    }

    /// Gives the three entries that are a mode's three digits new permissions, by the old ones and by which of a mode's bits they are;
    /// both are shifted to that place.
    fn change(&mut self, new: impl Fn(u32, u32) -> u32) {
        let masked = self.0.iter().any(|entry| entry.0 == Who::Mask);
        for (who, permissions) in &mut self.0 {
            let shift = match who {
                Who::Owner => 6,
                Who::Mask => 3,
                Who::OwningGroup if !masked => 3,
                Who::Other => 0,
                _ => continue,
            };
            *permissions = (new(u32::from(*permissions) << shift, 0o7 << shift) >> shift) as u16;
        }
    }
}

/// Tags are bits, of which this is the number.
fn kind(who: Who) -> u8 {
    match who {
        Who::Owner => 0,
        Who::User(_) => 1,
        Who::OwningGroup => 2,
        Who::Group(_) => 3,
        Who::Mask => 4,
        Who::Other => 5,
    }
}

fn parse_entry(entry: &[u8]) -> Option<(Who, u16)> {
    let (tag, permissions, id) = (u16_at(entry, 0)?, u16_at(entry, 2)?, u32_at(entry, 4)?);
    let who = match tag {
        0x01 => Who::Owner,
        0x02 if id != NO_ID => Who::User(id),
        0x04 => Who::OwningGroup,
        0x08 if id != NO_ID => Who::Group(id),
        0x10 => Who::Mask,
        0x20 => Who::Other,
        _ => return None,
    };
    (permissions <= 0o7).then_some((who, permissions))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn acl(entries: &[(Who, u16)]) -> Acl {
        Acl::parse(&Acl(entries.to_vec()).to_bytes()).unwrap().unwrap()
    }

    fn plain(owner: u16, group: u16, other: u16) -> [(Who, u16); 3] {
        [(Who::Owner, owner), (Who::OwningGroup, group), (Who::Other, other)]
    }

    /// `u::rw-,u:7:rwx,g::r-x,m::rwx,o::r--`
    fn named() -> Acl {
        acl(&[(Who::Owner, 6), (Who::User(7), 7), (Who::OwningGroup, 5), (Who::Mask, 7), (Who::Other, 4)])
    }

    #[test]
    fn the_value_is_the_kernels() {
        // As `setfacl -m u:7:rwx` on a file of mode 0644 leaves it.
        let entries = [
            [1, 0, 6, 0, 255, 255, 255, 255],
            [2, 0, 7, 0, 7, 0, 0, 0],
            [4, 0, 4, 0, 255, 255, 255, 255],
            [16, 0, 7, 0, 255, 255, 255, 255],
            [32, 0, 4, 0, 255, 255, 255, 255],
        ];
        let value = [&[2, 0, 0, 0], entries.as_flattened()].concat();
        let acl = Acl::parse(&value).unwrap().unwrap();
        assert_eq!((acl.permissions(), acl.equivalent_mode()), (0o674, None));
        assert_eq!(acl.to_bytes(), value);
        assert_eq!(acl.translated(|id| id + 1, |_| 0).0[1], (Who::User(8), 7));
    }

    #[test]
    fn lists_that_are_none() {
        let refused = |entries: &[(Who, u16)]| Acl::parse(&Acl(entries.to_vec()).to_bytes()).unwrap_err();
        let [owner, group, other] = plain(7, 5, 5);
        assert_eq!(refused(&[owner, group]), Errno::EINVAL, "an entry is missing");
        assert_eq!(refused(&[owner, other, group]), Errno::EINVAL, "order");
        assert_eq!(refused(&[owner, owner, group, other]), Errno::EINVAL, "twice");
        assert_eq!(refused(&[owner, (Who::User(1), 7), group, other]), Errno::EINVAL, "a mask is missing");
        assert_eq!(refused(&[owner, (Who::User(NO_ID), 7), group, (Who::Mask, 7), other]), Errno::EINVAL, "nobody");
        assert_eq!(refused(&[(Who::Owner, 8), group, other]), Errno::EINVAL, "permissions");
        assert_eq!(Acl::parse(&[3, 0, 0, 0]), Err(Errno::EOPNOTSUPP));
        assert_eq!(Acl::parse(&[2, 0, 0]), Err(Errno::EINVAL));
        assert_eq!(Acl::parse(&[2, 0, 0, 0]), Ok(None));
    }

    #[test]
    fn modes_and_lists_follow_each_other() {
        assert_eq!(acl(&plain(7, 5, 1)).equivalent_mode(), Some(0o751));
        let mut list = named();
        list.chmod(0o640);
        assert_eq!(list.permissions(), 0o640);
        assert_eq!(list.0[2], (Who::OwningGroup, 5), "behind a mask, chmod leaves the group's own entry");
        let mut list = acl(&plain(0, 0, 0));
        list.chmod(0o100_751);
        assert_eq!(list.equivalent_mode(), Some(0o751));
    }

    #[test]
    fn what_is_created_inherits() {
        assert_eq!(acl(&plain(7, 5, 0)).inherited(0o100_666), (0o100_640, None));
        let (mode, list) = named().inherited(0o100_664);
        assert_eq!(
            (mode, list.unwrap().0),
            (0o100_664, {
                let mut expected = named().0;
                (expected[3].1, expected[4].1) = (6, 4);
                expected
            })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_or_none(
            version in prop::sample::select(vec![2_u32, 2, 2, 1]),
            entries in prop::collection::vec((0..64_u16, 0..9_u16, any::<u32>()), 0..8),
            rest in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let mut value = version.to_le_bytes().to_vec();
            for (tag, permissions, id) in entries {
                value.put_u16(tag);
                value.put_u16(permissions);
                value.put_u32(id);
            }
            value.extend(rest);
            if let Ok(Some(acl)) = Acl::parse(&value) {
                // Ids of entries that need none are not kept.
                prop_assert_eq!(Acl::parse(&acl.to_bytes()).unwrap().unwrap(), acl);
            }
        }

        #[test]
        fn whole_lists_come_back_and_keep_their_promises(
            digits in prop::array::uniform4(0..8_u16),
            users in prop::collection::vec((0..u32::MAX, 0..8_u16), 0..4),
            groups in prop::collection::vec((0..u32::MAX, 0..8_u16), 0..4),
            masked: bool,
            mode in 0..0o1000_u32,
        ) {
            let named = !users.is_empty() || !groups.is_empty();
            let mut entries = vec![(Who::Owner, digits[0])];
            entries.extend(users.into_iter().map(|(id, permissions)| (Who::User(id), permissions)));
            entries.push((Who::OwningGroup, digits[1]));
            entries.extend(groups.into_iter().map(|(id, permissions)| (Who::Group(id), permissions)));
            entries.extend((named || masked).then_some((Who::Mask, digits[2])));
            entries.push((Who::Other, digits[3]));
            let mut list = acl(&entries);
            prop_assert_eq!(&list.0, &entries);
            prop_assert_eq!(list.equivalent_mode().is_none(), named || masked);
            let (inherited, access) = list.inherited(libc::S_IFREG | mode);
            prop_assert_eq!(inherited, libc::S_IFREG | mode & list.permissions());
            prop_assert_eq!(access.map_or(inherited & 0o777, |access| access.permissions()), inherited & 0o777);
            list.chmod(mode);
            prop_assert_eq!(list.permissions(), mode);
        }
    }
}
