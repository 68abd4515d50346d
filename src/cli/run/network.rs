//! What a container reaches, and by which names.

use clap::Args;
use enter::container::record::NetworkMode;
use enter::network::Mac;

use super::values;

/// Network and names.
#[derive(Debug, Default, Args)]
pub struct NetworkArgs {
    /// What the container reaches: `pasta`, `bridge` or `default`, the network beyond this machine; `none`, nothing; `host`, whatever this
    /// machine reaches; `container:NAME`, what that one reaches; or a network of one's own, of which there may be several
    ///
    /// Behind `pasta:` may stand options of pasta(1), parted by commas, as podman has them: `pasta:--mtu,1500`. `--map-gw` makes this
    /// machine's own servers reachable at the gateway's address, and under the names of --host-access. `-t` and `-u` open ports of this
    /// machine that lead into the container, at all of its addresses unless one is given, as in `-t,127.0.0.1/8080:80`; `-T` and `-U`
    /// open ports of this machine's 127.0.0.1 to the container, at its own 127.0.0.1; `auto` opens whatever is listened on at any time.
    /// What enter sees to itself, such as --netns and --config-net, is refused.
    ///
    /// Behind the name of a network of one's own may stand, after a colon and parted by commas, what holds for that one: `alias=NAME`,
    /// `ip=ADDRESS`, `ip6=ADDRESS`, `mac=ADDRESS` and `interface_name=NAME`.
    #[arg(long, visible_alias = "net", value_name = "NETWORK", value_parser = values::network)]
    pub network: Vec<values::Reached>,

    /// Let the others on its networks find the container by this name too
    #[arg(long, visible_alias = "net-alias", value_name = "NAME", value_parser = values::hostname)]
    pub network_alias: Vec<String>,

    /// The container's IPv4 address on its network of one's own
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<std::net::Ipv4Addr>,

    /// The container's IPv6 address on its network of one's own
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<std::net::Ipv6Addr>,

    /// The hardware address of the container's interface on its network of one's own
    #[arg(long, value_name = "ADDRESS", value_parser = values::mac)]
    pub mac_address: Option<Mac>,

    /// Let the container find another one, which runs, by its name or by another; the other one does not find it
    ///
    /// It is also told of the other's ports and variables, as docker does: DB_PORT_5432_TCP_ADDR, DB_ENV_NAME.
    #[arg(long, value_name = "CONTAINER[:ALIAS]", value_parser = values::link)]
    pub link: Vec<(String, String)>,

    /// The host name inside; the beginning of the container's ID without it
    #[arg(short = 'h', long, value_name = "NAME", value_parser = values::hostname)]
    pub hostname: Option<String>,

    /// The NIS domain name inside
    #[arg(long, value_name = "NAME", value_parser = values::hostname)]
    pub domainname: Option<String>,

    /// Add a line to /etc/hosts; the address `host-gateway` is this machine's, and opens its own servers to the container as --host-access
    /// does
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = values::extra_host)]
    pub add_host: Vec<String>,

    /// Let the container reach this machine's own servers, those of 127.0.0.1 too, as host.docker.internal and host.containers.internal
    ///
    /// These names are there only for containers that were run so, or with `--add-host NAME:host-gateway`, or under the setting `host-access`.
    /// On a network of one's own the others on it do not reach those servers; they are reached by IPv4, and not from an internal network.
    /// A published port is reached there too: `nc host.docker.internal 1234`. pasta of 2023, that of Debian 12, does not end a connection well
    /// whose client is the first to say that it has no more to say (`echo x | nc -N …`): it gives the answer again and again, or never its
    /// end. `--network pasta:-T,PORT` does not have that defect: the server is then at 127.0.0.1:PORT in the container.
    #[arg(long, conflicts_with = "no_hosts")]
    pub host_access: bool,

    /// Leave the image's /etc/hosts as it is
    #[arg(long, conflicts_with = "add_host")]
    pub no_hosts: bool,

    /// Ask this name server, instead of this machine's
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<std::net::IpAddr>,

    /// Look names up in this domain too; `.` for none
    #[arg(long, value_name = "DOMAIN", value_parser = values::word)]
    pub dns_search: Vec<String>,

    /// Add an option to resolv.conf(5)
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION", value_parser = values::word)]
    pub dns_option: Vec<String>,

    /// Make a port of the container reachable from outside: on this machine's 127.0.0.1 where no address is given, and by a port of the
    /// system's choice where none is
    ///
    /// `8080:80`, `0.0.0.0:8080:80`, `[::1]:8080:80`, `80`, `53:53/udp`, `8000-8010:8000-8010`; of `8000-8010:80` one that is free.
    /// What listens inside sees a client's own address and port. The container's own it sees of clients at this machine's 127.0.0.1 or [::1], of
    /// those that come by the other IP version than it is reached by, and of datagrams when more than a thousand others send them. See also
    /// `enter port`.
    #[arg(short, long, value_name = "[[ADDRESS:][HOST]:]PORT[/PROTOCOL]", value_parser = values::published, allow_hyphen_values = true)]
    pub publish: Vec<values::Published>,

    /// Make every port reachable that the image or --expose names, by ports of the system's choice
    #[arg(short = 'P', long)]
    pub publish_all: bool,

    /// Note that the container listens on this port
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_parser = values::exposed)]
    pub expose: Vec<String>,
}

impl NetworkArgs {
    /// Whether it is to be on networks of one's own.
    pub fn has_own(&self) -> bool {
        !self.link.is_empty() || self.network.iter().any(|reached| matches!(reached, values::Reached::Own(_)))
    }

    /// The options of pasta(1) that stand behind `pasta:`, if any do.
    pub fn pasta(&self) -> Option<&[String]> {
        self.network.iter().find_map(|reached| match reached {
            values::Reached::Pasta(options) => Some(&options[..]),
            _ => None,
        })
    }

    /// The container whose network it is to be in, as it was typed.
    pub fn container(&self) -> Option<&str> {
        self.network.iter().find_map(|reached| match reached {
            values::Reached::Mode(NetworkMode::Container(typed)) => Some(typed.as_str()),
            _ => None,
        })
    }
}
