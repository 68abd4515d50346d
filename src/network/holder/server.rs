//! Process A: one loop that waits for guests, and changes what is as soon as it is not what is to be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use uidmap::Maps;

use super::guest::{Guest, Member, Wish};
use super::hands::{Hands, Namespaces};
use super::host_way::HostWay;
use super::names::Names;
use super::neighbours;
use super::protocol::VERSION;
use super::relay::Relay;
use super::site::Site;
use super::way::Way;
use super::wiring::{PluggedIn, Wiring};
use super::{Error, name};
use crate::network::{Lease, Network, Networks};

/// How long the holder stays when nobody is there any more.
const IDLE: Duration = Duration::from_secs(1);

/// How long somebody is waited for who was attached to a holder that was killed, and has its namespaces; and how often those are looked
/// after who have not come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most sockets that somebody is given to keep: he can send them all back at once (SCM_MAX_FD in unix(7)).
const MOST_SOCKETS: usize = 240;

/// How often is tried again what failed because process B was killed.
const TRIES: usize = 3;

/// Everything that process A knows.
pub struct Holder {
    root: PathBuf,
    maps: Maps,
    site: Site,
    networks: Networks,
    guests: Vec<Guest>,
    last: u64,
    started: Instant,
    /// Since when nobody is there.
    alone: Instant,
    inside: Option<Inside>,
    /// When those are looked after who were attached to the one before and have not come back: as long as they live nothing of theirs is
    /// taken away.
    recovering: Option<Instant>,
    names: Names,
    /// The leases of those who are there, of whom not all have been told by now.
    news: Option<Vec<Lease>>,
    way: Way,
    /// Why there is no way out.
    no_way: Option<Error>,
    host_way: HostWay,
    /// Whether anybody is there who may reach this machine's own servers.
    visited: bool,
}

/// What there is once there are namespaces.
#[derive(Debug)]
struct Inside {
    hands: Hands,
    wiring: Wiring,
    namespaces: Namespaces,
}

impl Holder {
    /// One who is found at `site` and holds the networks below `root`.
    pub fn new(root: PathBuf, maps: Maps, site: Site) -> Result<Self, Error> {
        let now = Instant::now();
        Ok(Self {
            networks: Networks::below(&root),
            root,
            maps,
            site,
            guests: Vec::new(),
            last: 0,
            started: now,
            alone: now,
            inside: None,
            recovering: None,
            names: Names::new()?,
            news: None,
            way: Way::new(),
            no_way: None,
            host_way: HostWay::default(),
            visited: false,
        })
    }

    /// Holds networks until nobody wants them any more.
    pub fn hold(mut self) -> Result<(), Error> {
        while !self.guests.is_empty() || self.alone.elapsed() < IDLE {
            let spoken = self.wait()?;
            if !self.site.look() {
                // Those who are attached start another one, which finds all as it is.
                return Ok(());
            }
            self.replace_hands()?;
            self.let_in();
            self.hear(&spoken);
            self.names.answer();
            self.way.look();
            self.fulfil();
            self.keep_way_open();
            self.mend_relays();
            self.introduce();
            if self.recovering.is_some_and(|time| time <= Instant::now()) {
                // What cannot be done is told to the next who comes.
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
        wanted.extend(self.inside.as_ref().map(|inside| inside.hands.end()));
        wanted.extend([self.site.door().as_fd(), self.names.descriptor()]);
        wanted.extend(self.site.descriptor());
        wanted.extend(self.way.descriptors());
        wanted.extend(self.host_way.descriptor());
        wanted.extend(self.members().flat_map(|member| &member.relays).map(Relay::end));
        let mut sources: Vec<PollFd> = wanted.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut sources, self.timeout()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::refused("cannot wait", errno)),
        }
        let spoken = self.guests.iter().zip(&sources).filter(|(_, source)| source.any() == Some(true));
        Ok(spoken.map(|(guest, _)| guest.number).collect())
    }

    /// Another process B in the place of one that was killed.
    fn replace_hands(&mut self) -> Result<(), Error> {
        if let Some(inside) = self.inside.as_mut().filter(|inside| inside.hands.have_ended()) {
            inside.hands = Hands::start(Some(inside.namespaces.again()?), &self.maps)?;
        }
        Ok(())
    }

