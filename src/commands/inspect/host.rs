//! docker's HostConfig: what a container is given of the machine.

use enter::container::record::{Kind, Namespace, Rate, Resources, Restart, Spec, UserNamespace};
use plan::{Plan, Step};
use serde_json::{Value, json};

use super::container::{binds, list};
use super::network;
use crate::commands::ps::row;

/// docker's own default for /dev/shm.
const SHM: u64 = 64 << 20;

/// All of it. What there is no flag for has the value that docker gives where its flag is not typed.
pub fn config(spec: &Spec, plan: Option<&Plan>) -> Value {
    let hardening = &spec.hardening;
    let retries = match spec.restart {
        Restart::OnFailure { retries } => retries,
        _ => 0,
    };
    let log = &spec.log;
    let devices = spec.devices.iter().map(|device| {
        json!({
            "PathOnHost": device.source.display().to_string(),
            "PathInContainer": device.target.display().to_string(),
            "CgroupPermissions": device.permissions,
        })
    });
    let limits = hardening.limits.iter().map(|limit| {
        // docker's word for no limit is -1.
        let number = |limit: u64| i64::try_from(limit).unwrap_or(-1);
        json!({ "Name": limit.name, "Hard": number(limit.hard), "Soft": number(limit.soft) })
    });
    let tmpfs = spec.mounts.iter().filter(|mount| matches!(mount.kind, Kind::Tmpfs { .. }));
    let tmpfs = tmpfs.map(|mount| {
        let options = mount.typed.split_once(':').map(|(_, options)| options).unwrap_or_default();
        (mount.target.clone(), Value::from(options))
    });
    let tmpfs: serde_json::Map<String, Value> = tmpfs.collect();
    let steps = plan.map(|plan| plan.steps.as_slice()).unwrap_or_default();
    let targets = |of: fn(&Step) -> Option<&plan::Text>| {
        steps.iter().filter_map(of).map(|target| target.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let own = json!({
        "Binds": list(binds(spec)),
        "ContainerIDFile": "",
        "LogConfig": {
            "Type": log.driver.name(),
            "Config": { "max-size": log.max_size.to_string(), "max-file": log.max_files.to_string() },
        },
        "NetworkMode": network_mode(spec),
        "PortBindings": network::bindings(spec),
        "RestartPolicy": { "Name": spec.restart.name(), "MaximumRetryCount": retries },
        "AutoRemove": spec.remove || spec.shell,
        "VolumeDriver": "",
        "VolumesFrom": if spec.volumes_from.is_empty() { Value::Null } else { json!(spec.volumes_from) },
        "ConsoleSize": [0, 0],
        "Annotations": if spec.annotations.is_empty() { Value::Null } else { json!(spec.annotations) },
        "CapAdd": list(hardening.cap_add.clone()),
        "CapDrop": list(hardening.cap_drop.clone()),
        "CgroupnsMode": "private",
        "Dns": spec.dns,
        "DnsOptions": spec.dns_options,
        "DnsSearch": spec.dns_search,
        "ExtraHosts": list(spec.extra_hosts.clone()),
        "GroupAdd": list(spec.groups.clone()),
        "IpcMode": namespace(&spec.ipc, "private"),
        "Cgroup": "",
        "Links": null,
        "OomScoreAdj": 0,
        "PidMode": namespace(&spec.pid, ""),
        "Privileged": spec.privileged,
        "PublishAllPorts": spec.publish_all,
        "ReadonlyRootfs": spec.read_only,
        "SecurityOpt": list(hardening.options.clone()),
        "Tmpfs": if tmpfs.is_empty() { Value::Null } else { tmpfs.into() },
        "UTSMode": namespace(&spec.uts, ""),
        "UsernsMode": users(&spec.users),
        "ShmSize": spec.shm_size.unwrap_or(SHM),
        "Sysctls": if hardening.sysctls.is_empty() { Value::Null } else { json!(hardening.sysctls) },
        "Devices": devices.collect::<Vec<_>>(),
        "Ulimits": limits.collect::<Vec<_>>(),
        "Init": if spec.init { Value::Bool(true) } else { Value::Null },
        "MaskedPaths": targets(|step| if let Step::Mask { target } = step { Some(target) } else { None }),
        "ReadonlyPaths": targets(|step| if let Step::ReadOnly { target } = step { Some(target) } else { None }),
    });
    match (own, limited(&spec.resources)) {
        (Value::Object(mut all), Value::Object(limits)) => {
            all.extend(limits);
            all.into()
        }
        (own, _) => own,
    }
}

/// What it reaches, as it was asked for.
fn network_mode(spec: &Spec) -> String {
    let mode = row::network(spec);
    if spec.pasta.is_empty() || mode != "pasta" { mode } else { format!("pasta:{}", spec.pasta.join(",")) }
}

/// What its control group limits; 0 where nothing is, as docker has it where no flag is typed.
fn limited(resources: &Resources) -> Value {
    // As much swap again as memory.
    let swap = resources.memory_swap.or(resources.memory.and_then(|memory| i64::try_from(memory.checked_mul(2)?).ok()));
    json!({
        "Runtime": "enter",
        "Isolation": "",
        "CpuShares": resources.cpu_shares.unwrap_or(0),
        "Memory": resources.memory.unwrap_or(0),
        "NanoCpus": resources.nano_cpus.unwrap_or(0),
        "CgroupParent": resources.cgroup_parent,
        "BlkioWeight": resources.blkio_weight.unwrap_or(0),
        "BlkioWeightDevice": rates(resources, Rate::Weight),
        "BlkioDeviceReadBps": rates(resources, Rate::ReadBytes),
        "BlkioDeviceWriteBps": rates(resources, Rate::WrittenBytes),
        "BlkioDeviceReadIOps": rates(resources, Rate::Reads),
        "BlkioDeviceWriteIOps": rates(resources, Rate::Writes),
        "CpuPeriod": resources.cpu_period.unwrap_or(0),
        "CpuQuota": resources.cpu_quota.unwrap_or(0),
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": resources.cpuset_cpus,
        "CpusetMems": resources.cpuset_mems,
        "DeviceCgroupRules": null,
        "DeviceRequests": null,
        "MemoryReservation": resources.memory_reservation.unwrap_or(0),
        "MemorySwap": swap.unwrap_or(0),
        "MemorySwappiness": null,
        "OomKillDisable": null,
        "PidsLimit": resources.pids_limit,
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    })
}

/// docker's list of one kind of limits of disks.
fn rates(resources: &Resources, kind: Rate) -> Value {
    let name = if kind == Rate::Weight { "Weight" } else { "Rate" };
    let of_kind = resources.devices.iter().filter(|rate| rate.kind == kind);
    of_kind.map(|rate| json!({ "Path": rate.path.display().to_string(), name: rate.most })).collect()
}

fn namespace(namespace: &Namespace, private: &str) -> String {
    match namespace {
        Namespace::Private => private.to_owned(),
        Namespace::Host => "host".into(),
        Namespace::Container(id) => format!("container:{id}"),
    }
}

fn users(users: &UserNamespace) -> &'static str {
    match users {
        UserNamespace::Root => "",
        UserNamespace::KeepId { .. } => "keep-id",
        UserNamespace::NoMap => "nomap",
        UserNamespace::Auto { .. } => "auto",
    }
}
