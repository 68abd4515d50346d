//! An image as docker's API has it.

use std::time::SystemTime;

use enter::image::Reference;
use enter::store::Image;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::container::{list, set};

/// All of it.
pub fn all(image: &Image) -> Value {
    let run = &image.config.execution;
    let repositories = image.digests.iter().map(|(repository, digest)| {
        let familiar = Reference::parse(repository).map(|reference| familiar(&reference));
        format!("{}@{digest}", familiar.unwrap_or_else(|_| repository.clone()))
    });
    let health = run.healthcheck.as_ref().map(|health| {
        json!({
            "Test": health.test,
            "Interval": health.interval,
            "Timeout": health.timeout,
            "StartPeriod": health.start_period,
            "StartInterval": health.start_interval,
            "Retries": health.retries,
        })
    });
    let layers: Vec<String> = image.config.diff_ids.iter().map(ToString::to_string).collect();
    let mut value = json!({
        "Id": image.id.to_string(),
        "RepoTags": image.names.iter().filter(|name| name.tag().is_some()).map(Reference::familiar).collect::<Vec<_>>(),
        "RepoDigests": repositories.collect::<Vec<_>>(),
        "Parent": "",
        "Comment": "",
        "Created": image.config.created,
        "DockerVersion": "",
        "Author": "",
        "Config": {
            "Hostname": "",
            "Domainname": "",
            "User": run.user,
            "AttachStdin": false,
            "AttachStdout": false,
            "AttachStderr": false,
            "ExposedPorts": set(&run.exposed_ports),
            "Tty": false,
            "OpenStdin": false,
            "StdinOnce": false,
            "Env": list(run.env.clone()),
            "Cmd": list(run.cmd.clone()),
            "Healthcheck": health,
            "Image": "",
            "Volumes": set(&run.volumes),
            "WorkingDir": run.working_dir,
            "Entrypoint": list(run.entrypoint.clone()),
            "OnBuild": null,
            "Labels": if run.labels.is_empty() { Value::Null } else { json!(run.labels) },
            "StopSignal": if run.stop_signal.is_empty() { Value::Null } else { run.stop_signal.as_str().into() },
        },
        "Architecture": image.platform.architecture,
        "Variant": image.platform.variant,
        "Os": image.platform.os,
        "Size": image.size,
        "GraphDriver": {
            "Data": { "Tree": image.tree.display().to_string() },
            "Name": "cowfs",
        },
        "RootFS": { "Type": "layers", "Layers": layers },
        "Metadata": { "LastTagTime": time(image.pulled) },
    });
    if image.platform.variant.is_none()
        && let Some(map) = value.as_object_mut()
    {
        map.shift_remove("Variant");
    }
    value
}

/// A repository as people write it.
fn familiar(reference: &Reference) -> String {
    let familiar = reference.familiar();
    let tag = reference.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    familiar.strip_suffix(&tag).unwrap_or(&familiar).to_owned()
}

fn time(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| String::new(), |time| time.to_string())
}
