//! All volumes of a user: listed, found, made, taken off the list.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::record::{VERSION, is_name};
use super::{Asked, Error, Record, name};

/// What the name of a folder begins with that is being made.
const UNFINISHED: &str = ".new-";
/// What the name of a folder begins with whose volume is none any more.
const GONE: &str = ".gone-";

/// The volumes of one user.
#[derive(Clone, Debug)]
pub struct Volumes {
    root: PathBuf,
}

/// One volume, as it was when it was looked at.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its folder.
    pub folder: PathBuf,
    /// What it was made as.
    pub record: Record,
}

/// As long as this lives, nobody else makes or removes a volume.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Volume {
    /// Where its files are.
    pub fn data(&self) -> PathBuf {
        self.record.device().unwrap_or_else(|| self.folder.join(name::DATA))
    }

    /// Whether an image's files may still be taken over into it.
    pub fn is_fresh(&self) -> bool {
        self.folder.join(name::FRESH).exists()
    }
}

impl Volumes {
    /// Those below `root`, which is `…/enter/v1` and need not exist.
    pub fn below(root: &Path) -> Self {
        Self { root: root.join("volumes") }
    }

    /// Where their folders are.
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// Keeps others from making or removing any.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn lock(&self) -> Result<Lock, Error> {
        let failed = Error::file("make the directory", &self.root);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root).map_err(failed)?;
        let lock = File::open(&self.root).and_then(|directory| directory.lock().map(|()| directory));
        lock.map(|file| Lock { _file: file }).map_err(Error::file("lock", &self.root))
    }

    /// All of them, by name. One whose record is damaged is listed as if it had been made today and was nothing special: its files are
    /// still somebody's.
    ///
    /// # Errors
    /// Where the folder cannot be listed.
    pub fn all(&self) -> Result<Vec<Volume>, Error> {
        let names = self.names()?;
        Ok(names.iter().filter_map(|name| self.read(name)).collect())
    }

    /// The one that has this name.
    pub fn named(&self, name: &str) -> Option<Volume> {
        is_name(name).then(|| self.read(name)).flatten()
    }

    /// The one that a user means: by its name, or by the beginning of it.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`], [`Error::Ambiguous`].
    pub fn find(&self, typed: &str) -> Result<Volume, Error> {
        let missing = || Error::NoSuchVolume(typed.to_owned());
        if let Some(volume) = self.named(typed) {
            return Ok(volume);
        }
        if typed.is_empty() {
            return Err(missing());
        }
        let mut names = self.names()?;
        names.retain(|name| name.starts_with(typed));
        match &names[..] {
            [] => Err(missing()),
            [name] => self.read(name).ok_or_else(missing),
            _ => {
                names.truncate(10);
                Err(Error::Ambiguous { prefix: typed.to_owned(), names })
            }
        }
    }

    /// Makes a volume. The caller holds the lock.
    ///
    /// # Errors
    /// [`Error::Exists`], what [`Asked::check`] says, what the filesystem says.
    pub fn create(&self, _lock: &Lock, asked: Asked) -> Result<Volume, Error> {
        asked.check()?;
        let name = match asked.name {
            Some(name) if self.root.join(&name).symlink_metadata().is_ok() => return Err(Error::Exists(name)),
            Some(name) => name,
            None => random()?,
        };
        let record = Record {
            version: VERSION,
            created: Timestamp::now(),
            anonymous: asked.anonymous,
            labels: asked.labels,
            options: asked.options,
            name: name.clone(),
        };
        let unfinished = self.root.join(format!("{UNFINISHED}{name}"));
        let _ = fs::remove_dir_all(&unfinished);
        let folder = self.root.join(&name);
        let made = furnish(&unfinished, &record).and_then(|()| {
            fs::rename(&unfinished, &folder).map_err(Error::file("name", &folder))?;
            File::open(&self.root).and_then(|root| root.sync_all()).map_err(Error::file("write", &self.root))
        });
        if let Err(error) = made {
            let _ = fs::remove_dir_all(&unfinished);
            return Err(error);
        }
        Ok(Volume { folder, record })
    }

    /// Takes a volume off the list, and returns the folder with all that is left of it, which the caller is to remove. The caller holds the
    /// lock, and has seen that nobody uses it.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn strike(&self, _lock: &Lock, volume: &Volume) -> Result<PathBuf, Error> {
        let gone = self.root.join(format!("{GONE}{}", random()?));
        fs::rename(&volume.folder, &gone).map_err(Error::file("remove", &volume.folder))?;
        Ok(gone)
    }

    /// What killed commands have left of volumes that are none. The caller holds the lock.
    pub fn rubbish(&self, _lock: &Lock) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let is_rubbish = |name: &str| name.starts_with(UNFINISHED) || name.starts_with(GONE);
        entries.filter(|entry| entry.file_name().to_str().is_some_and(is_rubbish)).map(|entry| entry.path()).collect()
    }

    fn read(&self, name: &str) -> Option<Volume> {
        let folder = self.root.join(name);
        let made = folder.symlink_metadata().ok().filter(fs::Metadata::is_dir)?;
        let text = fs::read(folder.join(name::RECORD)).unwrap_or_default();
        let record = serde_json::from_slice::<Record>(&text).ok();
        let record = record.filter(|record| record.name == name && record.version == VERSION);
        let record = record.unwrap_or_else(|| Record {
            version: VERSION,
            name: name.to_owned(),
            created: made.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_default(),
            anonymous: false,
            labels: [].into(),
            options: [].into(),
        });
        Some(Volume { folder, record })
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("list", &self.root)(error)),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| is_name(name)).collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// Puts into a folder what a new volume has.
fn furnish(folder: &Path, record: &Record) -> Result<(), Error> {
    let failed = |doing, path: &Path| Error::file(doing, path.to_owned());
    DirBuilder::new().mode(0o700).create(folder).map_err(failed("make the directory", folder))?;
    if record.device().is_none() {
        let data = folder.join(name::DATA);
        // Whatever the caller's umask is: it is the container's users who are to look into it.
        let made = fs::create_dir(&data).and_then(|()| fs::set_permissions(&data, fs::Permissions::from_mode(0o755)));
        made.map_err(failed("make the directory", &data))?;
    }
    let fresh = folder.join(name::FRESH);
    File::create(&fresh).map_err(failed("make", &fresh))?;
    let path = folder.join(name::RECORD);
    let text = serde_json::to_vec_pretty(record).map_err(|error| failed("write", &path)(error.into()))?;
    let written = File::create(&path).and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
    written.map_err(failed("write", &path))?;
    File::open(folder).and_then(|directory| directory.sync_all()).map_err(failed("write", folder))
}

