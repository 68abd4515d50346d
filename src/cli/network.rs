//! `enter network`: networks of one's own, as docker and podman have them.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use enter::network::{Mac, Range};
use ipnet::IpNet;

use super::PruneArgs;
use super::run::values;

/// What can be done about networks.
#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// Make a network
    ///
    /// Its containers reach each other, by name too, and everything beyond this machine, but neither this machine itself nor the containers
    /// of other networks. Subnet and gateway are chosen where they are not given: the first of 10.89.0.0/24, 10.89.1.0/24, … that neither
    /// another network nor this machine uses.
    ///
    /// Prints the network's ID; where no name was given, the name.
    Create(NetworkCreateArgs),
    /// List networks
    ///
    /// Those of one's own, and the three that are always there: `pasta`, which containers are on that name no other, `host` and `none`.
    #[command(visible_alias = "list")]
    Ls(NetworkLsArgs),
    /// Show all that is known of networks
    ///
    /// Prints a JSON array with docker's names for everything, and with the containers that are on them now. What is not there is told, and
    /// the rest is shown all the same.
    Inspect(NetworkInspectArgs),
    /// Connect a container with one more network
    ///
    /// A container that runs has one more interface at once; one that does not has it from its next start on. One that is on the
    /// default network keeps that too.
    Connect(NetworkConnectArgs),
    /// Disconnect a container from a network
    ///
    /// A container that runs loses the interface, and all connections over it, at once. One that is on no network any more reaches
    /// nothing, until it is connected again.
    Disconnect(NetworkDisconnectArgs),
    /// Remove networks
    ///
    /// A network that a container is on, running or not, is not removed. Every network is tried. Prints the names of those that are gone.
    #[command(visible_alias = "remove")]
    Rm(NetworkRmArgs),
    /// Remove all networks that no container is on
    ///
    /// Asks first. Prints the names of those that are gone.
    Prune(NetworkPruneArgs),
    /// Set up the networks of running containers anew
    ///
    /// What somebody has changed by hand is again as it should be. Every container is tried. Prints their IDs.
    Reload(NetworkReloadArgs),
    /// Change whom a network asks about names
    ///
    /// Holds at once, for names that are not of its own containers.
    Update(NetworkUpdateArgs),
    /// Tell by the exit code whether there is such a network
    ///
    /// 0: there is. 1: there is not. Nothing is printed.
    Exists(NetworkExistsArgs),
}

/// Make a network.
#[derive(Debug, Args)]
pub struct NetworkCreateArgs {
    /// What it is to be called; without it, a free one of enter1, enter2, …
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Its addresses, such as 10.5.0.0/24; may be given twice, for IPv4 and IPv6
    #[arg(long, value_name = "SUBNET", value_parser = subnet)]
    pub subnet: Vec<IpNet>,

    /// The address by which its containers reach everything else: one of the subnet; its first without it
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<IpAddr>,

    /// Which addresses are given to containers that ask for none: 10.5.0.128/25 or 10.5.0.10-10.5.0.90
    #[arg(long, value_name = "RANGE", value_parser = range)]
    pub ip_range: Vec<Range>,

    /// Addresses of IPv6 too: a subnet of fd00::/8 is chosen where none is given
    #[arg(long)]
    pub ipv6: bool,

    /// Let nothing out: its containers reach each other only
    #[arg(long)]
    pub internal: bool,

    /// Describe it by a label
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = values::label)]
    pub label: Vec<(String, String)>,

    /// Ask this name server about names that are not of its own containers, instead of those that this machine asks
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<IpAddr>,

    /// Let its containers not find each other by name
    #[arg(long, conflicts_with = "dns")]
    pub disable_dns: bool,

    /// mtu=BYTES, isolate=true (as every network is), or docker's com.docker.network.driver.mtu and com.docker.network.bridge.name
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = values::annotation)]
    pub opt: Vec<(String, String)>,

    /// What its bridge is called, where `ip link` shows it to those who look there
    #[arg(long, value_name = "NAME")]
    pub interface_name: Option<String>,

    /// How it works: bridge, and nothing else
    #[arg(short, long, value_name = "DRIVER", value_parser = driver)]
    pub driver: Option<String>,

    /// How addresses are given out: host-local, by enter itself, and nothing else
    #[arg(long, value_name = "DRIVER", value_parser = ipam)]
    pub ipam_driver: Option<String>,

    /// Do not fail where there is a network of this name
    #[arg(long, requires = "name")]
    pub ignore: bool,
}

/// List networks.
#[derive(Debug, Args)]
pub struct NetworkLsArgs {
    /// Only networks that fit every filter; of several values for one key, one is enough, but every label must be there
    ///
    /// The keys are `name` and `id` (a part, or a regular expression), `driver`, `label=KEY` or `label=KEY=VALUE`, `label!=KEY`, `scope`, `type`
    /// (custom or builtin), `dangling` (whether no container is on it) and `until=TIME`.
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,

