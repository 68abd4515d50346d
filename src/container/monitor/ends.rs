//! The end of the payload: what is told and written of it, and whether it is started again.

use std::time::{Duration, Instant};

use super::keeper::Keeper;
use super::life::Life;
use crate::container::dropped::{self, Left};
use crate::container::logs::Stream;
use crate::container::protocol::{End, Reply};
use crate::container::record::HealthAction;
use crate::container::volumes;

/// A payload that ends within this time after somebody sent it a signal has ended for that.
const OBEYS: Duration = Duration::from_secs(10);

impl Keeper<'_> {
    /// The payload has ended, and nothing more comes of it.
    pub(super) fn is_over(&mut self) {
        // What is still in its pipes is little; it is for those too who read slowly.
        while self.pass_on(Stream::Output) || self.pass_on(Stream::Error) {}
        let Some(mut life) = self.life.take() else { return };
        let Some((end, _)) = life.ended.take() else { return };
        (self.kill_at, self.force_at, self.timeout_at) = (None, None, None);
        let ran = life.started.map(|started| started.elapsed());
        if life.confines.ran_out_of_memory() {
            self.ledger.ran_out_of_memory();
        }
        let pause = self.pause_before_restart(&end, ran);
        self.end_health_checks();
        // Free for whoever hears of the end.
        if pause.is_some() {
            self.ports.end()
        } else {
            self.ports.close()
        }
        if self.plan.container.restorable > 0 {
            self.end_of_shell(life, &end, ran.is_some());
        } else if self.ledger.is_throwaway() && pause.is_none() {
            // Its name is free when the client hears of the end; clearing up may take longer. But volumes that go with it have gone by
            // then, as whoever lists them next expects.
            self.ledger.ended(&end, ran.is_some(), false);
            self.ledger.strike();
            if self.plan.container.volumes.is_empty() {
                self.tell_the_end(&end, true);
                life.finish(false);
            } else {
                life.finish(true);
                self.remove_volumes();
                self.tell_the_end(&end, true);
            }
        } else {
            life.finish(false);
            self.ledger.ended(&end, ran.is_some(), pause.is_some());
            self.again = pause.map(|pause| Instant::now() + pause);
            self.tell_the_end(&end, pause.is_none());
        }
    }

    /// The end of what can be restored: what was changed is set aside before anybody hears of the end, who may want it back at once. What has
    /// become a box meanwhile stays where it is.
    fn end_of_shell(&mut self, mut life: Life, end: &End, ran: bool) {
        let left = life.count();
        let changed = left.filter(|left| left.files > 0);
        self.ledger.ended(end, ran, false);
        if self.ledger.is_throwaway() {
            let fits = |left: &Left| left.bytes <= self.plan.container.restorable;
            match (changed, left) {
                (Some(left), _) if fits(&left) => self.set_aside(left),
                (Some(left), _) => {
                    self.ledger.strike();
                    self.clients.warn(&dropped::too_much(left, self.plan.container.restorable));
                    life.throw_away();
                }
                (None, Some(_)) => {
                    self.ledger.strike();
                    life.throw_away();
                }
                // Its server was killed: the next command looks what there is.
                (None, None) => {}
            }
            self.tell_the_end(end, true);
            life.finish(false);
        } else {
            life.finish(false);
            let _ = dropped::renew_work(self.plan.container.folder.as_path());
            self.tell_the_end(end, true);
        }
    }

    fn set_aside(&mut self, left: Left) {
        // Where that cannot be, the next command tries it again.
        if dropped::set_aside(self.plan.container.folder.as_path(), left).is_ok() {
            self.ledger.forget();
            dropped::clear_where_too_much(self.plan.container.folder.as_path(), self.plan.container.restorable);
        }
    }

    /// There was not even an init.
    pub(super) fn never_began(&mut self, end: End) {
        let pause = self.pause_before_restart(&end, None);
        if pause.is_none() {
            self.ports.close();
        }
        self.ledger.ended(&end, false, pause.is_some());
        // What was restored, and cannot be started, is set aside again by the next command.
        if self.ledger.is_throwaway() && self.plan.container.restorable == 0 && pause.is_none() {
            self.ledger.strike();
            self.remove_volumes();
        }
        self.again = pause.map(|pause| Instant::now() + pause);
        self.tell_the_end(&end, pause.is_none());
    }

    /// Those that were made for this container alone, where the filesystem server did not do it: it may have been killed, or never have
    /// begun. What this process may not remove of them is cleared by the next command that has to do with volumes.
    fn remove_volumes(&self) {
        volumes::remove_with(self.plan.container.folder.as_path(), &self.plan.container.volumes);
    }

    fn tell_the_end(&mut self, end: &End, for_good: bool) {
        for client in self.sessions.end() {
            if let Some(client) = self.clients.get(client) {
                client.say(&Reply::End(end.clone()));
                client.done = true;
            }
        }
        self.clients.ended(end, for_good);
    }

    /// By the policy, or because it was not well.
    fn pause_before_restart(&mut self, end: &End, ran: Option<Duration>) -> Option<Duration> {
        // Who starts it by hand is told that it does not start, and that is all.
        if ran.is_none() && self.ledger.state.restarts == 0 {
            return None;
        }
        let asked = self.ledger.state.stopped || self.asked_to_end.take().is_some_and(|asked| asked.elapsed() < OBEYS);
        let unwell = std::mem::take(&mut self.unwell);
        let on_failure = self.ledger.spec().health.as_ref().map(|health| health.on_failure);
        if unwell && !self.ledger.state.stopped && on_failure == Some(HealthAction::Restart) {
            self.ledger.state.restarts += 1;
            return Some(Duration::ZERO);
        }
        // By `enter update` it may have another policy now.
        self.ledger.read_again();
        let restart = self.ledger.spec().restart;
        let pause = self.policy.after(restart, end.code(), ran.unwrap_or_default(), asked)?;
        self.ledger.state.restarts += 1;
        Some(pause)
    }
}
