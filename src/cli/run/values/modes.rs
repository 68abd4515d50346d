//! Flags whose value is one of a few words, some with more behind a colon.

use enter::container::record::{HealthAction, LogDriver, Namespace, Restart, UserNamespace};

use super::Parsed;

/// `--ipc`: whose shared memory, and whether there is any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ipc {
    /// Its own, and no /dev/shm.
    None,
    /// Whose.
    Of(Namespace),
}

/// The container that is meant by `container:NAME`.
fn of_container(text: &str) -> Option<String> {
    text.strip_prefix("container:").filter(|name| !name.is_empty()).map(ToOwned::to_owned)
}

/// Reads `--pid`. The container is still as it was typed.
pub fn namespace(text: &str) -> Parsed<Namespace> {
    match text {
        "" | "private" => Ok(Namespace::Private),
        "host" => Ok(Namespace::Host),
        _ => of_container(text)
            .map(Namespace::Container)
            .ok_or_else(|| "expected private, host or container:NAME".into()),
    }
}

/// Reads `--uts`.
pub fn uts(text: &str) -> Parsed<Namespace> {
    match text {
        "" | "private" => Ok(Namespace::Private),
        "host" => Ok(Namespace::Host),
        _ => Err("expected private or host".into()),
    }
}

/// Reads `--ipc`.
pub fn ipc(text: &str) -> Parsed<Ipc> {
    match text {
        "none" => Ok(Ipc::None),
        "shareable" => Ok(Ipc::Of(Namespace::Private)),
        _ => {
            namespace(text).map(Ipc::Of).map_err(|_| "expected private, shareable, none, host or container:NAME".into())
        }
    }
}

/// Reads `--userns`.
pub fn user_namespace(text: &str) -> Parsed<UserNamespace> {
    let (mode, options) = text.split_once(':').map_or((text, None), |(mode, options)| (mode, Some(options)));
    let number = |key: &str, value: &str| {
        value.parse::<u32>().ok().filter(|number| *number < u32::MAX).ok_or_else(|| format!("`{key}` is a number"))
    };
    let options: Vec<(&str, &str)> = options
        .iter()
        .flat_map(|options| options.split(','))
        .map(|option| option.split_once('=').unwrap_or((option, "")))
        .collect();
    match mode {
        // `private` is podman's word for a namespace of its own, which every container here has.
        "" | "host" | "private" if options.is_empty() => Ok(UserNamespace::Root),
        "nomap" if options.is_empty() => Ok(UserNamespace::NoMap),
        "keep-id" => {
            let (mut uid, mut gid) = (None, None);
            for (key, value) in options {
                match key {
                    "uid" => uid = Some(number(key, value)?),
                    "gid" => gid = Some(number(key, value)?),
                    _ => return Err("the options of keep-id are uid=N and gid=N".into()),
                }
            }
            Ok(UserNamespace::KeepId { uid, gid })
        }
        "auto" => {
            let mut size = 0;
            for (key, value) in options {
                match key {
                    "size" => size = number(key, value)?,
                    _ => return Err("the option of auto is size=N".into()),
                }
            }
            Ok(UserNamespace::Auto { size, start: 0 })
        }
        _ => Err("expected host, keep-id[:uid=N,gid=N], nomap or auto[:size=N]".into()),
    }
}

/// Reads `--restart`.
pub fn restart(text: &str) -> Parsed<Restart> {
    let wrong = || "expected no, on-failure, on-failure:N, always or unless-stopped".to_owned();
    match text {
        "" | "no" | "never" => Ok(Restart::No),
        "always" => Ok(Restart::Always),
        "unless-stopped" => Ok(Restart::UnlessStopped),
        "on-failure" => Ok(Restart::OnFailure { retries: 0 }),
        _ => {
            let retries = text.strip_prefix("on-failure:").and_then(|number| number.parse().ok());
            retries.map(|retries| Restart::OnFailure { retries }).ok_or_else(wrong)
        }
    }
}

/// Reads `--health-on-failure`.
pub fn health_action(text: &str) -> Parsed<HealthAction> {
    match text {
        "none" => Ok(HealthAction::None),
        "kill" => Ok(HealthAction::Kill),
        "restart" => Ok(HealthAction::Restart),
        "stop" => Ok(HealthAction::Stop),
        _ => Err("expected none, kill, restart or stop".into()),
    }
}

/// Reads `--log-driver`.
pub fn log_driver(text: &str) -> Parsed<LogDriver> {
    let drivers = [LogDriver::K8sFile, LogDriver::JsonFile, LogDriver::Journald, LogDriver::None];
    let found = drivers.into_iter().find(|driver| driver.name() == text);
    found.ok_or_else(|| "expected k8s-file, json-file, journald or none".into())
}

/// How a container's changes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageOption {
    /// The kernel collects small writes, or not.
    Writeback(bool),
}

/// Reads an option of the storage driver.
pub fn storage_option(text: &str) -> Parsed<StorageOption> {
    match text.split_once('=').unwrap_or((text, "true")) {
        ("writeback", "true" | "on" | "1") => Ok(StorageOption::Writeback(true)),
        ("writeback", "false" | "off" | "0") => Ok(StorageOption::Writeback(false)),
        ("size", _) => {
            Err("a container's changes have no limit of their own: set a quota on the folder that XDG_DATA_HOME names"
                .to_owned())
        }
        _ => Err("expected writeback, or writeback=false".to_owned()),
    }
}
