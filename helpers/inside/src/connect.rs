//! A connection to a server that the container reaches, with this process's own streams at this end: what `enter ssh-proxy` runs in a box to pass
//! a port on.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// Written first where the connection is made: everything behind it is the server's.
const MADE: &[u8] = b"+";

/// Written to the standard error behind all that the server has said.
const ENDED: &[u8] = b".";

/// So long one address is tried.
const PATIENCE: Duration = Duration::from_secs(20);

/// `connect HOST PORT`, or `connect SOCKET`.
pub fn connect(arguments: &[String]) -> ExitCode {
    let done = match arguments {
        [socket] => UnixStream::connect(socket).and_then(|stream| {
            pass(stream.try_clone()?, stream, UnixStream::shutdown);
            Ok(())
        }),
        [host, port] => tcp(host, port).and_then(|stream| {
            pass(stream.try_clone()?, stream, TcpStream::shutdown);
            Ok(())
        }),
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let why = error.to_string();
            let why = why.split(" (os error").next().unwrap_or(&why);
            let _ = writeln!(io::stderr(), "{why}");
            ExitCode::FAILURE
        }
    }
}

fn tcp(host: &str, port: &str) -> io::Result<TcpStream> {
    let port = port.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("no host of the name {host} is known"));
    for address in addresses(host) {
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The addresses of a host. A static program has no name services of its own, so the container's program for it is asked where its file of
/// hosts says nothing.
fn addresses(host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
        return vec![address];
    }
    if host.eq_ignore_ascii_case("localhost") {
        return vec![[127, 0, 0, 1].into(), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    }
    let of_file = in_hosts(&std::fs::read_to_string("/etc/hosts").unwrap_or_default(), host);
    if !of_file.is_empty() || host.starts_with('-') {
        return of_file;
    }
    let asked = Command::new("getent").args(["ahosts", host]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let mut all: Vec<IpAddr> = text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    all.dedup();
    all
}

/// What hosts(5) says of a name.
fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect()
}

/// Passes both ways, until both have ended.
fn pass<S: Read + Send + 'static, T: Write + Send + 'static>(
    mut from: S,
    mut to: T,
    shut: fn(&T, Shutdown) -> io::Result<()>,
) {
    let mut output = io::stdout();
    if output.write_all(MADE).and_then(|()| output.flush()).is_err() {
        return;
    }
    let up = std::thread::spawn(move || {
        let _ = copy(&mut io::stdin(), &mut to);
        let _ = shut(&to, Shutdown::Write);
    });
    let _ = copy(&mut from, &mut output);
    // Whoever started this has the same pipe, so that closing it would tell nobody.
    let _ = io::stderr().write_all(ENDED);
    let _ = up.join();
}

/// Each piece goes on at once.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read]).and_then(|()| to.flush())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_the_file_of_hosts() {
        let text = "127.0.0.1 localhost\n# 1.2.3.4 db\n10.0.0.2\tDB db.local # mine\nfd00::2 db\nbad db\n";
        let all: Vec<String> = in_hosts(text, "db").iter().map(ToString::to_string).collect();
        assert_eq!(all, ["10.0.0.2", "fd00::2"]);
        assert!(in_hosts(text, "other").is_empty());
        assert_eq!(addresses("[::1]"), addresses("::1"));
    }
}
