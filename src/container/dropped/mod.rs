//! What throwaway shells have left: their folders, set aside for a while so that they can be brought back.
//!
//! ```text
//! dropped/MILLISECONDS-FILES-BYTES-ID/     the container's folder as it was; when it was left (since 1970), and what had changed in it
//! ```
//!
//! The name says all that is needed to decide what has to go, so that looking costs one directory to be read. The monitor sets aside, and for
//! one that was killed the next command's sweep. Such a folder is no container: it has no name, and nothing lists it but `enter restore`.

mod count;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use count::{Left, count};

use super::folder::{is_id, private_directory};
use super::record::Record;
use super::{Error, Told, sweep};

/// The folder's name, beside `containers`.
const FOLDER: &str = "dropped";

/// More than so many are not kept, whatever their size: each has its files on the disk.
const MOST: usize = 500;

/// The first argument that makes this program one that removes what is kept no longer.
pub const CLEAR: &str = "__clear";

/// One that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its folder.
    pub path: PathBuf,
    /// The container's id.
    pub id: String,
    /// When it was left, in milliseconds since 1970.
    pub left: u64,
    /// What had changed in it.
    pub changed: Left,
}

impl Dropped {
    fn parse(folder: &Path, name: &str) -> Option<Self> {
        let mut parts = name.splitn(4, '-');
        let left = parts.next()?.parse().ok()?;
        let files = parts.next()?;
        let all = !files.ends_with('+');
        let files = files.trim_end_matches('+').parse().ok()?;
        let bytes = parts.next()?.parse().ok()?;
        let id = parts.next().filter(|id| is_id(id))?.to_owned();
        Some(Self { path: folder.join(name), id, left, changed: Left { files, bytes, all } })
    }

    /// What it was made as.
    ///
    /// # Errors
    /// Where that cannot be read; [`Error::NoSuchContainer`] where it has just gone.
    pub fn record(&self) -> Result<Record, Error> {
        Record::read(&self.path)?.ok_or_else(|| Error::NoSuchContainer(self.id.clone()))
    }

    /// When it was left.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.left)
    }

    /// Until when it is kept, where it is not in the way of others before.
    pub fn until(&self, period: Duration) -> SystemTime {
        const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);
        self.time() + period.min(LONGEST)
    }
}

/// Where they are.
pub fn folder(root: &Path) -> PathBuf {
    root.join(FOLDER)
}

/// All of them, the last first. `root`: everything of ours.
pub fn all(root: &Path) -> Vec<Dropped> {
    let folder = folder(root);
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries.filter_map(|entry| Dropped::parse(&folder, entry.file_name().to_str()?)).collect();
    all.sort_by(|one, other| (other.left, &other.id).cmp(&(one.left, &one.id)));
    all
}

/// The one that a container of this id has become, if it was set aside.
pub fn of(root: &Path, id: &str) -> Option<Dropped> {
    all(root).into_iter().find(|dropped| dropped.id == id)
}

/// Those that are kept no longer: too old, or beyond what all may take together, the oldest first. `all` begins with the last.
pub fn excess(all: &[Dropped], period: Duration, most: u64) -> impl Iterator<Item = &Dropped> {
    let now = SystemTime::now();
    let mut bytes = 0_u64;
    all.iter()
        .enumerate()
        .filter(move |(number, dropped)| {
            bytes = bytes.saturating_add(dropped.changed.bytes);
            bytes > most || *number >= MOST || dropped.until(period) <= now
        })
        .map(|(_, dropped)| dropped)
}

