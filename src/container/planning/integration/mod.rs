//! What a shell or a box shares of this machine beside its home: sockets, agents, looks, words. Found as it is at each start and each
//! visit; what is not there costs a look and nothing else, and what is there is pointed to by variables.
//!
//! Nothing is put over a file of the root's: all of it lies in [`runtime`], which is in memory, or in `/run/host` and other folders
//! that no package owns.

mod agents;
mod session;
mod x11;

use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use plan::{Filesystem, Restrictions, Step};

use super::caller::Caller;
use crate::container::error::Told;
use crate::container::record::{Share, Shares};

/// The socket of a service: nothing is run from there.
const SOCKET: Restrictions = Restrictions { read_only: false, no_suid: true, no_dev: true, no_exec: true };

/// The most that a runtime folder holds.
const RUNTIME_SIZE: u64 = 256 << 20;

/// What sharing depends on, of this machine and of whoever enters.
pub struct Outside<'a> {
    /// The caller's variables.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Who enters.
    pub caller: &'a Caller,
    /// The container has this machine's own network, and so whatever listens there.
    pub shares_network: bool,
    /// Where X servers have their sockets.
    pub displays: &'a Path,
}

/// Where X servers have their sockets, on this machine as inside.
pub const DISPLAYS: &str = "/tmp/.X11-unix";

/// One thing that can be shared.
#[derive(Debug)]
pub struct Part {
    /// Which.
    pub share: Share,
    /// What has become of it.
    pub found: Found,
}

/// Whether a thing is shared.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// It is.
    Shared(Offer),
    /// It would be, but this machine has nothing of the kind: why.
    Absent(String),
    /// It was not to be.
    Off,
}

/// What is shared of a thing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// What it is on this machine, for people.
    pub source: String,
    /// What shows it.
    pub steps: Vec<Step>,
    /// What points to it.
    pub variables: Vec<(OsString, OsString)>,
}

/// All that is shared.
#[derive(Debug)]
pub struct Integration {
    /// Each thing that could be.
    pub parts: Vec<Part>,
    runtime: PathBuf,
    owner: (u32, u32),
}

/// The caller's runtime folder inside.
#[must_use]
pub fn runtime(uid: u32) -> PathBuf {
    Path::new("/run/user").join(uid.to_string())
}

/// Looks for everything that is to be shared.
#[must_use]
pub fn find(shares: &Shares, outside: &Outside<'_>) -> Integration {
    let look = |share: Share| {
        if !shares.has(share) {
            return Found::Off;
        }
        let offer = match share {
            Share::Wayland => session::wayland(outside),
            Share::X11 => x11::x11(outside),
            Share::Audio => session::audio(outside),
            Share::Dbus => session::bus(outside),
            Share::SshAgent => agents::ssh(outside),
        };
        offer.map_or_else(Found::Absent, Found::Shared)
    };
    let parts = Share::ALL.iter().map(|share| Part { share: *share, found: look(*share) }).collect();
    Integration { parts, runtime: runtime(outside.caller.uid), owner: (outside.caller.uid, outside.caller.gid) }
}

impl Integration {
    /// As [`find`], for a caller as he is now.
    #[must_use]
    pub fn of(shares: &Shares, caller: &Caller, shares_network: bool) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        find(shares, &Outside { variable: &variable, caller, shares_network, displays: Path::new(DISPLAYS) })
    }

    /// What was asked for by name, and is not there.
    pub fn warn(&self, shares: &Shares, warn: &mut dyn FnMut(Told)) {
        for part in &self.parts {
            if let (Found::Absent(why), true) = (&part.found, shares.names(part.share)) {
                warn(Told::plain(format!("nothing is shared by --share {}: {why}", part.share.name())));
            }
        }
    }

    /// The steps of everything that is not there.
    pub fn lacking(&self, is_there: &dyn Fn(&Offer) -> bool) -> Vec<Step> {
        self.offers().filter(|offer| !is_there(offer)).flat_map(|offer| offer.steps.iter().cloned()).collect()
    }

    fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.parts.iter().filter_map(|part| match &part.found {
            Found::Shared(offer) => Some(offer),
            Found::Absent(_) | Found::Off => None,
        })
    }

    /// The steps of a start: the caller's runtime folder, and everything in it and elsewhere.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let runtime = Step::Mount {
            target: self.runtime.clone().into(),
            filesystem: Filesystem::Tmpfs {
                mode: 0o700,
                size: Some(RUNTIME_SIZE),
                inodes: None,
                owner: self.owner,
                copy: plan::Copied::Nothing,
            },
            restrictions: Restrictions { no_suid: true, no_dev: true, ..Restrictions::default() },
            optional: false,
        };
        let offered = self.offers().flat_map(|offer| offer.steps.iter().cloned());
        std::iter::once(runtime).chain(offered).collect()
    }

    /// The variables of one who is `uid` inside, of everything that `is_there`.
    ///
    /// The runtime folder itself is the caller's alone: programs of others must not keep anything there.
    pub fn variables(&self, uid: u32, is_there: &dyn Fn(&Offer) -> bool) -> Vec<(OsString, OsString)> {
        let mut all: Vec<(OsString, OsString)> = Vec::new();
        let is_callers = uid == self.owner.0;
        if is_callers {
            all.push(("XDG_RUNTIME_DIR".into(), self.runtime.clone().into()));
        }
        for (name, value) in self.offers().filter(|offer| is_there(offer)).flat_map(|offer| &offer.variables) {
            // A name below the runtime folder means nothing to who has none.
            let value =
                if name == "WAYLAND_DISPLAY" && !is_callers { self.runtime.join(value).into() } else { value.clone() };
            all.push((name.clone(), value));
        }
        all
    }
}

impl Outside<'_> {
    /// A variable that holds an absolute path.
    fn path(&self, name: &str) -> Option<PathBuf> {
        (self.variable)(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// A variable that holds text.
    fn text(&self, name: &str) -> Option<String> {
        (self.variable)(name).and_then(|value| value.into_string().ok())
    }

    /// Where the caller's session has its sockets.
    fn sockets(&self) -> PathBuf {
        self.path("XDG_RUNTIME_DIR").unwrap_or_else(|| runtime(self.caller.uid))
    }

    /// A place in the runtime folder inside.
    fn inside(&self, name: impl AsRef<Path>) -> PathBuf {
        runtime(self.caller.uid).join(name)
    }

    /// A folder of the caller's own in the runtime folder inside.
    fn folder(&self, name: &str) -> Step {
        Step::Directory { target: self.inside(name).into(), mode: 0o700, owner: (self.caller.uid, self.caller.gid) }
    }
}

fn is_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Shows a socket.
fn socket(source: &Path, target: PathBuf) -> Step {
    Step::Offer { source: source.into(), target: target.into(), recursive: false, restrictions: SOCKET }
}

#[cfg(test)]
mod tests;
