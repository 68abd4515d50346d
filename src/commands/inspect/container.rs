//! A container as docker's API has it. What docker has and there is nothing of here is there with Go's empty value, since
//! scripts ask for it.

use enter::container::folder::name;
use enter::container::record::{Health, Kind, Mount, Spec, State, Status, Storage};
use enter::container::{Container, logs};
use enter::image::Digest;
use enter::store::Store;
use enter::volume::Volumes;
use jiff::Timestamp;
use plan::{Plan, Text};
use serde_json::{Map, Value, json};

use super::{host, network};
use crate::commands::{containers, ps};

/// Go's time that was never set.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// All of it; with `size` how much it takes on disk, too.
pub fn all(container: &Container, store: &Store, size: bool) -> Value {
    let (record, state) = (&container.record, &container.state);
    let plan = containers::plan(container);
    let command = containers::command(container);
    let (path, arguments) = command.split_first().map_or(("", &[][..]), |(path, rest)| (path.as_str(), rest));
    let volumes = Volumes::below(store.root());
    let mut value = json!({
        "Id": record.id,
        "Created": record.created.to_string(),
        "Path": path,
        "Args": arguments,
        "State": self::state(container),
        "Image": record.spec.image.id,
        // These are made inside when it starts, and are no files of the host's.
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": log_path(container),
        "Name": format!("/{}", record.name),
        "RestartCount": state.restarts,
        "Driver": record.spec.storage.name(),
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": host::config(&record.spec, plan.as_ref()),
        "GraphDriver": { "Data": folders(container), "Name": record.spec.storage.name() },
        "Mounts": record.spec.mounts.iter().filter_map(|shown| mount(shown, &volumes)).collect::<Vec<_>>(),
        "Config": config(container, plan.as_ref()),
        "NetworkSettings": network::settings(container, plan.as_ref()),
    });
    if size && let Some(map) = value.as_object_mut() {
        let written = ps::size::written(container);
        let image = Digest::parse(&record.spec.image.id).ok().and_then(|id| store.by_id(&id).ok().flatten());
        map.insert("SizeRw".into(), written.into());
        map.insert("SizeRootFs".into(), (written + image.map_or(0, |image| image.size)).into());
    }
    value
}

/// Where its files are kept, by the words of docker's overlay driver. Without the kernel's overlay nothing is mounted for it to be above.
fn folders(container: &Container) -> Value {
    let folder = |name| path_of(container, name);
    let mut folders = json!({
        "MergedDir": folder(name::ROOT),
        "UpperDir": folder(name::UPPER),
        "WorkDir": folder(name::WORK),
    });
    if container.record.spec.storage == Storage::Overlay {
        folders["LowerDir"] = folder(name::LOWER).into();
    }
    folders
}

fn path_of(container: &Container, name: &str) -> String {
    container.folder.join(name).display().to_string()
}

fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
}

fn state(container: &Container) -> Value {
    let State { status, pid, exit_code, error, started, finished, health, .. } = &container.state;
    let health = health.as_ref().map(|health| {
        let log = health.log.iter().map(|check| {
            json!({
                "Start": check.start.to_string(),
                "End": check.end.to_string(),
                "ExitCode": check.exit_code,
                "Output": check.output,
            })
        });
        json!({ "Status": health.status.name(), "FailingStreak": health.failing, "Log": log.collect::<Vec<_>>() })
    });
    json!({
        "Status": ps::status::word(&container.state),
        "Running": status.is_alive(),
        "Paused": *status == Status::Paused,
        "Restarting": *status == Status::Restarting,
        "OOMKilled": container.state.out_of_memory,
        "Dead": false,
        "Pid": pid,
        "ExitCode": exit_code,
        "Error": error,
        "StartedAt": time(*started),
        "FinishedAt": time(*finished),
        "Health": health,
    })
}

