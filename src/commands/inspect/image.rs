//! An image as docker's API has it.

use std::time::SystemTime;

use enter::image::Reference;
use enter::store::{Image, Store};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::container::{list, set};

/// All of it.
pub fn all(image: &Image, store: &Store) -> Value {
    let run = &image.config.execution;
    let about = About::of(image, store);
    // A manifest that was composed here is nothing that a registry would know the image by.
    let offered = image.digests.iter().filter(|(_, digest)| !about.own || **digest != image.manifest);
    let repositories = offered.map(|(repository, digest)| {
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
        "Comment": about.comment,
        "Created": image.config.created,
        "DockerVersion": about.docker_version,
        "Author": about.author,
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
        "Digest": image.manifest.to_string(),
        "Metadata": { "LastTagTime": time(image.pulled) },
    });
    if image.platform.variant.is_none()
        && let Some(map) = value.as_object_mut()
    {
        map.shift_remove("Variant");
    }
    value
}

/// What only the documents of an image say, which are read where somebody asks.
#[derive(Default)]
struct About {
    author: String,
    comment: String,
    docker_version: String,
    /// Its manifest was composed by this program.
    own: bool,
}

impl About {
    /// Of an image that is being removed, or is damaged, nothing is said.
    fn of(image: &Image, store: &Store) -> Self {
        let Ok(bytes) = store.config_of(image) else { return Self::default() };
        let config: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // docker shows the last step's where there is none of the image itself.
        let last = config["history"].as_array().and_then(|steps| steps.last()).map(|step| text(&step["comment"]));
        let comment = Some(text(&config["comment"])).filter(|comment| !comment.is_empty()).or(last);
        let manifest = store.document(&image.manifest).ok().flatten();
        Self {
            author: text(&config["author"]),
            comment: comment.unwrap_or_default(),
            docker_version: text(&config["docker_version"]),
            own: manifest.is_some_and(|manifest| enter::image::is_own(&manifest, &bytes)),
        }
    }
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
