//! All networks of a user: listed, found, made, removed.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::record::check_name;
use super::{Error, Lease, Network, file, lease};

/// What the name of a network's file ends in.
const ENDING: &str = ".json";

/// The networks of one user.
#[derive(Clone, Debug)]
pub struct Networks {
    folder: PathBuf,
}

/// The lock of all networks, held until it is dropped.
#[derive(Debug)]
struct Lock {
    _file: fs::File,
}

impl Networks {
    /// Those below `root`, which is `…/enter/v1` and need not exist.
    pub fn below(root: &Path) -> Self {
        Self { folder: root.join("networks") }
    }

    /// Where they are kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All of them, by name, those that are hidden too.
    ///
    /// # Errors
    /// Where one of them cannot be read.
    pub fn all(&self) -> Result<Vec<Network>, Error> {
        let mut networks = Vec::new();
        for name in self.names()? {
            networks.extend(self.read(&name)?);
        }
        Ok(networks)
    }

    /// The network of that name.
    ///
    /// # Errors
    /// [`Error::NoSuchNetwork`], and where it cannot be read.
    pub fn get(&self, name: &str) -> Result<Network, Error> {
        let found = if check_name(name).is_ok() { self.read(name)? } else { None };
        found.ok_or_else(|| Error::NoSuchNetwork(name.to_owned()))
    }

