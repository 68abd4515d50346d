//! Which options pasta(1) has, and what becomes of each.

use super::ports::{Door, Protocol};
use super::{Options, values};

/// One of them.
#[derive(Debug)]
pub struct Known {
    /// Its name without dashes.
    pub long: &'static str,
    /// Its letter, where it has one.
    pub short: Option<char>,
    /// What becomes of it.
    pub does: Does,
    /// The first release that has it, where some that are still about have not.
    pub since: Option<&'static str>,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    /// It cannot be had.
    Refuse(&'static str),
    /// It is so in any case.
    Holds,
    /// It says something by itself.
    Set(fn(&mut Options)),
    /// pasta is told.
    Pass,
    /// pasta is told, with a value that is fit.
    PassValue(fn(&str) -> Result<(), String>),
    /// Its value says something.
    Take(fn(&mut Options, &str) -> Result<(), String>),
    /// It opens ports: its letter, and which.
    Open(char, Protocol, Door),
}

impl Known {
    /// Whether a value follows it.
    pub fn takes(&self) -> bool {
        matches!(self.does, Does::PassValue(_) | Does::Take(_) | Does::Open(..))
    }
}

/// Those whose values are files.
pub const FILES: [&str; 2] = ["log-file", "pcap"];

const ITSELF: &str = "enter finds the container's namespaces itself";
const WATCHED: &str = "enter watches pasta itself, in the foreground";
const CONFIGURED: &str = "enter configures the interface itself, before pasta starts";
const NO_DHCP: &str =
    "no DHCP is served, as enter configures the interface itself; use --dns, --dns-search and --hostname of enter's";
const OF_PASST: &str = "it is an option of passt's, for virtual machines";

const fn known(long: &'static str, short: Option<char>, does: Does) -> Known {
    Known { long, short, does, since: None }
}

const fn recent(long: &'static str, since: &'static str, does: Does) -> Known {
    Known { long, short: None, does, since: Some(since) }
}

/// All of them. `map-gw` is podman's: pasta itself knows only its opposite.
pub const TABLE: &[Known] = &[
    known("address", Some('a'), Does::Take(values::address)),
    known("netmask", Some('n'), Does::Take(values::netmask)),
    known("gateway", Some('g'), Does::Take(values::gateway)),
    known("interface", Some('i'), Does::Take(values::template)),
    known("ns-ifname", Some('I'), Does::Take(values::name)),
    known("ns-mac-addr", None, Does::Take(values::mac)),
    known("mac-addr", Some('M'), Does::Take(values::mac_of_pasta)),
    known("mtu", Some('m'), Does::Take(values::mtu)),
    known("ipv4-only", Some('4'), Does::Set(|options| options.only(true))),
    known("ipv6-only", Some('6'), Does::Set(|options| options.only(false))),
    known("outbound", Some('o'), Does::PassValue(values::any_address)),
    known("outbound-if4", None, Does::PassValue(values::outbound)),
    known("outbound-if6", None, Does::PassValue(values::outbound)),
    known("dns", Some('D'), Does::Take(values::dns)),
    known("search", Some('S'), Does::Take(values::search)),
    known("dns-forward", None, Does::Take(values::dns_forward)),
    recent("dns-host", "2024_08_21", Does::PassValue(values::any_address)),
    known("map-gw", None, Does::Set(|options| options.told.map_gateway = true)),
    known("no-map-gw", None, Does::Set(|options| options.told.map_gateway = false)),
    recent("map-host-loopback", "2024_08_21", Does::Take(values::map_host_loopback)),
    recent("map-guest-addr", "2024_08_21", Does::PassValue(values::mapped)),
    recent("host-lo-to-ns-lo", "2024_10_30", Does::Pass),
    recent("freebind", "2024_10_30", Does::Pass),
    recent("no-splice", "2024_11_21", Does::Pass),
    known("tcp-ports", Some('t'), Does::Open('t', Protocol::Tcp, Door::In)),
    known("udp-ports", Some('u'), Does::Open('u', Protocol::Udp, Door::In)),
    known("tcp-ns", Some('T'), Does::Open('T', Protocol::Tcp, Door::Out)),
    known("udp-ns", Some('U'), Does::Open('U', Protocol::Udp, Door::Out)),
    known("no-tcp", None, Does::Pass),
    known("no-udp", None, Does::Pass),
    known("no-icmp", None, Does::Pass),
    known("no-ndp", None, Does::Pass),
    known("no-dhcp", None, Does::Holds),
    known("no-dhcpv6", None, Does::Holds),
    known("no-ra", None, Does::Holds),
    known("no-dhcp-dns", None, Does::Holds),
    known("no-dhcp-search", None, Does::Holds),
    known("no-netns-quit", None, Does::Holds),
    known("quiet", Some('q'), Does::Holds),
    known("dhcp-dns", None, Does::Refuse(NO_DHCP)),
    known("dhcp-search", None, Does::Refuse(NO_DHCP)),
    known("hostname", Some('H'), Does::Refuse(NO_DHCP)),
    known("fqdn", None, Does::Refuse(NO_DHCP)),
    known("pcap", Some('p'), Does::Take(values::pcap)),
    known("log-file", Some('l'), Does::Take(values::log_file)),
    known("log-size", None, Does::PassValue(values::size)),
    known("debug", Some('d'), Does::Set(|options| options.talk("--debug"))),
    known("trace", None, Does::Set(|options| options.talk("--trace"))),
    known("config-net", None, Does::Refuse(CONFIGURED)),
    known("no-copy-routes", None, Does::Refuse(CONFIGURED)),
    known("no-copy-addrs", None, Does::Refuse(CONFIGURED)),
    known("netns", None, Does::Refuse(ITSELF)),
    known("userns", None, Does::Refuse(ITSELF)),
    known("netns-only", None, Does::Refuse(ITSELF)),
    known("nsrun-dir", None, Does::Refuse(ITSELF)),
    known("foreground", Some('f'), Does::Refuse(WATCHED)),
    known("stderr", Some('e'), Does::Refuse("nobody reads it there: use --log-file")),
    known("pid", Some('P'), Does::Refuse(WATCHED)),
    known("runas", None, Does::Refuse("it runs as you, in the container's user namespace")),
    known("help", Some('h'), Does::Refuse("it is for a terminal: see pasta(1)")),
    known("version", None, Does::Refuse("it is for a terminal: see pasta(1)")),
    known("fd", Some('F'), Does::Refuse(OF_PASST)),
    known("socket", Some('s'), Does::Refuse(OF_PASST)),
    known("vhost-user", None, Does::Refuse(OF_PASST)),
    known("one-off", Some('1'), Does::Refuse(OF_PASST)),
    known("repair-path", None, Does::Refuse(OF_PASST)),
];
