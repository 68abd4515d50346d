//! `enter set BOX` alone: what is set for a box, in the words that set it.

use std::net::IpAddr;

use enter::container::record::{Kind, Mount, NetworkMode, Port, Rate, Resources, Spec};

use crate::commands::ps::ports::bracketed;

/// A line for each thing: the flag's word, and its value.
pub fn lines(spec: &Spec) -> Vec<(&'static str, String)> {
    let mut lines = super::remake::lines(spec);
    let mut add = |word: &'static str, value: String| lines.push((word, value));
    for variable in &spec.environment {
        add("env", variable.as_os_str().to_string_lossy().into_owned());
    }
    spec.mounts.iter().for_each(|mount| add("volume", mounted(mount)));
    spec.ports.iter().for_each(|port| add("publish", published(port)));
    match &spec.network {
        NetworkMode::Pasta if spec.pasta.is_empty() => add("network", "pasta".into()),
        NetworkMode::Pasta => add("network", format!("pasta:{}", spec.pasta.join(","))),
        NetworkMode::None => add("network", "none".into()),
        NetworkMode::Host => add("network", "host".into()),
        NetworkMode::Own | NetworkMode::Container(_) => {}
    }
    spec.networks.iter().for_each(|wanted| add("network", wanted.network.clone()));
    for device in &spec.devices {
        let (source, target) = (device.source.display(), device.target.display());
        add("device", format!("{source}:{target}:{}", device.permissions));
    }
    for limit in &spec.hardening.limits {
        let number = |number: u64| if number == u64::MAX { "unlimited".into() } else { number.to_string() };
        add("ulimit", format!("{}={}:{}", limit.name, number(limit.soft), number(limit.hard)));
    }
    limits(&spec.resources).into_iter().for_each(|(word, value)| add(word, value));
    if !spec.hostname.is_empty() {
        add("hostname", spec.hostname.clone());
    }
    spec.extra_hosts.iter().for_each(|host| add("add-host", host.clone()));
    spec.dns.iter().for_each(|server| add("dns", server.clone()));
    spec.shares.on.iter().for_each(|word| add("share", word.name().into()));
    spec.shares.off.iter().for_each(|word| add("unshare", word.name().into()));
    if let Some(size) = spec.shm_size {
        add("shm-size", size.to_string());
    }
    add("home", spec.home.name().to_owned());
    if let Some(project) = &spec.project {
        add("project", project.display().to_string());
    }
    spec.outward.programs.iter().for_each(|program| add("allow-host-exec", program.clone()));
    if spec.outward.open {
        add("allow-open", "true".into());
    }
    let keep_running = spec.boxed.as_ref().is_some_and(|boxed| boxed.keep_running);
    add("keep-running", keep_running.to_string());
    lines
}

/// What it uses at most, by the flags' words.
fn limits(resources: &Resources) -> Vec<(&'static str, String)> {
    let Resources { memory, memory_swap, memory_reservation, nano_cpus, cpu_shares, cpu_period, cpu_quota, .. } =
        resources;
    let numbers = [
        ("memory", memory.map(|bytes| bytes.to_string())),
        ("memory-swap", memory_swap.map(|bytes| bytes.to_string())),
        ("memory-reservation", memory_reservation.map(|bytes| bytes.to_string())),
        ("cpus", nano_cpus.map(|billionths| format!("{}", billionths as f64 / 1e9))),
        ("cpu-shares", cpu_shares.map(|shares| shares.to_string())),
        ("cpu-period", cpu_period.map(|period| period.to_string())),
        ("cpu-quota", cpu_quota.map(|quota| quota.to_string())),
        ("cpuset-cpus", Some(resources.cpuset_cpus.clone()).filter(|list| !list.is_empty())),
        ("cpuset-mems", Some(resources.cpuset_mems.clone()).filter(|list| !list.is_empty())),
        ("pids-limit", resources.pids_limit.map(|limit| limit.to_string())),
        ("blkio-weight", resources.blkio_weight.map(|weight| weight.to_string())),
    ];
    let devices = resources.devices.iter().map(|rate| {
        let word = match rate.kind {
            Rate::Weight => "blkio-weight-device",
            Rate::ReadBytes => "device-read-bps",
            Rate::WrittenBytes => "device-write-bps",
            Rate::Reads => "device-read-iops",
            Rate::Writes => "device-write-iops",
        };
        (word, format!("{}:{}", rate.path.display(), rate.most))
    });
    numbers.into_iter().filter_map(|(word, value)| Some((word, value?))).chain(devices).collect()
}

fn mounted(mount: &Mount) -> String {
    let source = match &mount.kind {
        Kind::Bind(source) => source.display().to_string(),
        Kind::Volume(name) => name.clone(),
        Kind::Image(image) => image.name.clone(),
        Kind::Tmpfs { .. } | Kind::Devpts => String::new(),
    };
    let options = [
        (mount.read_only, "ro"),
        (mount.no_exec, "noexec"),
        (!mount.recursive, "bind"),
        (mount.private, "rprivate"),
        (mount.overlay, "O"),
        (mount.give, "U"),
        (mount.no_copy, "nocopy"),
    ];
    let options: Vec<&str> = options.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
    let colon = if options.is_empty() { "" } else { ":" };
    format!("{source}:{}{colon}{}", mount.target, options.join(","))
}

fn published(port: &Port) -> String {
    let address: IpAddr = port.address;
    // One that the system is to choose has none while the box does not run.
    let host = if port.host == 0 { String::new() } else { port.host.to_string() };
    format!("{}:{host}:{}/{}", bracketed(address), port.container, port.protocol)
}
