//! The firewall of nf_tables: one table at a time, said whole, so that it is replaced at once or not at all.
//!
//! A [`Rule`] is a list of tests and what becomes of a packet that passes them all. Numbers are those of linux/netfilter.h and
//! netfilter/nf_tables.h, which never change.

use std::net::IpAddr;

use crate::message::{APPEND, CREATE, Message};
use crate::route::octets;
use crate::{Result, Socket};

/// `NFPROTO_INET`: both families in one table.
const INET: u8 = 1;
pub(crate) const SUBSYSTEM: u16 = 10 << 8;
pub(crate) const BEGIN: u16 = 16;
pub(crate) const END: u16 = 17;
pub(crate) const NEWTABLE: u16 = SUBSYSTEM;
pub(crate) const DELTABLE: u16 = SUBSYSTEM | 2;
pub(crate) const NEWCHAIN: u16 = SUBSYSTEM | 3;
pub(crate) const NEWRULE: u16 = SUBSYSTEM | 6;

/// The first register for data (`NFT_REG_1`).
pub(crate) const REGISTER: u32 = 1;

pub(crate) const META_IIFNAME: u32 = 6;
pub(crate) const META_L4PROTO: u32 = 16;
const META_NFPROTO: u32 = 15;
/// The header of IPv4 or IPv6.
const HEADER: u32 = 1;
/// `NFTA_LIST_ELEM`.
pub(crate) const LIST_ELEMENT: u16 = 1;

/// Where packets come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// On their way to this namespace itself.
    Input,
    /// On their way through.
    Forward,
    /// As they leave, to be given another source address.
    Masquerade,
}

/// A condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It came by this interface.
    From(String),
    /// It leaves by this interface.
    To(String),
    /// It belongs to a connection that was let through, or is an error message about one.
    Established,
    /// It is sent to this address.
    Destination(IpAddr),
    /// It is sent from this address.
    Source(IpAddr),
    /// It is of IPv4, or of IPv6, and its source is in none of these subnets (address and length of the prefix) of that family.
    SourceOutside(bool, Vec<(IpAddr, u8)>),
    /// It is of this protocol (protocols(5)).
    Protocol(u8),
    /// It is sent to this port; only after a [`Test::Protocol`] that has ports.
    Port(u16),
    /// It is an ICMP message of one of these types, lowest and highest; only after a [`Test::Protocol`].
    IcmpTypes(u8, u8),
}

/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP.
pub const ICMP: u8 = 1;
/// ICMP of IPv6.
pub const ICMP6: u8 = 58;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Accept,
    /// It vanishes.
    Drop,
    /// Its sender is told that it may not pass.
    Reject,
    /// It gets the address of the interface that it leaves by.
    Masquerade,
}

/// What becomes of the packets that pass all tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// All of them are to be passed.
    pub tests: Vec<Test>,
    /// What then becomes of the packet.
    pub fate: Fate,
}

/// The rules of one place, asked in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: &'static str,
    /// The place.
    pub hook: Hook,
    /// What becomes of a packet that no rule is about: [`Fate::Accept`] or [`Fate::Drop`].
    pub otherwise: Fate,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// Puts a table with these chains in place of one of the same name.
///
/// `ENOENT` and `EOPNOTSUPP`: the kernel lacks something that a rule needs; `EPROTONOSUPPORT`: it has no nf_tables at all.
pub fn replace(socket: &mut Socket, table: &str, chains: &[Chain]) -> Result<()> {
    let mut messages = vec![named(NEWTABLE, table), named(DELTABLE, table), named(NEWTABLE, table)];
    for one in chains {
        messages.push(chain(table, one));
        messages.extend(one.rules.iter().map(|rule| self::rule(table, one.name, rule)));
    }
    socket.batch(&border(BEGIN), &messages, &border(END))
}

/// Where a batch begins or ends.
pub(crate) fn border(kind: u16) -> Message {
    // res_id of struct nfgenmsg: for whom the batch is, as the network has it.
    Message::new(kind, 0, &[0, 0, 0, 10])
}

fn message(kind: u16, flags: u16) -> Message {
    Message::new(kind, flags, &[INET, 0, 0, 0])
}

fn named(kind: u16, table: &str) -> Message {
    const NFTA_TABLE_NAME: u16 = 1;
    message(kind, CREATE).with(NFTA_TABLE_NAME, &text(table))
}

fn chain(table: &str, chain: &Chain) -> Message {
    const SOURCE_NAT: u32 = 100;
    let (hook, priority, kind) = match chain.hook {
        Hook::Input => (1, 0, "filter"),
        Hook::Forward => (2, 0, "filter"),
        Hook::Masquerade => (4, SOURCE_NAT, "nat"),
    };
    let place = Place { hook, priority, kind, accepts: chain.otherwise == Fate::Accept };
    chain_at(message(NEWCHAIN, CREATE), table, chain.name, &place)
}

/// Where a chain stands.
pub(crate) struct Place {
    pub hook: u32,
    pub priority: u32,
    pub kind: &'static str,
    /// What no rule is about goes on.
    pub accepts: bool,
}

