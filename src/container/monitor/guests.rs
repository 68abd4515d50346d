//! Who is in a box: it runs for as long as somebody is, and ends with the last, however he goes.
//!
//! A throwaway shell may become a box while it runs (`keep`): its shell is one of those who are in it then, and the box goes on without it.
//!
//! A client holds the box before it runs anything in it. So nothing is run in a box that is about to end: whoever comes too late is
//! refused, and starts it anew.

use std::time::Duration;

use nix::sys::signal::Signal;
use plan::report::Order;

use super::keeper::{Keeper, after};
use crate::container::error::Told;
use crate::container::logs::Stream;
use crate::container::protocol::{End, Until, Word};

/// How long those have to end by themselves whom the last one has left behind.
const FAREWELL: Duration = Duration::from_secs(2);

impl Keeper<'_> {
    /// A client is about to run something.
    pub(super) fn let_hold(&mut self, number: u64) {
        let is_there = self.life.as_ref().is_some_and(|life| life.ended.is_none()) && !self.is_ending;
        if !is_there {
            return self.refuse_dead(number);
        }
        self.was_held = true;
        let runs = self.life.as_ref().is_some_and(super::life::Life::is_going_on);
        if let Some(client) = self.clients.get(number) {
            client.holds = true;
            client.waits_to_hold = !runs;
        }
        if runs {
            self.say(number, Word::Done);
        }
    }

    /// The payload runs: answers those who have waited for that.
    pub(super) fn let_in_who_waits(&mut self) {
        let waiting: Vec<u64> =
            self.clients.iter().filter(|client| client.waits_to_hold).map(|client| client.number).collect();
        for number in waiting {
            if let Some(client) = self.clients.get(number) {
                client.waits_to_hold = false;
            }
            self.say(number, Word::Done);
        }
        // They may all have gone while they waited.
        if self.was_held {
            self.end_if_deserted();
        }
    }

    /// A client is done. If it was the last, it hears of the end of the box: whoever looks then finds it ended.
    pub(super) fn leave(&mut self, number: u64) {
        let Some(client) = self.clients.get(number) else { return };
        client.holds = false;
        self.sessions.forget(number);
        self.end_if_deserted();
        match self.clients.get(number).filter(|_| self.is_ending) {
            Some(client) => client.waits = Some(Until::Gone),
            None => self.say(number, Word::Done),
        }
    }

    /// How many are in the box.
    pub(super) fn inside(&self) -> u32 {
        u32::try_from(self.clients.iter().filter(|client| client.holds).count()).unwrap_or(u32::MAX)
    }

    /// A client is gone without a word: its terminal was closed, or it was killed. What it ran is told, as by a terminal.
    pub(super) fn hang_up_on(&mut self, number: u64) {
        let Some((id, life)) = self.sessions.of(number).zip(self.life.as_ref()) else { return };
        for signal in [Signal::SIGHUP, Signal::SIGCONT] {
            life.order(Order::Signal { id, number: signal as i32, group: true }, &[]);
        }
    }

    /// Ends a box that nobody is in any more, unless it is to go on.
    pub(super) fn end_if_deserted(&mut self) {
        if self.first_end.is_some() {
            return self.end_if_left_by_all();
        }
        if self.is_ending || !self.plan.process.idle || self.inside() > 0 || self.sessions.has_clients() {
            return;
        }
        // It may have been told to go on since it was started.
        self.ledger.read_again();
        if self.ledger.spec().boxed.as_ref().is_none_or(|boxed| boxed.keep_running) {
            return;
        }
        let Some(life) = self.life.as_ref().filter(|life| life.is_going_on()) else { return };
        life.order(Order::End, &[]);
        self.is_ending = true;
        // What its policy says is for those that end by themselves.
        self.ledger.state.stopped = true;
        let kill_at = after(FAREWELL);
        self.kill_at = Some(self.kill_at.map_or(kill_at, |earlier| earlier.min(kill_at)));
    }

    /// A throwaway shell becomes a box.
    pub(super) fn keep_shell(&mut self, name: &str) -> Result<(), Told> {
        if !self.ledger.is_shell() || self.plan.container.restorable == 0 {
            return Err(Told {
                message: "what was opened with --rm, or while the setting restore-size is 0, cannot be kept".into(),
                cause: None,
                hint: Some("copy what you need out of it: enter cp".into()),
            });
        }
        self.ledger.keep(name)?;
        if let Some(life) = &self.life {
            life.order(Order::Outlast, &[]);
        }
        if let Some(first) = self.clients.get(0) {
            first.holds = true;
        }
        Ok(())
    }

    /// Whether a box is to go on without the shell that it began as, for others who are in it.
    pub(super) fn outlasts(&self) -> bool {
        let others = self.clients.iter().any(|client| client.holds && !client.first);
        !self.ledger.is_throwaway() && self.ledger.is_shell() && (others || self.sessions.has_clients())
    }

    /// The payload has ended: with it all of the container, but for a box in which others are.
    pub(super) fn payload_has_ended(&mut self, end: End) {
        if !self.outlasts() {
            return self.has_ended(end);
        }
        while self.pass_on(Stream::Output) || self.pass_on(Stream::Error) {}
        self.clients.first_has_ended(&end);
        self.first_end = Some(end);
    }

    /// Ends a box whose first shell has ended, once nobody else is in it.
    fn end_if_left_by_all(&mut self) {
        if self.outlasts() {
            return;
        }
        if let Some(end) = self.first_end.take() {
            if let Some(life) = &self.life {
                life.kill();
            }
            self.is_ending = true;
            self.has_ended(end);
        }
    }
}
