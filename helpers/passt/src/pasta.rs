//! pasta: finding it, starting it closed, and knowing when and why it ended.

use std::ffi::{CString, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use sys::spawn::{Program, Spawned, Step, spawn};

use crate::dns::FORWARD;
use crate::error::Error;
use crate::interface::{HOST, Interface};

/// How much of what pasta writes is kept. It writes little, and what comes later is refused by the kernel, not waited for.
const LOG_BYTES: u64 = 16 * 1024;

/// The link-layer address that pasta answers with. Given, so that it also serves hosts whose own interface has none.
const PASTA_MAC: &str = "9a:55:9a:55:9a:55";

/// A pasta that is installed.
#[derive(Clone, Debug)]
pub struct Pasta {
    path: PathBuf,
}

impl Pasta {
    /// The first `pasta` in `PATH`, or in the directories where systems keep such programs.
    pub fn find() -> Result<Pasta, Error> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .chain(["/usr/bin", "/usr/local/bin", "/bin"].map(PathBuf::from))
            .map(|dir| dir.join("pasta"))
            .find(|file| fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
            .map(|path| Pasta { path })
            .ok_or(Error::Missing)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it knows a long option, given without dashes.
    pub fn knows(&self, option: &str) -> Result<bool, Error> {
        let failed = |source| Error::Start { step: "read", path: self.path.clone(), source };
        knows(&self.path, option).map_err(failed)
    }

    /// What it says when it is asked for its version; `None` where it says nothing.
    pub fn version(&self) -> Option<String> {
        let output = std::process::Command::new(&self.path).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().next()?.trim();
        Some(line.chars().filter(|char| !char.is_control()).take(80).collect())
    }

    /// Starts pasta on the network namespace of process `member`, in which `interface` has been or is being configured. The process
    /// must be in the user namespace that owns its network namespace, and have executed a program there.
    ///
    /// pasta dies with the calling thread, however that ends.
    pub fn start(&self, member: Pid, interface: &Interface) -> Result<Running, Error> {
        let open = |name| {
            let path = PathBuf::from(format!("/proc/{member}/ns/{name}"));
            File::open(&path).map_err(|source| Error::Start { step: "open", path, source })
        };
        self.start_in(open("user")?.as_fd(), open("net")?.as_fd(), interface)
    }

    /// As [`Pasta::start`], for namespaces that are at hand as descriptors.
    ///
    /// pasta runs as root of the user namespace, as podman runs it. It could join that by itself; but started by root it would
    /// become nobody first, and a change of credentials may make the kernel forget with whom a process is to die. It
    /// finds the network namespace as its stdin: it may not look into another process's, having dropped the capability for
    /// that, and closes all other descriptors.
    pub fn start_in(
        &self,
        user_namespace: BorrowedFd,
        network_namespace: BorrowedFd,
        interface: &Interface,
    ) -> Result<Running, Error> {
        let failed = |step, source| Error::Start { step, path: self.path.clone(), source };
        let log = log_file().map_err(|errno| failed("make a file for the messages of", errno.into()))?;
        let null = OpenOptions::new().read(true).write(true).open("/dev/null").map_err(|source| Error::Start {
            step: "open",
            path: "/dev/null".into(),
            source,
        })?;
        let maps_anything = self.knows("map-guest-addr")?;
        let mut arguments = arguments(interface, maps_anything);
        arguments.extend(["--no-netns-quit", "--netns", "/proc/self/fd/0"].map(OsString::from));
        let argv = strings([OsString::from("pasta")].into_iter().chain(arguments))
            .map_err(|source| failed("name the arguments of", source))?;
        let path = strings([self.path.clone().into_os_string()]).map_err(|source| failed("run", source))?;
        let program = Program {
            path: &path[0],
            argv: &argv,
            envp: &[],
            stdio: [network_namespace, null.as_fd(), log.as_fd()],
            user_namespace: Some(user_namespace),
        };
        let process = spawn(&program).map_err(|(step, errno)| {
            let step = match step {
                Step::Fork => "fork for",
                Step::Join => "join the container's user namespace for",
                Step::Prepare => "prepare the process of",
                Step::Execute => "run",
            };
            failed(step, errno.into())
        })?;
        Ok(Running { process, log, ended: None })
    }
}

/// HARDENING: no port of the host's inside or of the container's outside, no way to the host's loopback, and none of the servers
/// that would configure what is configured already. Neighbour discovery stays: without it nothing is found. Where the host's
/// loopback is to be reached, it is by one address; `maps_anything`: this pasta can be told by which.
fn arguments(interface: &Interface, maps_anything: bool) -> Vec<OsString> {
    let told = &interface.told;
    let mac = told.mac.as_deref().unwrap_or(PASTA_MAC);
    let mut arguments: Vec<String> =
        ["--foreground", "--no-dhcp", "--no-dhcpv6", "--no-ra", "-M", mac, "-I", &interface.name]
            .map(str::to_owned)
            .to_vec();
    if !told.talkative {
        arguments.push("--quiet".into());
    }
    for door in ['t', 'u', 'T', 'U'].into_iter().filter(|door| !told.doors.contains(*door)) {
        arguments.extend([format!("-{door}"), "none".into()]);
    }
    let at_gateway = told.map_gateway || (interface.host == Some(HOST.into()) && !maps_anything);
    if !at_gateway {
        arguments.push("--no-map-gw".into());
    }
    if maps_anything {
        arguments.extend(["--map-guest-addr", "none"].map(str::to_owned));
        if !at_gateway {
            arguments.extend(["--map-host-loopback", "none"].map(str::to_owned));
        }
        if interface.host == Some(HOST.into()) {
            arguments.extend(["--map-host-loopback".into(), HOST.to_string()]);
        }
    }
    if interface.is_waiting() || interface.aside {
        // Any interface will do that is there: pasta refuses to start without one, and sends by whichever the host's routes say.
        arguments.extend(["-i", "lo"].map(str::to_owned));
    }
    match (&interface.ipv4, &interface.ipv6) {
        (Some(_), None) => arguments.push("--ipv4-only".into()),
        (None, Some(_)) => arguments.push("--ipv6-only".into()),
        _ => {}
    }
    for address in interface.ipv4.iter().chain(&interface.ipv6) {
        arguments.extend(["-a".into(), address.address.to_string(), "-g".into(), address.gateway.to_string()]);
    }
    if let Some(ipv4) = &interface.ipv4 {
        arguments.extend(["-n".into(), ipv4.prefix.to_string()]);
    }
    if interface.resolver.forwards() && !told.forward.iter().any(IpAddr::is_ipv4) {
        arguments.extend(["--dns-forward".into(), FORWARD.to_string()]);
    }
    for address in &told.forward {
        arguments.extend(["--dns-forward".into(), address.to_string()]);
    }
    arguments.extend(told.words.iter().cloned());
    arguments.into_iter().map(OsString::from).collect()
}

/// Whether a pasta knows a long option: the name stands in the program as its table of options has it. Reading the file takes a
/// tenth of a millisecond; asking pasta itself would take a process.
fn knows(pasta: &Path, option: &str) -> io::Result<bool> {
    let program = fs::read(pasta)?;
    let entry: Vec<u8> = [b"\0", option.as_bytes(), b"\0"].concat();
    Ok(program.windows(entry.len()).any(|window| window == entry))
}

fn strings(words: impl IntoIterator<Item = OsString>) -> io::Result<Vec<CString>> {
    words.into_iter().map(|word| CString::new(word.into_vec()).map_err(io::Error::from)).collect()
}

/// A file in memory of a fixed size. A pipe would have to be read all the time, or pasta would block on it some day.
fn log_file() -> Result<File, Errno> {
    let fd = memfd_create(c"pasta", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let file = File::from(fd);
    nix::unistd::ftruncate(&file, i64::try_from(LOG_BYTES).expect("16 KiB"))?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK))?;
    Ok(file)
}

/// A pasta that was started. Dropped, it is ended.
#[derive(Debug)]
pub struct Running {
    process: Spawned,
    log: File,
    ended: Option<Ended>,
}

/// How pasta ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `exit status 1`, `signal SIGSEGV`.
    pub status: String,
    /// What it wrote to stderr, without what it says on every start.
    pub message: String,
}

