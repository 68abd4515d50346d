//! How a container is, in docker's words.

use std::time::SystemTime;

use enter::container::Container;
use enter::container::record::{HealthStatus, State, Status};
use jiff::Timestamp;

use crate::ui::human;

/// `Up 3 seconds`, `Exited (137) 2 minutes ago`, `Created`, …
pub fn text(state: &State, now: SystemTime) -> String {
    let up = || format!("Up {}", since(state.started, now));
    match state.status {
        Status::Created => "Created".into(),
        // What could not be started has never run, whatever code it has: docker calls it created.
        Status::Exited if state.started.is_none() => "Created".into(),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, since(state.finished, now)),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, since(state.finished, now)),
        Status::Paused => format!("{} (Paused)", up()),
        Status::Running => match state.health.as_ref().map(|health| health.status) {
            None => up(),
            Some(HealthStatus::Starting) => format!("{} (health: starting)", up()),
            Some(verdict) => format!("{} ({})", up(), verdict.name()),
        },
    }
}

/// docker's word for the state itself.
pub fn word(state: &State) -> &'static str {
    match state.status {
        Status::Exited if state.started.is_none() => Status::Created.name(),
        status => status.name(),
    }
}

/// The verdict on the health of a container: docker's word, `none` where nobody asks.
pub fn health(container: &Container) -> &'static str {
    container.state.health.as_ref().map_or("none", |health| health.status.name())
}

fn since(then: Option<Timestamp>, now: SystemTime) -> String {
    let then = then.map_or(now, SystemTime::from);
    human::duration(now.duration_since(then).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use enter::container::record::Checked;

    use super::*;

    #[test]
    fn each_state_has_dockers_words() {
        let now = Timestamp::now();
        let ago = |seconds: u64| Some(now - Duration::from_secs(seconds));
        let health = |status| Some(Checked { status, failing: 0, log: Vec::new() });
        let started = State { status: Status::Running, started: ago(3), ..State::default() };
        let ended = State { status: Status::Exited, exit_code: 137, finished: ago(150), ..started.clone() };
        for (state, expected) in [
            (State::default(), "Created"),
            (started.clone(), "Up 3 seconds"),
            (State { status: Status::Paused, ..started.clone() }, "Up 3 seconds (Paused)"),
            (
                State { health: health(HealthStatus::Healthy), started: ago(120), ..started.clone() },
                "Up 2 minutes (healthy)",
            ),
            (State { health: health(HealthStatus::Starting), ..started.clone() }, "Up 3 seconds (health: starting)"),
            (
                State { status: Status::Restarting, exit_code: 1, finished: ago(3), ..started },
                "Restarting (1) 3 seconds ago",
            ),
            (State { started: None, exit_code: 127, ..ended.clone() }, "Created"),
            (ended, "Exited (137) 2 minutes ago"),
        ] {
            assert_eq!(text(&state, now.into()), expected);
        }
    }
}
