//! The way to the network: pasta, started once init has made the interface, and watched; or the cables of the network holder.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use passt::{Pasta, Running};
use plan::{Network, Plan};

use crate::container::error::Told;
use crate::network::holder::{self, Attached, Client};

/// How long after a holder could not be replaced that is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The way out of a container, if it has one. Dropped, it is closed.
#[derive(Debug, Default)]
pub struct Way {
    pasta: Option<Running>,
    /// The cables into networks of the user's own.
    attached: Option<Attached>,
    /// When a holder that could not be replaced is to be.
    again: Option<Instant>,
}

/// Whose network it is.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    /// What the container is made of.
    pub plan: &'a Plan,
    /// The user namespace that its network namespace belongs to.
    pub users: &'a OwnedFd,
    /// Its init, as the host numbers it.
    pub init: Pid,
}

impl Way {
    /// Opens the way that the plan asks for.
    pub fn open(&mut self, owner: Owner<'_>) -> Result<(), Told> {
        match &owner.plan.network {
            Network::Pasta(interface) => {
                let started = Pasta::find().and_then(|pasta| pasta.start(owner.init, interface));
                self.pasta = Some(started.map_err(|error| lost(&error))?);
                Ok(())
            }
            Network::Own(_) => self.attach(owner),
            Network::None | Network::Host | Network::Container(_) => Ok(()),
        }
    }

    /// Puts the container on the networks that its leases name now.
    pub fn rejoin(&mut self, owner: Owner<'_>) -> Result<(), Told> {
        match (&self.attached, root(owner.plan)) {
            (Some(_), Some(root)) if self.again.is_none() => {
                let client = Client::connect(root, &owner.plan.users.outer).map_err(|error| told(&error))?;
                client.reload(&owner.plan.container.id).map_err(|error| told(&error))
            }
            _ => self.attach(owner),
        }
    }

    fn attach(&mut self, owner: Owner<'_>) -> Result<(), Told> {
        let Some(root) = root(owner.plan) else { return Err(Told::plain("the container lies in no store")) };
        let path = format!("/proc/{}/ns/net", owner.init);
        let network = File::open(&path).map_err(|error| Told {
            message: format!("cannot open {path}"),
            cause: Some(Box::new(Told::by(&error, None))),
            hint: None,
        })?;
        let attached = Client::connect(root, &owner.plan.users.outer)
            .and_then(|client| client.attach(&owner.plan.container.id, network.as_fd(), owner.users.as_fd()));
        self.attached = Some(attached.map_err(|error| told(&error))?);
        self.again = None;
        Ok(())
    }

    /// What there is to be known of networks that the container is on, such as that they have no way out.
    pub fn warning(&self) -> Option<Told> {
        self.attached.as_ref().and_then(Attached::warning).map(told)
    }

    /// What to wait on, to learn of the end of pasta.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pasta.as_ref().map(AsFd::as_fd)
    }

    /// What to wait on, to learn of the end of the network holder.
    pub fn holder(&self) -> Option<BorrowedFd<'_>> {
        self.attached.as_ref().filter(|_| self.again.is_none()).map(AsFd::as_fd)
    }

    /// When there is something to be tried again.
    pub fn again(&self) -> Option<Instant> {
        self.again
    }

    /// What there is to be said of the end of pasta, which nobody asked for.
    pub fn ended(&mut self) -> Option<Told> {
        let ended = self.pasta.as_mut()?.ended()?;
        self.pasta = None;
        Some(lost(&ended.into_error()))
    }

    /// Has the holder replaced, which has died; what there is to be said of it where that cannot be, at the first time.
    pub fn renew(&mut self) -> Option<Told> {
        let first = self.again.is_none();
        let renewed = self.attached.as_mut()?.renew();
        self.again = renewed.is_err().then(|| Instant::now() + AGAIN);
        let error = renewed.err().filter(|_| first)?;
        Some(Told {
            message: "the container has lost its networks; it is tried again every second".into(),
            cause: Some(Box::new(told(&error))),
            hint: error.hint(),
        })
    }

    /// Opens the way out anew: pasta reads but once whom to pass questions about names on to. Connections end with it.
    pub fn open_anew(&mut self, interface: &passt::Interface, init: Pid) -> Result<(), Told> {
        // Gone before another one can attach itself.
        self.pasta = None;
        let started = Pasta::find().and_then(|pasta| pasta.start(init, interface));
        self.pasta = Some(started.map_err(|error| lost(&error))?);
        Ok(())
    }

    /// Closes it.
    pub fn close(&mut self) {
        self.attached = None;
        if let Some(pasta) = self.pasta.take() {
            pasta.end();
        }
    }
}

/// Everything of ours, among which the container lies: `…/enter/v1` above `containers/ID`.
fn root(plan: &Plan) -> Option<&Path> {
    plan.container.folder.as_path().ancestors().nth(2)
}

fn told(error: &holder::Error) -> Told {
    Told::by(error, error.hint())
}

fn lost(error: &passt::Error) -> Told {
    Told {
        message: "the container has lost its network".into(),
        cause: Some(Box::new(Told::by(error, None))),
        hint: error.hint().or_else(|| Some("start it again; `enter doctor` finds out more".into())),
    }
}
