//! Health checks: a command that is run in the container now and then, and what is made of its exit codes.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::pipe2;
use plan::report::{Event, Order};
use plan::{Process, Stream};

use super::keeper::{Keeper, after};
use super::relay::Source;
use crate::container::error::Told;
use crate::container::record::{Checked, Health, HealthAction, HealthLog, HealthStatus};

/// The most bytes of a check's output that are kept.
const KEPT: usize = 4096;

/// The most checks that are kept.
const REMEMBERED: usize = 5;

/// What a check that took too long is said to have ended with.
const TOO_LONG: i32 = -1;

/// A container's health checks, while its payload runs.
#[derive(Debug)]
pub struct Checks {
    began: Instant,
    next: Instant,
    running: Option<Running>,
}

/// A check that runs.
#[derive(Debug)]
struct Running {
    id: u32,
    start: Timestamp,
    until: Instant,
    output: Source,
    text: Vec<u8>,
}

impl Running {
    fn read(&mut self) -> bool {
        let bytes = self.output.read();
        let room = KEPT.saturating_sub(self.text.len());
        self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        !bytes.is_empty()
    }
}

/// The command line of a check; `None` where there is nothing to be checked.
fn command(test: &[String]) -> Option<Vec<String>> {
    match test.split_first() {
        Some((kind, words)) if kind == "CMD" && !words.is_empty() => Some(words.to_vec()),
        Some((kind, [line, ..])) if kind == "CMD-SHELL" => Some(vec!["/bin/sh".into(), "-c".into(), line.clone()]),
        _ => None,
    }
}

/// A time, or what docker takes where none is given.
fn or(time: Duration, default: u64) -> Duration {
    if time.is_zero() { Duration::from_secs(default) } else { time }
}

/// When the next check is due, `since` the payload's start.
fn pause(health: &Health, status: HealthStatus, since: Duration) -> Duration {
    if status == HealthStatus::Starting && since < health.start_period {
        return or(health.start_interval, 5);
    }
    or(health.interval, 30)
}

/// What a check says of the container; true if the verdict has changed. `since`: the payload's start.
fn judge(checked: &mut Checked, health: &Health, log: HealthLog, since: Duration) -> bool {
    let before = checked.status;
    if log.exit_code == 0 {
        (checked.status, checked.failing) = (HealthStatus::Healthy, 0);
    } else if before != HealthStatus::Starting || since >= health.start_period {
        checked.failing += 1;
        let retries = if health.retries == 0 { 3 } else { health.retries };
        if checked.failing >= retries {
            checked.status = HealthStatus::Unhealthy;
        }
    }
    checked.log.push(log);
    let old = checked.log.len().saturating_sub(REMEMBERED);
    checked.log.drain(..old);
    checked.status != before
}

