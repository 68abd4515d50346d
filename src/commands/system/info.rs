//! `enter info`: the machine, and what is kept on it, under docker's names.

use std::fs;
use std::process::ExitCode;

use cgroup::Hierarchy;
use enter::container::planning::caller::Caller;
use enter::container::record::Status;
use enter::image::Platform;
use nix::sys::utsname::uname;
use nix::unistd::{SysconfVar, getuid, sysconf};
use serde_json::{Value, json};

use super::described;
use crate::cli::InfoArgs;
use crate::commands::called::Called;
use crate::commands::containers;
use crate::commands::state::{State, outer_maps};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::{Ui, human};

/// Prints it.
pub fn run(ui: &Ui, settings: &Settings, args: &InfoArgs) -> Result<ExitCode, Failure> {
    let mut value = value(settings)?;
    if args.debug {
        value["Debug"] = debug();
    }
    let mut output = ui.output();
    match described(&value, args.describe.format.as_deref())? {
        Some(text) => output.line(text),
        None => output.text(words(&value)),
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn value(settings: &Settings) -> Result<Value, Failure> {
    let state = State::of_user()?;
    let maps = outer_maps(&Caller::find()?)?;
    let all = containers::of_user()?.all()?;
    let count = |status: Status| all.iter().filter(|container| container.state.status == status).count();
    let (running, paused) = (count(Status::Running) + count(Status::Restarting), count(Status::Paused));
    let number = |of| sysconf(of).ok().flatten().and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
    let uname = uname().map_err(|errno| Failure::new("cannot ask for the kernel's name").because(errno))?;
    let word = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let mut security = vec!["name=seccomp,profile=builtin", "name=cgroupns"];
    if !getuid().is_root() {
        security.push("name=rootless");
    }
    Ok(json!({
        // What tells this user's containers and images from those of others.
        "ID": format!("{}:{}", word(uname.nodename()), state.root().display()),
        "Containers": all.len(),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": all.len() - running - paused,
        "Images": state.store()?.images()?.len(),
        // That of the next container; `inspect` tells each one's own.
        "Driver": state.storage(settings, &maps).name(),
        "DriverStatus": [["Layers", "served from their tars, never unpacked"]],
        "DockerRootDir": state.root().display().to_string(),
        "Plugins": { "Volume": [], "Network": ["pasta", "none", "host"], "Log": ["k8s-file", "json-file", "journald", "none"] },
        "MemoryLimit": limits("memory"),
        "SwapLimit": limits("memory"),
        "CpuCfsPeriod": limits("cpu"),
        "CpuCfsQuota": limits("cpu"),
        "CPUShares": limits("cpu"),
        "CPUSet": limits("cpuset"),
        "PidsLimit": limits("pids"),
        "LoggingDriver": "k8s-file",
        "CgroupDriver": if limits("memory") { "systemd" } else { "none" },
        "CgroupVersion": if fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap_or(false) { "2" } else { "1" },
        "KernelVersion": word(uname.release()),
        "OperatingSystem": operating_system(&fs::read_to_string("/etc/os-release").unwrap_or_default()),
        "OSType": "linux",
        "Architecture": word(uname.machine()),
        "NCPU": number(SysconfVar::_NPROCESSORS_ONLN),
        "MemTotal": number(SysconfVar::_PHYS_PAGES) * number(SysconfVar::PAGE_SIZE),
        "Name": word(uname.nodename()),
        "ServerVersion": Called::now().version(),
        "ServerErrors": [],
        "DefaultRuntime": "enter",
        "Runtimes": { "enter": { "path": "enter" } },
        "SecurityOptions": security,
        "Warnings": [],
        // Of podman's answer, what programs decide by.
        "Host": {
            "Arch": Platform::host().architecture,
            "OS": "linux",
            "Security": { "Rootless": !getuid().is_root(), "SELinuxEnabled": false, "SECCOMPEnabled": true },
        },
    }))
}

/// What tells one build of this program from another.
fn debug() -> Value {
    let executable = std::env::current_exe().map(|path| path.display().to_string());
    json!({
        "Executable": executable.unwrap_or_default(),
        "Version": env!("CARGO_PKG_VERSION"),
        "Profile": if cfg!(debug_assertions) { "debug" } else { "release" },
    })
}

/// What people call the system: PRETTY_NAME of os-release(5).
fn operating_system(text: &str) -> String {
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches(['"', '\'']).to_owned())
}

/// docker's lines, as far as they say something here.
fn words(value: &Value) -> String {
    let text = |key: &str| match &value[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut lines = vec!["Server: (no daemon)".to_owned()];
    for (name, key) in [
        ("Containers", "Containers"),
        (" Running", "ContainersRunning"),
        (" Paused", "ContainersPaused"),
        (" Stopped", "ContainersStopped"),
        ("Images", "Images"),
        ("Server Version", "ServerVersion"),
        ("Storage Driver", "Driver"),
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
    ] {
        lines.push(format!(" {name}: {}", text(key)));
    }
    lines.push(" Security Options:".into());
    for option in value["SecurityOptions"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let mut parts = option.split(',').map(|part| part.split_once('=').unwrap_or(("", part)));
        lines.push(format!("  {}", parts.next().unwrap_or_default().1));
        lines.extend(parts.map(|(key, part)| format!("   {key}: {part}")));
    }
    for (name, key) in [
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
        ("CPUs", "NCPU"),
    ] {
        lines.push(format!(" {name}: {}", text(key)));
    }
    lines.push(format!(" Total Memory: {}", human::binary_size(value["MemTotal"].as_u64().unwrap_or_default())));
    for (name, key) in [("Name", "Name"), ("ID", "ID"), ("Root Dir", "DockerRootDir")] {
        lines.push(format!(" {name}: {}", text(key)));
    }
    for (name, value) in value["Debug"].as_object().into_iter().flatten() {
        lines.push(format!(" {name}: {}", value.as_str().unwrap_or_default()));
    }
    lines.join("\n") + "\n"
}

/// Whether containers can have limits of this kind.
fn limits(controller: &str) -> bool {
    Hierarchy::find().and_then(|hierarchy| hierarchy.place(&[controller], None)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_called_what_it_calls_itself() {
        assert_eq!(operating_system("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 13\"\n"), "Debian GNU/Linux 13");
        assert_eq!(operating_system(""), "Linux");
    }
}
