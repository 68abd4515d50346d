//! The container's own terminal: a pty of its own devpts, whose slave is never opened by a path.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{Uid, fchown};
use plan::{Plan, Rows};

use crate::failure::{Doing, Result};

/// Both sides of a pty.
pub struct Terminal {
    /// The monitor's side.
    pub master: OwnedFd,
    /// The payload's side.
    pub slave: OwnedFd,
}

/// Opens a new pty in the container's devpts, belonging to a user of the container.
pub fn open(devpts: &OwnedFd, size: Rows, plan: &Plan, uid: u32) -> Result<Terminal> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY;
    let master =
        sys::path::open_in_root(devpts, Path::new("ptmx"), flags, Mode::empty()).doing("open", "/dev/pts/ptmx")?;
    sys::terminal::unlock(&master).doing("unlock", "the terminal")?;
    let slave = sys::terminal::peer(&master).doing("open", "the terminal")?;
    let size = sys::terminal::Size { rows: size.rows, columns: size.columns };
    sys::terminal::set_size(&master, size).doing("set the size of", "the terminal")?;
    let owner = Uid::from_raw(plan.users.outer_uid(uid));
    fchown(&slave, Some(owner), None).doing("give away", "the terminal")?;
    Ok(Terminal { master, slave })
}
