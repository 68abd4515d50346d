//! Plans one more process for a container that runs: it has what the payload has, but for what is asked otherwise.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use plan::{Network, Plan, Process, Rows, Text};
use sys::process::Fork;

use super::account::Accounts;
use super::view::View;
use crate::container::{Container, Error, users};
use crate::security::capabilities::{Capabilities, Capability};

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
    process.idle = false;
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
        // Of pasta's interface nobody inside may have power: it takes what is for this machine's own loopback interface, too.
        let of_network = Capabilities::of(&[Capability::NET_ADMIN, Capability::NET_RAW]);
        let is_watched = plan.users.owns_network && matches!(plan.network, Network::Pasta(_));
        let denied = if is_watched { of_network } else { Capabilities::NONE };
        process.capabilities = Capabilities::ALL.without(denied).bits();
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
///
/// Who is not in the container's user namespace may not look into a FUSE filesystem that was mounted there: a child goes in for each answer.
struct Running {
    root: OwnedFd,
    users: OwnedFd,
}

impl Running {
    fn of(container: &Container) -> Result<Self, Error> {
        let open = |name: &str, flags| {
            let path = format!("/proc/{}/{name}", container.state.init);
            nix::fcntl::open(path.as_str(), flags | OFlag::O_CLOEXEC, Mode::empty())
                .map_err(|errno| Error::file("open", path)(errno.into()))
        };
        Ok(Self { root: open("root", OFlag::O_PATH | OFlag::O_DIRECTORY)?, users: open("ns/user", OFlag::O_RDONLY)? })
    }

    fn open(&self, path: &Path, flags: OFlag) -> Option<File> {
        sys::path::open_in_root(&self.root, path, flags, Mode::empty()).ok().map(File::from)
    }

    /// What a child finds; `None` also where there can be none.
    fn ask(&self, find: impl FnOnce() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        const FOUND: i32 = 0;
        let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC).ok()?;
        match sys::process::fork().ok()? {
            Fork::Child => {
                drop(ours);
                let entered = users::enter(&self.users).ok();
                let found = entered.and_then(|()| find()).and_then(|found| File::from(theirs).write_all(&found).ok());
                sys::process::exit_now(if found.is_some() { FOUND } else { 1 })
            }
            Fork::Parent(child) => {
                drop(theirs);
                let mut found = Vec::new();
                let read = File::from(ours).read_to_end(&mut found);
                let ended = waitpid(child, None);
                (read.is_ok() && matches!(ended, Ok(WaitStatus::Exited(_, FOUND)))).then_some(found)
            }
        }
    }
}

impl View for Running {
    fn read(&self, path: &Path, limit: usize) -> Option<Vec<u8>> {
        self.ask(|| {
            // By descriptor first: to open a device can have effects.
            let found = self.open(path, OFlag::O_PATH)?;
            found.metadata().ok().filter(std::fs::Metadata::is_file)?;
            // What may have taken its place since is not waited for either.
            let file = self.open(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
            file.metadata().ok().filter(std::fs::Metadata::is_file)?;
            let mut content = Vec::new();
            file.take(limit as u64).read_to_end(&mut content).ok()?;
            Some(content)
        })
    }

    fn exists(&self, path: &Path) -> bool {
        self.ask(|| self.open(path, OFlag::O_PATH).map(|_| Vec::new())).is_some()
    }

    fn is_program(&self, path: &Path) -> bool {
        let is_program =
            |metadata: &std::fs::Metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        let find = || {
            let metadata = self.open(path, OFlag::O_PATH).and_then(|file| file.metadata().ok());
            metadata.filter(is_program).map(|_| Vec::new())
        };
        self.ask(find).is_some()
    }
}