    /// Print each network by a template: `table`, `json`, or Go's syntax such as '{{.ID}} {{.Name}}'
    ///
    /// The fields are .ID .Name .Driver .Scope .IPv4 .IPv6 .Internal .Labels .Label "KEY" .CreatedAt; and podman's .Subnets .DNSEnabled
    /// .IPv6Enabled .NetworkInterface .Options .Created. A template that begins with "table " gets headings.
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,

    /// Print IDs in full
    #[arg(long)]
    pub no_trunc: bool,

    /// Print no headings
    #[arg(short, long)]
    pub noheading: bool,

    /// Print only IDs
    #[arg(short, long)]
    pub quiet: bool,
}

/// Show all that is known of networks.
#[derive(Debug, Args)]
pub struct NetworkInspectArgs {
    /// A name, an ID, or the beginning of one
    #[arg(value_name = "NETWORK", required = true)]
    pub networks: Vec<String>,

    /// Print each by a template in Go's syntax, such as '{{.Name}}', or `json` for JSON in one line
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,
}

/// Connect a container with one more network.
#[derive(Debug, Args)]
pub struct NetworkConnectArgs {
    /// A network's name, its ID, or the beginning of one
    #[arg(value_name = "NETWORK")]
    pub network: String,

    /// A container's name, its ID, or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,

    /// Let the others on this network find it by this name too
    #[arg(long, value_name = "NAME", value_parser = values::hostname)]
    pub alias: Vec<String>,

    /// Its IPv4 address there
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<std::net::Ipv4Addr>,

    /// Its IPv6 address there
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<std::net::Ipv6Addr>,

    /// The hardware address of its interface
    #[arg(long, value_name = "ADDRESS", value_parser = values::mac)]
    pub mac_address: Option<Mac>,
}

/// Disconnect a container from a network.
#[derive(Debug, Args)]
pub struct NetworkDisconnectArgs {
    /// A network's name, its ID, or the beginning of one
    #[arg(value_name = "NETWORK")]
    pub network: String,

    /// A container's name, its ID, or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,

    /// Do not fail where it is not connected
    #[arg(short, long)]
    pub force: bool,
}

/// Remove networks.
#[derive(Debug, Args)]
pub struct NetworkRmArgs {
    /// A name, an ID, or the beginning of one
    #[arg(value_name = "NETWORK", required = true)]
    pub networks: Vec<String>,

    /// Do not fail for those that are not there
    #[arg(short, long)]
    pub force: bool,
}

/// Remove all networks that no container is on.
#[derive(Debug, Args)]
pub struct NetworkPruneArgs {
    /// What is asked, and of what.
    #[command(flatten)]
    pub prune: PruneArgs,
}

/// Set up the networks of running containers anew.
#[derive(Debug, Args)]
pub struct NetworkReloadArgs {
    /// A container's name, its ID, or the beginning of one
    #[arg(value_name = "CONTAINER", required_unless_present = "all", conflicts_with = "all")]
    pub containers: Vec<String>,

    /// All containers that run
    #[arg(short, long)]
    pub all: bool,
}

/// Change whom a network asks about names.
#[derive(Debug, Args)]
pub struct NetworkUpdateArgs {
    /// A name, an ID, or the beginning of one
    #[arg(value_name = "NETWORK")]
    pub network: String,

    /// Ask this name server too
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', required_unless_present = "dns_drop")]
    pub dns_add: Vec<IpAddr>,

    /// Do not ask this name server any more
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub dns_drop: Vec<IpAddr>,
}

/// Tell by the exit code whether there is such a network.
#[derive(Debug, Args)]
pub struct NetworkExistsArgs {
    /// A name, an ID, or the beginning of one
    #[arg(value_name = "NETWORK")]
    pub network: String,
}

/// Reads `--subnet`; bits beyond the prefix count for nothing.
fn subnet(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .map(|net| net.trunc())
        .map_err(|_| "expected a subnet such as 10.5.0.0/24 or fd00:5::/64".into())
}

/// Reads `--ip-range`: a subnet, or the first and the last address.
fn range(text: &str) -> Result<Range, String> {
    if let Ok(net) = text.parse::<IpNet>() {
        return Ok(Range { first: net.network(), last: net.broadcast() });
    }
    let addresses = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    match addresses {
        Some((first, last)) => Ok(Range { first, last }),
        None => Err("expected a range such as 10.5.0.128/25 or 10.5.0.10-10.5.0.90".into()),
    }
}

/// Reads `--driver`.
fn driver(text: &str) -> Result<String, String> {
    match text {
        "bridge" => Ok(text.to_owned()),
        "macvlan" | "ipvlan" => {
            Err("only root may put containers on this machine's own network; expected bridge".into())
        }
        _ => Err("there is no such driver; expected bridge".into()),
    }
}

/// Reads `--ipam-driver`.
fn ipam(text: &str) -> Result<String, String> {
    match text {
        "host-local" | "default" => Ok(text.to_owned()),
        "none" => Err("every container has an address, by which its network knows it; expected host-local".into()),
        "dhcp" => Err("a network of one's own has no server for that; expected host-local".into()),
        _ => Err("there is no such driver; expected host-local".into()),
    }
}
