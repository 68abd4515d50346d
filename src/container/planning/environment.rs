//! The payload's environment: what the image asks for, what of the caller's is harmless, and what was asked for.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use plan::Text;

use super::account::Identity;
use super::locale;
use super::request::{Reach, Request, Source};
use super::view::View;
use crate::security;

/// What the PATH is where nobody says.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the whole environment, sorted by name.
pub fn make(
    request: &Request<'_>,
    view: &dyn View,
    identity: &Identity,
    shell: Option<&Path>,
    hostname: &str,
) -> Vec<(Text, Text)> {
    let mut variables: BTreeMap<OsString, OsString> = BTreeMap::new();
    let mut set = |name: &str, value: &OsStr| drop(variables.insert(name.into(), value.to_owned()));
    set("PATH", PATH.as_ref());
    let shares_network = request.reach == Reach::Host;
    for (name, value) in std::env::vars_os() {
        let passed = |name: &&str| security::environment::is_passed(name, &value, shares_network);
        let Some(name) = name.to_str().filter(passed) else { continue };
        match name {
            "TERM" => set(name, &locale::terminal(view, &value)),
            "LANG" | "LANGUAGE" => set(name, &locale::locale(view, &value)),
            name if name.starts_with("LC_") => set(name, &locale::locale(view, &value)),
            _ => set(name, &value),
        }
    }
    if ["LANG", "LC_ALL", "LC_CTYPE"].iter().all(|name| std::env::var_os(name).is_none()) {
        // Nobody means ASCII by saying nothing.
        set("LANG", "C.UTF-8".as_ref());
    }
    match &request.source {
        Source::Image { environment, .. } => {
            // An image may hold anything: what cannot be a variable is none.
            let pairs = environment.iter().filter(|pair| !pair.contains('\0')).filter_map(|pair| pair.split_once('='));
            for (name, value) in pairs.filter(|(name, _)| !name.is_empty()) {
                set(name, value.as_ref());
            }
        }
        // The host's programs are where the caller finds them.
        Source::Host => {
            if let Some(path) = std::env::var_os("PATH") {
                set("PATH", &path);
            }
        }
    }
    set("HOME", identity.home.as_os_str());
    let name = identity.name.clone().unwrap_or_else(|| identity.uid.to_string());
    set("USER", name.as_ref());
    set("LOGNAME", name.as_ref());
    if let Some(shell) = shell {
        set("SHELL", shell.as_os_str());
    }
    if request.terminals != [true; 3] && !request.terminals[0] {
        // Nobody is there to be described a terminal to, but some programs fail without the variable.
        set("TERM", std::env::var_os("TERM").map_or("dumb".into(), |term| locale::terminal(view, &term)).as_os_str());
    }
    // By convention what tells programs that they are in a container, and of which kind.
    set("container", "enter".as_ref());
    // For shells whose start files set no prompt of their own; the others show the host name.
    let mark = if identity.uid == 0 { '#' } else { '$' };
    set("PS1", format!("{hostname}:${{PWD}}{mark} ").as_ref());
    for (name, value) in &request.environment {
        variables.insert(name.clone(), value.clone());
    }
    variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}
