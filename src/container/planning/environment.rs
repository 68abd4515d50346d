//! The payload's environment: what the image asks for, what of the caller's is harmless, and what was asked for.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use plan::Text;

use super::account::Identity;
use super::locale;
use super::view::{self, View};
use crate::container::tools;
use crate::security;

/// What the PATH is where nobody says.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is known before the root is looked into.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What the image asks for, as `NAME=VALUE`; `None` for this machine, whose programs are where the caller finds them.
    pub image: Option<&'a [String]>,
    /// The container is in this machine's network.
    pub shares_network: bool,
    /// Standard input is a terminal.
    pub types: bool,
    /// What points to what is shared of this machine.
    pub shared: &'a [(OsString, OsString)],
    /// What was asked for; later ones win.
    pub asked: &'a [(OsString, OsString)],
    /// Tools are brought along.
    pub tools: bool,
    /// The container's host name.
    pub hostname: &'a str,
}

/// A command line of the caller's, if the root has the program, at this path or another; programs that look for it would fail otherwise,
/// where without the variable they would find one that is there.
fn program(view: &dyn View, line: &OsStr) -> Option<OsString> {
    let text = line.to_str()?;
    let (path, arguments) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    let path = Path::new(path);
    if path.is_absolute() && view.is_program(path) {
        return Some(line.to_owned());
    }
    let found = view::find_program(view, path.file_name()?)?;
    Some(if path.is_absolute() { found.into_os_string() } else { path.into() }).map(|mut line: OsString| {
        line.push(arguments);
        line
    })
}

/// Makes the whole environment, sorted by name.
pub fn make(known: Known<'_>, view: &dyn View, identity: &Identity, shell: Option<&Path>) -> Vec<(Text, Text)> {
    let mut variables: BTreeMap<OsString, OsString> = BTreeMap::new();
    let mut set = |name: &str, value: &OsStr| drop(variables.insert(name.into(), value.to_owned()));
    set("PATH", PATH.as_ref());
    for (name, value) in std::env::vars_os() {
        let passed = |name: &&str| security::environment::is_passed(name, &value, known.shares_network);
        let Some(name) = name.to_str().filter(passed) else { continue };
        match name {
            "TERM" => set(name, &locale::terminal(view, &value)),
            "LANG" | "LANGUAGE" => set(name, &locale::locale(view, &value)),
            "EDITOR" | "VISUAL" | "PAGER" => {
                if let Some(program) = program(view, &value) {
                    set(name, &program);
                }
            }
            name if name.starts_with("LC_") => set(name, &locale::locale(view, &value)),
            _ => set(name, &value),
        }
    }
    if ["LANG", "LC_ALL", "LC_CTYPE"].iter().all(|name| std::env::var_os(name).is_none()) {
        // Nobody means ASCII by saying nothing.
        set("LANG", "C.UTF-8".as_ref());
    }
    match known.image {
        Some(environment) => {
            // An image may hold anything: what cannot be a variable is none.
            let pairs = environment.iter().filter(|pair| !pair.contains('\0')).filter_map(|pair| pair.split_once('='));
            for (name, value) in pairs.filter(|(name, _)| !name.is_empty()) {
                set(name, value.as_ref());
            }
        }
        None => {
            if let Some(path) = std::env::var_os("PATH") {
                set("PATH", &path);
            }
        }
    }
    // The last, so that a program of the image's own wins.
    let path = variables.get(OsStr::new("PATH")).cloned().unwrap_or_else(|| PATH.into());
    let mut set = |name: &str, value: &OsStr| drop(variables.insert(name.into(), value.to_owned()));
    let mut directories = vec![path.as_os_str(), OsStr::new(plan::outward::PROGRAMS)];
    directories.extend(known.tools.then_some(OsStr::new(tools::PROGRAMS)));
    set("PATH", &directories.join(OsStr::new(":")));
    set("HOME", identity.home.as_os_str());
    let name = identity.name.clone().unwrap_or_else(|| identity.uid.to_string());
    set("USER", name.as_ref());
    set("LOGNAME", name.as_ref());
    if let Some(shell) = shell {
        set("SHELL", shell.as_os_str());
    }
    if !known.types {
        // Nobody is there to be described a terminal to, but some programs fail without the variable.
        set("TERM", std::env::var_os("TERM").map_or("dumb".into(), |term| locale::terminal(view, &term)).as_os_str());
    }
    // By convention what tells programs that they are in a container, and of which kind.
    set("container", "enter".as_ref());
    // For shells whose start files set no prompt of their own; the others show the host name.
    let mark = if identity.uid == 0 { '#' } else { '$' };
    set("PS1", format!("{}:${{PWD}}{mark} ", known.hostname).as_ref());
    for (name, value) in known.shared.iter().chain(known.asked) {
        variables.insert(name.clone(), value.clone());
    }
    variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::planning::view::fake::Files;

    #[test]
    fn a_program_is_named_where_the_root_has_it() {
        let root = Files([("/usr/bin/vim", ""), ("/opt/bin/code", "")].into());
        let named = |line: &str| program(&root, line.as_ref()).map(|line| line.into_string().unwrap());
        assert_eq!(named("vim -f").as_deref(), Some("vim -f"));
        assert_eq!(named("/usr/local/bin/vim -f -n").as_deref(), Some("/usr/bin/vim -f -n"));
        assert_eq!(named("/opt/bin/code --wait").as_deref(), Some("/opt/bin/code --wait"));
        for absent in ["nvim", "code", "/usr/bin/emacs", "", " vim", "/"] {
            assert_eq!(named(absent), None, "{absent}");
        }
    }
}
