//! Terminals: sizes, raw mode, and the other end of a pseudo-terminal (ioctl_tty(2)).

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::{Errno, Result};

/// Rows and columns of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Lines on the screen.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Whether the descriptor is a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// The terminal's size (TIOCGWINSZ).
pub fn size(terminal: impl AsFd) -> Result<Size> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one winsize.
    Errno::result(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    Ok(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Sets the terminal's size; its foreground process group gets SIGWINCH if that is a change (TIOCSWINSZ).
pub fn set_size(terminal: impl AsFd, size: Size) -> Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one winsize.
    Errno::result(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).map(drop)
}

/// The slave side of a pty, by its master and no path (TIOCGPTPEER, Linux 4.13). Does not become anyone's controlling terminal.
pub fn peer(master: impl AsFd) -> Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags by value and returns a new descriptor.
    let raw = Errno::result(unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCGPTPEER, flags) })?;
    // SAFETY: the kernel has just opened this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Lets the slave side be opened (TIOCSPTLCK, as unlockpt(3) does).
pub fn unlock(master: impl AsFd) -> Result<()> {
    let unlocked: libc::c_int = 0;
    // SAFETY: the kernel reads one int.
    let status = unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) };
    Errno::result(status).map(drop)
}

/// Makes a terminal the controlling one of this session, whose leader the caller must be (TIOCSCTTY).
pub fn control(terminal: impl AsFd) -> Result<()> {
    // SAFETY: TIOCSCTTY takes an int by value.
    Errno::result(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

/// A terminal in raw mode, put back as it was when this is dropped.
#[derive(Debug)]
pub struct Raw<F: AsFd> {
    terminal: F,
    before: Termios,
}

impl<F: AsFd> Raw<F> {
    /// Every key arrives at once and unchanged; nothing is echoed (cfmakeraw(3)).
    pub fn enter(terminal: F) -> Result<Self> {
        let before = tcgetattr(&terminal)?;
        let raw = Self { terminal, before };
        raw.resume()?;
        Ok(raw)
    }

    /// Puts the terminal back as it was, for as long as the program is stopped.
    pub fn suspend(&self) -> Result<()> {
        tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before)
    }

    /// Raw again.
    pub fn resume(&self) -> Result<()> {
        let mut raw = self.before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&self.terminal, SetArg::TCSADRAIN, &raw)
    }
}

impl<F: AsFd> Drop for Raw<F> {
    fn drop(&mut self) {
        // Nothing is left to be done for a terminal that is gone.
        let _ = self.suspend();
    }
}
