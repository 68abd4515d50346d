//! All containers of a user: listed, found by name or id, made, renamed.
//!
//! ```text
//! containers/ID/     a container: see `folder` and `record`
//! names/NAME         a symbolic link that says ID; dangling, or leading to a container of another name, it says nothing
//! ```
//!
//! Looking needs no lock. Who makes or renames one holds the lock of `names/` from the moment that the name is found free to the
//! moment that the container is there under it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::folder::{self, Folder, is_id};
use super::record::{Record, State, Status, VERSION};
use super::{Error, names};

/// What a container of whose monitor nothing is left is said to have ended with.
const KILLED: i32 = 137;

/// The containers of one user.
#[derive(Clone, Debug)]
pub struct Containers {
    root: PathBuf,
}

/// One container, as it was when it was looked at.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its folder.
    pub folder: PathBuf,
    /// What it was made as.
    pub record: Record,
    /// How it is.
    pub state: State,
}

impl Container {
    /// Whether it has a running monitor.
    pub fn is_alive(&self) -> bool {
        self.state.status.is_alive()
    }

    /// The first twelve digits of its id.
    pub fn short_id(&self) -> &str {
        &self.record.id[..12]
    }

    /// Reads one; `None` where the folder holds no container, or holds none any more.
    ///
    /// # Errors
    /// Where its files are damaged.
    pub fn read(folder: PathBuf) -> Result<Option<Self>, Error> {
        let record = match Record::read(&folder) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(error) if !folder::is_locked(&folder) => return Ok(Some(Self::damaged(folder, &error))),
            Err(error) => return Err(error),
        };
        let mut state = match State::read(&folder) {
            Ok(state) => state.unwrap_or_default(),
            // A power cut may have done it. One that does not run can be started or removed, and hides no other from a list.
            Err(error) if !folder::is_locked(&folder) => {
                State { status: Status::Exited, exit_code: KILLED, error: error.to_string(), ..State::default() }
            }
            Err(error) => return Err(error),
        };
        // The state of a monitor that was killed says what was; the lock says what is.
        if state.status.is_alive() && !folder::is_locked(&folder) {
            // It may just have ended by itself.
            state = State::read(&folder)?.unwrap_or_default();
            if state.status.is_alive() {
                state.bury();
            }
        }
        // What is left of one that nobody wants back is cleared by the next command that has the means; until then it is gone already.
        if !state.status.is_alive() && folder.join(folder::name::THROWAWAY).exists() && !folder::is_locked(&folder) {
            return Ok(None);
        }
        Ok(Some(Self { folder, record, state }))
    }
}

/// The image's name of a container whose record cannot be read; no image can have it.
const DAMAGED: &str = "<damaged>";

impl Container {
    /// Whether its record cannot be read: what it is made of, and what it uses, is not known.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.record.spec.image.name == DAMAGED
    }

    /// What stands for a container whose record cannot be read: it hides no other from a list, and can be removed.
    fn damaged(folder: PathBuf, error: &Error) -> Self {
        let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let made = folder.metadata().and_then(|metadata| metadata.modified()).ok();
        let created = made.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_default();
        let error = super::Told::by(error, None).line();
        let state = State { status: Status::Exited, exit_code: KILLED, error, ..State::default() };
        let spec = super::record::Spec {
            image: super::record::ImageUse { name: DAMAGED.into(), id: String::new() },
            ..super::record::Spec::default()
        };
        Self {
            record: Record { version: VERSION, name: id.chars().take(12).collect(), id, created, spec },
            folder,
            state,
        }
    }
}

/// Writes down what is true of a container whose monitor was killed, once all of it is gone. The caller holds its lock.
///
/// # Errors
/// Where its state cannot be read or written.
pub(super) fn mend(folder: &Path) -> Result<(), Error> {
    let Some(mut state) = State::read(folder)?.filter(|state| state.status.is_alive()) else { return Ok(()) };
    wait_for_end(state.init);
    state.bury();
    state.write(folder)
}

/// Waits until the kernel has ended an init whose monitor was killed: its mounts are in what is about to be mounted again.
fn wait_for_end(init: i32) {
    const PATIENCE: u16 = 5000;
    let is_init = init > 0 && fs::read_to_string(format!("/proc/{init}/comm")).is_ok_and(|name| name == "init\n");
    let Some(Ok(end)) = is_init.then(|| sys::process::pidfd_open(nix::unistd::Pid::from_raw(init))) else { return };
    let mut end = [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&end), nix::poll::PollFlags::POLLIN)];
    // Whoever it is, if it goes on it is not the init of old.
    let _ = nix::poll::poll(&mut end, PATIENCE);
}

impl State {
    /// What is true of a container whose monitor was killed.
    fn bury(&mut self) {
        self.status = Status::Exited;
        (self.pid, self.init, self.monitor) = (0, 0, 0);
        self.exit_code = KILLED;
        self.error = "its monitor was killed, and the container with it".into();
        self.finished = self.finished.max(self.started);
    }
}

