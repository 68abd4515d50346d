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
const SUBSYSTEM: u16 = 10 << 8;
const BEGIN: u16 = 16;
const END: u16 = 17;
const NEWTABLE: u16 = SUBSYSTEM;
const DELTABLE: u16 = SUBSYSTEM | 2;
const NEWCHAIN: u16 = SUBSYSTEM | 3;
const NEWRULE: u16 = SUBSYSTEM | 6;

/// The first register for data (`NFT_REG_1`).
const REGISTER: u32 = 1;

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
    // res_id of struct nfgenmsg: for whom the batch is, as the network has it.
    let border = |kind: u16| Message::new(kind, 0, &[0, 0, 0, 10]);
    socket.batch(&border(BEGIN), &messages, &border(END))
}

fn message(kind: u16, flags: u16) -> Message {
    Message::new(kind, flags, &[INET, 0, 0, 0])
}

fn named(kind: u16, table: &str) -> Message {
    const NFTA_TABLE_NAME: u16 = 1;
    message(kind, CREATE).with(NFTA_TABLE_NAME, &text(table))
}

fn chain(table: &str, chain: &Chain) -> Message {
    const NFTA_CHAIN_TABLE: u16 = 1;
    const NFTA_CHAIN_NAME: u16 = 3;
    const NFTA_CHAIN_HOOK: u16 = 4;
    const NFTA_CHAIN_POLICY: u16 = 5;
    const NFTA_CHAIN_TYPE: u16 = 7;
    const NFTA_HOOK_HOOKNUM: u16 = 1;
    const NFTA_HOOK_PRIORITY: u16 = 2;
    const SOURCE_NAT: u32 = 100;
    let (number, priority, kind) = match chain.hook {
        Hook::Input => (1, 0, "filter"),
        Hook::Forward => (2, 0, "filter"),
        Hook::Masquerade => (4, SOURCE_NAT, "nat"),
    };
    message(NEWCHAIN, CREATE)
        .with(NFTA_CHAIN_TABLE, &text(table))
        .with(NFTA_CHAIN_NAME, &text(chain.name))
        .with_nested(NFTA_CHAIN_HOOK, |hook| {
            hook.with(NFTA_HOOK_HOOKNUM, &big(number)).with(NFTA_HOOK_PRIORITY, &big(priority))
        })
        .with(NFTA_CHAIN_POLICY, &big(u32::from(chain.otherwise == Fate::Accept)))
        .with(NFTA_CHAIN_TYPE, &text(kind))
}

fn rule(table: &str, chain: &str, rule: &Rule) -> Message {
    const NFTA_RULE_TABLE: u16 = 1;
    const NFTA_RULE_CHAIN: u16 = 2;
    const NFTA_RULE_EXPRESSIONS: u16 = 4;
    message(NEWRULE, CREATE | APPEND)
        .with(NFTA_RULE_TABLE, &text(table))
        .with(NFTA_RULE_CHAIN, &text(chain))
        .with_nested(NFTA_RULE_EXPRESSIONS, |list| fate(rule.tests.iter().fold(list, test), rule.fate))
}

fn test(list: Message, test: &Test) -> Message {
    const META_IIFNAME: u32 = 6;
    const META_OIFNAME: u32 = 7;
    const META_L4PROTO: u32 = 16;
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
        Test::Established => established(list),
    }
}

/// The source or destination in a header of IPv4 or IPv6.
fn network(list: Message, address: IpAddr, at4: u32, at6: u32) -> Message {
    const META_NFPROTO: u32 = 15;
    const HEADER: u32 = 1;
    let (family, at) = if address.is_ipv4() { (crate::AF_INET, at4) } else { (crate::AF_INET6, at6) };
    let octets = octets(&address);
    let length = if address.is_ipv4() { 4 } else { 16 };
    equal(payload(equal(meta(list, META_NFPROTO), &[family]), HEADER, at, length), &octets)
}

fn established(list: Message) -> Message {
    const NFTA_CT_DREG: u16 = 1;
    const NFTA_CT_KEY: u16 = 2;
    const STATE: u32 = 0;
    const ESTABLISHED: u32 = 2;
    const RELATED: u32 = 4;
    const NFTA_BITWISE_SREG: u16 = 1;
    const NFTA_BITWISE_DREG: u16 = 2;
    const NFTA_BITWISE_LEN: u16 = 3;
    const NFTA_BITWISE_MASK: u16 = 4;
    const NFTA_BITWISE_XOR: u16 = 5;
    let list = expression(list, "ct", |data| data.with(NFTA_CT_DREG, &big(REGISTER)).with(NFTA_CT_KEY, &big(STATE)));
    let list = expression(list, "bitwise", |data| {
        data.with(NFTA_BITWISE_SREG, &big(REGISTER))
            .with(NFTA_BITWISE_DREG, &big(REGISTER))
            .with(NFTA_BITWISE_LEN, &big(4))
            .with_nested(NFTA_BITWISE_MASK, |mask| value(mask, &(ESTABLISHED | RELATED).to_ne_bytes()))
            .with_nested(NFTA_BITWISE_XOR, |xor| value(xor, &[0; 4]))
    });
    compare(list, NOT_EQUAL, &[0; 4])
}

fn meta(list: Message, key: u32) -> Message {
    const NFTA_META_DREG: u16 = 1;
    const NFTA_META_KEY: u16 = 2;
    expression(list, "meta", |data| data.with(NFTA_META_DREG, &big(REGISTER)).with(NFTA_META_KEY, &big(key)))
}

fn payload(list: Message, base: u32, offset: u32, length: u32) -> Message {
    const NFTA_PAYLOAD_DREG: u16 = 1;
    const NFTA_PAYLOAD_BASE: u16 = 2;
    const NFTA_PAYLOAD_OFFSET: u16 = 3;
    const NFTA_PAYLOAD_LEN: u16 = 4;
    expression(list, "payload", |data| {
        data.with(NFTA_PAYLOAD_DREG, &big(REGISTER))
            .with(NFTA_PAYLOAD_BASE, &big(base))
            .with(NFTA_PAYLOAD_OFFSET, &big(offset))
            .with(NFTA_PAYLOAD_LEN, &big(length))
    })
}

const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const NOT_ABOVE: u32 = 3;
const NOT_BELOW: u32 = 5;

fn equal(list: Message, wanted: &[u8]) -> Message {
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

fn fate(list: Message, fate: Fate) -> Message {
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

fn expression(list: Message, name: &str, fill: impl FnOnce(Message) -> Message) -> Message {
    const NFTA_LIST_ELEM: u16 = 1;
    const NFTA_EXPR_NAME: u16 = 1;
    const NFTA_EXPR_DATA: u16 = 2;
    list.with_nested(NFTA_LIST_ELEM, |element| {
        element.with(NFTA_EXPR_NAME, &text(name)).with_nested(NFTA_EXPR_DATA, fill)
    })
}

fn value(data: Message, value: &[u8]) -> Message {
    const NFTA_DATA_VALUE: u16 = 1;
    data.with(NFTA_DATA_VALUE, value)
}

/// Numbers are as the network has them, but for what stands in a register.
fn big(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn text(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0"].concat()
}

/// A name of an interface as a register holds it.
fn padded(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    bytes
}
