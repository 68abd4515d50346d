//! The health check: the image's, as far as the flags do not say otherwise.

use std::time::Duration;

use enter::container::record::{Health, HealthAction};
use enter::image::Config;

use super::asked::{bad, together};
use crate::cli::run::HealthArgs;
use crate::failure::Failure;

/// Docker's defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// What is checked; `None` for nothing.
pub fn health(args: &HealthArgs, config: &Config) -> Result<Option<Health>, Failure> {
    if args.no_healthcheck {
        let other = args.health_cmd.is_some() || args.health_interval.is_some() || args.health_timeout.is_some();
        return if other { Err(together("--no-healthcheck", "--health-*")) } else { Ok(None) };
    }
    let image = config.execution.healthcheck.clone().unwrap_or_default();
    let test = match &args.health_cmd {
        Some(text) => test(text)?,
        None => image.test,
    };
    if test.is_empty() || test[0] == "NONE" {
        if args.health_on_failure.is_some_and(|action| action != HealthAction::None) {
            return Err(Failure::new("--health-on-failure cannot be had: nothing is checked, so that nothing fails")
                .with_hint("say what is to be checked with --health-cmd"));
        }
        return Ok(None);
    }
    let time = |flag: Option<Duration>, image: i64, default: Duration| {
        let image = u64::try_from(image).ok().filter(|time| *time > 0).map(Duration::from_nanos);
        flag.filter(|time| !time.is_zero()).or(image).unwrap_or(default)
    };
    let retries = u32::try_from(image.retries).ok().filter(|retries| *retries > 0);
    Ok(Some(Health {
        test,
        interval: time(args.health_interval, image.interval, INTERVAL),
        timeout: time(args.health_timeout, image.timeout, TIMEOUT),
        start_period: time(args.health_start_period, image.start_period, Duration::ZERO),
        start_interval: time(args.health_start_interval, image.start_interval, START_INTERVAL),
        retries: args.health_retries.filter(|retries| *retries > 0).or(retries).unwrap_or(RETRIES),
        on_failure: args.health_on_failure.unwrap_or_default(),
    }))
}

/// What `--health-cmd` says: a line for a shell, or a list as in a Dockerfile.
fn test(text: &str) -> Result<Vec<String>, Failure> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(vec!["NONE".into()]);
    }
    if !text.trim_start().starts_with('[') {
        return Ok(vec!["CMD-SHELL".into(), text.to_owned()]);
    }
    let list: Vec<String> = serde_json::from_str(text)
        .map_err(|error| bad("--health-cmd", text, &format!("expected a line, or a JSON list: {error}")))?;
    match list.first().map(String::as_str) {
        None => Err(bad("--health-cmd", text, "expected a line, or a JSON list: the list is empty")),
        Some("CMD" | "CMD-SHELL" | "NONE") => Ok(list),
        Some(_) => Ok(std::iter::once("CMD".to_owned()).chain(list).collect()),
    }
}
