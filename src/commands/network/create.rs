//! `enter network create [NAME]`.

use std::net::IpAddr;
use std::process::ExitCode;

use enter::network::pool::{self, Taken};
use enter::network::record::{LINKS, check_interface};
use enter::network::{Error, Network, Networks, Range, Subnet, host};

use super::{Place, predefined};
use crate::cli::NetworkCreateArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// The smallest packet that IPv6 must be able to carry (RFC 8200, 5), and that of IPv4 (RFC 791, 3.2).
const SMALLEST: (u32, u32) = (1280, 68);
/// The largest that a bridge carries.
const LARGEST: u32 = 65535;

/// Makes a network, and prints its ID.
pub fn run(ui: &Ui, args: &NetworkCreateArgs) -> Result<ExitCode, Failure> {
    let place = Place::of_user()?;
    let failed = |error: Error| Failure::from(error).with_code(VERB_FAILED);
    let options = Options::read(args)?;
    let network = match &args.name {
        Some(name) => {
            predefined::refuse(name, "made")?;
            if name.starts_with(LINKS) {
                let reason = "such names are for the networks that --link makes";
                return Err(failed(Error::BadName { name: name.clone(), reason }));
            }
            match make(&place.networks, name, args, &options) {
                Err(Error::NameInUse(_)) if args.ignore => {
                    return show(ui, &place.networks.get(name).map_err(failed)?.id);
                }
                made => made.map_err(failed)?,
            }
        }
        None => make_unnamed(&place.networks, args, &options).map_err(failed)?,
    };
    place.tell(&network, "create", None);
    show(ui, if args.name.is_some() { &network.id } else { &network.name })
}

fn show(ui: &Ui, line: &str) -> Result<ExitCode, Failure> {
    let mut output = ui.output();
    output.line(line);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Makes one by the first free name.
fn make_unnamed(networks: &Networks, args: &NetworkCreateArgs, options: &Options) -> Result<Network, Error> {
    let mut number = 1_u32;
    loop {
        match make(networks, &format!("enter{number}"), args, options) {
            Err(Error::NameInUse(_)) => number += 1,
            made => return made,
        }
    }
}

/// What `--opt` says.
#[derive(Debug, Default)]
struct Options {
    mtu: Option<u32>,
    interface: Option<String>,
}

impl Options {
    fn read(args: &NetworkCreateArgs) -> Result<Self, Failure> {
        let mut options = Self { interface: args.interface_name.clone(), ..Self::default() };
        for (key, value) in &args.opt {
            let bad = |why: &str| {
                Failure::new(format!("--opt cannot be `{key}={value}`: {why}"))
                    .with_hint("see `enter network create --help`")
            };
            match key.as_str() {
                "mtu" | "com.docker.network.driver.mtu" => {
                    let is_ipv6 = args.ipv6 || args.subnet.iter().any(|subnet| subnet.addr().is_ipv6());
                    let least = if is_ipv6 { SMALLEST.0 } else { SMALLEST.1 };
                    let mtu = value.parse().ok().filter(|mtu| (least..=LARGEST).contains(mtu));
                    let form = format!("expected a number of bytes from {least} to {LARGEST}");
                    options.mtu = Some(mtu.ok_or_else(|| bad(&form))?);
                }
                "com.docker.network.bridge.name" => options.interface = Some(value.clone()),
                "isolate" if matches!(value.as_str(), "true" | "1" | "strict") => {}
                "metric" => {
                    return Err(bad("the first network of a container is its way out, in the order of --network"));
                }
                "isolate" => return Err(bad("every network is isolated from the others")),
                _ => return Err(bad("there is no such option")),
            }
        }
        if let Some(name) = &options.interface {
            check_interface(name).map_err(|why| {
                Failure::new(format!("the bridge cannot be called `{name}`: {why}"))
                    .with_hint("leave it away: a name is chosen")
            })?;
        }
        Ok(options)
    }
}

fn make(networks: &Networks, name: &str, args: &NetworkCreateArgs, options: &Options) -> Result<Network, Error> {
    networks.create(name, |others| {
        let mut taken = pool::taken_by(others);
        // Last, so that another network is named before a route that leads to it.
        taken.extend(host::taken());
        Ok(Network {
            subnets: subnets(args, &mut taken)?,
            internal: args.internal,
            ipv6: args.ipv6 || args.subnet.iter().any(|subnet| subnet.addr().is_ipv6()),
            dns: !args.disable_dns,
            dns_servers: args.dns.clone(),
            mtu: options.mtu,
            labels: args.label.iter().cloned().collect(),
            options: args.opt.iter().cloned().collect(),
            interface: interface(options.interface.as_deref(), others)?,
            ..Network::new(name)?
        })
    })
}

/// What its bridge is to be called: as asked, or the first that is free.
pub fn interface(asked: Option<&str>, others: &[Network]) -> Result<String, Error> {
    let is_taken = |name: &str| others.iter().any(|other| other.interface == name);
    match asked {
        Some(name) if is_taken(name) => {
            Err(Error::Unsuitable(format!("the bridge of another network is called {name} already")))
        }
        Some(name) => Ok(name.to_owned()),
        None => Ok((1_u32..).map(|number| format!("enter{number}")).find(|name| !is_taken(name)).unwrap_or_default()),
    }
}

/// The subnets that were asked for, and those that are chosen.
fn subnets(args: &NetworkCreateArgs, taken: &mut Vec<Taken>) -> Result<Vec<Subnet>, Error> {
    let unsuitable = |reason: String| Err(Error::Unsuitable(reason));
    let mut wanted = args.subnet.clone();
    if wanted.is_empty() && !(args.gateway.is_empty() && args.ip_range.is_empty()) {
        return unsuitable("a gateway or a range is of a subnet: name that too, with --subnet".into());
    }
    let mut families: Vec<bool> = wanted.iter().map(|subnet| subnet.addr().is_ipv4()).collect();
    families.dedup();
    if wanted.len() > families.len() || families.len() > 2 {
        return unsuitable("a network has one subnet of each family at most".into());
    }
    if wanted.is_empty() {
        wanted.push(pool::free_ipv4(taken)?);
    }
    if args.ipv6 && wanted.iter().all(|subnet| subnet.addr().is_ipv4()) {
        wanted.push(pool::free_ipv6(taken)?);
    }
    let is_in = |address: &IpAddr| wanted.iter().any(|subnet| subnet.contains(address));
    if let Some(stray) = args.gateway.iter().find(|gateway| !is_in(gateway)) {
        return unsuitable(format!("the gateway {stray} is not an address of any --subnet"));
    }
    if let Some(Range { first, last }) = args.ip_range.iter().find(|range| !is_in(&range.first)) {
        return unsuitable(format!("the range {first}-{last} is not within any --subnet"));
    }
    let mut made: Vec<Subnet> = Vec::new();
    for subnet in wanted {
        let mut gateways = args.gateway.iter().copied().filter(|gateway| subnet.contains(gateway));
        let mut ranges = args.ip_range.iter().copied().filter(|range| subnet.contains(&range.first));
        let one = pool::subnet(subnet, gateways.next(), ranges.next(), taken)?;
        if gateways.next().is_some() || ranges.next().is_some() {
            return unsuitable(format!("the subnet {subnet} has one gateway and one range"));
        }
        taken.push(Taken { subnet: one.subnet, by: format!("{}, which was asked for too", one.subnet) });
        made.push(one);
    }
    Ok(made)
}
