//! Where everything of ours is: `$XDG_DATA_HOME/enter/v1`, and what of it a command needs first.

use std::fs;
use std::path::{Path, PathBuf};

use enter::container::planning::caller::Caller;
use enter::container::record::Storage;
use enter::container::{storage, sweep, users};
use enter::store::Store;
use uidmap::{Maps, SubIds, User};

use crate::failure::Failure;
use crate::settings::values::Storage as Asked;
use crate::settings::{self, Settings};
use crate::ui::Ui;

/// The state of one user.
#[derive(Debug)]
pub struct State {
    root: PathBuf,
}

impl State {
    /// Where the XDG variables put it.
    pub fn of_user() -> Result<Self, Failure> {
        let root = settings::places::data(|name| std::env::var_os(name))?;
        Ok(Self { root })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where containers live.
    pub fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// The images.
    pub fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.root)?)
    }

    /// How the changes of a new container of an image are kept: as the settings say, or by the faster driver that works here. `maps`: the outer
    /// user namespace. The caller has a single thread.
    pub fn storage(&self, settings: &Settings, maps: &Maps) -> Storage {
        match settings.storage {
            Asked::Overlay => Storage::Overlay,
            Asked::Fuse => Storage::Fuse,
            Asked::Auto => storage::fastest(&self.root, maps),
        }
    }

    /// Clears what containers left whose monitor was killed.
    pub fn sweep(&self, ui: &Ui, caller: &Caller) {
        for (path, error) in sweep::dead(&self.containers(), || outer_maps(caller).ok()) {
            ui.warning(&format!("cannot clear what a killed container left in {}: {error}", path.display()));
        }
        super::back::sweep(&self.root);
    }
}

impl State {
    /// The outer user namespace of the user's containers, for what removes files of theirs.
    pub fn outer(&self) -> Option<Maps> {
        Caller::find().ok().and_then(|caller| outer_maps(&caller).ok())
    }
}

/// The user's store, which need not exist yet.
pub fn store() -> Result<Store, Failure> {
    State::of_user()?.store()
}

/// How the changes of a view of this machine are kept. The kernel's overlay knows nothing of what changes below it; cowfs serves all
/// that is below anyway.
pub fn host_storage(settings: &Settings) -> Storage {
    if settings.storage == Asked::Overlay { Storage::Overlay } else { Storage::Fuse }
}

/// The mapping of the user namespace that a user's containers are in.
///
/// Root without subordinate ids has every id of its namespace already. Root of a container has no others than those, whatever
/// /etc/subuid says, and it may be none but its own. Anybody else without them, or without the programs that map them, has one
/// id; what is less by that is told when it is felt.
pub fn outer_maps(caller: &Caller) -> Result<Maps, Failure> {
    let mut subids = SubIds::of(&User { name: caller.name.clone(), uid: caller.uid })?;
    let map = |file| fs::read_to_string(file).unwrap_or_default();
    let (uids, gids) = (map("/proc/self/uid_map"), map("/proc/self/gid_map"));
    if caller.uid == 0 && (subids.is_empty() || !is_first_namespace(&uids)) {
        subids = SubIds { uids: ids_beside_root(&uids), gids: ids_beside_root(&gids) };
    } else if users::lacking(&caller.name, &subids).is_some() {
        subids = SubIds { uids: Vec::new(), gids: Vec::new() };
    }
    Maps::outer(caller.uid, caller.gid, &subids).map_err(|error| {
        Failure::new("cannot map your subordinate ids")
            .because(error)
            .with_hint("check your lines in /etc/subuid and /etc/subgid, see subuid(5)")
    })
}

/// Whether a map is that of the namespace that the machine started with: every id is itself.
fn is_first_namespace(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The ids from 1 to 65535 that a user namespace has, by its map (user_namespaces(7)).
fn ids_beside_root(map: &str) -> Vec<uidmap::Range> {
    let range = |line: &str| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().ok());
        let (inside, _outside, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let (first, end) = (inside.max(1), inside.saturating_add(count).min(1 << 16));
        (first < end).then(|| uidmap::Range::new(first, end - first))
    };
    map.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_the_ids_of_its_namespace() {
        let ids = |map| ids_beside_root(map);
        assert_eq!(ids("         0          0 4294967295\n"), [uidmap::Range::new(1, 65_535)]);
        assert_eq!(ids("0 1000 1\n1 100000 500\n"), [uidmap::Range::new(1, 500)]);
        assert_eq!(ids("0 1000 1\n"), []);
        assert!(is_first_namespace("         0          0 4294967295\n"));
        assert!(!is_first_namespace("0 1000 1\n"));
    }
}
