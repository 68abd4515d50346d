//! Routes for packets with a mark, or for the answers to one sender: a table of their own, and the rule that sends them there (ip-rule(8)).
//!
//! Numbers are those of linux/fib_rules.h and rtnetlink.h, which never change.

use std::net::{IpAddr, SocketAddr};

use nix::errno::Errno;

use crate::message::{CREATE, EXCLUSIVE, Message, REPLACE};
use crate::socket::Socket;
use crate::{AF_INET, AF_INET6, Result};

const RTM_NEWROUTE: u16 = 24;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const LOOPBACK: u32 = 1;
const FR_ACT_TO_TBL: u8 = 1;

/// Everything with this mark is for this namespace itself, whatever its address. Can be said again.
pub fn keep_marked(socket: &mut Socket, ipv4: bool, mark: u32, table: u8) -> Result<()> {
    const FRA_FWMARK: u16 = 10;
    socket.request(&to_itself(family(ipv4), table))?;
    let rule = Message::new(RTM_NEWRULE, CREATE | EXCLUSIVE, &header(family(ipv4), 0, table));
    match socket.request(&rule.with(FRA_FWMARK, &mark.to_ne_bytes())) {
        Err(Errno::EEXIST) => Ok(()),
        done => done,
    }
}

/// What is answered from one address and one port of this namespace to one sender, by UDP, is for this namespace itself, whatever the
/// sender's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Who answers. Who has not said which address he answers from does so from this one.
    pub from: SocketAddr,
    /// The sender; of the same family.
    pub to: SocketAddr,
}

impl Answers {
    /// Sees to it, by a table of their own.
    ///
    /// # Errors
    /// `EEXIST` where that is so already for the same port and sender.
    pub fn keep(&self, socket: &mut Socket, table: u8) -> Result<()> {
        const RTA_PREFSRC: u16 = 7;
        let route = to_itself(family(self.from.is_ipv4()), table);
        socket.request(&with_address(route, RTA_PREFSRC, self.from.ip()))?;
        socket.request(&self.rule(RTM_NEWRULE, CREATE | EXCLUSIVE, table))
    }

    /// Takes it back.
    ///
    /// # Errors
    /// `ENOENT` where it is not so.
    pub fn forget(&self, socket: &mut Socket, table: u8) -> Result<()> {
        socket.request(&self.rule(RTM_DELRULE, 0, table))
    }

    fn rule(&self, kind: u16, flags: u16, table: u8) -> Message {
        const FRA_DST: u16 = 1;
        const FRA_PRIORITY: u16 = 6;
        const FRA_IP_PROTO: u16 = 22;
        const FRA_SPORT_RANGE: u16 = 23;
        const FRA_DPORT_RANGE: u16 = 24;
        const UDP: u8 = 17;
        // Before the tables that everybody has, from 32766 on.
        const PRIORITY: u32 = 1000;
        let ipv4 = self.to.is_ipv4();
        let range = |port: u16| [port.to_ne_bytes(), port.to_ne_bytes()].concat();
        let rule = Message::new(kind, flags, &header(family(ipv4), if ipv4 { 32 } else { 128 }, table));
        with_address(rule, FRA_DST, self.to.ip())
            .with(FRA_PRIORITY, &PRIORITY.to_ne_bytes())
            .with(FRA_IP_PROTO, &[UDP])
            .with(FRA_SPORT_RANGE, &range(self.from.port()))
            .with(FRA_DPORT_RANGE, &range(self.to.port()))
    }
}

fn family(ipv4: bool) -> u8 {
    if ipv4 { AF_INET } else { AF_INET6 }
}

fn header(family: u8, length: u8, table: u8) -> [u8; 12] {
    [family, length, 0, 0, table, 0, 0, FR_ACT_TO_TBL, 0, 0, 0, 0]
}

/// A table by which everything is for this namespace itself.
fn to_itself(family: u8, table: u8) -> Message {
    const RTA_OIF: u16 = 4;
    const RTPROT_STATIC: u8 = 4;
    const SCOPE_HOST: u8 = 254;
    const RTN_LOCAL: u8 = 2;
    let route = [family, 0, 0, 0, table, RTPROT_STATIC, SCOPE_HOST, RTN_LOCAL, 0, 0, 0, 0];
    Message::new(RTM_NEWROUTE, CREATE | REPLACE, &route).with(RTA_OIF, &LOOPBACK.to_ne_bytes())
}

fn with_address(message: Message, kind: u16, address: IpAddr) -> Message {
    match address {
        IpAddr::V4(address) => message.with(kind, &address.octets()),
        IpAddr::V6(address) => message.with(kind, &address.octets()),
    }
}