/// The rest of a message that makes a chain.
pub(crate) fn chain_at(message: Message, table: &str, name: &str, place: &Place) -> Message {
    const NFTA_CHAIN_TABLE: u16 = 1;
    const NFTA_CHAIN_NAME: u16 = 3;
    const NFTA_CHAIN_HOOK: u16 = 4;
    const NFTA_CHAIN_POLICY: u16 = 5;
    const NFTA_CHAIN_TYPE: u16 = 7;
    const NFTA_HOOK_HOOKNUM: u16 = 1;
    const NFTA_HOOK_PRIORITY: u16 = 2;
    message
        .with(NFTA_CHAIN_TABLE, &text(table))
        .with(NFTA_CHAIN_NAME, &text(name))
        .with_nested(NFTA_CHAIN_HOOK, |hook| {
            hook.with(NFTA_HOOK_HOOKNUM, &big(place.hook)).with(NFTA_HOOK_PRIORITY, &big(place.priority))
        })
        .with(NFTA_CHAIN_POLICY, &big(u32::from(place.accepts)))
        .with(NFTA_CHAIN_TYPE, &text(place.kind))
}

fn rule(table: &str, chain: &str, rule: &Rule) -> Message {
    rule_of(message(NEWRULE, CREATE | APPEND), table, chain, |list| fate(rule.tests.iter().fold(list, test), rule.fate))
}

/// The rest of a message that makes a rule of these expressions.
pub(crate) fn rule_of(message: Message, table: &str, chain: &str, fill: impl FnOnce(Message) -> Message) -> Message {
    const NFTA_RULE_TABLE: u16 = 1;
    const NFTA_RULE_CHAIN: u16 = 2;
    const NFTA_RULE_EXPRESSIONS: u16 = 4;
    message
        .with(NFTA_RULE_TABLE, &text(table))
        .with(NFTA_RULE_CHAIN, &text(chain))
        .with_nested(NFTA_RULE_EXPRESSIONS, fill)
}

fn test(list: Message, test: &Test) -> Message {
    const META_OIFNAME: u32 = 7;
    const TRANSPORT: u32 = 2;
    match test {
        Test::From(name) => equal(meta(list, META_IIFNAME), &padded(name)),
        Test::To(name) => equal(meta(list, META_OIFNAME), &padded(name)),
        Test::Protocol(number) => equal(meta(list, META_L4PROTO), &[*number]),
        Test::Port(port) => equal(payload(list, TRANSPORT, 2, 2), &port.to_be_bytes()),
        Test::IcmpTypes(low, high) => {
            let list = payload(list, TRANSPORT, 0, 1);
            compare(compare(list, NOT_BELOW, &[*low]), NOT_ABOVE, &[*high])
        }
        Test::Source(address) => network(list, *address, 12, 8),
        Test::Destination(address) => network(list, *address, 16, 24),
        Test::SourceOutside(v4, subnets) => outside(list, *v4, subnets),
        Test::Established => established(list),
    }
}

/// The source or destination in a header of IPv4 or IPv6.
fn network(list: Message, address: IpAddr, at4: u32, at6: u32) -> Message {
    let (family, at) = if address.is_ipv4() { (crate::AF_INET, at4) } else { (crate::AF_INET6, at6) };
    let octets = octets(&address);
    let length = if address.is_ipv4() { 4 } else { 16 };
    equal(payload(equal(meta(list, META_NFPROTO), &[family]), HEADER, at, length), &octets)
}

fn outside(list: Message, v4: bool, subnets: &[(IpAddr, u8)]) -> Message {
    let (family, at, length) = if v4 { (crate::AF_INET, 12, 4) } else { (crate::AF_INET6, 8, 16) };
    let list = equal(meta(list, META_NFPROTO), &[family]);
    subnets.iter().filter(|(address, _)| address.is_ipv4() == v4).fold(list, |list, (address, prefix)| {
        let mask: Vec<u8> = (0..length).map(|byte| ones(u32::from(*prefix).saturating_sub(8 * byte))).collect();
        let wanted: Vec<u8> = octets(address).iter().zip(&mask).map(|(octet, mask)| octet & mask).collect();
        compare(masked(payload(list, HEADER, at, length), &mask), NOT_EQUAL, &wanted)
    })
}

/// A byte that begins with so many ones.
fn ones(count: u32) -> u8 {
    0xff_u8.checked_shl(8_u32.saturating_sub(count)).unwrap_or(0)
}

/// What is in the register, but only those bits.
fn masked(list: Message, mask: &[u8]) -> Message {
    const NFTA_BITWISE_SREG: u16 = 1;
    const NFTA_BITWISE_DREG: u16 = 2;
    const NFTA_BITWISE_LEN: u16 = 3;
    const NFTA_BITWISE_MASK: u16 = 4;
    const NFTA_BITWISE_XOR: u16 = 5;
    expression(list, "bitwise", |data| {
        data.with(NFTA_BITWISE_SREG, &big(REGISTER))
            .with(NFTA_BITWISE_DREG, &big(REGISTER))
            .with(NFTA_BITWISE_LEN, &big(u32::try_from(mask.len()).unwrap_or(u32::MAX)))
            .with_nested(NFTA_BITWISE_MASK, |data| value(data, mask))
            .with_nested(NFTA_BITWISE_XOR, |data| value(data, &vec![0; mask.len()]))
    })
}

