//! Shows layers or a host directory to a command, as an ordinary user, and lists what it sees.
//!
//! ```text
//! view [OPTION]… (--tar LAYER… | --host DIR | --dir DIR…) -- COMMAND [ARGUMENT]…
//! view merge TREE LAYER…
//! view dump DIR
//! ```
//!
//! The command runs in a user and mount namespace of its own; `$VIEW` is the directory to look at.
//! `--overlay DIR` puts the kernel's overlayfs above, with its upper side in DIR. `--keep-id` maps as
//! containers do in which the user is user 1000. `--one-id` does without subordinate ids. `--exclude PATH`
//! hides the content of a host directory. Of several `--dir` the first is the topmost. `--tree TREE` takes a tree that `merge` has made of the layers before.
//!
//! It shows how the crate is to be used, and the tests stand on it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::ffi::{CStr, OsString};
use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{BufWriter, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};

use cowfs::dirs::Dirs;
use cowfs::host::HostDir;
use cowfs::layer::{Limits, index_tar};
use cowfs::owners::{Extent, Owners};
use cowfs::serve::{self, Lower};
use cowfs::tree::{Image, merge};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, getegid, geteuid};
use uidmap::{Maps, Range, SubIds, User};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The descriptor's number in the child's environment.
const SOCKET: &str = "VIEW_SOCKET";

#[derive(Default)]
struct Options {
    tars: Vec<PathBuf>,
    tree: Option<PathBuf>,
    host: Option<PathBuf>,
    exclude: Vec<PathBuf>,
    dirs: Vec<PathBuf>,
    overlay: Option<PathBuf>,
    keep_id: bool,
    one_id: bool,
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("view: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("caused by: {error}");
                cause = error.source();
            }
            if let Some(hint) = error.downcast_ref::<cowfs::Error>().and_then(cowfs::Error::hint) {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(125)
        }
    }
}

fn run() -> Outcome<ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [verb, dir] = &arguments[..]
        && verb == "dump"
    {
        dump(Path::new(dir))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let [verb, tree, tars @ ..] = &arguments[..]
        && verb == "merge"
    {
        let tars: Vec<PathBuf> = tars.iter().map(PathBuf::from).collect();
        write_tree(Path::new(tree), &tars)?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = parse(arguments)?;
    match std::env::var(SOCKET) {
        Ok(socket) => Err(inside(&options, socket.parse()?)),
        Err(_) => outside(&options),
    }
}

fn parse(arguments: Vec<OsString>) -> Outcome<Options> {
    let mut options = Options::default();
    let mut arguments = arguments.into_iter();
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or("a value is missing");
        match flag.to_str() {
            Some("--tar") => options.tars.push(value()?.into()),
            Some("--overlay") => options.overlay = Some(value()?.into()),
            Some("--tree") => options.tree = Some(value()?.into()),
            Some("--host") => options.host = Some(value()?.into()),
            Some("--dir") => options.dirs.push(value()?.into()),
            Some("--exclude") => options.exclude.push(value()?.into()),
            Some("--keep-id") => options.keep_id = true,
            Some("--one-id") => options.one_id = true,
            Some("--") => options.command = arguments.by_ref().collect(),
            _ => return Err(format!("unknown option {}", flag.display()).into()),
        }
    }
    if options.command.is_empty() {
        return Err("a command is missing".into());
    }
    Ok(options)
}

/// In the user's own namespace: makes the lower, starts the inside, serves.
fn outside(options: &Options) -> Outcome<ExitCode> {
    let work = WorkDir::new()?;
    let lower = match &options.host {
        Some(dir) => {
            let dir = HostDir::open(dir)?;
            Lower::Host(options.exclude.iter().fold(dir, HostDir::exclude))
        }
        None if !options.dirs.is_empty() => Lower::Dirs(Dirs::open(&options.dirs)?),
        None => {
            let tree = options.tree.clone().unwrap_or(work.0.join("tree"));
            if options.tree.is_none() {
                write_tree(&tree, &options.tars)?;
            }
            Lower::Image(Image::open(&tree, &options.tars)?)
        }
    };
    let owners = owners(options);
    let (here, there) = sys::socket::pair()?;
    sys::descriptor::keep_on_exec(std::os::fd::AsFd::as_fd(&there))?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(SOCKET, there.as_raw_fd().to_string())
        .env("VIEW", work.0.join("view"))
        .spawn()?;
    drop(there);
    let fuse = match meet(&here, &child, options) {
        Ok(Some(fuse)) => fuse,
        Ok(None) => return wait(&mut child),
        Err(error) => {
            child.kill()?;
            return Err(error);
        }
    };
    serve::serve(fuse, lower, owners)?;
    wait(&mut child)
}

fn wait(child: &mut Child) -> Outcome<ExitCode> {
    let code = child.wait()?.code().unwrap_or(125);
    Ok(ExitCode::from(u8::try_from(code)?))
}

fn owners(options: &Options) -> Owners {
    let extent = |inside, outside, count| Extent { inside, outside, count };
    let identity = vec![extent(0, 0, 65536)];
    let keep = vec![extent(1000, 0, 1), extent(0, 1, 1000), extent(1001, 1001, 64535)];
    match options {
        Options { one_id: true, .. } => Owners::squash(0, 0),
        Options { keep_id: true, .. } => Owners::new(&keep, &keep),
        _ => Owners::new(&identity, &identity),
    }
}