    fn timeout(&self) -> PollTimeout {
        let waiting = self.guests.iter().any(|guest| guest.wish.is_some()).then(|| self.started + PATIENCE);
        let idle = self.guests.is_empty().then(|| self.alone + IDLE);
        match [waiting, idle, self.recovering, self.way.next(), self.host_way.next(), self.site.next()]
            .into_iter()
            .flatten()
            .min()
        {
            Some(time) => {
                let left = time.saturating_duration_since(Instant::now()).as_millis();
                PollTimeout::try_from(left + 1).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        }
    }

    fn let_in(&mut self) {
        while let Ok(Some(socket)) = sys::door::let_in(self.site.door()) {
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
        let wish = |(at, guest): (usize, &mut Guest)| Some((at, guest.wish.take()?));
        let mut wishes: Vec<(usize, Wish)> = self.guests.iter_mut().enumerate().filter_map(wish).collect();
        // Who was attached to a holder that is gone brings what all others wait for.
        wishes.sort_by_key(|(_, wish)| !matches!(wish, Wish::Attach { found: Some(_), .. }));
        let mut plugged = Vec::new();
        for (at, wish) in wishes {
            match wish {
                Wish::Users => match self.inside(None, false) {
                    None => self.guests[at].wish = Some(Wish::Users),
                    Some(done) => self.tell_users(at, done),
                },
                Wish::Attach { member, alone, found } => {
                    let (namespaces, sockets) = found.map(|found| (found.namespaces, found.sockets)).unzip();
                    match self.inside(namespaces, alone) {
                        None => self.guests[at].wish = Some(Wish::Attach { member, alone, found: None }),
                        Some(done) => {
                            self.guests[at].member = Some(member);
                            match done {
                                Ok(()) => plugged.push((at, sockets)),
                                Err(error) => self.tell_attached(at, Err(error)),
                            }
                        }
                    }
                }
                Wish::Reload(container) => {
                    let is_it =
                        |guest: &Guest| guest.member.as_ref().is_some_and(|member| member.container == container);
                    let members: Vec<usize> = (0..self.guests.len()).filter(|at| is_it(&self.guests[*at])).collect();
                    let mut done = self.agree().map(|_| None);
                    for member in members {
                        done = done.and_then(|_| self.plug_in(member));
                    }
                    self.guests[at].answer(done, &[]);
                }
            }
        }
        if !plugged.is_empty() {
            self.take_in(plugged);
        }
    }

    /// Plugs in all who have come, those first who were here before; with their sockets, if they have brought any.
    fn take_in(&mut self, mut plugged: Vec<(usize, Option<Vec<OwnedFd>>)>) {
        let agreed = self.agree();
        for sockets in plugged.iter_mut().filter_map(|(_, sockets)| sockets.as_mut()) {
            self.names.inherit(std::mem::take(sockets));
        }
        for (at, sockets) in plugged {
            // There may be many of them, and nobody else who answers.
            self.names.answer();
            if sockets.is_none() {
                // They have been told of their way out, and have it again in a moment.
                self.keep_way_open();
            }
            let mut done = agreed.clone().and_then(|leases| self.plug_into(at, leases));
            for _ in 0..TRIES {
                if done.is_ok() || !self.inside.as_ref().is_some_and(|inside| inside.hands.have_ended()) {
                    break;
                }
                done = self.replace_hands().and_then(|()| self.plug_in(at));
            }
            self.tell_attached(at, done);
        }
    }

    fn tell_users(&self, at: usize, done: Result<(), Error>) {
        match done.and_then(|()| self.inside.as_ref().ok_or_else(nothing)) {
            Ok(inside) => self.guests[at].answer(Ok(None), &[inside.namespaces.users.as_fd()]),
            Err(error) => self.guests[at].answer(Err(error), &[]),
        };
    }

    fn tell_attached(&mut self, at: usize, done: Result<Option<Error>, Error>) {
        let done = done.and_then(|warning| Ok((warning, self.inside.as_ref().ok_or_else(nothing)?)));
        match done {
            Ok((warning, Inside { namespaces, .. })) => {
                let mut given = vec![namespaces.network.as_fd(), namespaces.users.as_fd()];
                let own = self.guests[at].member.as_ref().map(|member| &member.networks);
                let sockets = self.names.sockets(|network| own.is_some_and(|own| own.contains(network)));
                given.extend(sockets.take(MOST_SOCKETS));
                self.guests[at].answer(Ok(warning), &given);
            }
            Err(error) => {
                self.guests[at].member = None;
                let _ = self.agree();
                self.guests[at].answer(Err(error), &[]);
            }
        }
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
        let mut made = Err(nothing());
        for _ in 0..TRIES {
            made = found.as_ref().map(Namespaces::again).transpose().and_then(|found| Inside::new(found, &self.maps));
            if made.is_ok() {
                break;
            }
        }
        Some(made.map(|inside| self.inside = Some(inside)))
    }

    /// Whether anybody is attached, to this holder or to one that was killed.
    fn has_members(&self) -> bool {
        let file = File::open(self.root.join(name::FOLDER).join(name::MEMBERS));
        file.is_ok_and(|file| file.try_lock().is_err())
    }

    /// Plugs a guest's container into what its leases name. Returns what is to be known beside.
    fn plug_in(&mut self, at: usize) -> Result<Option<Error>, Error> {
        let leases = self.agree()?;
        self.keep_way_open();
        self.plug_into(at, leases)
    }

    /// Plugs a guest's container into those of these leases that are its own, whose networks are there.
    fn plug_into(&mut self, at: usize, leases: Vec<Lease>) -> Result<Option<Error>, Error> {
        let (Some(inside), Some(member)) = (&mut self.inside, &mut self.guests[at].member) else { return Ok(None) };
        let leases: Vec<Lease> = leases.into_iter().filter(|lease| lease.container == member.container).collect();
        member.networks = leases.iter().map(|lease| lease.network.clone()).collect();
        inside.plug_in(member, &leases, &self.networks)?;
        let mut names = leases.iter().map(|lease| &lease.network);
        let leads_out = names.any(|name| self.networks.get(name).is_ok_and(|network| !network.internal));
        let no_host = self.host_way.failure().filter(|_| leases.iter().any(|lease| lease.reaches_host));
        Ok(self.no_way.as_ref().filter(|_| leads_out).or(no_host).cloned())
    }

    /// Makes the bridges and the firewall what the leases of those who are attached say, and names them to each other. Returns all leases.
    fn agree(&mut self) -> Result<Vec<Lease>, Error> {
        let of_files = |error: crate::network::Error| Error::of(&error).with_hint(error.hint());
        let leases = self.networks.leases().map_err(of_files)?;
        let members: BTreeSet<&str> = self.members().map(|member| member.container.as_str()).collect();
        let mut missing: BTreeMap<&str, bool> = BTreeMap::new();
        let attached: Vec<&Lease> = leases
            .iter()
            .filter(|lease| {
                let id = lease.container.as_str();
                let mut lives = || *missing.entry(id).or_insert_with(|| self.lives(id));
                members.contains(id) || (self.recovering.is_some() && lives())
            })
            .collect();
        if self.recovering.is_some() {
            let is_missing = missing.values().any(|lives| *lives);
            self.recovering = is_missing.then(|| Instant::now() + PATIENCE);
        }
        let used: BTreeSet<&str> = attached.iter().map(|lease| lease.network.as_str()).collect();
        // Of one that cannot be read those are told who want to be on it, and nobody else.
        let used: Vec<Network> = used.into_iter().filter_map(|name| self.networks.get(name).ok()).collect();
        if let Some(inside) = &mut self.inside {
            inside.wiring.set_networks(&inside.hands, &used, &attached)?;
            self.visited = attached.iter().any(|lease| lease.reaches_host);
            self.names.agree(&inside.hands, &used, &attached)?;
        }
        self.news = Some(attached.into_iter().cloned().collect());
        Ok(leases)
    }

    /// Tells all of all others who are there now.
    fn introduce(&mut self) {
        let Some(leases) = self.news.take() else { return };
        let tables = neighbours::tables(&leases);
        for guest in &mut self.guests {
            if let Some(acquaintances) = guest.member.as_mut().and_then(|member| member.acquaintances.as_mut()) {
                acquaintances.agree(&tables);
                // There may be many of them, and nobody else who answers.
                self.names.answer();
            }
        }
    }

    /// Whether a container has a monitor: that has its folder locked.
    fn lives(&self, container: &str) -> bool {
        let file = File::open(self.root.join("containers").join(container).join("lock"));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
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
            self.host_way.keep(self.visited, &inside.hands, &mut inside.wiring);
        }
    }
}

impl Inside {
    fn new(found: Option<Namespaces>, maps: &Maps) -> Result<Self, Error> {
        let hands = Hands::start(found, maps)?;
        Ok(Self { wiring: Wiring::new(&hands)?, namespaces: hands.namespaces()?, hands })
    }

    fn plug_in(&mut self, member: &mut Member, leases: &[Lease], networks: &Networks) -> Result<(), Error> {
        let users = self.namespaces.users.as_fd();
        let wanted = match self.wiring.plug_in(&self.hands, users, member.socketed(), leases, networks)? {
            PluggedIn::ByCables(acquaintances) => {
                member.acquaintances = Some(acquaintances);
                Vec::new()
            }
            PluggedIn::ByRelays(wanted) => wanted,
        };
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

fn nothing() -> Error {
    Error::new("there are no networks")
}
