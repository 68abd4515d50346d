//! What a container may do: capabilities, system calls, hidden paths.

use plan::{Filter, Step};

use crate::container::Error;
use crate::container::planning::{HARMLESS, furniture};
use crate::container::record::Spec;
use crate::security::capabilities::Capabilities;
use crate::security::{paths, seccomp};

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
    Ok(Some(Filter(seccomp::filter(capabilities))))
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
