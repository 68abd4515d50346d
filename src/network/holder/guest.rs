//! One who is connected to the holder: a command that wants something, or a monitor whose container is plugged in.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::Error;
use super::hands::Namespaces;
use super::neighbours::Acquaintances;
use super::protocol::{Ask, LIMIT, Reply};
use super::relay::Relay;
use super::wiring::Socketed;

/// A container that is plugged in.
#[derive(Debug)]
pub struct Member {
    /// Its id.
    pub container: String,
    /// Its network namespace.
    pub network: OwnedFd,
    /// The user namespace that owns that.
    pub users: OwnedFd,
    /// The networks that it is on.
    pub networks: BTreeSet<String>,
    /// What it was told of the others on them, where cables plug it in.
    pub acquaintances: Option<Acquaintances>,
    /// What plugs it in where cables cannot.
    pub relays: Vec<Relay>,
}

impl Member {
    /// Where it is plugged in.
    pub fn socketed(&self) -> Socketed<'_> {
        Socketed { network: self.network.as_fd(), users: self.users.as_fd() }
    }
}

/// What somebody has who was attached to a holder that is gone.
#[derive(Debug)]
pub struct Found {
    /// The namespaces that all networks are in.
    pub namespaces: Namespaces,
    /// The sockets at which its container asks for names, with what was asked since.
    pub sockets: Vec<OwnedFd>,
}

/// What is asked for, with what came along.
#[derive(Debug)]
pub enum Wish {
    /// The user namespace.
    Users,
    /// To be plugged in.
    Attach {
        /// Who.
        member: Member,
        /// Nobody else was.
        alone: bool,
        /// What it had of a holder that is gone.
        found: Option<Found>,
    },
    /// To have a container's leases looked at again.
    Reload(String),
}

/// A connection.
#[derive(Debug)]
pub struct Guest {
    /// Tells it from all others.
    pub number: u64,
    /// The container that is plugged in as long as this lasts.
    pub member: Option<Member>,
    /// What could not be answered yet.
    pub wish: Option<Wish>,
    socket: OwnedFd,
    greeted: bool,
}

impl Guest {
    /// One who has just come.
    pub fn new(number: u64, socket: OwnedFd) -> Self {
        Self { number, member: None, wish: None, socket, greeted: false }
    }

    /// What to wait on.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes one message, whose wish is then to be fulfilled; `false` where the guest is gone, or says what cannot be understood.
    pub fn hear(&mut self, version: u32) -> bool {
        let mut buffer = [0; LIMIT];
        let (length, given) = match sys::socket::receive_with(&self.socket, &mut buffer) {
            Err(Errno::EAGAIN) => return true,
            Ok((0, _)) | Err(_) => return false,
            Ok(heard) => heard,
        };
        let Ok(ask) = serde_json::from_slice::<Ask>(&buffer[..length]) else { return false };
        let mut given = given.into_iter();
        match ask {
            Ask::Hello(number) if number == version => {
                self.greeted = true;
                self.answer(Ok(None), &[])
            }
            Ask::Hello(number) => {
                let error = Error::new(format!(
                    "your networks are held by a process of another version of enter, which speaks version {version}, not {number}"
                ));
                let _ = self.answer(
                    Err(error.with_hint("stop the containers that are on networks, and start them again".to_owned())),
                    &[],
                );
                false
            }
            _ if !self.greeted || self.wish.is_some() => false,
            Ask::Users => self.wants(Wish::Users),
            Ask::Reload(container) => self.wants(Wish::Reload(container)),
            Ask::Attach { container, alone } => {
                let (Some(network), Some(users)) = (given.next(), given.next()) else { return false };
                let found = match (given.next(), given.next()) {
                    (Some(network), Some(users)) => {
                        Some(Found { namespaces: Namespaces { network, users }, sockets: given.collect() })
                    }
                    _ => None,
                };
                let member = Member {
                    container,
                    network,
                    users,
                    networks: BTreeSet::new(),
                    acquaintances: None,
                    relays: Vec::new(),
                };
                self.wants(Wish::Attach { member, alone, found })
            }
        }
    }

    fn wants(&mut self, wish: Wish) -> bool {
        self.wish = Some(wish);
        true
    }

    /// Says what came of it; `false` where nobody listens.
    pub fn answer(&self, done: Result<Option<Error>, Error>, descriptors: &[BorrowedFd<'_>]) -> bool {
        let reply = match done {
            Ok(warning) => Reply::Done(warning),
            Err(error) => Reply::Failed(error),
        };
        let message = serde_json::to_vec(&reply).unwrap_or_default();
        sys::socket::send_with(&self.socket, &message, descriptors).is_ok()
    }
}
