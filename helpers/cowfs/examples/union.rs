//! Puts a writable side above layers, and runs a command on it, in a user and mount namespace of its own.
//!
//! ```text
//! union [--here] [--volatile] DRIVER PLACE [--tar LAYER]… -- COMMAND [ARGUMENT]…
//! ```
//!
//! `DRIVER` is `overlay` (the kernel's overlayfs above a read-only cowfs), `fuse` (cowfs writes, and records owners),
//! `writeback` (the same, and the kernel collects what is written), `native` (cowfs writes, and gives files to their
//! owners), `plain` (a directory that began as a copy of the layers), or `none` (nothing but the namespaces). What is
//! written is kept in the directory `PLACE`, and is there again at the next run; `overlay` and `native` may take turns
//! there. The command finds the filesystem at `$VIEW`, and the process id of its server in `$SERVER`; what it mounts of it
//! elsewhere it has to unmount. With `--here` the caller is root of such a namespace already; with
//! `--volatile` nothing is synced.
//!
//! It shows how the crate is to be used, and the tests of the writable side stand on it.
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};

use cowfs::layer::{Limits, index_tar};
use cowfs::owners::{Extent, Owners};
use cowfs::serve::{self, Access, Durability, Lower, Upper};
use cowfs::tree::{Image, merge};
use cowfs::upper::Ownership;
use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Pid, Uid, getegid, geteuid, setgid, setgroups, setuid};
use uidmap::{Maps, Range, SubIds, User};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The number of the socket to the parent, in the environment of the process that makes the namespaces.
const SOCKET: &str = "UNION_SOCKET";
/// The number of the FUSE descriptor, in the server's environment.
const FUSE: &str = "UNION_FUSE";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Driver {
    None,
    Plain,
    Overlay,
    /// Whose the files are; and whether the kernel collects small writes.
    Writing(Ownership, bool),
}

struct Options {
    here: bool,
    volatile: bool,
    driver: Driver,
    place: PathBuf,
    tars: Vec<PathBuf>,
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("union: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("caused by: {error}");
                cause = error.source();
            }
            ExitCode::from(125)
        }
    }
}

fn run() -> Outcome<ExitCode> {
    let options = parse(std::env::args_os().skip(1))?;
    if let Ok(fuse) = std::env::var(FUSE) {
        return server(&options, sys::descriptor::adopt(fuse.parse()?)?);
    }
    if let Ok(socket) = std::env::var(SOCKET) {
        enter(sys::descriptor::adopt(socket.parse()?)?)?;
    } else if !options.here {
        return outside();
    }
    inside(&options)
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Outcome<Options> {
    let mut words = Vec::new();
    let (mut here, mut volatile, mut tars) = (false, false, Vec::new());
    while let Some(word) = arguments.next() {
        match word.to_str() {
            Some("--here") => here = true,
            Some("--volatile") => volatile = true,
            Some("--tar") => tars.push(arguments.next().ok_or("a layer is missing")?.into()),
            Some("--") => break,
            _ => words.push(word),
        }
    }
    let [driver, place] = <[OsString; 2]>::try_from(words).map_err(|_| "a driver and a place are wanted")?;
    let driver = match driver.to_str() {
        Some("none") => Driver::None,
        Some("plain") => Driver::Plain,
        Some("overlay") => Driver::Overlay,
        Some("fuse") => Driver::Writing(Ownership::Recorded, false),
        Some("writeback") => Driver::Writing(Ownership::Recorded, true),
        Some("native") => Driver::Writing(Ownership::Native, false),
        _ => return Err(format!("unknown driver {}", driver.display()).into()),
    };
    let command: Vec<OsString> = arguments.collect();
    if command.is_empty() {
        return Err("a command is missing".into());
    }
    Ok(Options { here, volatile, driver, place: place.into(), tars, command })
}

// --- the namespaces -----------------------------------------------------------------------------------------

/// In the caller's namespace: starts the process that makes its own, maps its ids, and waits for its end.
fn outside() -> Outcome<ExitCode> {
    let (here, there) = sys::socket::pair()?;
    sys::descriptor::keep_on_exec(there.as_fd())?;
    let mut child = myself(SOCKET, &there).spawn()?;
    drop(there);
    // Nothing is received from a child that ends before, which says why by itself.
    if sys::socket::receive(&here, &mut [0; 16])?.0 > 0 {
        if let Err(error) = map(&child) {
            child.kill()?;
            return Err(error);
        }
        sys::socket::send(&here, b"mapped", None)?;
    }
    wait(&mut child)
}

/// Gives a child's namespace the user and all subordinate ids, or for root all low ids as they are.
fn map(child: &Child) -> Outcome<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let maps = if uid == 0 {
        let all = SubIds { uids: vec![Range::new(1, 65535)], gids: vec![Range::new(1, 65535)] };
        Maps::outer(0, 0, &all)?
    } else {
        let name = nix::unistd::User::from_uid(geteuid())?.ok_or("you have no name")?.name;
        Maps::outer(uid, gid, &SubIds::of(&User { name, uid })?)?
    };
    Ok(uidmap::write(Pid::from_raw(child.id().try_into()?), &maps)?)
}

