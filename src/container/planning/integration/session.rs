//! The caller's session: the compositor, sound, the message bus.

use std::path::{Path, PathBuf};

use plan::Step;

use super::{Offer, Outside, is_socket, socket};

/// What tells programs which desktop they are shown on.
const DESKTOP: [&str; 4] = ["DESKTOP_SESSION", "XDG_CURRENT_DESKTOP", "XDG_SESSION_DESKTOP", "XDG_SESSION_TYPE"];

/// The largest cookie that is one: they have 256 bytes (PulseAudio's native protocol).
const COOKIE: usize = 256;

/// The variables about the desktop that the caller has.
pub fn desktop(outside: &Outside<'_>) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    DESKTOP.iter().filter_map(|name| Some(((*name).into(), (outside.variable)(name)?))).collect()
}

/// The compositor's socket, as libwayland finds it: by a path, or a name in the runtime folder, `wayland-0` where nobody says.
pub fn wayland(outside: &Outside<'_>) -> Result<Offer, String> {
    let said = (outside.variable)("WAYLAND_DISPLAY").map(PathBuf::from);
    let display = said.as_deref().unwrap_or(Path::new("wayland-0"));
    let source = outside.sockets().join(display);
    let Some(name) = source.file_name().filter(|_| is_socket(&source)) else {
        return Err(match said {
            Some(_) => format!("WAYLAND_DISPLAY leads to no socket ({})", source.display()),
            None => "no compositor runs".into(),
        });
    };
    let mut variables = vec![("WAYLAND_DISPLAY".into(), name.to_owned())];
    variables.extend(desktop(outside));
    Ok(Offer { source: source.display().to_string(), steps: vec![socket(&source, outside.inside(name))], variables })
}

/// The sockets of PipeWire and of PulseAudio, which PipeWire has too for programs that speak no other.
pub fn audio(outside: &Outside<'_>) -> Result<Offer, String> {
    let mut offer = Offer::default();
    let mut sources = Vec::new();
    let remote = (outside.variable)("PIPEWIRE_REMOTE").map_or_else(|| "pipewire-0".into(), PathBuf::from);
    let folder = outside.path("PIPEWIRE_RUNTIME_DIR").unwrap_or_else(|| outside.sockets());
    let pipewire = folder.join(remote);
    if is_socket(&pipewire) {
        // By this name it is found without a variable.
        offer.steps.push(socket(&pipewire, outside.inside("pipewire-0")));
        sources.push(pipewire.display().to_string());
    }
    if let Some(server) =
        outside.text("PULSE_SERVER").filter(|server| outside.shares_network && server.starts_with("tcp"))
    {
        offer.variables.push(("PULSE_SERVER".into(), server.clone().into()));
        sources.push(server);
    } else if let Some(pulse) = pulse(outside) {
        let target = outside.inside("pulse/native");
        let mut server = std::ffi::OsString::from("unix:");
        server.push(&target);
        // libpulse wants that folder to be the user's own.
        offer.steps.extend([outside.folder("pulse"), socket(&pulse, target)]);
        offer.variables.push(("PULSE_SERVER".into(), server));
        sources.push(pulse.display().to_string());
    }
    if sources.is_empty() {
        return Err("neither PipeWire nor PulseAudio runs".into());
    }
    if !offer.variables.is_empty()
        && let Some(cookie) = cookie(outside)
    {
        let target = outside.inside("pulse/cookie");
        offer.variables.push(("PULSE_COOKIE".into(), target.clone().into()));
        // The folder is the caller's alone.
        offer.steps.push(Step::Write { target: target.into(), content: cookie.into(), mode: 0o644 });
    }
    offer.source = sources.join(", ");
    Ok(offer)
}

/// PulseAudio's socket.
fn pulse(outside: &Outside<'_>) -> Option<PathBuf> {
    // Possibly several, and each possibly for one machine alone: `{ID}unix:PATH` (pulse-client.conf(5)).
    let said = outside.text("PULSE_SERVER").and_then(|servers| {
        let paths = servers.split_whitespace().map(|server| server.rsplit('}').next().unwrap_or(server).to_owned());
        paths
            .map(|server| PathBuf::from(server.strip_prefix("unix:").unwrap_or(&server)))
            .find(|path| path.is_absolute())
    });
    let folder = || outside.path("PULSE_RUNTIME_PATH").unwrap_or_else(|| outside.sockets().join("pulse"));
    Some(said.unwrap_or_else(|| folder().join("native"))).filter(|path| is_socket(path))
}

fn cookie(outside: &Outside<'_>) -> Option<Vec<u8>> {
    let config = outside.path("XDG_CONFIG_HOME").unwrap_or_else(|| outside.caller.home.join(".config"));
    let places = [
        outside.path("PULSE_COOKIE"),
        Some(config.join("pulse/cookie")),
        Some(outside.caller.home.join(".pulse-cookie")),
    ];
    places.into_iter().flatten().find_map(|path| std::fs::read(path).ok()).filter(|cookie| cookie.len() <= COOKIE)
}

/// The session's message bus.
pub fn bus(outside: &Outside<'_>) -> Result<Offer, String> {
    let address = outside.text("DBUS_SESSION_BUS_ADDRESS");
    let path = match &address {
        Some(address) => address.split(';').find_map(bus_path),
        None => Some(outside.sockets().join("bus")),
    };
    match (path.filter(|path| is_socket(path)), address) {
        (Some(path), _) => {
            let target = outside.inside("bus");
            let mut address = std::ffi::OsString::from("unix:path=");
            address.push(&target);
            Ok(Offer {
                source: path.display().to_string(),
                steps: vec![socket(&path, target)],
                variables: vec![("DBUS_SESSION_BUS_ADDRESS".into(), address)],
            })
        }
        (None, Some(address)) if outside.shares_network && address.contains("unix:abstract=") => Ok(Offer {
            variables: vec![("DBUS_SESSION_BUS_ADDRESS".into(), (&address).into())],
            source: address,
            ..Offer::default()
        }),
        (None, Some(address)) if address.contains("unix:abstract=") => {
            Err("the session's bus has an abstract socket, which is reached with --network host alone".into())
        }
        (None, Some(address)) => Err(format!("DBUS_SESSION_BUS_ADDRESS leads to no socket ({address})")),
        (None, None) => Err("no session bus runs".into()),
    }
}

/// The path of `unix:path=PATH,guid=…` (the D-Bus specification, "Server Addresses").
fn bus_path(address: &str) -> Option<PathBuf> {
    let pairs = address.trim().strip_prefix("unix:")?;
    let path = pairs.split(',').find_map(|pair| pair.strip_prefix("path="))?;
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
        } else {
            byte
        });
    }
    use std::os::unix::ffi::OsStringExt;
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes))).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_address_names_a_path() {
        for (address, path) in [
            ("unix:path=/run/user/1000/bus", Some("/run/user/1000/bus")),
            ("unix:path=/tmp/a%20b,guid=12", Some("/tmp/a b")),
            ("unix:guid=12,path=/x", Some("/x")),
            ("unix:abstract=/tmp/dbus-x", None),
            ("tcp:host=localhost,port=1", None),
            ("unix:path=relative", None),
            ("unix:path=/a%2", None),
        ] {
            assert_eq!(bus_path(address).as_deref(), path.map(Path::new), "{address}");
        }
    }
}
