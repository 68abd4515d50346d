//! What a container may do: capabilities, system calls, hidden paths.

use std::path::Path;

use plan::{Filter, Step};

use crate::container::Error;
use crate::container::planning::view::{Host, View};
use crate::container::planning::{HARMLESS, furniture};
use crate::container::record::Spec;
use crate::security::capabilities::{Capabilities, Capability};
use crate::security::paths;
use crate::security::profile::{self, Circumstances};
use crate::security::seccomp::{self, Raw};

/// In `--cap-drop`, `--security-opt unmask=`: everything.
const ALL: &str = "ALL";

/// What its programs may have: docker's rules for `--cap-add` and `--cap-drop`.
pub fn capabilities(spec: &Spec) -> Result<Capabilities, Error> {
    if spec.privileged {
        return Ok(Capabilities::ALL);
    }
    let sum = |flag: &str, names: &[String]| {
        names.iter().try_fold(Capabilities::NONE, |sum, name| match name.parse::<Capabilities>() {
            Ok(capability) => Ok(sum.with(capability)),
            Err(error) => Err(Error::Plan {
                doing: format!("do as {flag} {name} says"),
                reason: error.to_string(),
                hint: error.hint(),
            }),
        })
    };
    let (added, dropped) = (sum("--cap-add", &spec.hardening.cap_add)?, sum("--cap-drop", &spec.hardening.cap_drop)?);
    Ok(match (added == Capabilities::ALL, dropped == Capabilities::ALL) {
        (true, _) => Capabilities::ALL.without(dropped),
        (false, true) => added,
        (false, false) => Capabilities::ORDINARY.with(HARMLESS).without(dropped).with(added),
    })
}

/// The system call filter.
pub fn filter(spec: &Spec, capabilities: Capabilities) -> Result<Option<Filter>, Error> {
    if spec.privileged || spec.hardening.seccomp_unconfined {
        return Ok(None);
    }
    if let Some(path) = &spec.hardening.seccomp_profile {
        return profile_filter(path, capabilities).map(Filter).map(Some);
    }
    let raw = if asks_for_network(spec) { Raw::Any } else { Raw::Echo };
    Ok(Some(Filter(seccomp::filter(capabilities, raw))))
}

/// Whether it was asked for by name that the container has powers over its network.
pub fn asks_for_network(spec: &Spec) -> bool {
    let added = spec.hardening.cap_add.iter().filter_map(|name| name.parse::<Capabilities>().ok());
    let added = added.fold(Capabilities::NONE, Capabilities::with);
    spec.privileged || [Capability::NET_RAW, Capability::NET_ADMIN].iter().any(|one| added.has(*one))
}

/// Whether the container's network namespace is to be the payload's: where our filter leaves of CAP_NET_RAW what `ping` needs, or where
/// more was asked for. A container that may send whatever it likes reaches what its network is to keep away from it.
pub fn may_own_network(spec: &Spec) -> bool {
    let is_ours = spec.hardening.seccomp_profile.is_none() && !spec.hardening.seccomp_unconfined;
    is_ours || asks_for_network(spec)
}

/// The filter that a profile of the user's makes.
///
/// # Errors
/// Where it cannot be read, or is none.
pub fn profile_filter(path: &Path, capabilities: Capabilities) -> Result<Vec<u64>, Error> {
    let failed = |reason: String| Error::Plan {
        doing: format!("filter system calls by {}", path.display()),
        reason,
        hint: Some("give a profile in docker's form, or --security-opt seccomp=unconfined".into()),
    };
    let text = Host.read(path, profile::LIMIT).ok_or_else(|| failed("it is no file that can be read".into()))?;
    let circumstances = Circumstances { capabilities, kernel: kernel() };
    profile::filter(&text, circumstances).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        failed(format!("{error}{cause}"))
    })
}

/// Major and minor number of this machine's kernel.
fn kernel() -> (u32, u32) {
    let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let release = release.unwrap_or_default();
    let mut parts = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// What is hidden, and what cannot be written.
pub fn masks(spec: &Spec) -> Vec<Step> {
    let unmask = &spec.hardening.unmask;
    let asked = spec.hardening.mask.iter().map(String::as_str);
    if spec.privileged || unmask.iter().any(|path| path == ALL) {
        return furniture::masks(asked, []);
    }
    // `/proc/*` means all of ours below it, as podman has it.
    let is_shown = |path: &str| {
        unmask.iter().any(|shown| match shown.strip_suffix("/*") {
            Some(folder) => path.starts_with(folder),
            None => shown == path,
        })
    };
    let ours = |table: &'static [&'static str]| table.iter().copied().filter(move |path| !is_shown(path));
    furniture::masks(ours(paths::MASKED).chain(asked), ours(paths::READ_ONLY))
}
