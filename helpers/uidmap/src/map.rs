//! One id mapping: the lines of `/proc/PID/uid_map`, held so that the kernel cannot refuse them for their form.
//!
//! Pure data and arithmetic; no file is read or written here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kernel takes no more extents than this since 4.15 (user_namespaces(7)).
pub const MAX_EXTENTS: usize = 340;

/// The text of a map must be shorter than a page (`map_write` in kernel/user_namespace.c).
const MAX_TEXT: usize = 4096;

/// `count` ids from `inside` on are the ids from `outside` on in the parent namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The first id in the namespace.
    pub inside: u32,
    /// The first id in its parent.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl Extent {
    /// `count` ids from `inside` on are those from `outside` on.
    pub const fn new(inside: u32, outside: u32, count: u32) -> Extent {
        Extent { inside, outside, count }
    }

    /// The kernel wants `first + count` to fit, so that the id 4294967295, which means "none", is never mapped.
    fn is_valid(&self) -> bool {
        self.count > 0
            && self.inside.checked_add(self.count).is_some()
            && self.outside.checked_add(self.count).is_some()
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.inside, self.outside, self.count)
    }
}

/// What is wrong with a list of extents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A map without extents can be written, but makes a namespace in which nobody exists.
    #[error("an id map needs at least one extent")]
    Empty,
    /// `count` is zero, or the range runs past the last id.
    #[error("the extent \"{0}\" of an id map is empty or runs past id 4294967294")]
    Invalid(Extent),
    /// Two extents share ids on one side.
    #[error("the extents \"{0}\" and \"{1}\" of an id map overlap")]
    Overlap(Extent, Extent),
    /// More than the kernel takes.
    #[error("an id map of {extents} extents and {bytes} bytes is more than the kernel takes (340 extents, 4095 bytes)")]
    TooLong {
        /// How many extents there are.
        extents: usize,
        /// How long the text is.
        bytes: usize,
    },
}

/// A mapping that the kernel takes: not empty, without overlap on either side, without wrap-around, short enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Extent>", into = "Vec<Extent>")]
pub struct IdMap(Vec<Extent>);

impl IdMap {
    /// Checks the extents and makes a map of them, in the order given.
    pub fn new(extents: Vec<Extent>) -> Result<IdMap, MapError> {
        if extents.is_empty() {
            return Err(MapError::Empty);
        }
        if let Some(bad) = extents.iter().find(|extent| !extent.is_valid()) {
            return Err(MapError::Invalid(*bad));
        }
        if !fits(&extents) {
            return Err(MapError::TooLong { extents: extents.len(), bytes: text_len(&extents) });
        }
        overlap_by(&extents, |extent| extent.inside)?;
        overlap_by(&extents, |extent| extent.outside)?;
        Ok(IdMap(extents))
    }

    /// One id alone.
    pub fn single(inside: u32, outside: u32) -> Result<IdMap, MapError> {
        IdMap::new(vec![Extent::new(inside, outside, 1)])
    }

    /// The extents, in order.
    pub fn extents(&self) -> &[Extent] {
        &self.0
    }

    /// How many ids are mapped. Below 2³²: no id is mapped twice.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|extent| extent.count).sum()
    }

    /// Never: an empty map cannot be made. Here for the reader who expects it beside `len`.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The id in the parent namespace that `inside` is, if it is mapped.
    pub fn to_outside(&self, inside: u32) -> Option<u32> {
        self.0.iter().find_map(|extent| {
            let offset = inside.checked_sub(extent.inside)?;
            (offset < extent.count).then(|| extent.outside + offset)
        })
    }

    /// The id in this namespace that `outside` has, if it is mapped.
    pub fn to_inside(&self, outside: u32) -> Option<u32> {
        self.0.iter().find_map(|extent| {
            let offset = outside.checked_sub(extent.outside)?;
            (offset < extent.count).then(|| extent.inside + offset)
        })
    }
}

/// Whether the kernel takes a map of so many extents and so much text.
pub(crate) fn fits(extents: &[Extent]) -> bool {
    extents.len() <= MAX_EXTENTS && text_len(extents) < MAX_TEXT
}

fn text_len(extents: &[Extent]) -> usize {
    extents.iter().map(|extent| extent.to_string().len() + 1).sum()
}

fn overlap_by(extents: &[Extent], start: impl Fn(&Extent) -> u32) -> Result<(), MapError> {
    let mut sorted: Vec<&Extent> = extents.iter().collect();
    sorted.sort_by_key(|extent| start(extent));
    for pair in sorted.windows(2) {
        if start(pair[0]) + pair[0].count > start(pair[1]) {
            return Err(MapError::Overlap(*pair[0], *pair[1]));
        }
    }
    Ok(())
}

/// The format of `/proc/PID/uid_map`: one extent on each line.
impl fmt::Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|extent| writeln!(f, "{extent}"))
    }
}

impl TryFrom<Vec<Extent>> for IdMap {
    type Error = MapError;
    fn try_from(extents: Vec<Extent>) -> Result<IdMap, MapError> {
        IdMap::new(extents)
    }
}

impl From<IdMap> for Vec<Extent> {
    fn from(map: IdMap) -> Vec<Extent> {
        map.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Extent, IdMap, MapError};
    use proptest::prelude::*;

    fn extent() -> impl Strategy<Value = Extent> {
        let id = || prop_oneof![0u32..40, u32::MAX - 40..=u32::MAX, any::<u32>()];
        (id(), id(), prop_oneof![0u32..20, any::<u32>()]).prop_map(|(i, o, c)| Extent::new(i, o, c))
    }

    #[test]
    fn an_overlap_on_either_side_is_refused() {
        let inside = vec![Extent::new(0, 0, 10), Extent::new(9, 50, 1)];
        assert!(matches!(IdMap::new(inside), Err(MapError::Overlap(..))));
        let outside = vec![Extent::new(50, 9, 5), Extent::new(0, 0, 10)];
        assert!(matches!(IdMap::new(outside), Err(MapError::Overlap(..))));
    }

    #[test]
    fn the_id_that_means_none_is_never_mapped() {
        assert!(IdMap::single(u32::MAX, 0).is_err());
        assert!(IdMap::single(0, u32::MAX).is_err());
        assert!(IdMap::single(u32::MAX - 1, 0).is_ok());
        assert!(IdMap::new(vec![Extent::new(1, 1, u32::MAX)]).is_err());
    }

    #[test]
    fn a_map_longer_than_a_page_is_refused_before_the_kernel_does() {
        let many = |n: u32, base: u32| (0..n).map(|i| Extent::new(base + i, base + 2 * i, 1)).collect::<Vec<_>>();
        assert!(IdMap::new(many(340, 0)).is_ok());
        assert!(matches!(IdMap::new(many(341, 0)), Err(MapError::TooLong { extents: 341, .. })));
        assert!(matches!(IdMap::new(many(300, 1_000_000_000)), Err(MapError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn a_map_that_is_accepted_translates_each_way_to_itself(extents in prop::collection::vec(extent(), 1..6), probe: u32) {
            if let Ok(map) = IdMap::new(extents) {
                let probes = map.extents().iter().flat_map(|e| [e.inside, e.inside + (e.count - 1)]).chain([probe]);
                for inside in probes {
                    if let Some(outside) = map.to_outside(inside) {
                        prop_assert_eq!(map.to_inside(outside), Some(inside));
                    }
                }
                prop_assert_eq!(map.to_outside(u32::MAX), None);
                prop_assert!(map.to_string().lines().count() == map.extents().len());
            }
        }
    }
}
