//! What the flags of `enter run` can be. Each function reads one flag's text; its error says which form was expected.

mod limits;
mod modes;
mod mounts;
mod networks;
mod resources;
mod times;

pub use limits::{Ulimit, bytes, sysctl, ulimit};
pub use modes::{
    Ipc, StorageOption, health_action, ipc, log_driver, namespace, restart, storage_option, user_namespace, uts,
};
pub use mounts::{Volume, VolumesFrom, device, mount, tmpfs, volume, volume_driver, volumes_from};
pub use networks::{Reached, link, mac, network};
pub use resources::{
    bytes_or_any, device_bytes, device_number, device_weight, numbers, processors, quota, slice, weight,
};
pub use times::{duration, seconds, stop_timeout};

use enter::network::publish;

type Parsed<T> = Result<T, String>;

/// `--entrypoint`: what always runs; nothing for ''.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrypoint(pub Vec<String>);

/// Reads `--entrypoint`.
pub fn entrypoint(text: &str) -> Parsed<Entrypoint> {
    if text.is_empty() {
        return Ok(Entrypoint(Vec::new()));
    }
    if text.starts_with('[') {
        let list: Vec<String> = serde_json::from_str(text)
            .map_err(|error| format!("expected a program, or a JSON list such as [\"sh\", \"-c\"]: {error}"))?;
        return Ok(Entrypoint(list));
    }
    Ok(Entrypoint(vec![text.to_owned()]))
}

/// Reads `--attach`: the number of the stream.
pub fn stream(text: &str) -> Parsed<usize> {
    let streams = ["stdin", "stdout", "stderr"];
    let lower = text.to_ascii_lowercase();
    streams.iter().position(|name| *name == lower).ok_or_else(|| "expected stdin, stdout or stderr".into())
}

/// Reads a path in the container.
pub fn absolute(text: &str) -> Parsed<String> {
    match target(text) {
        Err(error) => Err(error),
        Ok(()) => Ok(text.to_owned()),
    }
}

fn target(text: &str) -> Parsed<()> {
    if !text.starts_with('/') {
        return Err("a path in the container begins with a slash".into());
    }
    if text.split('/').any(|part| part == "..") {
        return Err("a path in the container has no `..` in it".into());
    }
    Ok(())
}

/// Reads `--umask`.
pub fn umask(text: &str) -> Parsed<u32> {
    let mask = u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777 && !text.starts_with('+'));
    mask.ok_or_else(|| "expected an octal number up to 0777, such as 0022".into())
}

/// Reads `--timezone`: a name below /usr/share/zoneinfo.
pub fn timezone(text: &str) -> Parsed<String> {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "/_+-".contains(char);
    if text.is_empty() || text.starts_with('/') || !text.chars().all(allowed) {
        return Err("expected a name such as Europe/Berlin, or `local`".into());
    }
    Ok(text.to_owned())
}

/// Reads `--label`; a key alone has an empty value.
pub fn label(text: &str) -> Parsed<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err("expected KEY or KEY=VALUE, and the key is empty".into());
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Reads `--annotation`.
pub fn annotation(text: &str) -> Parsed<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".into()),
    }
}

/// Reads a signal: a name with or without SIG, or a number; as it was typed, in capitals.
pub fn signal(text: &str) -> Parsed<String> {
    const LAST: i32 = 64;
    let upper = text.to_ascii_uppercase();
    if upper.parse().is_ok_and(|number: i32| (1..=LAST).contains(&number)) {
        return Ok(upper);
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |base: &str, sign: char| {
        let rest = name.strip_prefix(base)?;
        let number =
            rest.strip_prefix(sign).map_or_else(|| rest.is_empty().then_some(0), |number| number.parse().ok())?;
        (0..=30).contains(&number).then_some(())
    };
    let known = format!("SIG{name}").parse::<nix::sys::signal::Signal>().is_ok();
    if known || real_time("RTMIN", '+').or(real_time("RTMAX", '-')).is_some() {
        return Ok(format!("SIG{name}"));
    }
    Err("expected a signal's name such as SIGTERM, or its number".into())
}

/// Reads `--detach-keys`; as they were typed.
pub fn keys(text: &str) -> Parsed<String> {
    let keys = text.parse::<enter::container::DetachKeys>();
    keys.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Reads a host name.
pub fn hostname(text: &str) -> Parsed<String> {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "-._".contains(char);
    if text.is_empty() || text.len() > 63 || !text.chars().all(allowed) || text.starts_with(['-', '.']) {
        return Err("expected 1 to 63 letters, digits, dots and dashes, the first a letter or digit".into());
    }
    Ok(text.to_owned())
}

/// Reads `--add-host`; as `NAME:ADDRESS`.
pub fn extra_host(text: &str) -> Parsed<String> {
    let form = || "expected NAME:ADDRESS, with an IPv4 or IPv6 address or host-gateway".to_owned();
    let (name, address) = text.split_once(['=', ':']).ok_or_else(form)?;
    for name in name.split(';') {
        hostname(name).map_err(|_| form())?;
    }
    // This machine's address, wherever the container finds that.
    if address == "host-gateway" {
        return Ok(format!("{name}:{address}"));
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let address: std::net::IpAddr = bare.parse().map_err(|_| form())?;
    Ok(format!("{name}:{address}"))
}

/// Reads a word of resolv.conf(5).
pub fn word(text: &str) -> Parsed<String> {
    if text.is_empty() || text.contains(|char: char| char.is_whitespace() || char.is_control()) {
        return Err("expected one word".into());
    }
    Ok(text.to_owned())
}

/// The ports that one `--publish` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published(pub Vec<publish::Asked>);

/// Reads `--publish`.
pub fn published(text: &str) -> Parsed<Published> {
    publish::parse(text).map(Published)
}

/// Reads `--expose`; with its protocol.
pub fn exposed(text: &str) -> Parsed<String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let is_range = port(first).zip(port(last)).is_some_and(|(first, last)| first <= last);
    if is_range && matches!(protocol, "tcp" | "udp" | "sctp") {
        return Ok(format!("{ports}/{protocol}"));
    }
    Err("expected a port or a range of ports, with /tcp, /udp or /sctp if you like: 8080, 53/udp, 8000-8010".into())
}

#[cfg(test)]
mod tests;
