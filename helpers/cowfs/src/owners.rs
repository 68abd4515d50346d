//! From the owners that an image or a host directory has to those that its viewers see.
//!
//! A filesystem mounted in a user namespace speaks to the kernel in that namespace's ids. The image's own
//! ids are those inside the container, whose user namespace may be a child of the mount's. [`Owners`]
//! holds the way from one to the other.

use std::borrow::Cow;

/// A run of ids: `count` ids from `inside` on stand for those from `outside` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first id as the image numbers it.
    pub inside: u32,
    /// The first id as the mount's user namespace numbers it.
    pub outside: u32,
    /// How many ids there are.
    pub count: u32,
}

/// Every id as itself.
const ALL: Extent = Extent { inside: 0, outside: 0, count: u32::MAX };

/// The id that stands for owners who have none here: the kernel's overflow id.
pub(crate) const NOBODY: u32 = 65534;

/// How owners are translated.
///
/// ```
/// use cowfs::owners::{Extent, Owners};
///
/// // The container's user 1000 is the user who started it, id 0 of the mount's namespace.
/// let ids = [
///     Extent { inside: 1000, outside: 0, count: 1 },
///     Extent { inside: 0, outside: 1, count: 1000 },
///     Extent { inside: 1001, outside: 1001, count: 64535 },
/// ];
/// let owners = Owners::new(&ids, &ids);
/// assert_eq!((owners.uid(1000), owners.uid(0), owners.gid(2000)), (0, 1, 2000));
/// assert_eq!(owners.uid(1_000_000), 65534, "unmapped owners are nobody's");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    uids: Ids,
    gids: Ids,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ids {
    extents: Vec<Extent>,
    unmapped: u32,
}

impl Owners {
    /// Translates by extents, those of users and those of groups. An id that none of them holds becomes
    /// what 65534 becomes.
    pub fn new(uids: &[Extent], gids: &[Extent]) -> Owners {
        Owners { uids: Ids::new(uids), gids: Ids::new(gids) }
    }

    /// Gives everything to one user and one group: for a namespace that has no other.
    pub fn squash(uid: u32, gid: u32) -> Owners {
        let one = |unmapped| Ids { extents: Vec::new(), unmapped };
        Owners { uids: one(uid), gids: one(gid) }
    }

    /// Leaves all ids as they are.
    pub fn identity() -> Owners {
        Owners::new(&[ALL], &[ALL])
    }

    /// Whether everything belongs to one user and one group.
    pub fn is_squashed(&self) -> bool {
        self.uids.extents.is_empty() && self.gids.extents.is_empty()
    }

    /// The user of the image that is shown as `uid`: who makes something, or is given it.
    pub fn image_uid(&self, uid: u32) -> Option<u32> {
        self.uids.inverse(uid)
    }

    /// The group of the image that is shown as `gid`.
    pub fn image_gid(&self, gid: u32) -> Option<u32> {
        self.gids.inverse(gid)
    }

