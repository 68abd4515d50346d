//! The way to the holder, which is started where there is none.
//!
//! A command that is about to start a container on networks of the user's own asks for [`Client::users`], and hands that on as the
//! container's outer user namespace. The container's monitor then asks for [`Client::attach`], once there is a network namespace and
//! before the payload runs; keeps the [`Attached`]; and when that becomes readable, which is when the holder has died, calls
//! [`Attached::renew`].

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use uidmap::Maps;

use super::protocol::Ask;
use super::talk::{Greeted, ask, confused, greeted};
use super::{Error, ROLE, name};

/// How long a holder may take to begin.
const START: Duration = Duration::from_secs(10);

/// For how long one thing is asked for of one holder after the other, as these are killed.
const PERSISTENCE: Duration = Duration::from_secs(60);

/// A connection to the holder, which does not end meanwhile.
#[derive(Debug)]
pub struct Client {
    folder: PathBuf,
    maps: Maps,
    socket: OwnedFd,
}

impl Client {
    /// Connects to the holder of the networks below `root` (`$XDG_DATA_HOME/enter/v1`), and starts it where there is none. `maps`: how
    /// the user's outer user namespaces are mapped.
    ///
    /// # Errors
    /// Where it cannot be started, or speaks otherwise.
    pub fn connect(root: &Path, maps: &Maps) -> Result<Self, Error> {
        let folder = root.join(name::FOLDER);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| Error::by(format!("cannot make the directory {}", folder.display()), &error))?;
        let mut started = Instant::now();
        loop {
            match greeted(&folder)? {
                Greeted::Answered(socket) => return Ok(Self { folder, maps: maps.clone(), socket }),
                Greeted::Stuck => started = Instant::now(),
                Greeted::Nobody => {}
            }
            if started.elapsed() > START {
                return Err(Error::new("the process that holds your networks does not answer")
                    .with_hint(format!("end the process that holds {}", folder.join(name::LOCK).display())));
            }
            // After the death of one, all who were attached come here at once: one of them is enough.
            let starting = starter(&folder)?;
            if starting.try_lock().is_ok() {
                start(root, maps)?;
            }
            // One that is about to end, or is being started by somebody else.
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Connects to the holder if there is one; none is started.
    ///
    /// # Errors
    /// Where it speaks otherwise.
    pub fn existing(root: &Path, maps: &Maps) -> Result<Option<Self>, Error> {
        let folder = root.join(name::FOLDER);
        Ok(match greeted(&folder)? {
            Greeted::Answered(socket) => Some(Self { folder, maps: maps.clone(), socket }),
            Greeted::Stuck | Greeted::Nobody => None,
        })
    }

    /// The user namespace that owns the networks: mapped, and the outer one of every container that is to be on them.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn users(&self) -> Result<OwnedFd, Error> {
        let mut again: Option<Self> = None;
        let started = Instant::now();
        while started.elapsed() < PERSISTENCE {
            let client = again.as_ref().unwrap_or(self);
            if let Some((descriptors, _)) = ask(&client.socket, &Ask::Users, &[])? {
                return descriptors.into_iter().next().ok_or_else(confused);
            }
            again = Some(self.anew()?);
        }
        Err(died())
    }

    /// A connection to the next holder, this one's having been killed.
    fn anew(&self) -> Result<Self, Error> {
        let root = self.folder.parent().and_then(Path::parent).unwrap_or(&self.folder);
        Self::connect(root, &self.maps)
    }