    /// Whom a user means: by name, by whole id, or by the beginning of an id. None that is hidden.
    ///
    /// # Errors
    /// [`Error::NoSuchNetwork`], [`Error::Ambiguous`], and where one cannot be read.
    pub fn find(&self, typed: &str) -> Result<Network, Error> {
        let missing = || Error::NoSuchNetwork(typed.to_owned());
        match self.get(typed) {
            Ok(network) if !network.hidden => return Ok(network),
            Ok(_) | Err(Error::NoSuchNetwork(_)) => {}
            Err(error) => return Err(error),
        }
        if typed.is_empty() || !typed.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(missing());
        }
        let all = self.all()?.into_iter();
        let mut found: Vec<Network> = all.filter(|network| !network.hidden && network.id.starts_with(typed)).collect();
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(missing()),
            (Some(network), true) => Ok(network),
            (Some(network), false) => {
                let names = found.into_iter().chain([network]).map(|network| network.name).collect();
                Err(Error::Ambiguous { prefix: typed.to_owned(), names })
            }
        }
    }

    /// Makes a network; `complete` gets the others, and says what it is, while nobody else makes or removes one.
    ///
    /// # Errors
    /// [`Error::NameInUse`], what `complete` says, and what the filesystem says.
    pub fn create(
        &self,
        name: &str,
        complete: impl FnOnce(&[Network]) -> Result<Network, Error>,
    ) -> Result<Network, Error> {
        check_name(name)?;
        let _lock = self.lock()?;
        if self.path(name).exists() {
            return Err(Error::NameInUse(name.to_owned()));
        }
        let network = complete(&self.all()?)?;
        file::write(&self.path(name), &network)?;
        Ok(network)
    }

    /// Changes a network.
    ///
    /// # Errors
    /// [`Error::NoSuchNetwork`], and what the filesystem says.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Network)) -> Result<Network, Error> {
        let _lock = self.lock()?;
        let mut network = self.get(name)?;
        change(&mut network);
        file::write(&self.path(name), &network)?;
        Ok(network)
    }

    /// Removes a network and all leases on it. That nobody uses it is for the caller to see, in `check`, while nobody else takes a lease.
    ///
    /// # Errors
    /// [`Error::NoSuchNetwork`], what `check` says, and what the filesystem says.
    pub fn remove<E: From<Error>>(&self, name: &str, check: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let _lock = self.lock()?;
        check_name(name).map_err(|_| Error::NoSuchNetwork(name.to_owned()))?;
        check()?;
        match fs::remove_file(self.path(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoSuchNetwork(name.to_owned()).into());
            }
            Err(error) => return Err(Error::file("remove", self.path(name))(error).into()),
        }
        let mut leases = self.read_leases()?;
        leases.leases.retain(|lease| lease.network != name);
        Ok(file::write(&self.lease_path(), &leases)?)
    }

    /// All leases.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn leases(&self) -> Result<Vec<Lease>, Error> {
        Ok(self.read_leases()?.leases)
    }

    /// Changes leases, while nobody else does.
    pub(super) fn change_leases<T>(
        &self,
        change: impl FnOnce(&mut Vec<Lease>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _lock = self.lock()?;
        let mut leases = self.read_leases()?;
        let before = leases.leases.clone();
        let changed = change(&mut leases.leases)?;
        if leases.leases != before {
            file::write(&self.lease_path(), &leases)?;
        }
        Ok(changed)
    }

    fn read_leases(&self) -> Result<lease::File, Error> {
        Ok(file::read(&self.lease_path())?.unwrap_or_default())
    }

    fn read(&self, name: &str) -> Result<Option<Network>, Error> {
        file::read(&self.path(name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{ENDING}"))
    }

    fn lease_path(&self) -> PathBuf {
        // No network has a name that begins with a dot.
        self.folder.join(format!(".leases{ENDING}"))
    }

    /// The names of all networks, sorted.
    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("list", &self.folder)(error)),
        };
        let name = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(ENDING).filter(|name| check_name(name).is_ok()).map(ToOwned::to_owned)
        };
        let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    fn lock(&self) -> Result<Lock, Error> {
        let make = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        make.map_err(Error::file("make the directory", &self.folder))?;
        let path = self.folder.join(".lock");
        let mut options = OpenOptions::new();
        let open = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let locked = open.and_then(|file| file.lock().map(|()| Lock { _file: file }));
        locked.map_err(Error::file("lock", path))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{host, pool};
    use super::*;

    fn make(networks: &Networks, name: &str) -> Result<Network, Error> {
        networks.create(name, |others| {
            let mut network = Network::new(name)?;
            let taken = pool::taken_by(others);
            network.subnets.push(pool::subnet(pool::free_ipv4(&taken)?, None, None, &taken)?);
            Ok(network)
        })
    }

    #[test]
    fn a_network_is_found_by_name_and_by_any_beginning_of_its_id() {
        let dir = tempfile::tempdir().unwrap();
        let networks = Networks::below(dir.path());
        assert!(networks.all().unwrap().is_empty());
        let made = make(&networks, "learning").unwrap();
        for typed in ["learning", &made.id, made.short_id(), &made.id[..3]] {
            assert_eq!(networks.find(typed).unwrap(), made, "{typed}");
        }
        for typed in ["learn", "", "../learning", ".leases", "z", "/"] {
            assert!(matches!(networks.find(typed), Err(Error::NoSuchNetwork(_))), "{typed}");
        }
        assert!(matches!(make(&networks, "learning"), Err(Error::NameInUse(_))));
        let second = make(&networks, "catsonly").unwrap();
        assert_eq!(second.subnets[0].subnet.to_string(), "10.89.1.0/24");
        assert_eq!(networks.all().unwrap().len(), 2);
        networks.remove::<Error>("learning", || Ok(())).unwrap();
        assert!(matches!(networks.remove::<Error>("learning", || Ok(())), Err(Error::NoSuchNetwork(_))));
        assert!(matches!(networks.remove::<Error>("../x", || Ok(())), Err(Error::NoSuchNetwork(_))));
        drop(host::taken());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let networks = Networks::below(dir.path());
        make(&networks, "torn").unwrap();
        fs::write(networks.path("torn"), "{\"version\": 1, \"na").unwrap();
        let error = networks.all().unwrap_err();
        assert!(
            error.to_string().ends_with("networks/torn.json") && error.hint().unwrap().starts_with("remove the file")
        );
        fs::write(networks.path("torn"), "{\"version\": 9}").unwrap();
        assert!(networks.get("torn").is_err());
        networks.remove::<Error>("torn", || Ok(())).unwrap();
    }
}
