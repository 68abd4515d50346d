//! Numbers of bytes, limits and kernel parameters.

use enter::container::record::Rlimit;

use super::Parsed;

/// Reads a number of bytes as docker does: `64m`, `1.5g`, `4096`, `10MB`, `10MiB`; all by 1024.
pub fn bytes(text: &str) -> Parsed<u64> {
    let wrong = || "expected a number of bytes such as 64m or 1g (units are b, k, m, g, t)".to_owned();
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let factor: u64 = match unit.trim_start() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    // 2^63: more than any disk or memory.
    let size = number * factor as f64;
    if (0.0..9.2e18).contains(&size) { Ok(size as u64) } else { Err(wrong()) }
}

/// The names of setrlimit(2).
const LIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// `--ulimit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ulimit {
    /// podman's word for the limits of whoever starts the container; those hold where none is given.
    Host,
    /// One limit.
    Set(Rlimit),
}

/// Reads `--ulimit`.
pub fn ulimit(text: &str) -> Parsed<Ulimit> {
    if text == "host" { Ok(Ulimit::Host) } else { rlimit(text).map(Ulimit::Set) }
}

fn rlimit(text: &str) -> Parsed<Rlimit> {
    let wrong = || {
        format!("expected `host` or NAME=SOFT[:HARD], where NAME is one of {}, and -1 is no limit", LIMITS.join(", "))
    };
    let (name, values) = text.split_once('=').ok_or_else(wrong)?;
    if !LIMITS.contains(&name) {
        return Err(wrong());
    }
    let number = |text: &str| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        text => text.parse::<u64>().map_err(|_| wrong()),
    };
    let (soft, hard) = match values.split_once(':') {
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(values)?, number(values)?),
    };
    if soft > hard {
        return Err(format!("the soft limit {soft} is above the hard one, {hard}"));
    }
    Ok(Rlimit { name: name.to_owned(), soft, hard })
}

/// Reads `--sysctl`: a parameter of one of the container's namespaces.
pub fn sysctl(text: &str) -> Parsed<(String, String)> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    // sysctl(8) takes slashes between the parts too.
    let name = name.trim().replace('/', ".");
    if name.is_empty() || name.split('.').any(|part| part.is_empty()) || name.contains(char::is_whitespace) {
        return Err("expected NAME=VALUE, with dots between the parts of the name".into());
    }
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    match name.as_str() {
        "kernel.hostname" => return Err("the host name is set by --hostname".into()),
        "kernel.domainname" => return Err("the domain name is set by --domainname".into()),
        name if name.starts_with("net.") || name.starts_with("fs.mqueue.") || IPC.contains(&name) => {}
        _ => {
            return Err("it belongs to the whole machine; a container's own are net.*, fs.mqueue.*, kernel.sem, kernel.shm* and \
                        kernel.msg*"
                .into());
        }
    }
    Ok((name, value.trim().to_owned()))
}
