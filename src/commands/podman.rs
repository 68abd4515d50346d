//! The store of a rootless podman beside us: where it is, and how files in it are opened that belong to the user's subordinate ids.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use enter::container::planning::caller::Caller;
use enter::container::users;
use enter::image::Stored;
use enter::store::podman::{Files, Storage};
use enter::store::{Loaded, Store, Wanted};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use sys::process::Fork;

use super::state;
use crate::failure::Failure;

/// How a file of podman's is opened: nothing is waited for, and no link at its end is followed.
const FLAGS: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_NOFOLLOW);

/// Takes an image in from podman's store.
pub fn take(store: &Store, stored: &Stored, wanted: &Wanted) -> Result<Loaded, Failure> {
    let caller = Caller::find()?;
    let storages = storages(stored, &caller);
    let mut files = Opener { caller, helper: None };
    Ok(store.take_stored(&storages, stored, wanted, &mut files)?)
}

/// The stores that there are, by what was typed, or by containers-storage.conf(5).
fn storages(stored: &Stored, caller: &Caller) -> Vec<Storage> {
    let driver = stored.driver.as_deref();
    if let Some(root) = &stored.root {
        return Storage::at(root, driver).into_iter().collect();
    }
    let configured = Configured::find(caller);
    let roots = configured.roots(caller);
    roots
        .iter()
        .filter_map(|root| {
            Storage::at(root, driver.or(configured.driver.as_deref())).or_else(|| Storage::at(root, driver))
        })
        .collect()
}

/// What storage.conf says.
#[derive(Debug, Default)]
struct Configured {
    driver: Option<String>,
    graphroot: Option<String>,
    rootless: Option<String>,
    additional: Vec<String>,
}

impl Configured {
    /// The first file that there is.
    fn find(caller: &Caller) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let own = variable("XDG_CONFIG_HOME").unwrap_or_else(|| home().join(".config")).join("containers/storage.conf");
        let own = Some(own).filter(|_| caller.uid != 0);
        let system = ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"].map(PathBuf::from);
        let files = variable("CONTAINERS_STORAGE_CONF").into_iter().chain(own).chain(system);
        files
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .next()
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let table: toml::Table = text.parse().unwrap_or_default();
        let storage = table.get("storage").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        let word = |key: &str| storage.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let additional = storage.get("options").and_then(|options| options.get("additionalimagestores")?.as_array());
        let additional = additional.into_iter().flatten().filter_map(|path| Some(path.as_str()?.to_owned())).collect();
        Self {
            driver: word("driver"),
            graphroot: word("graphroot"),
            rootless: word("rootless_storage_path"),
            additional,
        }
    }

    /// Where stores may be, the user's own first. A `graphroot` of the whole machine is root's.
    fn roots(&self, caller: &Caller) -> Vec<PathBuf> {
        let expand = |text: &String| {
            let text = text.replace("$HOME", &home().to_string_lossy()).replace("$USER", &caller.name);
            PathBuf::from(text.replace("$UID", &caller.uid.to_string()))
        };
        let data = std::env::var_os("XDG_DATA_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
        let usual = match caller.uid {
            0 => PathBuf::from("/var/lib/containers/storage"),
            _ => data.unwrap_or_else(|| home().join(".local/share")).join("containers/storage"),
        };
        let own =
            if caller.uid == 0 { self.graphroot.as_ref() } else { self.rootless.as_ref().or(self.graphroot.as_ref()) };
        let mut roots: Vec<PathBuf> = Vec::new();
        for root in own.map(expand).into_iter().chain([usual]).chain(self.additional.iter().map(expand)) {
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        roots
    }
}

fn home() -> PathBuf {
    std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default()
}

/// Opens files as the user, and where that is not enough, in a user namespace that has the user's subordinate ids.
struct Opener {
    caller: Caller,
    helper: Option<Helper>,
}

impl Files for Opener {
    fn open(&mut self, folder: &Path, path: &Path) -> io::Result<File> {
        match open_in(folder, path) {
            Err(Errno::EACCES | Errno::EPERM) => {}
            opened => return Ok(File::from(opened?)),
        }
        if self.helper.is_none() {
            self.helper = Some(Helper::start(&self.caller)?);
        }
        let helper = self.helper.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        helper.open(folder, path)
    }
}

fn open_in(folder: &Path, path: &Path) -> Result<OwnedFd, Errno> {
    let root = open(folder, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    sys::path::open_in_root(&root, path, FLAGS, Mode::empty())
}

/// A process in that namespace, which opens what it is told. It ends with its socket.
struct Helper {
    socket: OwnedFd,
}

/// The longest request: two paths.
const LONGEST: usize = 16 << 10;

impl Helper {
    fn start(caller: &Caller) -> io::Result<Self> {
        let refused = |reason: String| io::Error::new(io::ErrorKind::PermissionDenied, reason);
        let maps = state::outer_maps(caller).map_err(|failure| refused(failure.chain().join(": ")))?;
        if maps.kind == uidmap::Kind::Single {
            return Err(refused(
                "it belongs to a subordinate id of podman's, and you have none now (see `enter doctor`)".to_owned(),
            ));
        }
        let making = users::make(&maps).map_err(|error| refused(error.to_string()))?;
        let namespace = making.namespace().map_err(|error| refused(error.to_string()))?;
        making.finish().map_err(|error| refused(error.to_string()))?;
        let (ours, theirs) = sys::socket::pair()?;
        match sys::process::fork()? {
            Fork::Parent(_) => Ok(Self { socket: ours }),
            Fork::Child => {
                drop(ours);
                let entered = nix::sched::setns(namespace.as_fd(), CloneFlags::CLONE_NEWUSER);
                sys::process::exit_now(entered.and_then(|()| answer(&theirs)).is_err().into())
            }
        }
    }

    fn open(&self, folder: &Path, path: &Path) -> io::Result<File> {
        let request = [folder.as_os_str().as_bytes(), b"\0", path.as_os_str().as_bytes()].concat();
        if request.len() > LONGEST {
            return Err(Errno::ENAMETOOLONG.into());
        }
        sys::socket::send(&self.socket, &request, None)?;
        let mut errno = [0; 4];
        match sys::socket::receive(&self.socket, &mut errno)? {
            (4, Some(file)) => Ok(File::from(file)),
            (4, None) => Err(io::Error::from_raw_os_error(i32::from_le_bytes(errno))),
            _ => Err(io::Error::other("the process that opens files of subordinate ids has ended")),
        }
    }
}

/// Opens files until nobody asks any more.
fn answer(socket: &OwnedFd) -> Result<(), Errno> {
    let mut buffer = vec![0; LONGEST];
    loop {
        let (length, _) = sys::socket::receive(socket, &mut buffer)?;
        let Some(end) = buffer[..length].iter().position(|byte| *byte == 0) else { return Ok(()) };
        let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        match open_in(&path(&buffer[..end]), &path(&buffer[end + 1..length])) {
            Ok(file) => sys::socket::send_with(socket, &[0; 4], &[file.as_fd()])?,
            Err(errno) => sys::socket::send(socket, &(errno as i32).to_le_bytes(), None)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_says_where_the_store_is() {
        let text = "[storage]\ndriver = 'overlay'\ngraphroot = '/srv/$USER'\n[storage.options]\nadditionalimagestores = ['/a', 3]\n";
        let configured = Configured::parse(text);
        assert_eq!(
            (configured.driver.as_deref(), configured.graphroot.as_deref()),
            (Some("overlay"), Some("/srv/$USER"))
        );
        assert_eq!(configured.additional, ["/a"]);
        assert!(Configured::parse("no toml").driver.is_none());
    }
}