impl Containers {
    /// Those below `root`, which is `…/enter/v1` and need not exist.
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Everything of ours.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where their folders are.
    pub fn folder(&self) -> PathBuf {
        self.root.join("containers")
    }

    fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    /// All of them, the newest first.
    ///
    /// # Errors
    /// Where the folder, or the record of one of them, cannot be read.
    pub fn all(&self) -> Result<Vec<Container>, Error> {
        let mut containers = Vec::new();
        for id in self.ids()? {
            containers.extend(Container::read(self.folder().join(id))?);
        }
        containers.sort_by(|one, other| {
            other.record.created.cmp(&one.record.created).then_with(|| one.record.id.cmp(&other.record.id))
        });
        Ok(containers)
    }

    /// The one that was made last.
    ///
    /// # Errors
    /// As [`Containers::all`].
    pub fn latest(&self) -> Result<Option<Container>, Error> {
        Ok(self.all()?.into_iter().next())
    }

    /// Whom a user means: by whole id, by name, or by the beginning of an id, in this order.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], [`Error::Ambiguous`], and damaged records.
    pub fn find(&self, typed: &str) -> Result<Container, Error> {
        let missing = || Error::NoSuchContainer(typed.to_owned());
        // Docker's API has names with a slash before them, which some scripts pass on.
        let word = typed.strip_prefix('/').unwrap_or(typed);
        if is_id(word) {
            return self.read(word)?.ok_or_else(missing);
        }
        if let Some(container) = self.by_name(word)? {
            return Ok(container);
        }
        if word.is_empty() || !word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(missing());
        }
        let found: Vec<String> = self.ids()?.into_iter().filter(|id| id.starts_with(word)).collect();
        match &found[..] {
            [] => Err(missing()),
            [id] => self.read(id)?.ok_or_else(missing),
            several => Err(Error::Ambiguous {
                prefix: typed.to_owned(),
                ids: several.iter().take(10).map(|id| id[..12].to_owned()).collect(),
            }),
        }
    }

    /// Who has a name.
    ///
    /// # Errors
    /// Damaged records.
    pub fn by_name(&self, name: &str) -> Result<Option<Container>, Error> {
        if !names::is_valid(name) {
            return Ok(None);
        }
        let Ok(id) = fs::read_link(self.names().join(name)) else { return Ok(None) };
        let Some(id) = id.to_str().filter(|id| is_id(id)) else { return Ok(None) };
        Ok(self.read(id)?.filter(|container| container.record.name == name))
    }

    /// Makes a container, locked, with `record` but for its name: `name`, or where that is `None` a free one of two words.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::NameInUse`], and what the filesystem says.
    pub fn create(&self, record: Record, name: Option<&str>) -> Result<(Folder, Record), Error> {
        self.create_with(record, name, |_| Ok(()))
    }

    /// As [`Containers::create`]; `complete` completes the record at a moment when nobody else makes a container.
    ///
    /// # Errors
    /// What `complete` says, too.
    pub fn create_with(
        &self,
        mut record: Record,
        name: Option<&str>,
        complete: impl FnOnce(&mut Record) -> Result<(), Error>,
    ) -> Result<(Folder, Record), Error> {
        if let Some(name) = name.filter(|name| !names::is_valid(name)) {
            return Err(Error::BadName(name.to_owned()));
        }
        let _lock = self.lock_names()?;
        complete(&mut record)?;
        record.name = match name {
            Some(name) => name.to_owned(),
            None => self.free_name()?,
        };
        self.claim(&record.name, &record.id)?;
        let made = Folder::create(&self.folder(), &record.id, |folder| {
            record.write(folder)?;
            if record.spec.shell {
                folder::mark_shell(folder)?;
            }
            let state = State::default();
            if record.spec.shell || record.spec.remove { state.write_passing(folder) } else { state.write(folder) }
        });
        match made {
            Ok(folder) => Ok((folder, record)),
            Err(error) => {
                let _ = fs::remove_file(self.names().join(&record.name));
                Err(error)
            }
        }
    }

    /// Puts a folder that was set aside back among the containers, with this record but for its name: `name`, or else the one that is in it
    /// already if that is free, or a free one.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::NameInUse`], and what the filesystem says; then it stays set aside.
    pub fn take_back(&self, folder: Folder, mut record: Record, name: Option<&str>) -> Result<(Folder, Record), Error> {
        if let Some(name) = name.filter(|name| !names::is_valid(name)) {
            return Err(Error::BadName(name.to_owned()));
        }
        let _lock = self.lock_names()?;
        match name {
            Some(name) => record.name = name.to_owned(),
            None if self.by_name(&record.name)?.is_none() && names::is_valid(&record.name) => {}
            None => record.name = self.free_name()?,
        }
        self.claim(&record.name, &record.id)?;
        let place = self.folder().join(&record.id);
        let moved = State::default().write(folder.path()).and_then(|()| record.write(folder.path())).and_then(|()| {
            if record.spec.shell {
                folder::mark_shell(folder.path())?;
            } else {
                let _ = folder::unmark_throwaway(folder.path());
            }
            folder.renamed(place)
        });
        match moved {
            Ok(folder) => Ok((folder, record)),
            Err(error) => {
                let _ = fs::remove_file(self.names().join(&record.name));
                Err(error)
            }
        }
    }

    /// A new record: now, with a new id and no name yet.
    ///
    /// # Errors
    /// Where there are no random bytes to be had.
    pub fn new_record(spec: super::record::Spec) -> Result<Record, Error> {
        Ok(Record { version: VERSION, id: folder::new_id()?, name: String::new(), created: Timestamp::now(), spec })
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::NameInUse`], [`Error::NoSuchContainer`], and what the filesystem says.
    pub fn rename(&self, container: &Container, name: &str) -> Result<(), Error> {
        if !names::is_valid(name) {
            return Err(Error::BadName(name.to_owned()));
        }
        self.change(container, |record| {
            self.claim(name, &record.id)?;
            record.name = name.to_owned();
            Ok(())
        })?;
        self.forget(&container.record.name, &container.record.id);
        Ok(())
    }

    /// Makes a throwaway shell a box of this name.
    ///
    /// # Errors
    /// As [`Containers::rename`].
    pub fn keep(&self, container: &Container, name: &str) -> Result<Record, Error> {
        if !names::is_valid(name) {
            return Err(Error::BadName(name.to_owned()));
        }
        let record = self.change(container, |record| {
            if record.name != name {
                self.claim(name, &record.id)?;
            }
            record.name = name.to_owned();
            record.spec.become_box();
            Ok(())
        })?;
        // Whoever is killed here leaves a mark that the next command understands.
        folder::unmark_throwaway(&container.folder)?;
        if container.record.name != name {
            self.forget(&container.record.name, &record.id);
        }
        Ok(record)
    }

    /// Changes a container's record; whoever else changes one waits.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`] where it has gone; what `change` says; what the filesystem says.
    pub fn change(
        &self,
        container: &Container,
        change: impl FnOnce(&mut Record) -> Result<(), Error>,
    ) -> Result<Record, Error> {
        let _lock = self.lock_names()?;
        let gone = || Error::NoSuchContainer(container.record.name.clone());
        let mut record = Record::read(&container.folder)?.ok_or_else(gone)?;
        change(&mut record)?;
        record.write(&container.folder)?;
        Ok(record)
    }

    /// Frees the name of the container `id`, which is gone or has another.
    pub fn forget(&self, name: &str, id: &str) {
        // A name that stays says nothing, and is free to be claimed. One that was claimed already is another's.
        let link = self.names().join(name);
        if names::is_valid(name)
            && let Ok(_lock) = self.lock_names()
            && fs::read_link(&link).is_ok_and(|owner| owner.as_os_str() == id)
        {
            let _ = fs::remove_file(link);
        }
    }

    /// Removes names that say nothing, which commands left that were killed. They are free anyway; this keeps them from growing in
    /// number. Where there are no more names than `containers`, there is none of them, and nothing is looked at.
    pub fn forget_nobody(&self, containers: usize) {
        let names = self.names();
        let entries = || fs::read_dir(&names).into_iter().flatten().flatten();
        if entries().count() <= containers {
            return;
        }
        // Whoever makes a container has claimed its name before there is one.
        let Ok(_lock) = self.lock_names() else { return };
        for entry in entries() {
            let name = entry.file_name();
            if name.to_str().is_none_or(|name| matches!(self.by_name(name), Ok(None))) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn read(&self, id: &str) -> Result<Option<Container>, Error> {
        Container::read(self.folder().join(id))
    }

    /// The ids of all folders.
    fn ids(&self) -> Result<Vec<String>, Error> {
        let folder = self.folder();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("list", folder)(error)),
        };
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).filter(|id| is_id(id)).collect())
    }

    fn lock_names(&self) -> Result<File, Error> {
        let folder = self.names();
        fs::create_dir_all(&folder).map_err(Error::file("make the directory", &folder))?;
        let lock = File::open(&folder).and_then(|directory| directory.lock().map(|()| directory));
        lock.map_err(Error::file("lock", folder))
    }

    /// Takes a name that nobody has. The caller holds the lock.
    fn claim(&self, name: &str, id: &str) -> Result<(), Error> {
        if let Some(owner) = self.by_name(name)? {
            return Err(Error::NameInUse { name: name.to_owned(), id: owner.short_id().to_owned() });
        }
        let link = self.names().join(name);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file("remove", link)(error)),
            _ => {}
        }
        std::os::unix::fs::symlink(id, &link).map_err(Error::file("make the link", link))
    }

    /// A name of two words that nobody has. The caller holds the lock.
    fn free_name(&self) -> Result<String, Error> {
        let mut attempt = 0;
        loop {
            let name = names::random(attempt)?;
            if self.by_name(&name)?.is_none() {
                return Ok(name);
            }
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests;
