//! Where everything of ours is: `$XDG_DATA_HOME/enter/v1`, and what of it a command needs first.

use std::path::{Path, PathBuf};

use enter::container::planning::caller::Caller;
use enter::container::sweep;
use enter::store::Store;
use uidmap::{Maps, SubIds, User};

use crate::failure::Failure;
use crate::settings;
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

    /// Clears what containers left whose monitor was killed.
    pub fn sweep(&self, ui: &Ui, caller: &Caller) {
        for (path, error) in sweep::dead(&self.containers(), || outer_maps(caller).ok()) {
            ui.warning(&format!("cannot clear what a killed container left in {}: {error}", path.display()));
        }
    }
}

/// The user's store, which need not exist yet.
pub fn store() -> Result<Store, Failure> {
    State::of_user()?.store()
}

/// The mapping of the user namespace that a user's containers are in.
///
/// Root without subordinate ids has every id of this machine already.
pub fn outer_maps(caller: &Caller) -> Result<Maps, Failure> {
    let mut subids = SubIds::of(&User { name: caller.name.clone(), uid: caller.uid })?;
    if subids.is_empty() && caller.uid == 0 {
        let all = || vec![uidmap::Range::new(1, 65535)];
        subids = SubIds { uids: all(), gids: all() };
    }
    Maps::outer(caller.uid, caller.gid, &subids).map_err(|error| {
        Failure::new("cannot map your subordinate ids")
            .because(error)
            .with_hint("check your lines in /etc/subuid and /etc/subgid, see subuid(5)")
    })
}
