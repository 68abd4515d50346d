//! `enter volume inspect`: docker's JSON of a volume.

use std::process::ExitCode;

use enter::volume::Volume;
use serde_json::{Map, Value, json};

use crate::cli::VolumeInspectArgs;
use crate::commands::inspect;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// docker's label of what has no name.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// Shows each volume. What is not there is told at the end, and the rest is shown.
pub fn run(ui: &Ui, args: &VolumeInspectArgs) -> Result<ExitCode, Failure> {
    let volumes = super::of_user()?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    if args.all {
        found.extend(volumes.all()?.iter().map(value));
    }
    for typed in &args.volumes {
        match volumes.find(typed) {
            Ok(volume) => found.push(value(&volume)),
            Err(error) => failures.push(error.into()),
        }
    }
    inspect::show(ui, found, args.format.as_deref(), &mut failures)?;
    failures.iter().for_each(|failure| ui.failure(failure));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(VERB_FAILED) })
}

/// All that is known of a volume.
pub fn value(volume: &Volume) -> Value {
    let record = &volume.record;
    let map = |pairs: &std::collections::BTreeMap<String, String>| {
        let pairs = pairs.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
        pairs.collect::<Map<String, Value>>()
    };
    let mut labels = map(&record.labels);
    if record.anonymous {
        labels.insert(ANONYMOUS.into(), "".into());
    }
    json!({
        "CreatedAt": record.created.to_string(),
        "Driver": "local",
        "Labels": labels,
        "Mountpoint": volume.data().display().to_string(),
        "Name": record.name,
        "Options": map(&record.options),
        "Scope": "local",
        "Anonymous": record.anonymous,
        "NeedsCopyUp": volume.is_fresh(),
    })
}