/// Makes the namespaces, and becomes root in them.
fn enter(socket: OwnedFd) -> Outcome<()> {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    sys::socket::send(&socket, b"map", None)?;
    if sys::socket::receive(&socket, &mut [0; 16])?.0 == 0 {
        return Err("no ids have been mapped".into());
    }
    setgroups(&[])?;
    setgid(Gid::from_raw(0))?;
    setuid(Uid::from_raw(0))?;
    set_pdeathsig(Signal::SIGKILL)?;
    let none = None::<&str>;
    Ok(mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?)
}

/// This program once more, with the same arguments and a descriptor.
fn myself(variable: &str, descriptor: &OwnedFd) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).env(variable, descriptor.as_raw_fd().to_string());
    command
}

fn wait(child: &mut Child) -> Outcome<ExitCode> {
    let code = child.wait()?.code().unwrap_or(125);
    Ok(ExitCode::from(u8::try_from(code)?))
}

// --- the mounts ---------------------------------------------------------------------------------------------

/// As root of the namespaces: mounts, runs the command, unmounts.
fn inside(options: &Options) -> Outcome<ExitCode> {
    let mut mounts = Mounts::default();
    let view = match options.driver {
        Driver::None => options.place.clone(),
        Driver::Plain => plain(options)?,
        Driver::Overlay => overlay(options, &mut mounts)?,
        Driver::Writing(..) => {
            let merged = options.place.join("merged");
            mounts.serve(&merged, Access::ReadWrite)?;
            merged
        }
    };
    let mut command = Command::new(&options.command[0]);
    command.args(&options.command[1..]).env("VIEW", &view).env_remove(SOCKET);
    if let Some(server) = &mounts.server {
        command.env("SERVER", server.id().to_string());
    }
    let code = wait(&mut command.spawn()?)?;
    mounts.end()?;
    Ok(code)
}

/// What has been mounted, in this order, and the server of it.
#[derive(Default)]
struct Mounts {
    targets: Vec<PathBuf>,
    server: Option<Child>,
}

impl Mounts {
    /// Mounts the FUSE side, and starts its server.
    fn serve(&mut self, target: &Path, access: Access) -> Outcome<()> {
        fs::create_dir_all(target)?;
        let fuse = serve::mount(target, access)?;
        self.targets.push(target.to_owned());
        sys::descriptor::keep_on_exec(fuse.as_fd())?;
        self.server = Some(myself(FUSE, &fuse).env_remove(SOCKET).spawn()?);
        Ok(())
    }

    /// Unmounts all, and waits for the server, which has written everything when it ends.
    fn end(mut self) -> Outcome<()> {
        while let Some(target) = self.targets.pop() {
            umount(&target).map_err(|errno| format!("cannot unmount {}: {errno}", target.display()))?;
        }
        if let Some(mut server) = self.server {
            server.wait()?;
        }
        Ok(())
    }
}

fn plain(options: &Options) -> Outcome<PathBuf> {
    let tree = options.place.join("plain");
    if !tree.exists() {
        let mut mounts = Mounts::default();
        let lower = options.place.join("lower");
        mounts.serve(&lower, Access::ReadOnly)?;
        fs::create_dir(&tree)?;
        let copied = Command::new("cp").arg("-aT").arg(&lower).arg(&tree).status()?;
        mounts.end()?;
        if !copied.success() {
            return Err("cannot copy the layers".into());
        }
    }
    Ok(tree)
}

fn overlay(options: &Options, mounts: &mut Mounts) -> Outcome<PathBuf> {
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| options.place.join(name));
    for dir in [&upper, &work, &merged] {
        fs::create_dir_all(dir)?;
    }
    mounts.serve(&lower, Access::ReadOnly)?;
    let volatile = if options.volatile { ",volatile" } else { "" };
    let [lower, upper, work] = [&lower, &upper, &work].map(|path| path.display());
    let sides = format!("userxattr,lowerdir={lower},upperdir={upper},workdir={work}{volatile}");
    mount(Some("union"), &merged, Some("overlay"), MsFlags::empty(), Some(sides.as_str()))?;
    mounts.targets.push(merged.clone());
    Ok(merged)
}

// --- the server ---------------------------------------------------------------------------------------------

/// In a process of its own: answers until all is unmounted.
fn server(options: &Options, fuse: OwnedFd) -> Outcome<ExitCode> {
    set_pdeathsig(Signal::SIGKILL)?;
    let ids = [Extent { inside: 0, outside: 0, count: 65536 }];
    let owners = Owners::new(&ids, &ids);
    let tree = options.place.join("tree");
    if !tree.exists() {
        let index = |tar: &PathBuf| -> Outcome<_> { Ok(index_tar(File::open(tar)?, &Limits::default())?) };
        let indexes = options.tars.iter().map(index).collect::<Outcome<Vec<_>>>()?;
        fs::write(&tree, merge(&indexes)?)?;
    }
    let lower = Lower::Image(Image::open(&tree, &options.tars)?);
    match options.driver {
        Driver::Writing(ownership, writeback) => {
            let [upper, work] = ["upper", "work"].map(|name| options.place.join(name));
            for dir in [&upper, &work] {
                fs::create_dir_all(dir)?;
            }
            let durability = if options.volatile { Durability::Volatile } else { Durability::Durable };
            let upper = Upper { upper, work, ownership, durability, below: None, writeback };
            serve::serve_writable(fuse, lower, &upper, owners)?;
        }
        _ => serve::serve(fuse, lower, owners)?,
    }
    Ok(ExitCode::SUCCESS)
}
