//! `--network`, `--link` and `--mac-address`.

use enter::container::record::NetworkMode;
use enter::network::Mac;
use enter::network::lease::Wanted;
use enter::network::record::{check_interface, check_name};

use super::{Parsed, hostname};

/// What `--network` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// What is always there, or another container's network.
    Mode(NetworkMode),
    /// The network beyond this machine, with options of pasta(1), which are fit.
    Pasta(Vec<String>),
    /// A network of one's own.
    Own(Wanted),
}

/// Reads `--network`. The container and the network are still as they were typed.
pub fn network(text: &str) -> Parsed<Reached> {
    let mode = match text {
        "" | "default" | "bridge" | "pasta" | "private" => NetworkMode::Pasta,
        "none" => NetworkMode::None,
        "host" => NetworkMode::Host,
        _ if text == "slirp4netns" || text.starts_with("slirp4netns:") => return Err(SLIRP.into()),
        _ if text.starts_with("pasta:") => return pasta(&text["pasta:".len()..]).map(Reached::Pasta),
        _ => match text.strip_prefix("container:") {
            Some("") => return Err("expected container:NAME".into()),
            Some(name) => NetworkMode::Container(name.to_owned()),
            None => return own(text).map(Reached::Own),
        },
    };
    Ok(Reached::Mode(mode))
}

/// Why there is none of it, and what does the same.
const SLIRP: &str = "slirp4netns is not used, but pasta, which is quicker and keeps addresses; what slirp4netns gives by default \
     pasta:-I,tap0,--ipv4-only,-a,10.0.2.100,-n,24,-g,10.0.2.2,--dns-forward,10.0.2.3 gives";

/// The options behind `pasta:`, parted by commas as podman has them.
fn pasta(options: &str) -> Parsed<Vec<String>> {
    if options.is_empty() {
        return Ok(Vec::new());
    }
    let words: Vec<String> = options.split(',').map(str::to_owned).collect();
    passt::Options::parse(&words).map_err(|error| error.to_string())?;
    Ok(words)
}

/// `NAME[:KEY=VALUE,…]` as podman has it, or docker's `name=NAME,KEY=VALUE,…`.
fn own(text: &str) -> Parsed<Wanted> {
    let (name, options) = match text.split_once(':') {
        Some((name, options)) if !name.contains('=') => (name, options),
        _ if text.contains('=') => ("", text),
        _ => (text, ""),
    };
    let mut wanted = Wanted { network: name.to_owned(), ..Wanted::default() };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').ok_or_else(|| format!("`{option}` is no KEY=VALUE"))?;
        let address = || value.parse::<std::net::IpAddr>().ok();
        match key {
            "name" if name.is_empty() => value.clone_into(&mut wanted.network),
            "alias" => wanted.aliases.push(hostname(value)?),
            "ip" => match address().filter(std::net::IpAddr::is_ipv4) {
                Some(address) => wanted.addresses.push(address),
                None => return Err(format!("`{value}` is no IPv4 address")),
            },
            "ip6" => match address().filter(std::net::IpAddr::is_ipv6) {
                Some(address) => wanted.addresses.push(address),
                None => return Err(format!("`{value}` is no IPv6 address")),
            },
            "mac" | "mac_address" | "mac-address" => wanted.mac = Some(mac(value)?),
            "interface_name" => {
                check_interface(value)?;
                wanted.interface = Some(value.to_owned());
            }
            _ => {
                return Err(format!("there is no option `{key}`; expected alias, ip, ip6, mac or interface_name"));
            }
        }
    }
    check_name(&wanted.network).map_err(|_| {
        "expected pasta (also called bridge and default), none, host, container:NAME or the name of a network"
            .to_owned()
    })?;
    Ok(wanted)
}

/// Reads a hardware address.
pub fn mac(text: &str) -> Parsed<Mac> {
    text.parse().map_err(str::to_owned)
}

/// Reads `--link`: the container as it was typed, and the name for it.
pub fn link(text: &str) -> Parsed<(String, String)> {
    let (container, alias) = text.split_once(':').unwrap_or((text, text.trim_start_matches('/')));
    if container.is_empty() {
        return Err("expected CONTAINER or CONTAINER:ALIAS".into());
    }
    hostname(alias).map(|alias| (container.to_owned(), alias))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_named_with_what_holds_for_it() {
        let full = "learning:alias=db,alias=store,ip=10.5.0.7,ip6=fd00::7,mac=02:00:5e:10:00:07,interface_name=lan";
        let wanted = Wanted {
            network: "learning".into(),
            interface: Some("lan".into()),
            addresses: vec!["10.5.0.7".parse().unwrap(), "fd00::7".parse().unwrap()],
            mac: Some("02:00:5e:10:00:07".parse().unwrap()),
            aliases: vec!["db".into(), "store".into()],
            ..Wanted::default()
        };
        assert_eq!(network(full), Ok(Reached::Own(wanted.clone())));
        let dockers = full.replacen("learning:", "name=learning,", 1).replace("mac=", "mac-address=");
        assert_eq!(network(&dockers), Ok(Reached::Own(wanted)));
        for bad in [
            "a:ip=fd00::1",
            "a:ip6=10.0.0.1",
            "a:ip",
            "a:mtu=1",
            "a/b",
            ":alias=x",
            "a:mac=1",
            "a:interface_name=lo",
            "a:alias=-",
            "container:",
            "pasta:--netns,/x",
            "pasta:map-gw",
            "pasta:-t,80,443",
            "slirp4netns",
            "slirp4netns:mtu=1500",
        ] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn options_of_pasta_stand_behind_it_parted_by_commas() {
        let words = |text: &str| Ok(Reached::Pasta(text.split(',').map(str::to_owned).collect()));
        assert_eq!(network("pasta:--map-gw"), words("--map-gw"));
        assert_eq!(network("pasta:--mtu,1500,-T,5201"), words("--mtu,1500,-T,5201"));
        assert_eq!(network("pasta:"), Ok(Reached::Pasta(Vec::new())));
        assert!(network("slirp4netns:mtu=1").unwrap_err().contains("pasta"));
    }

    #[test]
    fn a_link_has_the_containers_name_or_another() {
        assert_eq!(link("catserver"), Ok(("catserver".into(), "catserver".into())));
        assert_eq!(link("catserver:cat"), Ok(("catserver".into(), "cat".into())));
        for bad in ["", ":cat", "catserver:", "catserver:a b"] {
            assert!(link(bad).is_err(), "{bad}");
        }
    }
}
