//! The mappings that containers are made of: which ids exist in a namespace, and who they are outside.
//!
//! Pure data and arithmetic. Two levels: an *outer* namespace that has everything a user may map, and in it an *inner*
//! one for what runs in the container.

use serde::{Deserialize, Serialize};

use crate::map::fits;
use crate::{Extent, IdMap, MapError, Range, SubIds};

/// How a pair of maps gets into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Subordinate ids: only `newuidmap` and `newgidmap`, or root, may write them.
    Ranges,
    /// The caller's own id alone: it may write that itself, having given up setgroups(2).
    Single,
}

/// The uid map and the gid map of one user namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maps {
    /// The uid map.
    pub uids: IdMap,
    /// The gid map.
    pub gids: IdMap,
    /// How they are written.
    pub kind: Kind,
}

impl Maps {
    /// The parent namespace of a user's containers: 0 is the user, the ids from 1 on are the subordinate ones, one range
    /// after another. Ranges past what one map can hold are left out.
    pub fn outer(uid: u32, gid: u32, subids: &SubIds) -> Result<Maps, MapError> {
        if subids.uids.is_empty() || subids.gids.is_empty() {
            return Maps::single(uid, gid, 0, 0);
        }
        Ok(Maps {
            uids: own_then_ranges(uid, &subids.uids)?,
            gids: own_then_ranges(gid, &subids.gids)?,
            kind: Kind::Ranges,
        })
    }

    /// One uid and one gid alone, for a user without subordinate ids.
    pub fn single(uid: u32, gid: u32, inside_uid: u32, inside_gid: u32) -> Result<Maps, MapError> {
        Ok(Maps { uids: IdMap::single(inside_uid, uid)?, gids: IdMap::single(inside_gid, gid)?, kind: Kind::Single })
    }

    /// The inner map of a container in which the user keeps uid and gid, in terms of the ids of `outer`: the inner id
    /// `uid` is the outer 0, the inner ids below it are the outer ids from 1 on, and those above follow.
    ///
    /// Works for a `uid` beyond the number of ids too: it is then the only one there, and 0, 1, … stay dense below.
    pub fn keep_id(outer: &Maps, uid: u32, gid: u32) -> Result<Maps, MapError> {
        Ok(Maps { uids: keep(&outer.uids, uid)?, gids: keep(&outer.gids, gid)?, kind: outer.kind })
    }

    /// The inner map of a container that has `count` ids of `outer` from `start` on, and no others: with a `start` above 0 the user is nobody in
    /// it.
    pub fn block(outer: &Maps, start: u32, count: u32) -> Result<Maps, MapError> {
        let block = |map: &IdMap| IdMap::new(cut(map, &[Extent::new(0, start, count)]));
        Ok(Maps { uids: block(&outer.uids)?, gids: block(&outer.gids)?, kind: outer.kind })
    }

    /// The inner map of a container whose ids are those of `outer`: its root is the user.
    pub fn identity(outer: &Maps) -> Result<Maps, MapError> {
        let same = |map: &IdMap| IdMap::new(cut(map, &[Extent::new(0, 0, map.len())]));
        Ok(Maps { uids: same(&outer.uids)?, gids: same(&outer.gids)?, kind: outer.kind })
    }
}

fn own_then_ranges(own: u32, ranges: &[Range]) -> Result<IdMap, MapError> {
    let mut extents = vec![Extent::new(0, own, 1)];
    let mut next = 1u32;
    for range in disjoint(own, ranges) {
        // Ids inside are dense, so the sum of all counts must leave room too.
        let count = range.count.min(u32::MAX - next);
        extents.push(Extent::new(next, range.start, count));
        if count == 0 || !fits(&extents) {
            extents.pop();
            break;
        }
        next += count;
    }
    IdMap::new(extents)
}

/// The ranges in the order given, without ids that come twice and without `own`, which is mapped already.
/// Each piece stays within the range that it came from, as newuidmap demands of each extent.
fn disjoint(own: u32, ranges: &[Range]) -> Vec<Range> {
    let mut taken: Vec<Range> = vec![Range::new(own, 1)];
    let mut pieces = Vec::new();
    for range in ranges {
        let mut left = vec![*range];
        for other in &taken {
            left = left.iter().flat_map(|piece| piece.without(other)).collect();
        }
        taken.extend(&left);
        pieces.extend(left);
    }
    pieces
}

fn keep(outer: &IdMap, id: u32) -> Result<IdMap, MapError> {
    let others = outer.len() - 1;
    let below = others.min(id);
    let above = others - below;
    let mut extents = Vec::with_capacity(3);
    if below > 0 {
        extents.push(Extent::new(0, 1, below));
    }
    extents.push(Extent::new(id, 0, 1));
    // The ids above: no more than there are numbers left.
    let above = above.min(u32::MAX - 1 - id);
    if above > 0 {
        extents.push(Extent::new(id + 1, below + 1, above));
    }
    IdMap::new(cut(outer, &extents))
}

