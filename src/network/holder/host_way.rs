//! The way from all networks to this machine's own servers: a pasta of its own, that is there while somebody is who may go it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use passt::{Interface, Pasta, Running};

use super::Error;
use super::hands::Hands;
use super::wiring::Wiring;

/// What the interface is called.
pub const NAME: &str = "enter-host";

/// A pasta that has died is not started again at once.
const PAUSE: Duration = Duration::from_secs(5);

/// The way, if it is open.
#[derive(Debug, Default)]
pub struct HostWay {
    pasta: Option<Running>,
    /// When it may be opened again.
    again: Option<Instant>,
    /// Why it is not open.
    failure: Option<Error>,
}

impl HostWay {
    /// What to wait on: that pasta ends.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pasta.as_ref().map(AsFd::as_fd)
    }

    /// When it is to be looked at, whatever happens.
    pub fn next(&self) -> Option<Instant> {
        self.again
    }

    /// Why it is not open, where it should be.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Opens it where it is `wanted`, and else closes it.
    pub fn keep(&mut self, wanted: bool, hands: &Hands, wiring: &mut Wiring) {
        if self.pasta.as_mut().is_some_and(|pasta| pasta.ended().is_some()) {
            self.pasta = None;
            self.again = Some(Instant::now() + PAUSE);
        }
        if !wanted {
            if self.pasta.take().is_some() {
                wiring.remove(NAME);
            }
            (self.again, self.failure) = (None, None);
            return;
        }
        let is_early = self.again.is_some_and(|again| again > Instant::now());
        if self.pasta.is_some() || is_early {
            return;
        }
        // One of before, of a holder that was killed.
        wiring.remove(NAME);
        match open(hands, wiring) {
            Ok(pasta) => (self.pasta, self.again, self.failure) = (Some(pasta), None, None),
            Err(error) => (self.again, self.failure) = (Some(Instant::now() + PAUSE), Some(error)),
        }
    }
}

fn open(hands: &Hands, wiring: &mut Wiring) -> Result<Running, Error> {
    if let Some(error) = wiring.shut() {
        return Err(error);
    }
    let failed = |error: passt::Error| {
        let hint = error.hint();
        Error::by("your networks have no way to this machine's own servers", &error).with_hint(hint)
    };
    let interface = Interface::to_host(NAME);
    hands.uplink(&interface)?;
    wiring.let_back(NAME)?;
    let namespaces = hands.namespaces()?;
    let pasta = Pasta::find().map_err(failed)?;
    pasta.start_in(namespaces.users.as_fd(), namespaces.network.as_fd(), &interface).map_err(failed)
}
