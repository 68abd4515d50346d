//! Routes for packets with a mark: a table of their own, and the rule that sends them there (ip-rule(8)).
//!
//! Numbers are those of linux/fib_rules.h and rtnetlink.h, which never change.

use nix::errno::Errno;

use crate::message::{CREATE, EXCLUSIVE, Message, REPLACE};
use crate::socket::Socket;
use crate::{AF_INET, AF_INET6, Result};

const RTM_NEWROUTE: u16 = 24;
const RTM_NEWRULE: u16 = 32;
const LOOPBACK: u32 = 1;

/// Everything with this mark is for this namespace itself, whatever its address. Can be said again.
pub fn keep_marked(socket: &mut Socket, ipv4: bool, mark: u32, table: u8) -> Result<()> {
    const RTA_OIF: u16 = 4;
    const RTPROT_STATIC: u8 = 4;
    const SCOPE_HOST: u8 = 254;
    const RTN_LOCAL: u8 = 2;
    const FR_ACT_TO_TBL: u8 = 1;
    const FRA_FWMARK: u16 = 10;
    let family = if ipv4 { AF_INET } else { AF_INET6 };
    let route = [family, 0, 0, 0, table, RTPROT_STATIC, SCOPE_HOST, RTN_LOCAL, 0, 0, 0, 0];
    socket.request(&Message::new(RTM_NEWROUTE, CREATE | REPLACE, &route).with(RTA_OIF, &LOOPBACK.to_ne_bytes()))?;
    let rule = [family, 0, 0, 0, table, 0, 0, FR_ACT_TO_TBL, 0, 0, 0, 0];
    let message = Message::new(RTM_NEWRULE, CREATE | EXCLUSIVE, &rule).with(FRA_FWMARK, &mark.to_ne_bytes());
    match socket.request(&message) {
        Err(Errno::EEXIST) => Ok(()),
        done => done,
    }
}