impl Keeper<'_> {
    fn health(&self) -> Option<Health> {
        self.ledger.spec().health.clone().filter(|health| command(&health.test).is_some())
    }

    /// The payload runs: the first check comes after the first pause.
    pub(super) fn begin_health_checks(&mut self) {
        let Some(health) = self.health() else { return };
        let now = Instant::now();
        let next = after(pause(&health, HealthStatus::Starting, Duration::ZERO));
        self.checks = Some(Checks { began: now, next, running: None });
        self.ledger.state.health = Some(Checked { status: HealthStatus::Starting, failing: 0, log: Vec::new() });
        self.ledger.write();
    }

    /// The payload has ended: what was found last stays.
    pub(super) fn end_health_checks(&mut self) {
        self.checks = None;
    }

    /// The next check is due, whenever it would have been. One that is running is as good.
    pub(super) fn check_soon(&mut self) -> Result<(), Told> {
        let checks = self.checks.as_mut().ok_or_else(|| Told::plain("the container has no health check"))?;
        checks.next = Instant::now();
        Ok(())
    }

    /// When there is something to be done about health.
    pub(super) fn next_health_check(&self) -> Option<Instant> {
        let checks = self.checks.as_ref()?;
        Some(checks.running.as_ref().map_or(checks.next, |running| running.until))
    }

    /// Where a check writes.
    pub(super) fn check_output(&self) -> Option<BorrowedFd<'_>> {
        self.checks.as_ref()?.running.as_ref()?.output.descriptor()
    }

    /// Begins a check that is due, reads what a running one writes, and ends one that takes too long.
    pub(super) fn check_health(&mut self) {
        let Some(checks) = &mut self.checks else { return };
        let now = Instant::now();
        match &mut checks.running {
            Some(running) => {
                running.read();
                if running.until > now {
                    return;
                }
                let order = Order::Signal { id: running.id, number: Signal::SIGKILL as i32, group: true };
                if let Some(life) = &self.life {
                    life.order(order, &[]);
                }
                self.found(TOO_LONG);
            }
            None if checks.next <= now => self.begin_check(),
            None => {}
        }
    }

    /// Takes what is said of the check that runs; false where it is said of something else.
    pub(super) fn hear_of_check(&mut self, id: u32, event: &Event) -> bool {
        if self.checks.as_ref().and_then(|checks| checks.running.as_ref()).is_none_or(|running| running.id != id) {
            return false;
        }
        match event {
            Event::Exited(code) => self.found(*code),
            Event::Killed(signal) => self.found(128 + signal),
            Event::Failed(failure) => {
                let end = crate::container::End::Failed(failure.clone());
                if let Some(running) = self.checks.as_mut().and_then(|checks| checks.running.as_mut()) {
                    running.text = end.reason().into_bytes();
                }
                self.found(end.code());
            }
            Event::Terminal | Event::Started => {}
        }
        true
    }

    fn begin_check(&mut self) {
        let Some(health) = self.health() else { return };
        let id = self.sessions.new_id();
        let (Some(life), Some(words), Some(checks)) = (&self.life, command(&health.test), &mut self.checks) else {
            return;
        };
        checks.next = after(or(health.interval, 30));
        // A container that is held, or that is ending, is not asked how it is.
        if !life.is_going_on() || self.ledger.state.status == crate::container::record::Status::Paused {
            return;
        }
        let process = Process {
            arguments: words.into_iter().map(|word| std::ffi::OsString::from(word).into()).collect(),
            terminal: None,
            streams: [Stream::Direct; 3],
            passed: 0,
            idle: false,
            ..self.plan.process.clone()
        };
        let Ok((file, null, read, write)) = parts(&process) else { return };
        life.order(Order::Execute { id }, &[file.as_fd(), null.as_fd(), write.as_fd(), write.as_fd()]);
        let until = after(or(health.timeout, 30));
        let output = Source::new(Some(read));
        checks.running = Some(Running { id, start: Timestamp::now(), until, output, text: Vec::new() });
    }

    /// A check has ended.
    fn found(&mut self, exit_code: i32) {
        let (Some(health), Some(checks)) = (self.health(), &mut self.checks) else { return };
        let Some(mut running) = checks.running.take() else { return };
        while running.read() {}
        let since = checks.began.elapsed();
        let output = match exit_code {
            TOO_LONG => format!("the health check took longer than {:?}", or(health.timeout, 30)),
            _ => String::from_utf8_lossy(&running.text).into_owned(),
        };
        let log = HealthLog { start: running.start, end: Timestamp::now(), exit_code, output };
        let Some(checked) = &mut self.ledger.state.health else { return };
        let changed = judge(checked, &health, log, since);
        let status = checked.status;
        checks.next = after(pause(&health, status, since));
        self.ledger.write();
        if changed {
            self.ledger.tell(self.ledger.event(format!("health_status: {}", status.name())));
        }
        if changed && status == HealthStatus::Unhealthy {
            self.treat(health.on_failure);
        }
    }

    fn treat(&mut self, action: HealthAction) {
        match action {
            HealthAction::None => {}
            HealthAction::Stop => self.stop(None, None),
            HealthAction::Kill | HealthAction::Restart => {
                self.unwell = true;
                if let Some(life) = &self.life {
                    life.signal(Signal::SIGKILL as i32, false);
                }
            }
        }
    }
}

/// What a check is given: its description, nothing to read, and a pipe to write to.
fn parts(process: &Process) -> std::io::Result<(File, File, OwnedFd, OwnedFd)> {
    let memory = nix::sys::memfd::memfd_create("enter-process", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(memory);
    file.write_all(&serde_json::to_vec(process)?)?;
    file.rewind()?;
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((file, File::open("/dev/null")?, read, write))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health {
            test: vec!["CMD-SHELL".into(), "true".into()],
            interval: Duration::from_secs(30),
            timeout: Duration::ZERO,
            start_period: Duration::from_secs(60),
            start_interval: Duration::from_secs(2),
            retries: 2,
            on_failure: HealthAction::None,
        }
    }

    #[test]
    fn failures_count_once_the_start_is_over_and_only_in_a_row() {
        let health = health();
        let mut checked = Checked { status: HealthStatus::Starting, failing: 0, log: Vec::new() };
        let mut judged = |code, seconds| {
            let now = Timestamp::now();
            let log = HealthLog { start: now, end: now, exit_code: code, output: String::new() };
            let changed = judge(&mut checked, &health, log, Duration::from_secs(seconds));
            (changed, checked.status, checked.failing, checked.log.len())
        };
        use HealthStatus::{Healthy, Starting, Unhealthy};
        assert_eq!(judged(1, 10), (false, Starting, 0, 1));
        assert_eq!(judged(1, 61), (false, Starting, 1, 2));
        assert_eq!(judged(0, 62), (true, Healthy, 0, 3));
        assert_eq!(judged(1, 63), (false, Healthy, 1, 4));
        assert_eq!(judged(TOO_LONG, 64), (true, Unhealthy, 2, 5));
        assert_eq!(judged(1, 65), (false, Unhealthy, 3, 5));
        assert_eq!(judged(0, 66), (true, Healthy, 0, 5));
    }

    #[test]
    fn the_first_checks_come_sooner() {
        let health = health();
        assert_eq!(pause(&health, HealthStatus::Starting, Duration::from_secs(5)), health.start_interval);
        assert_eq!(pause(&health, HealthStatus::Starting, Duration::from_secs(90)), health.interval);
        assert_eq!(pause(&health, HealthStatus::Healthy, Duration::from_secs(5)), health.interval);
    }

    #[test]
    fn commands_are_words_or_a_line() {
        let words = |test: &[&str]| command(&test.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["CMD", "a", "b"]).unwrap(), ["a", "b"]);
        assert_eq!(words(&["CMD-SHELL", "a b"]).unwrap(), ["/bin/sh", "-c", "a b"]);
        assert!(words(&["NONE"]).is_none() && words(&[]).is_none() && words(&["CMD"]).is_none());
    }
}
