use std::collections::HashMap;
use std::os::unix::net::UnixListener;

use super::*;
use crate::container::record::Switched;

/// A machine with a session of sorts.
struct Machine {
    folder: tempfile::TempDir,
    variables: HashMap<&'static str, OsString>,
    caller: Caller,
    listeners: Vec<UnixListener>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let variables = HashMap::from([("XDG_RUNTIME_DIR", folder.path().into())]);
        let caller = Caller {
            uid: 1000,
            gid: 100,
            name: "u".into(),
            group: "g".into(),
            gecos: String::new(),
            home,
            shell: "/bin/sh".into(),
            directory: None,
            umask: 0o22,
        };
        Self { folder, variables, caller, listeners: Vec::new() }
    }

    fn listen(&mut self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        self.listeners.push(UnixListener::bind(&path).unwrap());
        path
    }

    fn find(&self, shares: &Shares, shares_network: bool) -> Integration {
        let variable = |name: &str| self.variables.get(name).cloned();
        let displays = self.folder.path().join("displays");
        find(shares, &Outside { variable: &variable, caller: &self.caller, shares_network, displays: &displays })
    }

    fn variables(&self) -> HashMap<String, String> {
        let all = self.find(&Shares::default(), false).variables(1000, &|_| true);
        let text = |text: OsString| text.into_string().unwrap();
        all.into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }
}

fn offered(integration: &Integration) -> Vec<(PathBuf, PathBuf)> {
    let offer = |step: Step| match step {
        Step::Offer { source, target, .. } => Some((source.into(), target.into())),
        _ => None,
    };
    integration.steps().into_iter().filter_map(offer).collect()
}

#[test]
fn a_machine_without_a_session_shares_nothing_and_says_why() {
    let machine = Machine::new();
    let found = machine.find(&Shares::default(), false);
    assert!(found.parts.iter().all(|part| matches!(part.found, Found::Absent(_))), "{found:?}");
    // The runtime folder is there all the same.
    assert_eq!(found.steps().len(), 1);
    let mut told = Vec::new();
    let named = Shares { on: [Switched::One(Share::X11)].into(), ..Shares::default() };
    machine.find(&named, false).warn(&named, &mut |one| told.push(one.message));
    assert_eq!(told, ["nothing is shared by --share x11: DISPLAY is not set"]);
}

#[test]
fn the_sockets_of_a_session_are_found_where_programs_look() {
    let mut machine = Machine::new();
    let expected: Vec<(PathBuf, PathBuf)> = [
        ("wayland-7", "/run/user/1000/wayland-7"),
        ("displays/X3", "/tmp/.X11-unix/X3"),
        ("pipewire-0", "/run/user/1000/pipewire-0"),
        ("pulse/native", "/run/user/1000/pulse/native"),
        ("bus", "/run/user/1000/bus"),
        ("keyring/ssh", "/run/user/1000/ssh-agent"),
    ]
    .map(|(name, target)| (machine.listen(name), target.into()))
    .into();
    machine.variables.extend([("WAYLAND_DISPLAY", "wayland-7".into()), ("DISPLAY", ":3.0".into())]);
    machine.variables.insert("SSH_AUTH_SOCK", machine.folder.path().join("keyring/ssh").into());
    let found = machine.find(&Shares::default(), false);
    assert_eq!(offered(&found), expected);
    let variables = machine.variables();
    for (name, value) in [
        ("XDG_RUNTIME_DIR", "/run/user/1000"),
        ("WAYLAND_DISPLAY", "wayland-7"),
        ("DISPLAY", ":3.0"),
        ("PULSE_SERVER", "unix:/run/user/1000/pulse/native"),
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1000/bus"),
        ("SSH_AUTH_SOCK", "/run/user/1000/ssh-agent"),
    ] {
        assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
    }
    // Another user inside has no runtime folder, and finds the compositor by its whole path.
    let of_root = found.variables(0, &|_| true);
    assert!(!of_root.iter().any(|(name, _)| name == "XDG_RUNTIME_DIR"));
    assert!(of_root.contains(&("WAYLAND_DISPLAY".into(), "/run/user/1000/wayland-7".into())));
}

#[test]
fn what_is_switched_off_is_not_even_looked_for() {
    let mut machine = Machine::new();
    machine.listen("bus");
    machine.listen("wayland-0");
    let shares = Shares { on: [Switched::One(Share::Dbus)].into(), off: [Switched::All].into() };
    let found = machine.find(&shares, false);
    let of = |share| found.parts.iter().find(|part| part.share == share).map(|part| &part.found);
    assert_eq!(of(Share::Wayland), Some(&Found::Off));
    assert!(matches!(of(Share::Dbus), Some(Found::Shared(_))));
}

#[test]
fn what_is_no_socket_of_a_file_needs_the_hosts_network() {
    let mut machine = Machine::new();
    machine.variables.insert("DBUS_SESSION_BUS_ADDRESS", "unix:abstract=/tmp/dbus-1,guid=0".into());
    machine.variables.insert("DISPLAY", "localhost:10.0".into());
    machine.variables.insert("PULSE_SERVER", "tcp:localhost:4713".into());
    for (network, shared) in [(false, 0), (true, 3)] {
        let found = machine.find(&Shares::default(), network);
        assert_eq!(found.offers().count(), shared, "{found:?}");
        assert_eq!(offered(&found), []);
    }
}