fn established(list: Message) -> Message {
    const NFTA_CT_DREG: u16 = 1;
    const NFTA_CT_KEY: u16 = 2;
    const STATE: u32 = 0;
    const ESTABLISHED: u32 = 2;
    const RELATED: u32 = 4;
    let list = expression(list, "ct", |data| data.with(NFTA_CT_DREG, &big(REGISTER)).with(NFTA_CT_KEY, &big(STATE)));
    let list = masked(list, &(ESTABLISHED | RELATED).to_ne_bytes());
    compare(list, NOT_EQUAL, &[0; 4])
}

pub(crate) fn meta(list: Message, key: u32) -> Message {
    const NFTA_META_DREG: u16 = 1;
    const NFTA_META_KEY: u16 = 2;
    expression(list, "meta", |data| data.with(NFTA_META_DREG, &big(REGISTER)).with(NFTA_META_KEY, &big(key)))
}

pub(crate) fn payload(list: Message, base: u32, offset: u32, length: u32) -> Message {
    payload_to(list, REGISTER, base, offset, length)
}

/// The same in another register.
pub(crate) fn payload_to(list: Message, register: u32, base: u32, offset: u32, length: u32) -> Message {
    const NFTA_PAYLOAD_DREG: u16 = 1;
    const NFTA_PAYLOAD_BASE: u16 = 2;
    const NFTA_PAYLOAD_OFFSET: u16 = 3;
    const NFTA_PAYLOAD_LEN: u16 = 4;
    expression(list, "payload", |data| {
        data.with(NFTA_PAYLOAD_DREG, &big(register))
            .with(NFTA_PAYLOAD_BASE, &big(base))
            .with(NFTA_PAYLOAD_OFFSET, &big(offset))
            .with(NFTA_PAYLOAD_LEN, &big(length))
    })
}

const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const NOT_ABOVE: u32 = 3;
const NOT_BELOW: u32 = 5;

pub(crate) fn equal(list: Message, wanted: &[u8]) -> Message {
    compare(list, EQUAL, wanted)
}

fn compare(list: Message, how: u32, wanted: &[u8]) -> Message {
    const NFTA_CMP_SREG: u16 = 1;
    const NFTA_CMP_OP: u16 = 2;
    const NFTA_CMP_DATA: u16 = 3;
    expression(list, "cmp", |data| {
        data.with(NFTA_CMP_SREG, &big(REGISTER))
            .with(NFTA_CMP_OP, &big(how))
            .with_nested(NFTA_CMP_DATA, |data| value(data, wanted))
    })
}

pub(crate) fn fate(list: Message, fate: Fate) -> Message {
    const NFTA_IMMEDIATE_DREG: u16 = 1;
    const NFTA_IMMEDIATE_DATA: u16 = 2;
    const NFTA_DATA_VERDICT: u16 = 2;
    const NFTA_VERDICT_CODE: u16 = 1;
    const NFTA_REJECT_TYPE: u16 = 1;
    const NFTA_REJECT_ICMP_CODE: u16 = 2;
    const ICMPX: u32 = 2;
    const ADMIN_PROHIBITED: u8 = 3;
    let verdict = |list, code: u32| {
        expression(list, "immediate", |data| {
            data.with(NFTA_IMMEDIATE_DREG, &big(0)).with_nested(NFTA_IMMEDIATE_DATA, |data| {
                data.with_nested(NFTA_DATA_VERDICT, |verdict| verdict.with(NFTA_VERDICT_CODE, &big(code)))
            })
        })
    };
    match fate {
        Fate::Drop => verdict(list, 0),
        Fate::Accept => verdict(list, 1),
        Fate::Masquerade => expression(list, "masq", |data| data),
        Fate::Reject => expression(list, "reject", |data| {
            data.with(NFTA_REJECT_TYPE, &big(ICMPX)).with(NFTA_REJECT_ICMP_CODE, &[ADMIN_PROHIBITED])
        }),
    }
}

pub(crate) fn expression(list: Message, name: &str, fill: impl FnOnce(Message) -> Message) -> Message {
    const NFTA_EXPR_NAME: u16 = 1;
    const NFTA_EXPR_DATA: u16 = 2;
    list.with_nested(LIST_ELEMENT, |element| {
        element.with(NFTA_EXPR_NAME, &text(name)).with_nested(NFTA_EXPR_DATA, fill)
    })
}

pub(crate) fn value(data: Message, value: &[u8]) -> Message {
    const NFTA_DATA_VALUE: u16 = 1;
    data.with(NFTA_DATA_VALUE, value)
}

/// Numbers are as the network has them, but for what stands in a register.
pub(crate) fn big(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

pub(crate) fn text(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0"].concat()
}

/// A name of an interface as a register holds it.
pub(crate) fn padded(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    bytes
}