/// The same map with its extents cut where those of `outer` meet: the kernel takes no extent that more than one of the parent
/// namespace's extents map (map_id_range_down in its user_namespace.c).
fn cut(outer: &IdMap, extents: &[Extent]) -> Vec<Extent> {
    let overlap = |extent: &Extent, parent: &Extent| {
        let start = extent.outside.max(parent.inside);
        let end = (extent.outside + extent.count).min(parent.inside + parent.count);
        (start < end).then(|| Extent::new(extent.inside + (start - extent.outside), start, end - start))
    };
    extents.iter().flat_map(|extent| outer.extents().iter().filter_map(move |parent| overlap(extent, parent))).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_inner_extent_lies_in_one_outer_extent() {
        let ranges = || vec![Range::new(100_000, 10), Range::new(300_000, 2_000)];
        let outer = Maps::outer(1000, 1000, &SubIds { uids: ranges(), gids: ranges() }).unwrap();
        for inner in [Maps::keep_id(&outer, 1000, 1000).unwrap(), Maps::identity(&outer).unwrap()] {
            let of_one = |extent: &crate::Extent| {
                let parents = outer.uids.extents();
                parents.iter().any(|parent| {
                    parent.inside <= extent.outside && extent.outside + extent.count <= parent.inside + parent.count
                })
            };
            assert!(inner.uids.extents().iter().all(of_one), "{:?}", inner.uids);
            assert_eq!(inner.uids.len(), outer.uids.len());
        }
    }

    use super::{Kind, Maps};
    use crate::{Range, SubIds};
    use proptest::prelude::*;

    fn both(ranges: &[(u32, u32)]) -> SubIds {
        let ranges: Vec<Range> = ranges.iter().map(|(start, count)| Range::new(*start, *count)).collect();
        SubIds { uids: ranges.clone(), gids: ranges }
    }

    #[test]
    fn the_outer_map_puts_the_user_first_and_the_ranges_after() {
        let maps = Maps::outer(1000, 100, &both(&[(100_000, 10), (300_000, 5)])).unwrap();
        assert_eq!(maps.uids.to_string(), "0 1000 1\n1 100000 10\n11 300000 5\n");
        assert_eq!(maps.gids.to_string(), "0 100 1\n1 100000 10\n11 300000 5\n");
        assert_eq!(maps.kind, Kind::Ranges);
    }

    #[test]
    fn without_subordinate_ids_of_both_kinds_the_user_is_alone() {
        let only_uids = SubIds { uids: vec![Range::new(100_000, 10)], gids: vec![] };
        for subids in [SubIds::default(), only_uids] {
            let maps = Maps::outer(1000, 1000, &subids).unwrap();
            assert_eq!((maps.uids.to_string(), maps.kind), ("0 1000 1\n".into(), Kind::Single));
        }
    }

    #[test]
    fn overlapping_ranges_and_the_users_own_id_among_them_are_mapped_once() {
        let maps = Maps::outer(1000, 1000, &both(&[(990, 20), (1005, 10)])).unwrap();
        assert_eq!(maps.uids.to_string(), "0 1000 1\n1 990 10\n11 1001 9\n20 1010 5\n");
    }

    #[test]
    fn a_user_with_more_ranges_than_a_map_holds_gets_those_that_fit() {
        let many: Vec<(u32, u32)> = (0..1000).map(|i| (1_000_000_000 + 2 * i, 1)).collect();
        let maps = Maps::outer(1000, 1000, &both(&many)).unwrap();
        assert!(maps.uids.extents().len() > 100);
        assert!(maps.uids.to_string().len() < 4096);
    }

    #[test]
    fn kept_ids_beyond_the_number_of_ids_leave_the_rest_dense_below() {
        let outer = Maps::outer(70_000, 5, &both(&[(100_000, 10)])).unwrap();
        let inner = Maps::keep_id(&outer, 70_000, 5).unwrap();
        assert_eq!(inner.uids.to_string(), "0 1 10\n70000 0 1\n");
        assert_eq!(inner.gids.to_string(), "0 1 5\n5 0 1\n6 6 5\n");
    }

    #[test]
    fn root_keeps_id_zero() {
        let outer = Maps::outer(0, 0, &both(&[(100_000, 10)])).unwrap();
        assert_eq!(Maps::keep_id(&outer, 0, 0).unwrap().uids.to_string(), "0 0 1\n1 1 10\n");
    }

    #[test]
    fn the_user_alone_keeps_the_id_alone() {
        let outer = Maps::single(1000, 1000, 0, 0).unwrap();
        assert_eq!(Maps::keep_id(&outer, 1000, 7).unwrap().gids.to_string(), "7 0 1\n");
        assert_eq!(Maps::identity(&outer).unwrap().uids.to_string(), "0 0 1\n");
    }

    fn range() -> impl Strategy<Value = Range> {
        let start = prop_oneof![0u32..200, any::<u32>()];
        let count = prop_oneof![1u32..100, any::<u32>()];
        (start, count).prop_filter_map("a range of the file", |(start, count)| {
            start.checked_add(count).filter(|_| count > 0).map(|_| Range::new(start, count))
        })
    }

    proptest! {
        #[test]
        fn whatever_the_ranges_the_maps_are_valid_and_agree(
            ranges in prop::collection::vec(range(), 1..20), uid in prop_oneof![0u32..300, 0..u32::MAX - 1], gid in 0u32..300
        ) {
            let outer = Maps::outer(uid, gid, &SubIds { uids: ranges.clone(), gids: ranges.clone() }).unwrap();
            prop_assert_eq!(outer.uids.to_outside(0), Some(uid));
            for extent in &outer.uids.extents()[1..] {
                let within = ranges.iter().any(|r| {
                    r.start <= extent.outside && extent.outside + (extent.count - 1) <= r.start + (r.count - 1)
                });
                prop_assert!(within, "{} lies in no range", extent);
            }
            let inner = Maps::keep_id(&outer, uid, gid).unwrap();
            prop_assert_eq!(inner.uids.to_outside(uid), Some(0));
            prop_assert_eq!(inner.gids.to_outside(gid), Some(0));
            // Every id that the inner map names exists in the outer one.
            for extent in inner.uids.extents() {
                prop_assert!(outer.uids.to_outside(extent.outside + (extent.count - 1)).is_some());
            }
            prop_assert!(Maps::identity(&outer).unwrap().uids.len() == outer.uids.len());
        }
    }
}
