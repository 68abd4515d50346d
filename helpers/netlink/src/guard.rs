//! Whose frames may come by which port of a bridge: a table of nf_tables' bridge family, said whole, so that it is replaced at once or
//! not at all. What is let through is held in sets, so that a frame costs the same however many ports there are.

use std::net::IpAddr;

use crate::message::{CREATE, Message};
use crate::nft::{self, Fate};
use crate::route::octets;
use crate::{Result, Socket};

/// `NFPROTO_BRIDGE`.
const BRIDGE: u8 = 7;
/// As many elements go in one message: an attribute holds 64 KiB.
const AT_ONCE: usize = 400;

/// A port of a bridge, and who is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The interface.
    pub name: String,
    /// The only hardware address that its frames are from.
    pub mac: [u8; 6],
    /// The addresses that are its own.
    pub addresses: Vec<IpAddr>,
}

/// A bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Its ports.
    pub ports: Vec<Port>,
    /// The bridge's own addresses.
    pub addresses: Vec<IpAddr>,
}

/// Puts a table that guards these bridges in place of one of the same name:
///
/// - No frame passes whose source is not its port's hardware address, none with a VLAN tag, under which Linux would find an address that was not
///   looked at, and none from a port that is not named.
/// - Nothing is sent from, and nobody speaks by ARP or NDP for, an address that is another port's, or the bridge's own. One that is nobody's
///   may be taken.
/// - Nobody plays the router: no router advertisement and no redirect of IPv6.
///
/// `ENOENT` and `EOPNOTSUPP`, `EAFNOSUPPORT`, `EPROTONOSUPPORT`: the kernel lacks this family, or something that a rule needs.
pub fn replace(socket: &mut Socket, table: &str, bridges: &[Bridge]) -> Result<()> {
    let batch = Batch { table, messages: Vec::new() };
    socket.batch(&nft::border(nft::BEGIN), &batch.of(bridges), &nft::border(nft::END))
}

const CHAIN: &str = "ports";
/// Register 1 holds 16 bytes, as the name of an interface has; what is asked with it lies behind it, in register 2.
const SECOND: u32 = 2;

/// Headers, as nf_tables counts them.
const LINK: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

const ETHER_IP: [u8; 2] = [0x08, 0x00];
const ETHER_ARP: [u8; 2] = [0x08, 0x06];
const ETHER_IP6: [u8; 2] = [0x86, 0xdd];
const VLAN_TAGS: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];
/// Router advertisement and redirect (RFC 4861).
const OF_ROUTERS: [u8; 2] = [134, 137];
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

struct Batch<'a> {
    table: &'a str,
    messages: Vec<Message>,
}

