//! Process A: one loop that waits for guests, and changes what is as soon as it is not what is to be.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use uidmap::Maps;

use super::guest::{Guest, Member, Wish};
use super::hands::{Hands, Namespaces};
use super::names::Names;
use super::protocol::VERSION;
use super::relay::Relay;
use super::way::Way;
use super::wiring::Wiring;
use super::{Error, name};
use crate::network::{Lease, Network, Networks};

/// How long the holder stays when nobody is there any more.
const IDLE: Duration = Duration::from_secs(1);

/// How long those are waited for who were attached to a holder that was killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that process A knows.
pub struct Holder {
    root: PathBuf,
    maps: Maps,
    door: OwnedFd,
    networks: Networks,
    guests: Vec<Guest>,
    last: u64,
    started: Instant,
    /// Since when nobody is there.
    alone: Instant,
    inside: Option<Inside>,
    /// Until when those are still to come who were attached to the one before: meanwhile nothing of theirs is taken away.
    recovering: Option<Instant>,
    names: Names,
    way: Way,
    /// Why there is no way out.
    no_way: Option<Error>,
}

/// What there is once there are namespaces.
#[derive(Debug)]
struct Inside {
    hands: Hands,
    wiring: Wiring,
}

impl Holder {
    /// One who listens at `door` and holds the networks below `root`.
    pub fn new(root: PathBuf, maps: Maps, door: OwnedFd) -> Result<Self, Error> {
        let now = Instant::now();
        Ok(Self {
            networks: Networks::below(&root),
            root,
            maps,
            door,
            guests: Vec::new(),
            last: 0,
            started: now,
            alone: now,
            inside: None,
            recovering: None,
            names: Names::new()?,
            way: Way::new(),
            no_way: None,
        })
    }

    /// Holds networks until nobody wants them any more.
    pub fn hold(mut self) -> Result<(), Error> {
        while !self.guests.is_empty() || self.alone.elapsed() < IDLE {
            let spoken = self.wait()?;
            self.let_in();
            self.hear(&spoken);
            self.names.answer();
            self.way.look();
            let had_namespaces = self.inside.is_some();
            self.fulfil();
            if !had_namespaces && self.inside.is_some() {
                // Who waited for somebody to bring them.
                self.fulfil();
            }
            self.keep_way_open();
            self.mend_relays();
            if self.recovering.take_if(|end| *end <= Instant::now()).is_some() {
                // Who has not come by now is gone. What cannot be done is told to the next who comes.
                let _ = self.agree();
            }
            if !self.guests.is_empty() {
                self.alone = Instant::now();
            }
        }
        Ok(())
    }

