//! A terminal, and a person in front of it: keys go in, text is waited for, the window changes its size, the line is cut.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::posix_openpt;
use sys::terminal::{self, Size};

use super::{user, wait_for_some};

/// A program on a pty that is its controlling terminal.
pub struct Terminal {
    /// None once the line was cut.
    master: Option<File>,
    child: Child,
    /// All that the program wrote; the reader appends.
    seen: Arc<Mutex<Vec<u8>>>,
    /// How much of `seen` was matched already.
    read_to: usize,
    /// Tells the reader to let go of the master.
    cut: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts a command on a new terminal of 24 rows and 80 columns.
    pub fn start(command: &Command) -> Self {
        // Close-on-exec from the first moment: a copy of the master in any other process keeps the line from being cut.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a pty");
        terminal::unlock(&master).expect("a pty can be unlocked");
        let slave = terminal::peer(&master).expect("a pty has a slave side");
        terminal::set_size(&master, Size { rows: 24, columns: 80 }).expect("a size for the pty");
        // setsid(1) makes the pty the controlling terminal of a session of its own, as a terminal window does.
        let mut in_session = Command::new("setsid");
        in_session.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args()).env_clear();
        for (name, value) in command.get_envs() {
            in_session.env(name, value.unwrap_or_default());
        }
        if let Some(folder) = command.get_current_dir() {
            in_session.current_dir(folder);
        }
        in_session.stdin(slave.try_clone().expect("a copy of the slave"));
        in_session.stdout(slave.try_clone().expect("a copy of the slave"));
        in_session.stderr(slave);
        let child = in_session.spawn().expect("setsid(1) of util-linux");
        // The slave side was held by the command alone; from here on it is the child's.
        drop(in_session);
        let master = File::from(OwnedFd::from(master));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let cut = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let master = master.try_clone().expect("a copy of the master");
            let (seen, cut) = (Arc::clone(&seen), Arc::clone(&cut));
            move || read(master, &seen, &cut)
        });
        Self { master: Some(master), child, seen, read_to: 0, cut, reader: Some(reader) }
    }

    /// Types.
    pub fn send(&self, keys: &str) {
        self.master().write_all(keys.as_bytes()).expect("a terminal takes keys");
    }

    /// Types a line and Enter.
    pub fn line(&self, text: &str) {
        self.send(&format!("{text}\r"));
    }

    /// Waits for `text` after what was waited for before, and returns what came before it.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let found = wait_for_some(|| {
            let seen = self.seen.lock().expect("no reader panics");
            let new = &seen[self.read_to..];
            let at = new.windows(text.len()).position(|window| window == text.as_bytes())?;
            Some((at, String::from_utf8_lossy(&new[..at]).into_owned()))
        });
        let Some((at, before)) = found else {
            panic!("no `{}` on the terminal, which shows:\n{}", text.escape_debug(), self.shown());
        };
        self.read_to += at + text.len();
        before
    }

    /// All that was shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("no reader panics")).into_owned()
    }

    /// Changes the window's size.
    pub fn resize(&self, rows: u16, columns: u16) {
        terminal::set_size(self.master(), Size { rows, columns }).expect("a pty has a size");
    }

    /// The process that holds the session: `enter`, or the shell that it was started from.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Cuts the line, as closing a terminal's window does: the session is sent SIGHUP by the kernel.
    pub fn hang_up(&mut self) {
        self.cut.store(true, Ordering::Relaxed);
        let reader = self.reader.take().expect("a line is cut once");
        reader.join().expect("the reader ends");
        self.master = None;
    }

    fn master(&self) -> &File {
        self.master.as_ref().expect("the line was not cut")
    }

    /// Waits for the program's end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        user::wait(&mut self.child).unwrap_or_else(|| panic!("the program did not end; it shows:\n{}", self.shown()))
    }
}

impl Drop for Terminal {
    /// A test that failed half way leaves no program behind.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Appends to `seen` what comes out of the terminal, until nobody holds its other side or the line is cut.
fn read(mut master: File, seen: &Mutex<Vec<u8>>, cut: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !cut.load(Ordering::Relaxed) {
        let mut waiting = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, PollTimeout::from(50u8)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(error) => panic!("cannot wait for the terminal: {error}"),
        }
        // EIO: the last one on the other side has gone.
        let Ok(count @ 1..) = master.read(&mut buffer) else { return };
        seen.lock().expect("no reader panics").extend_from_slice(&buffer[..count]);
    }
}