/// What a rule asks of a packet.
enum Ask<'a> {
    /// These bytes are there: header, offset, bytes.
    Is(u32, u32, &'a [u8]),
    /// It is a message of ICMPv6 of this type.
    Icmp6(u8),
    /// The port is in this set.
    Port(&'a str),
    /// What is there is in this set: header, offset, length.
    In(&'a str, (u32, u32, u32)),
    /// The port together with what is there is not in this set.
    NotTogetherIn(&'a str, (u32, u32, u32)),
}

impl Batch<'_> {
    fn of(mut self, bridges: &[Bridge]) -> Vec<Message> {
        for kind in [nft::NEWTABLE, nft::DELTABLE, nft::NEWTABLE] {
            self.messages.push(message(kind).with(1, &nft::text(self.table)));
        }
        self.chain();
        let ports = || bridges.iter().flat_map(|bridge| &bridge.ports);
        let own = |v4: bool| -> Vec<Vec<u8>> {
            let of = |port: &Port| {
                let name = nft::padded(&port.name);
                let octets = port.addresses.iter().filter(|address| address.is_ipv4() == v4).map(octets);
                octets.map(|octets| [&name[..], &octets].concat()).collect::<Vec<_>>()
            };
            ports().flat_map(of).collect()
        };
        // A field of a set is whole words.
        let stations = ports().map(|port| [&nft::padded(&port.name)[..], &port.mac, &[0; 2]].concat()).collect();
        self.set("stations", 24, stations);
        self.set("own4", 20, own(true));
        self.set("own6", 32, own(false));
        self.drop(&[Ask::NotTogetherIn("stations", (LINK, 6, 6))]);
        for tag in &VLAN_TAGS {
            self.drop(&[Ask::Is(LINK, 12, tag)]);
        }
        for kind in OF_ROUTERS {
            self.drop(&[Ask::Is(LINK, 12, &ETHER_IP6), Ask::Icmp6(kind)]);
        }
        for (number, bridge) in bridges.iter().enumerate() {
            let [names, all4, all6] = ["ports", "all4_", "all6_"].map(|name| format!("{name}{number}"));
            self.set(&names, 16, bridge.ports.iter().map(|port| nft::padded(&port.name).to_vec()).collect());
            let all = |v4: bool| -> Vec<Vec<u8>> {
                let behind = bridge.ports.iter().flat_map(|port| &port.addresses).chain(&bridge.addresses);
                let mut all: Vec<_> = behind.filter(|address| address.is_ipv4() == v4).map(octets).collect();
                all.sort_unstable();
                all.dedup();
                all
            };
            self.set(&all4, 4, all(true));
            self.set(&all6, 16, all(false));
            let ours = || Ask::Port(&names);
            for (kind, at) in [(&ETHER_IP, (NETWORK, 12, 4)), (&ETHER_ARP, (NETWORK, 14, 4))] {
                self.drop(&[ours(), Ask::Is(LINK, 12, kind), Ask::In(&all4, at), Ask::NotTogetherIn("own4", at)]);
            }
            let (source, target) = ((NETWORK, 8, 16), (TRANSPORT, 8, 16));
            let six = || Ask::Is(LINK, 12, &ETHER_IP6);
            self.drop(&[ours(), six(), Ask::In(&all6, source), Ask::NotTogetherIn("own6", source)]);
            let advertises = Ask::Icmp6(NEIGHBOUR_ADVERTISEMENT);
            self.drop(&[ours(), six(), advertises, Ask::In(&all6, target), Ask::NotTogetherIn("own6", target)]);
        }
        self.messages
    }

    fn chain(&mut self) {
        let place = nft::Place { hook: 0, priority: 0, kind: "filter", accepts: true };
        self.messages.push(nft::chain_at(message(nft::NEWCHAIN), self.table, CHAIN, &place));
    }

    /// A set of such keys, which are `length` bytes long.
    fn set(&mut self, name: &str, length: u32, mut keys: Vec<Vec<u8>>) {
        const NEWSET: u16 = nft::SUBSYSTEM | 9;
        const NEWSETELEM: u16 = nft::SUBSYSTEM | 12;
        const NFTA_SET_TABLE: u16 = 1;
        const NFTA_SET_NAME: u16 = 2;
        const NFTA_SET_KEY_LEN: u16 = 5;
        const NFTA_SET_ID: u16 = 10;
        const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
        const NFTA_SET_ELEM_LIST_SET: u16 = 2;
        const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
        const NFTA_SET_ELEM_KEY: u16 = 1;
        // A number of this batch's; sets are found by name.
        let id = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let set = message(NEWSET)
            .with(NFTA_SET_TABLE, &nft::text(self.table))
            .with(NFTA_SET_NAME, &nft::text(name))
            .with(NFTA_SET_KEY_LEN, &nft::big(length))
            .with(NFTA_SET_ID, &nft::big(id));
        self.messages.push(set);
        keys.sort_unstable();
        keys.dedup();
        for keys in keys.chunks(AT_ONCE) {
            let elements = message(NEWSETELEM)
                .with(NFTA_SET_ELEM_LIST_TABLE, &nft::text(self.table))
                .with(NFTA_SET_ELEM_LIST_SET, &nft::text(name))
                .with_nested(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
                    keys.iter().fold(list, |list, key| {
                        list.with_nested(nft::LIST_ELEMENT, |element| {
                            element.with_nested(NFTA_SET_ELEM_KEY, |data| nft::value(data, key))
                        })
                    })
                });
            self.messages.push(elements);
        }
    }

    /// A rule by which what all of this is true of vanishes.
    fn drop(&mut self, asked: &[Ask<'_>]) {
        let rule = nft::rule_of(message(nft::NEWRULE), self.table, CHAIN, |list| {
            nft::fate(asked.iter().fold(list, ask), Fate::Drop)
        });
        self.messages.push(rule);
    }
}

fn message(kind: u16) -> Message {
    let append = if kind == nft::NEWRULE { crate::message::APPEND } else { 0 };
    Message::new(kind, CREATE | append, &[BRIDGE, 0, 0, 0])
}

fn ask(list: Message, ask: &Ask<'_>) -> Message {
    match *ask {
        Ask::Is(header, at, bytes) => {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            nft::equal(nft::payload(list, header, at, length), bytes)
        }
        Ask::Icmp6(kind) => {
            let list = nft::equal(nft::meta(list, nft::META_L4PROTO), &[nft::ICMP6]);
            nft::equal(nft::payload(list, TRANSPORT, 0, 1), &[kind])
        }
        Ask::Port(set) => lookup(nft::meta(list, nft::META_IIFNAME), set, true),
        Ask::In(set, (header, at, length)) => lookup(nft::payload(list, header, at, length), set, true),
        Ask::NotTogetherIn(set, (header, at, length)) => {
            let list = nft::meta(list, nft::META_IIFNAME);
            lookup(nft::payload_to(list, SECOND, header, at, length), set, false)
        }
    }
}

fn lookup(list: Message, set: &str, is_in: bool) -> Message {
    const NFTA_LOOKUP_SET: u16 = 1;
    const NFTA_LOOKUP_SREG: u16 = 2;
    const NFTA_LOOKUP_FLAGS: u16 = 5;
    const INVERTED: u32 = 1;
    nft::expression(list, "lookup", |data| {
        data.with(NFTA_LOOKUP_SET, &nft::text(set))
            .with(NFTA_LOOKUP_SREG, &nft::big(nft::REGISTER))
            .with(NFTA_LOOKUP_FLAGS, &nft::big(if is_in { 0 } else { INVERTED }))
    })
}
