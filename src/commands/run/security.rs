//! `--cap-add`, `--cap-drop` and `--security-opt`, and what they come to.

use std::path::Path;

use enter::container::planning::run::profile_filter;
use enter::container::record::{Hardening, Rlimit};
use enter::security::capabilities::Capabilities;

use super::super::variables::whole_path;
use super::asked::bad;
use crate::cli::run::values::Ulimit;
use crate::cli::run::{ConfinementArgs, ProcessArgs};
use crate::failure::Failure;

const OPTION: &str = "--security-opt";

const KNOWN: &str = "expected no-new-privileges, seccomp=unconfined, seccomp=FILE, mask=PATH, unmask=PATH, unmask=ALL, \
     systempaths=unconfined, label=disable or apparmor=unconfined";

/// What confines the container.
pub fn hardening(args: &ConfinementArgs, process: &ProcessArgs) -> Result<Hardening, Failure> {
    let mut hardening = Hardening {
        cap_add: capabilities("--cap-add", &args.cap_add)?,
        cap_drop: capabilities("--cap-drop", &args.cap_drop)?,
        options: args.security_opt.clone(),
        sysctls: args.sysctl.iter().cloned().collect(),
        limits: limits(&process.ulimit)?,
        ..Hardening::default()
    };
    for option in &args.security_opt {
        add(&mut hardening, option)?;
    }
    Ok(hardening)
}

/// Adds to what confines a box.
pub fn confine(
    hardening: &mut Hardening,
    cap_add: &[String],
    cap_drop: &[String],
    options: &[String],
) -> Result<(), Failure> {
    for (flag, typed, list) in
        [("--cap-add", cap_add, &mut hardening.cap_add), ("--cap-drop", cap_drop, &mut hardening.cap_drop)]
    {
        for name in capabilities(flag, typed)? {
            if !list.contains(&name) {
                list.push(name);
            }
        }
    }
    for option in options {
        add(hardening, option)?;
        hardening.options.push(option.clone());
    }
    Ok(())
}

/// What is limited; `host` alone leaves every limit as it is for whoever starts the container.
fn limits(typed: &[Ulimit]) -> Result<Vec<Rlimit>, Failure> {
    let set = |limit: &Ulimit| match limit {
        Ulimit::Set(limit) => Some(limit.clone()),
        Ulimit::Host => None,
    };
    let limits: Vec<Rlimit> = typed.iter().filter_map(set).collect();
    if typed.contains(&Ulimit::Host) && !limits.is_empty() {
        return Err(bad("--ulimit", "host", "it says that nothing is limited, and another --ulimit limits something"));
    }
    Ok(limits)
}

/// The names without `CAP_`; several may stand in one flag, with commas between them.
fn capabilities(flag: &str, typed: &[String]) -> Result<Vec<String>, Failure> {
    let names = typed.iter().flat_map(|names| names.split(','));
    let check = |name: &str| {
        let upper = name.trim().to_ascii_uppercase();
        let known = upper.parse::<Capabilities>();
        known.map_err(|_| bad(flag, name, "expected a name of capabilities(7), with or without CAP_, or ALL"))?;
        Ok(upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned())
    };
    names.map(check).collect()
}

fn add(hardening: &mut Hardening, option: &str) -> Result<(), Failure> {
    // Docker had a colon here once, and still takes it.
    let (key, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    let wrong = |why: &str| bad(OPTION, option, why);
    match (key, value) {
        ("no-new-privileges", "" | "true") => hardening.no_new_privileges = true,
        ("no-new-privileges", "false") => hardening.no_new_privileges = false,
        ("seccomp", "unconfined") => hardening.seccomp_unconfined = true,
        ("seccomp", "builtin" | "default") => hardening.seccomp_unconfined = false,
        ("seccomp", file) if !file.is_empty() => {
            let path = whole_path(Path::new(file)).map_err(|error| wrong("the path").because(error))?;
            // Read at each start; that it can be is seen now.
            profile_filter(&path, Capabilities::ORDINARY)?;
            hardening.seccomp_profile = Some(path);
        }
        ("systempaths", "unconfined") => hardening.unmask.push("ALL".into()),
        ("mask" | "unmask", paths) if !paths.is_empty() => {
            for path in paths.split(':') {
                let is_all = key == "unmask" && path.eq_ignore_ascii_case("all");
                if !is_all && (!path.starts_with('/') || path.split('/').any(|part| part == "..")) {
                    return Err(wrong("expected whole paths in the container, with colons between them"));
                }
                let list = if key == "mask" { &mut hardening.mask } else { &mut hardening.unmask };
                list.push(if is_all { "ALL".into() } else { path.to_owned() });
            }
        }
        // Containers of ours never have a label.
        ("label", "disable" | "nested") => {}
        ("label", value) if !value.is_empty() => {
            if Path::new("/sys/fs/selinux/enforce").exists() {
                return Err(wrong("only root may choose a container's SELinux label; use label=disable"));
            }
        }
        ("apparmor", "unconfined") => {}
        ("apparmor", value) if !value.is_empty() => {
            return Err(wrong("only root may choose a container's AppArmor profile; use apparmor=unconfined"));
        }
        ("proc-opts", _) => return Err(wrong("the options of /proc cannot be chosen; use mask=PATH")),
        _ => return Err(wrong(KNOWN)),
    }
    Ok(())
}
