//! How a container was run, as the configuration of the image that it is made into.

use std::time::Duration;

use plan::Text;
use serde_json::{Map, Value, json};

use crate::container::record::{Health, Spec};
use crate::image::{Amended, Healthcheck, healthcheck};

/// Puts how a container was run into a configuration, in place of how its image was.
///
/// A shell or a box was run as its user's own, which is of no use to others: then the image's stays.
pub fn configure(config: &mut Amended, spec: &Spec) {
    if spec.shell || spec.boxed.is_some() {
        return;
    }
    let words = |words: &[Text]| -> Value { words.iter().map(|word| word.as_os_str().to_string_lossy()).collect() };
    let keys =
        |keys: &[String]| -> Value { keys.iter().map(|key| (key.clone(), json!({}))).collect::<Map<_, _>>().into() };
    config.set("User", spec.user.clone().into());
    config.set("Env", words(&spec.environment));
    config.set("Entrypoint", words(&spec.entrypoint));
    config.set("Cmd", words(&spec.command));
    config.set("WorkingDir", spec.directory.clone().into());
    config.set("StopSignal", spec.stop_signal.clone().into());
    config.set(
        "Labels",
        spec.labels.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect::<Map<_, _>>().into(),
    );
    config.set("ExposedPorts", keys(&spec.exposed));
    config.set("Volumes", keys(&spec.volumes));
    config.set("Healthcheck", spec.health.as_ref().map_or(Value::Null, |health| healthcheck(&check(health))));
}

fn check(health: &Health) -> Healthcheck {
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    Healthcheck {
        test: health.test.clone(),
        interval: nanos(health.interval),
        timeout: nanos(health.timeout),
        start_period: nanos(health.start_period),
        start_interval: nanos(health.start_interval),
        retries: health.retries.into(),
    }
}
