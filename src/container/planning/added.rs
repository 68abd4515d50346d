//! Plans one more process for a container that runs: it has what the payload has, but for what is asked otherwise.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use plan::{Plan, Process, Rows, Text};

use super::account::Accounts;
use super::view::View;
use crate::container::{Container, Error};
use crate::security::capabilities::Capabilities;

/// What is asked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// `USER[:GROUP]`; `None`: the payload's.
    pub user: Option<String>,
    /// Variables, in the order in which later ones win.
    pub environment: Vec<(OsString, OsString)>,
    /// Where to begin; `None`: where the payload does.
    pub directory: Option<OsString>,
    /// A terminal of this size.
    pub terminal: Option<Rows>,
    /// All powers that the container can give.
    pub privileged: bool,
}

/// Plans the process. `plan` is the one that the container was started by.
///
/// # Errors
/// For a user whom the container does not know, or who has no number in it.
pub fn added(plan: &Plan, container: &Container, asked: Asked) -> Result<Process, Error> {
    let mut process = plan.process.clone();
    process.arguments = asked.command.into_iter().map(Text::from).collect();
    process.terminal = asked.terminal;
    if let Some(user) = &asked.user {
        let identity = Accounts::read(&Running::of(container)?).inside(user)?;
        match &mut process.pretend {
            // Really it is whoever the only id is.
            Some(pretend) => {
                (pretend.uid, pretend.gid, pretend.groups) = (identity.uid, identity.gid, identity.groups);
            }
            None => {
                identity.check(&plan.users.inner)?;
                (process.uid, process.gid, process.groups) = (identity.uid, identity.gid, identity.groups);
            }
        }
        set(&mut process.environment, "HOME".into(), identity.home.into());
    }
    if asked.terminal.is_some() && !container.record.spec.shell {
        set(&mut process.environment, "TERM".into(), "xterm".into());
    }
    for (name, value) in asked.environment {
        set(&mut process.environment, name.into(), value.into());
    }
    if let Some(directory) = asked.directory {
        process.directories = vec![directory.into()];
    }
    if asked.privileged {
        process.capabilities = Capabilities::ALL.bits();
        process.seccomp = None;
        process.no_new_privileges = false;
    }
    Ok(process)
}

fn set(environment: &mut Vec<(Text, Text)>, name: Text, value: Text) {
    match environment.iter_mut().find(|(other, _)| *other == name) {
        Some((_, old)) => *old = value,
        None => environment.push((name, value)),
    }
}

/// The root of a container that runs, as it is now, whatever has been mounted or changed in it.
struct Running(OwnedFd);

impl Running {
    fn of(container: &Container) -> Result<Self, Error> {
        let path = format!("/proc/{}/root", container.state.init);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = nix::fcntl::open(path.as_str(), flags, Mode::empty());
        root.map(Self).map_err(|errno| Error::file("open", path)(errno.into()))
    }

    fn open(&self, path: &Path, flags: OFlag) -> Option<File> {
        sys::path::open_in_root(&self.0, path, flags, Mode::empty()).ok().map(File::from)
    }
}

impl View for Running {
    fn read(&self, path: &Path, limit: usize) -> Option<Vec<u8>> {
        // By descriptor first: to open a device can have effects.
        let found = self.open(path, OFlag::O_PATH)?;
        found.metadata().ok().filter(std::fs::Metadata::is_file)?;
        // What may have taken its place since is not waited for either.
        let file = self.open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
        file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let mut content = Vec::new();
        file.take(limit as u64).read_to_end(&mut content).ok()?;
        Some(content)
    }

    fn exists(&self, path: &Path) -> bool {
        self.open(path, OFlag::O_PATH).is_some()
    }

    fn is_program(&self, path: &Path) -> bool {
        let metadata = self.open(path, OFlag::O_PATH).and_then(|file| file.metadata().ok());
        metadata.is_some_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    }
}
