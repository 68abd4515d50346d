//! The sockets of published ports, bound outside of any container.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockname, listen, setsockopt, socket, sockopt,
};

use super::{Error, Port, Protocol};

/// Where the kernel says which ports are not root's alone.
const FIRST: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/// Opens the sockets of all ports, in their order, and notes those that were chosen.
///
/// # Errors
/// Why one of them cannot be had. None is then open.
pub fn open(ports: &mut [Port]) -> Result<Vec<OwnedFd>, Error> {
    // What was asked for by number must not be chosen for another.
    let (asked, chosen): (Vec<usize>, Vec<usize>) = (0..ports.len()).partition(|at| ports[*at].chosen_from.is_none());
    let mut sockets: Vec<Option<OwnedFd>> = ports.iter().map(|_| None).collect();
    for at in asked.into_iter().chain(chosen) {
        sockets[at] = Some(open_one(&mut ports[at])?);
    }
    Ok(sockets.into_iter().flatten().collect())
}

/// Opens the socket of one port, and notes which that is.
///
/// # Errors
/// Why it cannot be had.
pub fn open_one(port: &mut Port) -> Result<OwnedFd, Error> {
    let Port { address, host, protocol, .. } = *port;
    let Some((first, last)) = port.chosen_from else { return at(address, host, protocol) };
    if host != 0
        && let Ok(socket) = at(address, host, protocol)
    {
        return Ok(socket);
    }
    if first == 0 {
        let socket = at(address, 0, protocol)?;
        port.host = number(&socket).map_err(|errno| refused(address, 0, protocol, errno))?;
        return Ok(socket);
    }
    for host in first..=last {
        match at(address, host, protocol) {
            Ok(socket) => {
                port.host = host;
                return Ok(socket);
            }
            Err(Error::Taken { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Err(Error::AllTaken { first, last, address, protocol })
}

fn at(address: IpAddr, host: u16, protocol: Protocol) -> Result<OwnedFd, Error> {
    bound(SocketAddr::new(address, host), protocol).map_err(|errno| refused(address, host, protocol, errno))
}

fn bound(address: SocketAddr, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = if protocol == Protocol::Tcp { SockType::Stream } else { SockType::Datagram };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections of a container that has just ended are still being closed.
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    if protocol == Protocol::Tcp {
        listen(&socket, Backlog::MAXCONN)?;
    }
    Ok(socket)
}

fn number(socket: &OwnedFd) -> Result<u16, Errno> {
    let name: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    let ipv4 = name.as_sockaddr_in().map(|name| name.port());
    ipv4.or_else(|| name.as_sockaddr_in6().map(|name| name.port())).ok_or(Errno::EAFNOSUPPORT)
}

fn refused(address: IpAddr, host: u16, protocol: Protocol, errno: Errno) -> Error {
    let address = SocketAddr::new(address, host);
    match errno {
        Errno::EADDRINUSE => Error::Taken { address, protocol },
        Errno::EADDRNOTAVAIL => Error::Foreign { address, protocol },
        Errno::EACCES if host != 0 => {
            let first = fs::read_to_string(FIRST).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024);
            Error::Low { address, protocol, first }
        }
        errno => Error::Refused { address, protocol, source: io::Error::from(errno) },
    }
}
