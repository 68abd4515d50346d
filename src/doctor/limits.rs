//! Control groups, by which memory, processors and processes of a container are limited. Nothing but limits needs them.

use cgroup::Hierarchy;

use super::finding::{Finding, chain};

const CHECK: &str = "limits";

/// What limits are usually of; others are asked for seldom, and told of then.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// Looks whether systemd, or whoever else has the control groups, gives this user some.
pub fn control_groups() -> Finding {
    match Hierarchy::find().and_then(|hierarchy| hierarchy.place(&CONTROLLERS, None)) {
        Ok(_) => Finding::good(CHECK, "control groups of version 2 are given to you: memory, processors, processes"),
        Err(error) => {
            let detail = format!("{}; --memory, --cpus and --pids-limit are refused", chain(&error));
            Finding::less(CHECK, detail, error.hint())
        }
    }
}