    /// The value of a `security.capability` attribute as the image has it: [`Owners::capability`] the other way round.
    pub fn image_capability<'v>(&self, value: &'v [u8]) -> Cow<'v, [u8]> {
        let root = match value {
            [_, _, _, 3, .., a, b, c, d] if value.len() == 24 => u32::from_le_bytes([*a, *b, *c, *d]),
            _ => return Cow::Borrowed(value),
        };
        if self.image_uid(root) != Some(0) {
            return Cow::Borrowed(value);
        }
        let mut plain = value[..20].to_vec();
        plain[3] = 2;
        Cow::Owned(plain)
    }

    /// Translates by extents where there are any, or gives everything to one user or group.
    pub fn of(uids: &[Extent], one_uid: Option<u32>, gids: &[Extent], one_gid: Option<u32>) -> Owners {
        let ids = |extents: &[Extent], one: Option<u32>| match one {
            Some(unmapped) => Ids { extents: Vec::new(), unmapped },
            None if extents.is_empty() => Ids::new(&[ALL]),
            None => Ids::new(extents),
        };
        Owners { uids: ids(uids, one_uid), gids: ids(gids, one_gid) }
    }

    /// The user that `uid` of the image is.
    pub fn uid(&self, uid: u32) -> u32 {
        self.uids.get(uid)
    }

    /// The group that `gid` of the image is.
    pub fn gid(&self, gid: u32) -> u32 {
        self.gids.get(gid)
    }

    /// The value to show of a `security.capability` attribute (capabilities(7)).
    ///
    /// One without a user namespace of its own (version 2) counts for the root user of the namespace that
    /// the filesystem is mounted in. The container's root may be another user there; then the attribute
    /// must name him, which is what version 3 is for.
    pub fn capability(&self, value: &[u8]) -> Vec<u8> {
        const VERSION_2: u8 = 2;
        const VERSION_3: u8 = 3;
        const V2_LEN: usize = 20;
        let mut out = value.to_vec();
        // The version is the top byte of the first number, which is little-endian.
        let root = match (value.get(3), value.len()) {
            (Some(&VERSION_2), V2_LEN) => 0,
            (Some(&VERSION_3), 24) => u32::from_le_bytes([value[20], value[21], value[22], value[23]]),
            _ => return out,
        };
        let root = self.uid(root);
        out.truncate(V2_LEN);
        out[3] = VERSION_2;
        if root != 0 {
            out[3] = VERSION_3;
            out.extend_from_slice(&root.to_le_bytes());
        }
        out
    }
}

impl Ids {
    fn new(extents: &[Extent]) -> Ids {
        let mut ids = Ids { extents: extents.to_vec(), unmapped: NOBODY };
        ids.unmapped = ids.get(NOBODY);
        ids
    }

    fn inverse(&self, id: u32) -> Option<u32> {
        if self.extents.is_empty() {
            return (id == self.unmapped).then_some(0);
        }
        let holds = |extent: &&Extent| id >= extent.outside && id - extent.outside < extent.count;
        self.extents.iter().find(holds).map(|extent| extent.inside.wrapping_add(id - extent.outside))
    }

    fn get(&self, id: u32) -> u32 {
        let holds = |extent: &&Extent| id >= extent.inside && id - extent.inside < extent.count;
        match self.extents.iter().find(holds) {
            Some(extent) => extent.outside.wrapping_add(id - extent.inside),
            None => self.unmapped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cap_net_raw+ep` as setcap(8) writes it.
    const PING: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    fn keep_id() -> Owners {
        let extent = |inside, outside, count| Extent { inside, outside, count };
        let ids = [extent(1000, 0, 1), extent(0, 1, 1000), extent(1001, 1001, 64535)];
        Owners::new(&ids, &ids)
    }

    #[test]
    fn capabilities_name_the_containers_root() {
        let shown = keep_id().capability(&PING);
        assert_eq!((shown.len(), shown[3], &shown[20..]), (24, 3, &[1, 0, 0, 0][..]));
        assert_eq!(shown[4..20], PING[4..20]);
        let identity = [Extent { inside: 0, outside: 0, count: 65536 }];
        assert_eq!(Owners::new(&identity, &identity).capability(&PING), PING);
        let mut third = [&PING[..], &[5, 0, 0, 0]].concat();
        third[3] = 3;
        assert_eq!(keep_id().capability(&third)[20..], [6, 0, 0, 0]);
        assert_eq!(keep_id().capability(b"odd"), b"odd");
    }

    #[test]
    fn squashed_and_unmapped() {
        let one = Owners::squash(0, 7);
        assert_eq!((one.uid(0), one.uid(5), one.gid(1000)), (0, 0, 7));
        let short = [Extent { inside: 0, outside: 10, count: 5 }];
        assert_eq!(Owners::new(&short, &short).uid(6), NOBODY);
        assert_eq!(keep_id().uid(u32::MAX), 65534);
    }
}