    /// Puts a container on the networks that its leases name: makes its interfaces, and returns when they can be used. `network` is its
    /// network namespace, `users` the user namespace which that belongs to.
    ///
    /// # Errors
    /// Where a lease or a network cannot be read, or the kernel refuses something.
    pub fn attach(self, container: &str, network: BorrowedFd<'_>, users: BorrowedFd<'_>) -> Result<Attached, Error> {
        let keep = |fd: BorrowedFd<'_>| {
            fd.try_clone_to_owned().map_err(|error| Error::by("cannot keep the container's namespaces open", &error))
        };
        let (member, alone) = member(&self.folder)?;
        let mut attached = Attached {
            member,
            warning: None,
            container: container.to_owned(),
            network: keep(network)?,
            users: keep(users)?,
            holding: Vec::new(),
            client: self,
        };
        attached.ask(alone)?;
        Ok(attached)
    }

    /// Tells that the leases of a container are others now, or that a name on its networks is: returns when all is as they say.
    ///
    /// # Errors
    /// As [`Client::attach`].
    pub fn reload(&self, container: &str) -> Result<(), Error> {
        // One that was killed has a successor, which reads everything anew.
        ask(&self.socket, &Ask::Reload(container.to_owned()), &[]).map(drop)
    }
}

/// A container that is on its networks, until this is dropped.
#[derive(Debug)]
pub struct Attached {
    client: Client,
    container: String,
    network: OwnedFd,
    users: OwnedFd,
    /// The holder's network namespace, which so outlives it, with all connections through it; the user namespace that owns it; and
    /// sockets, in which questions wait for the next one.
    holding: Vec<OwnedFd>,
    warning: Option<Error>,
    /// Locked, with others: a new holder knows by it that somebody will bring it the namespaces.
    #[expect(dead_code, reason = "held for its lock")]
    member: File,
}

/// Readable when the holder has died: then [`Attached::renew`].
impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.socket.as_fd()
    }
}

impl Attached {
    /// Attaches again after the death of the holder, which is started anew. Addresses are the same, and what containers say to each other
    /// was not interrupted.
    ///
    /// # Errors
    /// As [`Client::attach`]; it may be tried again.
    pub fn renew(&mut self) -> Result<(), Error> {
        self.client = self.client.anew()?;
        self.ask(false)
    }

    /// What there is to be known, although the container is on its networks: that these have no way out, for example.
    pub fn warning(&self) -> Option<&Error> {
        self.warning.as_ref()
    }

    fn ask(&mut self, alone: bool) -> Result<(), Error> {
        let attach = Ask::Attach { container: self.container.clone(), alone };
        let started = Instant::now();
        while started.elapsed() < PERSISTENCE {
            let mut given = vec![self.network.as_fd(), self.users.as_fd()];
            given.extend(self.holding.iter().map(AsFd::as_fd));
            if let Some((holding, warning)) = ask(&self.client.socket, &attach, &given)? {
                self.warning = warning;
                self.holding = holding;
                return Ok(());
            }
            self.client = self.client.anew()?;
        }
        Err(died())
    }
}

/// The file that is locked by who starts a holder.
fn starter(folder: &Path) -> Result<File, Error> {
    let path = folder.join(name::STARTING);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    file.map_err(|error| Error::by(format!("cannot open {}", path.display()), &error))
}

/// The lock of those who are attached, and whether nobody else has it.
fn member(folder: &Path) -> Result<(File, bool), Error> {
    let path = folder.join(name::MEMBERS);
    let failed = |error: io::Error| Error::by(format!("cannot lock {}", path.display()), &error);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    let alone = file.try_lock().is_ok();
    file.lock_shared().map_err(failed)?;
    Ok((file, alone))
}

fn died() -> Error {
    Error::new("the process that holds your networks was killed again and again").with_hint("try again".to_owned())
}

/// Starts a holder, and waits until it listens. Somebody else's, started at the same moment, is as good.
fn start(root: &Path, maps: &Maps) -> Result<(), Error> {
    let failed = |error: io::Error| Error::by("cannot start the process that holds your networks", &error);
    let maps = serde_json::to_string(maps).map_err(|error| failed(error.into()))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(ROLE).arg(root).arg(maps).current_dir("/");
    let said = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).output().map_err(failed)?;
    if said.status.success() {
        return Ok(());
    }
    Err(serde_json::from_slice(&said.stdout)
        .unwrap_or_else(|_| Error::new(format!("the process that holds your networks ended: {}", said.status))))
}