/// 64 random hex digits.
fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(Error::file("read random bytes from", "/dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volumes() -> (tempfile::TempDir, Volumes) {
        let dir = tempfile::tempdir().unwrap();
        let volumes = Volumes::below(dir.path());
        (dir, volumes)
    }

    #[test]
    fn what_is_made_is_found_by_its_name_or_the_beginning_of_it() {
        let (_dir, volumes) = volumes();
        assert!(volumes.all().unwrap().is_empty());
        let lock = volumes.lock().unwrap();
        let made = volumes.create(&lock, Asked::named("data")).unwrap();
        assert!(made.data().is_dir() && made.is_fresh());
        assert!(matches!(volumes.create(&lock, Asked::named("data")), Err(Error::Exists(_))));
        volumes.create(&lock, Asked::named("data2")).unwrap();
        let anonymous = volumes.create(&lock, Asked::anonymous()).unwrap();
        assert_eq!(anonymous.record.name.len(), 64);
        assert_eq!(volumes.find("data").unwrap().record.name, "data");
        assert_eq!(volumes.find(&anonymous.record.name[..12]).unwrap().record, anonymous.record);
        assert!(matches!(volumes.find("dat"), Err(Error::Ambiguous { .. })));
        for missing in ["", "x", "..", "../volumes/data", "/"] {
            assert!(matches!(volumes.find(missing), Err(Error::NoSuchVolume(_))), "{missing}");
        }
    }

    #[test]
    fn what_is_struck_off_is_none_any_more_and_can_be_made_anew() {
        let (_dir, volumes) = volumes();
        let lock = volumes.lock().unwrap();
        let made = volumes.create(&lock, Asked::named("data")).unwrap();
        fs::write(made.data().join("file"), "x").unwrap();
        let left = volumes.strike(&lock, &made).unwrap();
        assert_eq!(volumes.rubbish(&lock), [left]);
        let anew = volumes.create(&lock, Asked::named("data")).unwrap();
        assert_eq!(fs::read_dir(anew.data()).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_record_hides_no_files() {
        let (_dir, volumes) = volumes();
        let made = volumes.create(&volumes.lock().unwrap(), Asked::anonymous()).unwrap();
        for text in ["", "{", "{\"version\": 2}"] {
            fs::write(made.folder.join(name::RECORD), text).unwrap();
            let found = volumes.find(&made.record.name).unwrap();
            assert!(found.data().is_dir() && !found.record.anonymous);
        }
    }

    #[test]
    fn a_link_in_the_place_of_a_volume_is_none() {
        let (dir, volumes) = volumes();
        let _lock = volumes.lock().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("volumes/link")).unwrap();
        assert!(volumes.named("link").is_none() && volumes.all().unwrap().is_empty());
    }
}
