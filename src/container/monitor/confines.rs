//! The control group of a container that has limits, on the monitor's side.

use std::os::fd::OwnedFd;

use cgroup::{Group, Usage};
use plan::Plan;

use crate::container::error::Told;

/// The group that the plan asks for, if it does.
#[derive(Debug)]
pub struct Confines {
    group: Option<Group>,
    /// How many processes had been killed for want of memory when it was looked at last.
    killed: u64,
}

impl Confines {
    /// Makes it, with nobody in it.
    pub fn make(plan: &Plan) -> Result<Self, Told> {
        let id = plan.container.id.get(..12).unwrap_or(&plan.container.id);
        let group = plan.cgroup.as_ref().map(|wanted| Group::make(wanted, id)).transpose();
        let group = group.map_err(|error| Told {
            message: "cannot limit what the container uses".into(),
            cause: Some(Box::new(Told::by(&error, None))),
            hint: error.hint(),
        })?;
        Ok(Self { group, killed: 0 })
    }

    /// What init enters it by.
    pub fn door(&self) -> Result<Option<OwnedFd>, Told> {
        self.group.as_ref().map(Group::door).transpose().map_err(|error| Told::by(&error, error.hint()))
    }

    /// Where it is; empty where there is none.
    pub fn path(&self) -> std::path::PathBuf {
        self.group.as_ref().map(|group| group.path().to_owned()).unwrap_or_default()
    }

    /// Whether one of its processes was killed because memory was out.
    pub fn ran_out_of_memory(&mut self) -> bool {
        if let Some(usage) = self.group.as_ref().and_then(|group| Usage::of(group.path())) {
            self.killed = usage.killed;
        }
        self.killed > 0
    }

    /// Removes it; nobody is in it any more.
    pub fn end(self) {
        if let Some(group) = self.group {
            group.remove();
        }
    }
}
