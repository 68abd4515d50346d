//! What clients ask for, and what they get.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use plan::report::Order;
use sys::terminal::Size;

use super::keeper::{GRACE, Keeper, after};
use super::link::Said;
use crate::container::error::Told;
use crate::container::protocol::{Ask, End, Reply, Until, Word};
use crate::container::record::Status;

/// How long a payload has to end after it was asked to, where nobody has said otherwise.
const STOP: Duration = Duration::from_secs(10);

/// Signals that end most programs.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGKILL];

impl Keeper<'_> {
    /// Does what a client says.
    pub(super) fn answer(&mut self, client: u64, said: Said) {
        match said {
            Said::Input(bytes) => {
                if let Some(life) =
                    self.life.as_mut().filter(|_| self.ledger.is_shell() || self.ledger.spec().open_input)
                {
                    life.input.write(&bytes);
                }
            }
            Said::InputEnd => self.end_input(),
            Said::Resize(size) => {
                self.size = Some(Size { rows: size.rows, columns: size.columns });
                if let Some(life) = &self.life {
                    life.resize(self.size);
                }
            }
            Said::Signal { number, group } => match (self.sessions.of(client), &self.life) {
                (Some(id), Some(life)) => life.order(Order::Signal { id, number, group }, &[]),
                // Meant for what the client runs, which has just ended or not yet begun; the payload is everybody's.
                _ if self.plan.process.idle => {}
                _ => self.signal(number, group),
            },
            Said::Ask(ask, descriptors) => self.obey(client, ask, descriptors),
            Said::Gone => {}
        }
    }

    fn obey(&mut self, client: u64, ask: Ask, descriptors: Vec<OwnedFd>) {
        let alive = self.life.as_ref().is_some_and(|life| life.ended.is_none());
        match ask {
            Ask::Go(_) => {}
            Ask::Attach(attachment) if alive => {
                self.say(client, Word::Done);
                if let Some(client) = self.clients.get(client) {
                    client.attached = Some(attachment);
                }
                self.ledger.tell(self.ledger.event("attach"));
            }
            Ask::Kill { number, group } if alive => {
                if number == self.stop_signal() {
                    self.ask_to_end(number, group);
                } else {
                    self.signal(number, group);
                }
                self.ledger.tell(self.ledger.event("kill").with("signal", number));
                self.say(client, Word::Done);
            }
            Ask::Pause | Ask::Resume if alive => self.hold(client, ask == Ask::Pause),
            Ask::Check if alive => {
                let answer = self.check_soon().map_or_else(Word::Refused, |()| Word::Done);
                self.say(client, answer);
            }
            Ask::Rejoin(files) if alive => {
                let answer = self.rejoin(files).map_or_else(Word::Refused, |()| Word::Done);
                self.say(client, answer);
            }
            Ask::Execute { detached, command } => self.execute(client, detached, command, &descriptors),
            // Also between two lives: the sockets wait for the next.
            Ask::Publish(ports) => self.publish(client, &ports, descriptors),
            Ask::Unpublish(ports) => {
                ports.iter().for_each(|port| self.ports.remove(port));
                self.say(client, Word::Done);
            }
            Ask::Keep(name) if alive => {
                let answer = self.keep_shell(&name).map_or_else(Word::Refused, |()| Word::Done);
                self.say(client, answer);
            }
            Ask::Hold => self.let_hold(client),
            Ask::Leave => self.leave(client),
            Ask::Count => {
                let inside = self.inside();
                self.say(client, Word::Inside(inside));
            }
            Ask::HandBack => self.take_back(client, descriptors.into_iter().next()),
            Ask::Attach(_)
            | Ask::Kill { .. }
            | Ask::Pause
            | Ask::Resume
            | Ask::Check
            | Ask::Rejoin(_)
            | Ask::Keep(_) => self.refuse_dead(client),
            Ask::Wait(until) => self.let_wait(client, until),
            Ask::Stop { signal, grace } => {
                self.let_wait(client, Until::Gone);
                self.stop(signal, grace);
            }
        }
    }

    /// Puts the container on the networks that its leases name now, and tells it by files.
    fn rejoin(&mut self, files: Vec<(String, String)>) -> Result<(), Told> {
        let Some(life) = &mut self.life else { return Ok(()) };
        life.rejoin(self.plan, &self.users)?;
        for (target, content) in files {
            life.order(Order::Write { target: target.as_str().into(), content: content.into_bytes().into() }, &[]);
        }
        Ok(())
    }

    /// Makes more ports reachable.
    fn publish(&mut self, client: u64, ports: &[plan::Port], sockets: Vec<OwnedFd>) {
        let mut outcome =
            if ports.len() == sockets.len() { Ok(()) } else { Err(Told::plain("a port without a socket")) };
        for (port, socket) in ports.iter().zip(sockets) {
            outcome = outcome.and_then(|()| self.ports.add(&self.users, *port, socket));
        }
        self.say(client, outcome.map_or_else(Word::Refused, |()| Word::Done));
    }

    fn let_wait(&mut self, client: u64, until: Until) {
        if let Some(client) = self.clients.get(client) {
            client.waits = Some(until);
        }
    }

    /// Asks the payload to end, and sees to it that it does; there is no restart then.
    pub(super) fn stop(&mut self, signal: Option<i32>, grace: Option<Duration>) {
        self.ledger.state.stopped = true;
        let grace = grace.or(self.ledger.spec().stop_timeout).unwrap_or(STOP);
        let kill_at = after(grace);
        // Whoever is less patient is heard.
        self.kill_at = Some(self.kill_at.map_or(kill_at, |earlier| earlier.min(kill_at)));
        if self.again.take().is_some() {
            self.ledger.given_up();
            self.ledger.tell(self.ledger.event("stop"));
            let end = End::Exited(self.ledger.state.exit_code);
            return self.clients.ended(&end, true);
        }
        self.ledger.write();
        // It gets the signal once it runs.
        if self.life.as_ref().is_some_and(|life| life.is_going_on()) {
            let signal = signal.unwrap_or_else(|| self.stop_signal());
            self.ask_to_end(signal, false);
            self.ledger.tell(self.ledger.event("kill").with("signal", signal));
        }
    }

    /// Asks the payload to end, by a signal. An idle one is there for others, which are asked first.
    pub(super) fn ask_to_end(&mut self, signal: i32, group: bool) {
        if self.plan.process.idle && signal != Signal::SIGKILL as i32 {
            self.is_ending = true;
            if let Some(life) = &self.life {
                life.order(Order::End, &[]);
            }
        } else {
            self.signal(signal, group);
        }
    }

    /// Sends the payload a signal. One that is held cannot end: it goes on for it.
    pub(super) fn signal(&mut self, number: i32, group: bool) {
        let Some(life) = &self.life else { return };
        life.signal(number, group);
        let ends = ENDING.iter().any(|signal| *signal as i32 == number) || number == self.stop_signal();
        if ends {
            self.asked_to_end = Some(Instant::now());
            if self.ledger.state.status == Status::Paused {
                life.order(Order::Resume, &[]);
                self.ledger.paused(false);
            }
        }
    }

    /// Holds all processes, or lets them go on.
    fn hold(&mut self, client: u64, hold: bool) {
        let is_held = self.ledger.state.status == Status::Paused;
        if is_held == hold {
            let message = if hold { "the container is already paused" } else { "the container is not paused" };
            return self.say(client, Word::Refused(Told::plain(message)));
        }
        if let Some(life) = self.life.as_ref().filter(|life| life.is_going_on()) {
            life.order(if hold { Order::Pause } else { Order::Resume }, &[]);
            self.ledger.paused(hold);
            return self.say(client, Word::Done);
        }
        self.refuse_dead(client);
    }

    /// The end of the input, by a client that says so or is gone.
    fn end_input(&mut self) {
        let is_meant = self.ledger.is_shell() || !self.ledger.spec().detached;
        // Who started it in the background meant others to write to it, one after another (docker's StdinOnce).
        if is_meant && let Some(life) = &mut self.life {
            life.end_input();
        }
    }

    /// A client is gone.
    pub(super) fn is_gone(&mut self, number: u64) {
        let Some(client) = self.clients.get(number) else { return };
        let (first, attached) = (client.first, client.attached.is_some());
        let gave_input = client.attached.is_some_and(|attached| attached.input);
        let held = client.holds;
        if held {
            self.hang_up_on(number);
        }
        self.forget(number);
        if held {
            self.end_if_deserted();
        }
        if first && self.ledger.is_shell() {
            return self.hang_up();
        }
        if gave_input {
            self.end_input();
        }
        if attached {
            self.ledger.tell(self.ledger.event("detach"));
        }
    }

    /// Forgets a client.
    pub(super) fn forget(&mut self, number: u64) {
        self.sessions.forget(number);
        self.clients.remove(number);
    }

    /// The terminal of a shell is gone: what was started in it ends, by itself or by force.
    fn hang_up(&mut self) {
        if let Some(life) = &mut self.life {
            life.hang_up();
            let by = Instant::now() + GRACE;
            // A box goes on for the others.
            if !self.outlasts() {
                self.force_at.get_or_insert(by);
            }
        }
    }

    /// Answers a client.
    pub(super) fn say(&mut self, client: u64, word: Word) {
        if let Some(client) = self.clients.get(client) {
            client.say(&Reply::Word(word));
        }
    }

    /// Tells a client that nothing runs.
    pub(super) fn refuse_dead(&mut self, client: u64) {
        let restarting = self.again.is_some();
        let message =
            if restarting { "the container is about to be restarted" } else { "the container is not running" };
        let hint = restarting.then(|| "wait until it runs".to_owned());
        self.say(client, Word::Refused(Told { message: message.into(), cause: None, hint }));
    }
}
