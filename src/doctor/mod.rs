//! Whether a shell can be opened on this machine: everything that a container needs, tried out, and what to do about what
//! does not work.
//!
//! Each check does the thing itself (a namespace is made, a filesystem is mounted, pasta is started) and judges nothing by a
//! version. [`examine`] leaves nothing behind. It forks, so that the caller may have one thread only: `commands::doctor`.

mod finding;
mod limits;
mod machine;
mod mend;
mod network;
mod root;
mod store;
mod trial;

pub use finding::{Finding, Report, State};

use std::path::Path;

/// Tries everything out. `store` is where the user's store is, or is to be.
pub fn examine(store: &Path) -> Report {
    let mut findings = Vec::new();
    let (namespaces, maps) = machine::namespaces();
    findings.extend(namespaces);
    let scratch = store::scratch(store);
    findings.push(scratch.finding());
    let device = machine::fuse_device();
    let fuse = device.state == State::Good;
    findings.push(device);
    // The rest stands on what came before it, and would only repeat what is wrong there.
    if let (Some(maps), Some(scratch)) = (&maps, scratch.place()) {
        findings.push(store::attributes(scratch));
        if fuse {
            findings.extend(root::mounts(maps, scratch));
        }
    }
    findings.push(machine::filter());
    if let Some(maps) = &maps {
        findings.extend(network::way_out(maps));
    }
    findings.push(limits::control_groups());
    Report::new(findings)
}
