//! System call profiles in docker's form (`--security-opt seccomp=FILE`), made into filters.
//!
//! Only this machine's own architecture is let through, whatever a profile says of others.

use std::collections::BTreeMap;

use nix::libc as c;
use serde::Deserialize;

use super::arguments::{Compare, Test};
use super::bpf::{Answer, program};
use super::capabilities::Capabilities;
use super::numbers;

/// The most that is read of a profile.
pub const LIMIT: usize = 1 << 20;

/// The most instructions that the kernel takes (BPF_MAXINSNS).
const LONGEST: usize = 4096;

/// Why a profile is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not the form.
    #[error("it is no seccomp profile")]
    Form(#[from] serde_json::Error),
    /// An action, comparison or the like that cannot be done.
    #[error("`{0}` cannot be had in a seccomp profile")]
    Word(String),
    /// More than the kernel takes.
    #[error("the profile makes a filter of {0} instructions, and the kernel takes {LONGEST}")]
    TooLong(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    names: Vec<String>,
    name: Option<String>,
    action: String,
    errno_ret: Option<u16>,
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Option<Filter>,
    #[serde(default)]
    excludes: Option<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    #[serde(default)]
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// When a rule counts.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// What a profile depends on beside itself.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// What the container's programs may have.
    pub capabilities: Capabilities,
    /// The kernel's version.
    pub kernel: (u32, u32),
}

/// The filter of a profile.
///
/// # Errors
/// Where it is none, or asks for what cannot be had. A call that this architecture does not have is left out.
pub fn filter(profile: &[u8], circumstances: Circumstances) -> Result<Vec<u64>, Error> {
    let profile: Profile = serde_json::from_slice(profile)?;
    let otherwise = action(&profile.default_action, profile.default_errno_ret)?;
    let mut rules: BTreeMap<u32, Vec<(Vec<Test>, u32)>> = BTreeMap::new();
    for rule in &profile.syscalls {
        let value = action(&rule.action, rule.errno_ret.or(profile.default_errno_ret))?;
        let tests: Vec<Test> = rule.args.iter().flatten().map(test).collect::<Result<_, _>>()?;
        if !counts(rule, circumstances)? {
            continue;
        }
        let numbers = rule.names.iter().chain(&rule.name).filter_map(|name| numbers::of(name));
        for number in numbers.filter_map(|number| u32::try_from(number).ok()) {
            rules.entry(number).or_default().push((tests.clone(), value));
        }
    }
    let answers = rules.into_iter().map(|(number, mut rules)| {
        // A rule without a test is the whole answer, as libseccomp has it.
        if let Some(always) = rules.iter().position(|(tests, _)| tests.is_empty()) {
            let value = rules.swap_remove(always).1;
            return (number, Answer::Rules(Vec::new(), value));
        }
        (number, Answer::Rules(rules, otherwise))
    });
    let program = program(&answers.collect(), Answer::Rules(Vec::new(), otherwise));
    if program.len() > LONGEST { Err(Error::TooLong(program.len())) } else { Ok(program) }
}

fn action(name: &str, errno: Option<u16>) -> Result<u32, Error> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => c::SECCOMP_RET_ALLOW,
        "SCMP_ACT_ERRNO" => c::SECCOMP_RET_ERRNO | u32::from(errno.unwrap_or(c::EPERM as u16)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => c::SECCOMP_RET_KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => c::SECCOMP_RET_KILL_PROCESS,
        "SCMP_ACT_TRAP" => c::SECCOMP_RET_TRAP,
        "SCMP_ACT_LOG" => c::SECCOMP_RET_LOG,
        other => return Err(Error::Word(other.to_owned())),
    })
}

fn test(argument: &Argument) -> Result<Test, Error> {
    const ARGUMENTS: u8 = 6;
    if argument.index >= ARGUMENTS {
        return Err(Error::Word(format!("index {}", argument.index)));
    }
    let (compare, value) = match argument.op.as_str() {
        "SCMP_CMP_EQ" => (Compare::Equal, argument.value),
        "SCMP_CMP_NE" => (Compare::NotEqual, argument.value),
        "SCMP_CMP_LT" => (Compare::Below, argument.value),
        "SCMP_CMP_LE" => (Compare::NotAbove, argument.value),
        "SCMP_CMP_GT" => (Compare::Above, argument.value),
        "SCMP_CMP_GE" => (Compare::NotBelow, argument.value),
        // The first value is the mask, the second what is left is compared with.
        "SCMP_CMP_MASKED_EQ" => (Compare::Masked(argument.value), argument.value_two),
        other => return Err(Error::Word(other.to_owned())),
    };
    Ok(Test { argument: argument.index, compare, value })
}