/// Sets the folder of a container aside, whose lock the caller holds. It is no container from then on.
///
/// # Errors
/// What the filesystem says; then it is where it was.
pub fn set_aside(folder: &Path, left: Left) -> io::Result<Dropped> {
    let (Some(root), Some(id)) = (folder.ancestors().nth(2), folder.file_name().and_then(|name| name.to_str())) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let place = self::folder(root);
    private_directory(&place).map_err(io::Error::other)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    // Whatever the clock says: what is left last is the last.
    let before = all(root).first().map_or(0, |last| u128::from(last.left) + 1);
    let more = if left.all { "" } else { "+" };
    let name = format!("{:014}-{}{more}-{}-{id}", now.max(before), left.files, left.bytes);
    fs::rename(folder, place.join(&name))?;
    Dropped::parse(&place, &name).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Starts a process that removes what is kept no longer. What cannot be removed now is tried again by the next.
pub fn clear_in_background() {
    let mut command = Command::new("/proc/self/exe");
    command.arg(CLEAR).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Whoever it is that is to reap it: it is nobody's business how it ends.
    let _ = command.spawn();
}

/// The same, where all together have become more than so many bytes. `folder`: that of a container, now or before.
pub fn clear_where_too_much(folder: &Path, most: u64) {
    let all = folder.ancestors().nth(2).map(all).unwrap_or_default();
    if excess(&all, Duration::MAX, most).next().is_some() {
        clear_in_background();
    }
}

/// What is told where more was changed than is kept: it is gone. `most`: in bytes.
pub fn too_much(left: Left, most: u64) -> Told {
    let size = |bytes: u64| match bytes {
        0..1_000_000_000 => format!("{}.{}MB", bytes / 1_000_000, bytes / 100_000 % 10),
        _ => format!("{}.{}GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    };
    let files = if left.files == 1 { "file" } else { "files" };
    Told::plain(format!(
        "dropped {} {files}, {}: too much to be brought back, as no more than {} is kept (the setting restore-size)",
        left.files,
        size(left.bytes),
        size(most)
    ))
}

/// Makes overlayfs's scratch space new. What a mount leaves there that was not to survive a power cut (`volatile`) would have the kernel
/// refuse every later one.
///
/// # Errors
/// What the filesystem says.
pub fn renew_work(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let work = folder.join(super::folder::name::WORK).join("work");
    match fs::set_permissions(&work, fs::Permissions::from_mode(0o700)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sweep::remove_tree(&work.join("incompat")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Left = Left { files: 0, bytes: 0, all: true };

    fn root_with(count: usize) -> (tempfile::TempDir, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let ids: Vec<String> = (0..count).map(|number| format!("{number:064x}")).collect();
        for (number, id) in (0..).zip(&ids) {
            let folder = dir.path().join("containers").join(id);
            fs::create_dir_all(&folder).unwrap();
            set_aside(&folder, Left { files: number, bytes: 100, all: number != 1 }).unwrap();
        }
        (dir, ids)
    }

    #[test]
    fn the_last_is_the_first_to_be_brought_back() {
        let (dir, ids) = root_with(3);
        let all = all(dir.path());
        assert_eq!(
            all.iter().map(|one| one.id.clone()).collect::<Vec<_>>(),
            [&ids[2], &ids[1], &ids[0]].map(String::clone)
        );
        assert_eq!(all[1].changed, Left { files: 1, bytes: 100, all: false });
        assert!(all[0].path.is_dir() && !dir.path().join("containers").join(&ids[0]).exists());
        assert_eq!(of(dir.path(), &ids[1]).as_ref(), Some(&all[1]));
    }

    #[test]
    fn the_oldest_go_first_and_what_is_too_old() {
        let (dir, ids) = root_with(3);
        let all = all(dir.path());
        let excess = |period, most| excess(&all, period, most).map(|one| one.id.clone()).collect::<Vec<_>>();
        let day = Duration::from_secs(86_400);
        assert_eq!(excess(day, 300), [""; 0]);
        assert_eq!(excess(day, 299), [ids[0].clone()]);
        assert_eq!(excess(day, 99).len(), 3);
        // Those that are left in one moment count as left one after another.
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(excess(Duration::ZERO, 300).len(), 3);
    }

    #[test]
    fn what_is_not_of_ours_is_nobody() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "lost+found",
            "1-2-3",
            "1-2-3-abc",
            "x-2-3-0000000000000000000000000000000000000000000000000000000000000000",
        ] {
            fs::create_dir_all(folder(dir.path()).join(name)).unwrap();
        }
        assert_eq!(all(dir.path()), []);
        assert!(set_aside(&dir.path().join("containers").join("nothing"), NOTHING).is_err());
    }
}