fn write_tree(tree: &Path, tars: &[PathBuf]) -> Outcome<()> {
    let index = |tar: &PathBuf| -> Outcome<_> { Ok(index_tar(File::open(tar)?, &Limits::default())?) };
    let indexes = tars.iter().map(index).collect::<Outcome<Vec<_>>>()?;
    Ok(fs::write(tree, merge(&indexes)?)?)
}

/// Maps the child's ids when it is ready for it, then takes the mounted filesystem from it. `None` if it
/// ends before.
fn meet(socket: &OwnedFd, child: &Child, options: &Options) -> Outcome<Option<OwnedFd>> {
    let mut buffer = [0; 16];
    if sys::socket::receive(socket, &mut buffer)?.0 == 0 {
        return Ok(None);
    }
    let pid = Pid::from_raw(child.id().try_into()?);
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let maps = if options.one_id {
        Maps::single(uid, gid, 0, 0)?
    } else if uid == 0 {
        let all = SubIds { uids: vec![Range::new(1, 65535)], gids: vec![Range::new(1, 65535)] };
        Maps::outer(0, 0, &all)?
    } else {
        let name = nix::unistd::User::from_uid(geteuid())?.ok_or("you have no name")?.name;
        Maps::outer(uid, gid, &SubIds::of(&User { name, uid })?)?
    };
    uidmap::write(pid, &maps)?;
    sys::socket::send(socket, b"mapped", None)?;
    Ok(sys::socket::receive(socket, &mut buffer)?.1)
}

/// In namespaces of its own: mounts, hands over the descriptor, becomes the command.
fn inside(options: &Options, socket: i32) -> Box<dyn Error> {
    match prepare(options, socket) {
        Ok(view) => {
            let mut command = Command::new(&options.command[0]);
            command.args(&options.command[1..]).env("VIEW", view).env_remove(SOCKET);
            command.uid(0).gid(0).exec().into()
        }
        Err(error) => error,
    }
}

fn prepare(options: &Options, socket: i32) -> Outcome<PathBuf> {
    let socket = sys::descriptor::adopt(socket)?;
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    sys::socket::send(&socket, b"map", None)?;
    sys::socket::receive(&socket, &mut [0; 16])?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let view = PathBuf::from(std::env::var_os("VIEW").ok_or("VIEW is missing")?);
    let fuse = serve::mount(&view, serve::Access::ReadOnly)?;
    sys::socket::send(&socket, b"fuse", Some(fuse.as_raw_fd()))?;
    drop(fuse);
    let Some(overlay) = &options.overlay else {
        return Ok(view);
    };
    for name in ["upper", "work", "merged"] {
        fs::create_dir_all(overlay.join(name))?;
    }
    let sides = format!(
        "userxattr,lowerdir={},upperdir={},workdir={}",
        view.display(),
        overlay.join("upper").display(),
        overlay.join("work").display()
    );
    let merged = overlay.join("merged");
    mount(Some("view"), &merged, Some("overlay"), MsFlags::empty(), Some(sides.as_str()))?;
    Ok(merged)
}

/// A directory for the tree and the mount, removed at the end.
struct WorkDir(PathBuf);

impl WorkDir {
    fn new() -> Outcome<WorkDir> {
        let path = std::env::temp_dir().join(format!("cowfs-view-{}", std::process::id()));
        fs::create_dir(&path)?;
        fs::create_dir(path.join("view"))?;
        Ok(WorkDir(path))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("view: cannot remove {}: {error}", self.0.display());
        }
    }
}

/// One line for each file below `dir`, sorted by path: all that two equal trees have in common. Paths are
/// relative, since the whole of one may be longer than the kernel takes.
fn dump(dir: &Path) -> Outcome<()> {
    std::env::set_current_dir(dir)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut first_name = HashMap::new();
    let mut todo = vec![PathBuf::from(".")];
    while let Some(path) = todo.pop() {
        let meta = path.symlink_metadata()?;
        let kind = meta.file_type();
        let mut line = format!(
            "{} mode={:o} uid={} gid={} mtime={}.{:09}",
            path.as_os_str().as_bytes().escape_ascii(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
        );
        if kind.is_dir() {
            let names = fs::read_dir(&path)?.map(|entry| entry.map(|e| e.path()));
            let mut names = names.collect::<Result<Vec<_>, _>>()?;
            names.sort_by(|a, b| b.cmp(a));
            todo.extend(names);
        } else {
            let first = first_name.entry((meta.dev(), meta.ino())).or_insert_with(|| path.clone());
            let first = first.as_os_str().as_bytes();
            line += &format!(" nlink={} same={} rdev={:x}", meta.nlink(), first.escape_ascii(), meta.rdev());
        }
        if kind.is_symlink() {
            line += &format!(" target={}", fs::read_link(&path)?.as_os_str().as_bytes().escape_ascii());
        } else if kind.is_file() {
            line += &format!(" size={} hash={:x}", meta.size(), hash(&path)?);
        }
        if kind.is_file() || kind.is_dir() {
            let names = match sys::xattr::names(&path) {
                Err(nix::errno::Errno::EOPNOTSUPP) => Vec::new(),
                other => other?,
            };
            for name in names.split_inclusive(|&b| b == 0) {
                let name = CStr::from_bytes_with_nul(name)?;
                let value = sys::xattr::get(&path, name)?;
                line += &format!(" {}={}", name.to_bytes().escape_ascii(), value.escape_ascii());
            }
        }
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

fn hash(path: &Path) -> Outcome<u64> {
    let (mut hasher, mut buffer, mut file) = (DefaultHasher::new(), vec![0; 1 << 16], File::open(path)?);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.write(&buffer[..n]),
        }
    }
}