impl Ended {
    /// This end as an error, for when it was not asked for.
    pub fn into_error(self) -> Error {
        Error::Died { status: self.status, message: self.message }
    }
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.process.pid
    }

    /// How it ended, if it has. Never waits; [`AsFd`] gives what to poll for.
    pub fn ended(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            let status = match waitpid(self.process.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return None,
                Ok(WaitStatus::Exited(_, code)) => format!("exit status {code}"),
                Ok(WaitStatus::Signaled(_, signal, _)) => format!("signal {signal}"),
                Ok(other) => format!("{other:?}"),
                // Somebody else in this process waited for it.
                Err(_) => "unknown status".into(),
            };
            self.ended = Some(Ended { status, message: self.message() });
        }
        self.ended.clone()
    }

    /// Ends it, and waits until it is gone.
    pub fn end(self) {}

    fn message(&self) -> String {
        let mut bytes = vec![0; LOG_BYTES as usize];
        let length = self.log.read_at(&mut bytes, 0).unwrap_or(0);
        message(&bytes[..length])
    }
}

/// Readable once pasta has ended.
impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.pidfd.as_fd()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // Still our child and not waited for, so the id is still its own. pasta keeps nothing that is worth a goodbye.
            let _ = kill(self.process.pid, Signal::SIGKILL);
            let _ = waitpid(self.process.pid, None);
        }
    }
}

/// The words of pasta that a user should read: in one line, printable, without its complaints about syslog.
fn message(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines = text
        .trim_end_matches('\0')
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !is_syslog_trouble(line))
        .map(|line| line.escape_debug().to_string());
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { "it said nothing".into() } else { lines.join("; ") }
}

