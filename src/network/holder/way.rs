//! The way out of all networks: one pasta in the holder's namespace, which follows this machine's own addresses and routes.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink::Socket;
use passt::dns::{HostResolver, Resolver};
use passt::{HostNetwork, Interface, Pasta, Running};

use super::Error;
use super::hands::Hands;
use super::wiring::Wiring;

/// What the interface is called that leads out.
pub const UPLINK: &str = "enter-uplink";

/// After a change of this machine's routes more of them follow; and a pasta that has died soon is not started again at once.
const PAUSE: Duration = Duration::from_millis(200);
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// A pasta that has lived so long was well, and was killed.
const WELL: Duration = Duration::from_secs(2);

/// The way out, as far as there is one.
#[derive(Debug)]
pub struct Way {
    watch: Option<Socket>,
    /// What it was made like.
    like: Option<HostNetwork>,
    pasta: Option<Running>,
    /// Since when that runs.
    started: Option<Instant>,
    looked: bool,
    /// When it is to be looked at again.
    again: Option<Instant>,
}

impl Way {
    /// None yet, but this machine's routes are watched.
    pub fn new() -> Self {
        Self { watch: Socket::watch().ok(), like: None, pasta: None, started: None, looked: false, again: None }
    }

    /// What to wait on: that a route changes, and that pasta ends.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watch.iter().map(AsFd::as_fd).chain(self.pasta.iter().map(AsFd::as_fd))
    }

    /// When it is to be looked at, whatever happens.
    pub fn next(&self) -> Option<Instant> {
        self.again
    }

    /// Takes what has happened.
    pub fn look(&mut self) {
        if self.watch.as_ref().is_some_and(Socket::drain) {
            self.again = Some(Instant::now() + PAUSE);
        }
        if self.pasta.as_mut().is_some_and(|pasta| pasta.ended().is_some()) {
            self.pasta = None;
            self.like = None;
            let was_well = self.started.is_some_and(|started| started.elapsed() >= WELL);
            self.again = Some(Instant::now() + if was_well { Duration::ZERO } else { LONG_PAUSE });
        }
    }

    /// Opens it where it is not open, and makes it anew where this machine has another way out now. Says whether it was looked at.
    pub fn open(&mut self, hands: &Hands, wiring: &mut Wiring) -> Result<bool, Error> {
        let now = Instant::now();
        let is_due = self.again.take_if(|again| *again <= now).is_some();
        if (self.pasta.is_some() || self.looked || self.again.is_some()) && !is_due {
            return Ok(false);
        }
        if let Some(error) = wiring.shut() {
            self.looked = true;
            return Err(error);
        }
        let failed = |error: passt::Error| {
            let hint = error.hint();
            Error::by("your networks have no way out", &error).with_hint(hint)
        };
        let host = HostNetwork::read().map_err(failed)?;
        self.looked = true;
        if self.pasta.is_some() && self.like == host {
            return Ok(true);
        }
        self.pasta = None;
        wiring.remove(UPLINK);
        self.like.clone_from(&host);
        // Without a default route there is no way out; one that comes later is noticed.
        let Some(host) = host else { return Ok(true) };
        let resolver = HostResolver::default();
        let interface =
            Interface { name: UPLINK.into(), resolver: Resolver::default(), ..Interface::like(&host, &resolver) };
        let opened = hands.uplink(&interface).and_then(|()| wiring.let_back(UPLINK)).and_then(|()| {
            let namespaces = hands.namespaces()?;
            let pasta = Pasta::find().map_err(failed)?;
            pasta.start_in(namespaces.users.as_fd(), namespaces.network.as_fd(), &interface).map_err(failed)
        });
        match opened {
            Ok(pasta) => {
                self.pasta = Some(pasta);
                self.started = Some(Instant::now());
                Ok(true)
            }
            Err(error) => {
                self.again = Some(now + LONG_PAUSE);
                Err(error)
            }
        }
    }
}