/// Whether a rule counts here.
fn counts(rule: &Rule, circumstances: Circumstances) -> Result<bool, Error> {
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let has = |name: &String| {
        let set: Capabilities = name.parse().map_err(|_| Error::Word(name.clone()))?;
        Ok::<_, Error>(circumstances.capabilities.without(set) != circumstances.capabilities)
    };
    let new_enough = |version: &String| {
        let mut parts = version.split('.').map(str::parse::<u32>);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(circumstances.kernel >= (major, minor)),
            _ => Err(Error::Word(version.clone())),
        }
    };
    if let Some(includes) = &rule.includes {
        for name in includes.caps.iter().flatten() {
            if !has(name)? {
                return Ok(false);
            }
        }
        let here = |arches: &Vec<String>| arches.is_empty() || arches.iter().any(|name| name == architecture);
        if !includes.arches.as_ref().is_none_or(here) {
            return Ok(false);
        }
        if let Some(version) = includes.min_kernel.as_ref().filter(|version| !version.is_empty())
            && !new_enough(version)?
        {
            return Ok(false);
        }
    }
    if let Some(excludes) = &rule.excludes {
        for name in excludes.caps.iter().flatten() {
            if has(name)? {
                return Ok(false);
            }
        }
        if excludes.arches.iter().flatten().any(|name| name == architecture) {
            return Ok(false);
        }
        if let Some(version) = excludes.min_kernel.as_ref().filter(|version| !version.is_empty())
            && new_enough(version)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::bpf::tests::interpret;
    use super::*;
    use proptest::prelude::*;

    const PROFILE: &str = r#"{
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "archMap": [{"architecture": "SCMP_ARCH_X86_64"}],
        "syscalls": [
            {"names": ["read", "write", "no_such_call"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "x", "includes": {}, "excludes": {}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]},
             "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["clone", "mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["reboot"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.1"}},
            {"name": "socket", "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}]},
            {"name": "socket", "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]}
        ]}"#;

    fn verdict(capabilities: Capabilities, name: &str, first: u64) -> u32 {
        let filter = filter(PROFILE.as_bytes(), Circumstances { capabilities, kernel: (6, 1) }).unwrap();
        let architecture = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        interpret(&filter, architecture, numbers::of(name).unwrap() as u32, [first, 0, 0, 0, 0, 0])
    }

    #[test]
    fn a_profile_is_followed() {
        let (none, all) = (Capabilities::NONE, Capabilities::ALL);
        let refused = c::SECCOMP_RET_ERRNO | 38;
        assert_eq!(verdict(none, "read", 0), c::SECCOMP_RET_ALLOW);
        assert_eq!(verdict(none, "open_by_handle_at", 0), refused);
        assert_eq!((verdict(none, "mount", 0), verdict(all, "mount", 0)), (refused, c::SECCOMP_RET_ALLOW));
        let new_user = 0x1000_0000;
        assert_eq!((verdict(none, "clone", 17), verdict(none, "clone", new_user)), (c::SECCOMP_RET_ALLOW, refused));
        assert_eq!(verdict(all, "clone", new_user), c::SECCOMP_RET_ALLOW);
        assert_eq!((verdict(none, "ptrace", 0), verdict(none, "reboot", 0)), (c::SECCOMP_RET_ALLOW, refused));
        assert_eq!(verdict(none, "socket", 16), c::SECCOMP_RET_ERRNO | 22);
        assert_eq!((verdict(none, "socket", 2), verdict(none, "socket", 40)), (c::SECCOMP_RET_ALLOW, refused));
    }

    #[test]
    fn what_cannot_be_had_is_told() {
        let circumstances = Circumstances { capabilities: Capabilities::NONE, kernel: (6, 1) };
        let refused = |text: &str| filter(text.as_bytes(), circumstances).unwrap_err().to_string();
        assert!(refused("[]").contains("no seccomp profile"));
        assert!(refused(r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#).contains("SCMP_ACT_NOTIFY"));
        let rule = r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 9, "op": "SCMP_CMP_EQ"}]}"#;
        assert!(
            refused(&format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}]}}"#)).contains("index 9")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in ".{0,80}") {
            let circumstances = Circumstances { capabilities: Capabilities::NONE, kernel: (6, 1) };
            let _ = filter(text.as_bytes(), circumstances);
        }
    }
}
