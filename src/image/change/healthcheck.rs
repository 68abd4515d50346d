//! HEALTHCHECK: `NONE`, or options and `CMD command`.

use super::super::Healthcheck;
use super::{Command, command};
use crate::duration;

pub fn parse(text: &str) -> Result<Healthcheck, String> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while rest.starts_with("--") {
        let (option, later) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = later.trim_start();
        let (name, value) = option.split_once('=').ok_or_else(|| format!("takes {option}=VALUE"))?;
        match name {
            "--interval" => check.interval = time(name, value)?,
            "--timeout" => check.timeout = time(name, value)?,
            "--start-period" => check.start_period = time(name, value)?,
            "--start-interval" => check.start_interval = time(name, value)?,
            "--retries" => {
                let number = value.parse().ok().filter(|number: &u32| *number > 0);
                check.retries =
                    number.ok_or_else(|| format!("takes a number from 1 up for {name}, and not `{value}`"))?.into();
            }
            other => return Err(format!("does not know the option {other}")),
        }
    }
    let (kind, line) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    check.test = match (kind.to_ascii_uppercase().as_str(), line.trim()) {
        ("NONE", "") if check == Healthcheck::default() => vec!["NONE".into()],
        ("CMD", line) if !line.is_empty() => match command(line) {
            Command::Exec(words) => [vec!["CMD".into()], words].concat(),
            Command::Shell(line) => vec!["CMD-SHELL".into(), line],
        },
        _ => return Err("takes NONE, or options and `CMD command`".into()),
    };
    Ok(check)
}

/// The shortest time that docker takes.
const SHORTEST: i64 = 1_000_000;

/// A duration of Go's, such as `1m30s` or `500ms`, in nanoseconds.
fn time(name: &str, text: &str) -> Result<i64, String> {
    let time = duration::parse(text).and_then(|time| i64::try_from(time.as_nanos()).ok());
    time.filter(|time| *time >= SHORTEST)
        .ok_or_else(|| format!("takes a duration such as 30s or 1m30s for {name}, and not `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_read_as_docker_reads_them() {
        let check = parse("--interval=1m30s --retries=5 CMD curl -f localhost || exit 1").unwrap();
        assert_eq!((check.interval, check.retries), (90_000_000_000, 5));
        assert_eq!(check.test, ["CMD-SHELL", "curl -f localhost || exit 1"]);
        assert_eq!(parse("--start-interval=500ms CMD x").unwrap().start_interval, 500_000_000);
        assert_eq!(parse(r#"CMD ["true"]"#).unwrap().test, ["CMD", "true"]);
        assert_eq!(parse("none").unwrap().test, ["NONE"]);
        for wrong in [
            "--interval=1 CMD x",
            "--interval=soon CMD x",
            "--retries=0 CMD x",
            "--retries CMD x",
            "CMD",
            "--x=1 CMD x",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