    /// Waits until there is something to be done; says which guests have spoken.
    fn wait(&self) -> Result<Vec<u64>, Error> {
        let mut wanted: Vec<BorrowedFd<'_>> = self.guests.iter().map(Guest::descriptor).collect();
        let hands = self.inside.as_ref().map(|inside| inside.hands.end());
        wanted.extend(hands);
        wanted.extend([self.door.as_fd(), self.names.descriptor()]);
        wanted.extend(self.way.descriptors());
        wanted.extend(self.members().flat_map(|member| &member.relays).map(Relay::end));
        let mut sources: Vec<PollFd> = wanted.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut sources, self.timeout()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::refused("cannot wait", errno)),
        }
        let mut happened = sources.iter().map(|source| source.any() == Some(true));
        let spoken = self.guests.iter().zip(&mut happened).filter(|(_, spoken)| *spoken);
        let spoken = spoken.map(|(guest, _)| guest.number).collect();
        // Without its hands it can do nothing. Those who are attached start another one, which finds all as it is.
        if hands.is_some() && happened.next() == Some(true) {
            return Err(Error::new("the process inside has ended"));
        }
        Ok(spoken)
    }

    fn timeout(&self) -> PollTimeout {
        let waiting = self.guests.iter().any(|guest| guest.wish.is_some()).then(|| self.started + PATIENCE);
        let idle = self.guests.is_empty().then(|| self.alone + IDLE);
        match [waiting, idle, self.recovering, self.way.next()].into_iter().flatten().min() {
            Some(time) => {
                let left = time.saturating_duration_since(Instant::now()).as_millis();
                PollTimeout::try_from(left + 1).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        }
    }

    fn let_in(&mut self) {
        while let Ok(Some(socket)) = sys::door::let_in(&self.door) {
            self.last += 1;
            self.guests.push(Guest::new(self.last, socket));
        }
    }

    fn hear(&mut self, spoken: &[u64]) {
        let mut gone = Vec::new();
        for guest in self.guests.iter_mut().filter(|guest| spoken.contains(&guest.number)) {
            if !guest.hear(VERSION) {
                gone.push(guest.number);
            }
        }
        if gone.is_empty() {
            return;
        }
        let (gone, staying): (Vec<Guest>, Vec<Guest>) =
            std::mem::take(&mut self.guests).into_iter().partition(|guest| gone.contains(&guest.number));
        self.guests = staying;
        if gone.iter().any(|guest| guest.member.is_some()) {
            // The relays of those who have gone are to be gone before their bridges.
            drop(gone);
            let _ = self.agree();
        }
    }

    /// Does what guests wish, as far as it can be done by now.
    fn fulfil(&mut self) {
        for at in 0..self.guests.len() {
            let Some(wish) = self.guests[at].wish.take() else { continue };
            match wish {
                Wish::Users => match self.inside(None, false) {
                    None => self.guests[at].wish = Some(Wish::Users),
                    Some(done) => self.tell_users(at, done),
                },
                Wish::Attach { member, alone, found } => match self.inside(found, alone) {
                    None => self.guests[at].wish = Some(Wish::Attach { member, alone, found: None }),
                    Some(done) => {
                        self.guests[at].member = Some(member);
                        let done = done.and_then(|()| self.plug_in(at));
                        self.tell_attached(at, done);
                    }
                },
                Wish::Reload(container) => {
                    let is_it =
                        |guest: &Guest| guest.member.as_ref().is_some_and(|member| member.container == container);
                    let members: Vec<usize> = (0..self.guests.len()).filter(|at| is_it(&self.guests[*at])).collect();
                    let mut done = self.agree().map(|()| None);
                    for member in members {
                        done = done.and_then(|_| self.plug_in(member));
                    }
                    self.guests[at].answer(done, &[]);
                }
            }
        }
    }

    fn tell_users(&self, at: usize, done: Result<(), Error>) {
        let namespaces = done.and_then(|()| self.namespaces());
        match namespaces {
            Ok(namespaces) => self.guests[at].answer(Ok(None), &[namespaces.users.as_fd()]),
            Err(error) => self.guests[at].answer(Err(error), &[]),
        };
    }

    fn tell_attached(&mut self, at: usize, done: Result<Option<Error>, Error>) {
        let done = done.and_then(|warning| Ok((warning, self.namespaces()?)));
        match done {
            Ok((warning, namespaces)) => {
                let given = [namespaces.network.as_fd(), namespaces.users.as_fd()];
                self.guests[at].answer(Ok(warning), &given);
            }
            Err(error) => {
                self.guests[at].member = None;
                let _ = self.agree();
                self.guests[at].answer(Err(error), &[]);
            }
        }
    }

    fn namespaces(&self) -> Result<Namespaces, Error> {
        let inside = self.inside.as_ref().ok_or_else(|| Error::new("there are no networks"))?;
        inside.hands.namespaces()
    }

    /// Sees to it that there are namespaces; `None` while somebody may still come who has those of before.
    fn inside(&mut self, found: Option<Namespaces>, alone: bool) -> Option<Result<(), Error>> {
        if self.inside.is_some() {
            return Some(Ok(()));
        }
        let is_waiting = found.is_none() && !alone && self.started.elapsed() < PATIENCE;
        if is_waiting && self.has_members() {
            return None;
        }
        self.recovering = found.is_some().then(|| self.started + PATIENCE);
        let made = Hands::start(found, &self.maps)
            .and_then(|hands| Ok(Inside { wiring: Wiring::new(&hands)?, hands }))
            .map(|inside| self.inside = Some(inside));
        Some(made)
    }

    /// Whether anybody is attached, to this holder or to one that was killed.
    fn has_members(&self) -> bool {
        let file = File::open(self.root.join(name::FOLDER).join(name::MEMBERS));
        file.is_ok_and(|file| file.try_lock().is_err())
    }

    /// Plugs a guest's container into what its leases name. Returns what is to be known beside.
    fn plug_in(&mut self, at: usize) -> Result<Option<Error>, Error> {
        let of_files = |error: crate::network::Error| Error::of(&error).with_hint(error.hint());
        self.agree()?;
        self.keep_way_open();
        let leases = self.networks.leases().map_err(of_files)?;
        let (Some(inside), Some(member)) = (&mut self.inside, &mut self.guests[at].member) else { return Ok(None) };
        let leases: Vec<Lease> = leases.into_iter().filter(|lease| lease.container == member.container).collect();
        inside.plug_in(member, &leases, &self.networks)?;
        let mut names = leases.iter().map(|lease| &lease.network);
        let leads_out = names.any(|name| self.networks.get(name).is_ok_and(|network| !network.internal));
        Ok(self.no_way.clone().filter(|_| leads_out))
    }

    /// Makes the bridges and the firewall what the leases of those who are attached say.
    fn agree(&mut self) -> Result<(), Error> {
        let of_files = |error: crate::network::Error| Error::of(&error).with_hint(error.hint());
        let leases = self.networks.leases().map_err(of_files)?;
        let is_there = |lease: &&Lease| {
            self.recovering.is_some() || self.members().any(|member| member.container == lease.container)
        };
        let attached: Vec<&Lease> = leases.iter().filter(is_there).collect();
        let used: BTreeSet<&str> = attached.iter().map(|lease| lease.network.as_str()).collect();
        // Of one that cannot be read those are told who want to be on it, and nobody else.
        let used: Vec<Network> = used.into_iter().filter_map(|name| self.networks.get(name).ok()).collect();
        let Some(inside) = &mut self.inside else { return Ok(()) };
        inside.wiring.set_networks(&used)?;
        self.names.agree(&inside.hands, &used, &attached)
    }

    /// Replaces relays that have ended, which nobody asked for.
    fn mend_relays(&mut self) {
        for at in 0..self.guests.len() {
            let Some(member) = &mut self.guests[at].member else { continue };
            let all = member.relays.len();
            member.relays.retain(Relay::is_running);
            if member.relays.len() < all {
                // Without it the container goes on as it can.
                let _ = self.plug_in(at);
            }
        }
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.guests.iter().filter_map(|guest| guest.member.as_ref())
    }

    fn keep_way_open(&mut self) {
        let has_members = self.members().next().is_some();
        if let (Some(inside), true) = (&mut self.inside, has_members) {
            match self.way.open(&inside.hands, &mut inside.wiring) {
                Ok(true) => self.no_way = None,
                Ok(false) => {}
                Err(error) => self.no_way = Some(error),
            }
        }
    }
}

impl Inside {
    fn plug_in(&mut self, member: &mut Member, leases: &[Lease], networks: &Networks) -> Result<(), Error> {
        let wanted = self.wiring.plug_in(&self.hands, member.socketed(), leases, networks)?;
        member.relays.retain(|relay| wanted.iter().any(|wanted| relay.is(wanted)));
        for one in &wanted {
            if !member.relays.iter().any(|relay| relay.is(one)) {
                let (network, users) = (member.network.as_fd(), member.users.as_fd());
                member.relays.push(one.start(&self.hands, self.wiring.socket(), network, users)?);
            }
        }
        Ok(())
    }
}