fn config(container: &Container, plan: Option<&Plan>) -> Value {
    let spec = &container.record.spec;
    // A shell is the caller's, not the image's: only the plan has all of it.
    let process = plan.filter(|_| spec.shell).map(|plan| (&plan.process, plan));
    let environment = match process {
        Some((process, _)) => {
            process.environment.iter().map(|(name, value)| format!("{}={}", lossy(name), lossy(value))).collect()
        }
        None => texts(&spec.environment),
    };
    let user = process.map(|(process, _)| format!("{}:{}", process.uid, process.gid));
    let directory = process.and_then(|(process, _)| process.directories.first()).map(lossy);
    let hostname = match (&*spec.hostname, plan) {
        ("", Some(plan)) if !plan.hostname.is_empty() => plan.hostname.clone(),
        ("", _) => container.short_id().to_owned(),
        (name, _) => name.to_owned(),
    };
    json!({
        "Hostname": hostname,
        "Domainname": spec.domainname,
        "User": user.unwrap_or_else(|| spec.user.clone()),
        "AttachStdin": spec.attached[0],
        "AttachStdout": spec.attached[1],
        "AttachStderr": spec.attached[2],
        "ExposedPorts": set(&spec.exposed),
        "Tty": process.map_or(spec.terminal, |(process, _)| process.terminal.is_some()),
        "OpenStdin": spec.open_input,
        "StdinOnce": spec.open_input && spec.attached[0],
        "Env": environment,
        "Cmd": list(if spec.shell { containers::command(container) } else { texts(&spec.command) }),
        "Healthcheck": spec.health.as_ref().map(health),
        "Image": spec.image.name,
        "Volumes": set(&spec.volumes),
        "WorkingDir": directory.unwrap_or_else(|| spec.directory.clone()),
        "Entrypoint": list(texts(&spec.entrypoint)),
        "OnBuild": null,
        "Labels": spec.labels,
        "StopSignal": if spec.stop_signal.is_empty() { Value::Null } else { spec.stop_signal.as_str().into() },
        "StopTimeout": spec.stop_timeout.map(|time| time.as_secs()),
    })
}

/// Go writes a list that was never made as `null`.
pub fn list(words: Vec<String>) -> Value {
    if words.is_empty() { Value::Null } else { words.into() }
}

/// Go has no sets: a map of empty structures stands for one.
pub fn set(words: &[String]) -> Value {
    if words.is_empty() {
        return Value::Null;
    }
    Value::Object(words.iter().map(|word| (word.clone(), Value::Object(Map::new()))).collect())
}

fn lossy(text: &Text) -> String {
    text.as_os_str().to_string_lossy().into_owned()
}

fn texts(words: &[Text]) -> Vec<String> {
    words.iter().map(lossy).collect()
}

fn health(health: &Health) -> Value {
    let nanoseconds = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    json!({
        "Test": health.test,
        "Interval": nanoseconds(health.interval),
        "Timeout": nanoseconds(health.timeout),
        "StartPeriod": nanoseconds(health.start_period),
        "StartInterval": nanoseconds(health.start_interval),
        "Retries": health.retries,
    })
}

fn mount(mount: &Mount, volumes: &Volumes) -> Option<Value> {
    let (kind, source, name) = match &mount.kind {
        Kind::Bind(path) => ("bind", path.display().to_string(), None),
        Kind::Volume(name) => {
            let data = volumes.named(name).map(|volume| volume.data().display().to_string());
            ("volume", data.unwrap_or_default(), Some(name))
        }
        Kind::Image(image) => ("image", image.name.clone(), None),
        // docker shows those of --mount, and those of --tmpfs in HostConfig alone.
        Kind::Tmpfs { .. } if mount.typed.contains("type=") => ("tmpfs", String::new(), None),
        Kind::Tmpfs { .. } => return None,
        Kind::Devpts => ("devpts", String::new(), None),
    };
    let mut value = Map::new();
    value.insert("Type".into(), kind.into());
    if let Some(name) = name {
        value.insert("Name".into(), name.as_str().into());
    }
    value.insert("Source".into(), source.into());
    value.insert("Destination".into(), mount.target.as_str().into());
    if name.is_some() {
        value.insert("Driver".into(), "local".into());
    }
    value.insert("Mode".into(), mode(mount).into());
    value.insert("RW".into(), (!mount.read_only).into());
    value.insert(
        "Propagation".into(),
        if kind == "bind" && !mount.private {
            "rslave"
        } else if kind == "bind" {
            "rprivate"
        } else {
            ""
        }
        .into(),
    );
    Some(value.into())
}

/// What stood behind the second colon of `-v`.
fn mode(mount: &Mount) -> &str {
    if mount.typed.contains('=') {
        return "";
    }
    mount.typed.splitn(3, ':').nth(2).unwrap_or_default()
}

/// Where its output is kept, if in a file.
fn log_path(container: &Container) -> String {
    let file = logs::file(&container.record.spec.log, &container.folder);
    file.map(|file| file.display().to_string()).unwrap_or_default()
}

/// The mounts that were asked for by `-v`, as they were typed.
pub fn binds(spec: &Spec) -> Vec<String> {
    let typed = spec.mounts.iter().filter(|mount| matches!(mount.kind, Kind::Bind(_) | Kind::Volume(_)));
    typed
        .filter(|mount| !mount.typed.contains('=') && mount.typed.contains(':'))
        .map(|mount| mount.typed.clone())
        .collect()
}