fn is_syslog_trouble(line: &str) -> bool {
    line.starts_with("Failed to send") && line.ends_with("to syslog")
}

#[cfg(test)]
mod tests {
    use super::{arguments, knows, log_file, message};
    use crate::{Address, Interface, Options, dns::Resolver};
    use std::io::Write;
    use std::path::Path;

    fn interface(ipv4: bool, ipv6: bool, servers: &[&str]) -> Interface {
        let address = |address: &str, gateway: &str| Address {
            address: address.parse().unwrap(),
            prefix: 24,
            gateway: gateway.parse().unwrap(),
        };
        Interface {
            name: "eth0".into(),
            ipv4: ipv4.then(|| address("192.0.2.2", "192.0.2.1")),
            ipv6: ipv6.then(|| address("2001:db8::2", "fe80::1")),
            resolver: Resolver {
                servers: servers.iter().map(|one| one.parse().unwrap()).collect(),
                ..Resolver::default()
            },
            ..Interface::default()
        }
    }

    fn line(interface: &Interface) -> String {
        arguments(interface, false).iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ") + " "
    }

    #[test]
    fn every_door_is_closed_whatever_the_interface() {
        for interface in
            [interface(true, true, &[]), interface(true, false, &["169.254.1.1"]), interface(false, true, &[])]
        {
            for door in ["-t none ", "-u none ", "-T none ", "-U none ", "--no-map-gw "] {
                assert!(line(&interface).contains(door), "{door}");
            }
        }
    }

    #[test]
    fn the_host_is_reached_by_one_address_and_only_where_that_was_asked_for() {
        let open = interface(true, true, &[]).reaching_host().unwrap();
        assert_eq!(interface(false, true, &[]).reaching_host(), None);
        assert!(line(&open).contains("-g 169.254.1.2 ") && !line(&open).contains("--no-map-gw"));
        let newer = |interface: &Interface| {
            arguments(interface, true).iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ") + " "
        };
        let closed = "--no-map-gw --map-guest-addr none --map-host-loopback none ";
        assert!(newer(&open).contains(&format!("{closed}--map-host-loopback 169.254.1.2 ")));
        assert!(newer(&interface(true, true, &[])).contains(closed));
        assert!(!newer(&interface(true, true, &[])).contains("169.254.1.2"));
    }

    #[test]
    fn what_a_user_asks_of_pasta_opens_that_and_nothing_else() {
        let mut open = interface(true, false, &["169.254.1.1"]);
        open.told = Options::parse(&["-t", "8080", "--map-gw", "--dns-forward", "10.0.2.3"]).unwrap().told;
        for maps_anything in [false, true] {
            let line = arguments(&open, maps_anything).join(std::ffi::OsStr::new(" ")).into_string().unwrap() + " ";
            assert!(line.contains("-u none -T none -U none ") && !line.contains("-t none"), "{line}");
            assert!(line.contains("--tcp-ports 8080 ") && line.contains("--dns-forward 10.0.2.3 "), "{line}");
            assert!(!line.contains("map-gw") && !line.contains("--map-host-loopback"), "{line}");
            assert!(!line.contains("169.254.1.1") && line.contains("--quiet "), "{line}");
        }
    }

    #[test]
    fn the_families_and_the_forwarder_are_those_of_the_interface() {
        assert!(
            line(&interface(true, false, &[])).contains("--no-map-gw --ipv4-only -a 192.0.2.2 -g 192.0.2.1 -n 24 ")
        );
        assert!(line(&interface(false, true, &[])).ends_with("--ipv6-only -a 2001:db8::2 -g fe80::1 "));
        assert!(!line(&interface(true, true, &["8.8.8.8"])).contains("--dns-forward"));
        assert!(line(&interface(true, true, &["169.254.1.1"])).contains("--dns-forward 169.254.1.1 "));
    }

    #[test]
    fn an_option_is_known_only_by_its_whole_name() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"\x7fELF\0map-guest-addr\0no-map-gw\0--map-host\0").unwrap();
        assert!(knows(file.path(), "map-guest-addr").unwrap());
        assert!(!knows(file.path(), "map-guest").unwrap());
        assert!(!knows(file.path(), "map-host").unwrap());
        assert!(knows(Path::new("/nonexistent"), "x").is_err());
    }

    #[test]
    fn what_pasta_says_is_one_printable_line_without_its_trouble_with_syslog() {
        let log = b"Failed to send 51 bytes to syslog\nNo external routable interface for IPv4\n\x1b[1mBad\n\0\0\0";
        assert_eq!(message(log), "No external routable interface for IPv4; \\u{1b}[1mBad");
        assert_eq!(message(b"\0\0"), "it said nothing");
    }

    #[test]
    fn a_talkative_pasta_fills_the_log_and_no_more() {
        let mut log = log_file().unwrap();
        assert!(log.write_all(&[b'x'; 20_000]).is_err());
        assert_eq!(log.metadata().unwrap().len(), super::LOG_BYTES);
    }
}
