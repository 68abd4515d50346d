//! Whom this machine asks for names, at this moment: its resolv.conf(5), looked at before every question.
//!
//! A look is one stat(2), a microsecond; so there is nothing to watch, and a change holds from the very next question on, whatever made it
//! (a VPN, another wireless network) and however (in place, by renaming, by another target of a link).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// More servers than this are not asked: what asks a container has gone long before.
const MOST: usize = 4;

/// For how long a server that did not answer is asked after the others.
const PENALTY: Duration = Duration::from_secs(20);

const PORT: u16 = 53;

/// What tells one state of a file from another.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// The servers that this machine asks.
#[derive(Debug)]
pub struct Resolvers {
    path: PathBuf,
    stamp: Option<Stamp>,
    servers: Vec<SocketAddr>,
    /// Servers that did not answer, and until when that is held against them.
    silent: Vec<(SocketAddr, Instant)>,
    /// Servers at ports of their own, where a test plays them.
    #[cfg(test)]
    pub instead: Vec<SocketAddr>,
}

impl Resolvers {
    /// Those that a file names: `/etc/resolv.conf`.
    pub fn new(path: impl Into<PathBuf>) -> Resolvers {
        Resolvers {
            path: path.into(),
            stamp: None,
            servers: parse(""),
            silent: Vec::new(),
            #[cfg(test)]
            instead: Vec::new(),
        }
    }

    /// The servers of this moment, those first that answer. Never none: without any, resolvers ask this machine itself.
    pub fn now(&mut self) -> Vec<SocketAddr> {
        let stamp = fs::metadata(&self.path).ok().map(|file| {
            let (changed, status) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
            (file.dev(), file.ino(), file.size(), changed, status)
        });
        if stamp != self.stamp {
            // Of a file that is just being written the rest comes with another stamp.
            self.servers = parse(&String::from_utf8_lossy(&fs::read(&self.path).unwrap_or_default()));
            self.stamp = stamp;
        }
        #[cfg(test)]
        if !self.instead.is_empty() {
            return self.rank(self.instead.clone());
        }
        self.rank(self.servers.clone())
    }

    /// Orders servers, those first that answer.
    pub fn rank(&mut self, mut servers: Vec<SocketAddr>) -> Vec<SocketAddr> {
        if !self.silent.is_empty() {
            let now = Instant::now();
            self.silent.retain(|(_, until)| *until > now);
            servers.sort_by_key(|server| self.silent.iter().any(|(silent, _)| silent == server));
        }
        servers
    }

    /// Notes that a server did not answer.
    pub fn is_silent(&mut self, server: SocketAddr) {
        self.answers(server);
        self.silent.push((server, Instant::now() + PENALTY));
    }

    /// Notes that a server has answered.
    pub fn answers(&mut self, server: SocketAddr) {
        self.silent.retain(|(silent, _)| *silent != server);
    }
}

/// The servers that are asked at these addresses.
pub fn at_port(addresses: &[IpAddr]) -> Vec<SocketAddr> {
    addresses.iter().take(MOST).map(|address| SocketAddr::new(*address, PORT)).collect()
}

/// The servers that the text of a resolv.conf(5) names.
fn parse(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next().and_then(address)).flatten()
    };
    let mut servers: Vec<SocketAddr> = Vec::new();
    for server in text.lines().filter_map(server) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers.truncate(MOST);
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    servers
}

/// An address; a link-local one comes with its interface, by name or by number.
fn address(text: &str) -> Option<SocketAddr> {
    let Some((address, zone)) = text.split_once('%') else {
        return Some(SocketAddr::new(text.parse().ok()?, PORT));
    };
    let scope = zone.parse().ok().or_else(|| nix::net::if_::if_nametoindex(zone).ok())?;
    Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, scope).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(servers: &[SocketAddr]) -> Vec<String> {
        servers.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn the_servers_are_read_and_without_any_it_is_this_machine() {
        let text = "# a comment\nsearch example\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # second\nnameserver x\n\
                    nameserver 192.0.2.1\nnameserver fe80::1%3\nnameserver fe80::1%lo\n";
        let expected = ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%3]:53", "[fe80::1%1]:53"];
        assert_eq!(texts(&parse(text)), expected);
        assert_eq!(texts(&parse("nameserver fe80::1%no-such-one")), ["127.0.0.1:53"]);
        assert_eq!(texts(&Resolvers::new("/nonexistent").now()), ["127.0.0.1:53"]);
    }

    #[test]
    fn a_change_holds_at_once_however_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("stub"), folder.path().join("resolv.conf"));
        std::os::unix::fs::symlink("stub", &link).unwrap();
        let mut resolvers = Resolvers::new(&link);
        assert_eq!(texts(&resolvers.now()), ["127.0.0.1:53"], "a link to nothing");
        fs::write(&file, "nameserver 192.0.2.1\n").unwrap();
        assert_eq!(texts(&resolvers.now()), ["192.0.2.1:53"]);
        fs::write(&file, "nameserver 192.0.2.22\n").unwrap();
        assert_eq!(texts(&resolvers.now()), ["192.0.2.22:53"], "in place");
        let new = folder.path().join("new");
        fs::write(&new, "nameserver 192.0.2.33\n").unwrap();
        fs::rename(&new, &file).unwrap();
        assert_eq!(texts(&resolvers.now()), ["192.0.2.33:53"], "by renaming");
        fs::remove_file(&link).unwrap();
        fs::write(&link, "nameserver 192.0.2.44\n").unwrap();
        assert_eq!(texts(&resolvers.now()), ["192.0.2.44:53"], "another file");
    }

    #[test]
    fn who_does_not_answer_is_asked_last_until_he_does() {
        let mut resolvers = Resolvers::new("/nonexistent");
        let both = at_port(&[[192, 0, 2, 1].into(), [192, 0, 2, 2].into()]);
        resolvers.is_silent(both[0]);
        assert_eq!(resolvers.rank(both.clone()), [both[1], both[0]]);
        resolvers.is_silent(both[1]);
        assert_eq!(resolvers.rank(both.clone()), both, "all are alike again");
        resolvers.answers(both[1]);
        assert_eq!(resolvers.rank(both.clone()), [both[1], both[0]]);
    }

    proptest! {
        #[test]
        fn whatever_the_file_says_somebody_is_asked(text: String) {
            prop_assert!((1..=MOST).contains(&parse(&text).len()));
        }
    }
}
