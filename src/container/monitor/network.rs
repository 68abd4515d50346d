//! The way to the network: pasta, started once init has made the interface, and watched.

use std::os::fd::{AsFd, BorrowedFd};

use nix::unistd::Pid;
use passt::{Pasta, Running};
use plan::Network;

use crate::container::error::Told;

/// The way out of a container, if it has one. Dropped, it is closed.
#[derive(Debug, Default)]
pub struct Way {
    pasta: Option<Running>,
}

impl Way {
    /// Opens the way that the plan asks for, for the network namespace of `init`.
    pub fn open(&mut self, network: &Network, init: Pid) -> Result<(), Told> {
        let Network::Pasta(interface) = network else { return Ok(()) };
        let started = Pasta::find().and_then(|pasta| pasta.start(init, interface));
        self.pasta = Some(started.map_err(|error| lost(&error))?);
        Ok(())
    }

    /// What to wait on, to learn of its end.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pasta.as_ref().map(AsFd::as_fd)
    }

    /// What there is to be said of its end, which nobody asked for.
    pub fn ended(&mut self) -> Option<Told> {
        let ended = self.pasta.as_mut()?.ended()?;
        self.pasta = None;
        Some(lost(&ended.into_error()))
    }

    /// Closes it.
    pub fn close(&mut self) {
        if let Some(pasta) = self.pasta.take() {
            pasta.end();
        }
    }
}

fn lost(error: &passt::Error) -> Told {
    Told {
        message: "the container has lost its network".into(),
        cause: Some(Box::new(Told::by(error, None))),
        hint: error.hint().or_else(|| Some("start it again; `enter doctor` finds out more".into())),
    }
}
