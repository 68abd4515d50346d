//! `enter image mount` and `unmount`: an image's tree at a path, served by a process of its own for as long as it is mounted.
//!
//! `mounts/HEX of the image's ID/` has `tree`, where it is mounted; `server`, locked by the process that serves; and `count`, how often it was
//! asked for. What a killed server left is cleared away by the next that looks. `mounts/` is locked while any of it changes.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cowfs::mounting;
use cowfs::options::Flags;
use cowfs::owners::Owners;
use cowfs::serve::{self, Lower};
use cowfs::tree::Image as Tree;
use enter::image::{Digest, Reference};
use enter::store::{Image, Store};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde_json::json;
use sys::process::Fork;

use super::cowfs as helper;
use super::state::State;
use crate::cli::{ImageMountArgs, ImageUnmountArgs};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// How long a server may take to end when it has nothing more to serve.
const PATIENCE: Duration = Duration::from_secs(2);

/// Mounts images and prints where, or lists those that are mounted.
pub fn mount(ui: &Ui, settings: &Settings, args: &ImageMountArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    let store = state.store()?;
    let mounts = Mounts::open(&state)?;
    let found = |typed: &String| super::tag::find(settings, &store, typed);
    let mounted = match (&args.images[..], args.all) {
        ([], false) => mounts.all(&store)?,
        ([], true) => mounts.add_all(&store, store.images()?)?,
        (typed, _) => mounts.add_all(&store, typed.iter().map(found).collect::<Result<_, _>>()?)?,
    };
    let mut output = ui.output();
    match (&mounted[..], args.images.len()) {
        _ if args.format.is_some() => {
            let list = json!(mounted.iter().map(described).collect::<Vec<_>>());
            output.line(format!("{list:#}"));
        }
        ([(_, path)], 1) => output.line(path.display().to_string()),
        _ => {
            let name =
                |image: &Image| image.names.first().map_or_else(|| image.id.hex().to_owned(), Reference::to_string);
            let width = mounted.iter().map(|(image, _)| name(image).len()).max().unwrap_or_default();
            for (image, path) in &mounted {
                output.line(format!("{:width$}  {}", name(image), path.display()));
            }
        }
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Unmounts images, and prints their IDs.
pub fn unmount(ui: &Ui, settings: &Settings, args: &ImageUnmountArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    let store = state.store()?;
    let mounts = Mounts::open(&state)?;
    let images: Vec<Image> = if args.all {
        mounts.all(&store)?.into_iter().map(|(image, _)| image).collect()
    } else {
        args.images.iter().map(|typed| super::tag::find(settings, &store, typed)).collect::<Result<_, _>>()?
    };
    let mut output = ui.output();
    for image in images {
        if mounts.take(&image.id, args.force)? {
            output.line(image.id.hex());
        }
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn described((image, path): &(Image, PathBuf)) -> serde_json::Value {
    json!({
        "id": image.id.hex(),
        "Names": [image.manifest.to_string()],
        "Repositories": image.names.iter().map(Reference::to_string).collect::<Vec<_>>(),
        "mountpoint": path.display().to_string(),
    })
}

/// The folder with all mounts, locked.
struct Mounts {
    folder: PathBuf,
    lock: Flock<File>,
}

impl Mounts {
    fn open(state: &State) -> Result<Self, Failure> {
        let folder = state.root().join("mounts");
        let failed = |error: io::Error| Failure::new(format!("cannot use {}", folder.display())).because(error);
        fs::create_dir_all(&folder).map_err(failed)?;
        let lock = lock(File::open(&folder).map_err(failed)?, FlockArg::LockExclusive)
            .map_err(|errno| failed(errno.into()))?;
        Ok(Self { folder, lock })
    }

    fn of(&self, id: &Digest) -> Mount {
        Mount { folder: self.folder.join(id.hex()), guard: self.lock.as_raw_fd() }
    }

    /// What is mounted. What is not served any more is cleared away.
    fn all(&self, store: &Store) -> Result<Vec<(Image, PathBuf)>, Failure> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let mount = Mount { folder: entry.path(), guard: self.lock.as_raw_fd() };
            let id = Digest::parse(&format!("sha256:{}", entry.file_name().to_string_lossy())).ok();
            let image = id.map(|id| store.by_id(&id)).transpose()?.flatten();
            match image {
                Some(image) if mount.is_served() => all.push((image, mount.tree())),
                _ => mount.clear(),
            }
        }
        all.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
        Ok(all)
    }

    fn add_all(&self, store: &Store, images: Vec<Image>) -> Result<Vec<(Image, PathBuf)>, Failure> {
        images.into_iter().map(|image| self.add(store, &image).map(|path| (image, path))).collect()
    }

    fn add(&self, store: &Store, image: &Image) -> Result<PathBuf, Failure> {
        let mount = self.of(&image.id);
        if mount.is_served() {
            mount.count(mount.counted() + 1)?;
            return Ok(mount.tree());
        }
        mount.clear();
        mount.serve(store, image).inspect_err(|_| mount.clear())?;
        Ok(mount.tree())
    }

    /// Unmounts, where this is the last time that it was asked for; whether it was mounted.
    fn take(&self, id: &Digest, force: bool) -> Result<bool, Failure> {
        let mount = self.of(id);
        if !mount.is_served() {
            mount.clear();
            return Ok(false);
        }
        let count = mount.counted();
        if count > 1 && !force {
            mount.count(count - 1)?;
            return Ok(true);
        }
        mounting::unmount(&mount.tree(), force).map_err(|error| {
            Failure::from(error).with_hint("leave it first, with all that has files of it open; or use --force")
        })?;
        let end = Instant::now() + PATIENCE;
        while mount.is_served() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        mount.clear();
        Ok(true)
    }
}

/// One image's mount.
struct Mount {
    folder: PathBuf,
    /// The lock of all mounts, which a server must not keep when the one that has it is killed.
    guard: RawFd,
}

impl Mount {
    fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    fn server(&self) -> PathBuf {
        self.folder.join("server")
    }

    /// Whether a process serves it.
    fn is_served(&self) -> bool {
        let Ok(file) = File::open(self.server()) else { return false };
        matches!(lock(file, FlockArg::LockSharedNonblock), Err(Errno::EWOULDBLOCK))
    }

    fn counted(&self) -> u64 {
        fs::read_to_string(self.folder.join("count")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1)
    }

    fn count(&self, count: u64) -> Result<(), Failure> {
        let path = self.folder.join("count");
        fs::write(&path, count.to_string())
            .map_err(|error| Failure::new(format!("cannot write {}", path.display())).because(error))
    }

    /// Removes what is left of one that is not served. A folder that is not empty is somebody else's, and stays.
    fn clear(&self) {
        if self.folder.exists() {
            // Nothing is mounted there, mostly.
            let _ = mounting::unmount(&self.tree(), true);
            for path in [self.folder.join("count"), self.server()] {
                let _ = fs::remove_file(path);
            }
            let _ = fs::remove_dir(self.tree());
            let _ = fs::remove_dir(&self.folder);
        }
    }

    /// Mounts the image, and leaves a process that serves it.
    fn serve(&self, store: &Store, image: &Image) -> Result<(), Failure> {
        let failed =
            |path: &Path, error: io::Error| Failure::new(format!("cannot make {}", path.display())).because(error);
        let gone = || enter::store::Error::NoSuchImage(image.id.short().to_owned());
        if !store.mend(image)? {
            return Err(gone().into());
        }
        // Held by the server: an image that is mounted is not removed.
        let lease = image.lease()?;
        let tree = Tree::open(&image.tree, &image.tars)?;
        fs::create_dir_all(self.tree()).map_err(|error| failed(&self.tree(), error))?;
        let server = File::create(self.server()).map_err(|error| failed(&self.server(), error))?;
        let server = lock(server, FlockArg::LockExclusive).map_err(|errno| failed(&self.server(), errno.into()))?;
        self.count(1)?;
        let flags =
            Flags { read_only: true, no_suid: true, unchecked: true, source: "enter".to_owned(), ..Flags::default() };
        let (fuse, mounted) = mounting::mount(&self.tree(), &flags).map_err(|error| {
            Failure::from(error).with_hint("install fusermount3, with which users mount (Debian and Fedora: fuse3)")
        })?;
        let unable = |errno: Errno| Failure::new("cannot serve in the background").because(errno);
        let (here, there) = sys::socket::pair().map_err(unable)?;
        match sys::process::fork().map_err(unable)? {
            Fork::Child => {
                drop(here);
                // Where it cannot be closed it is not open.
                let _ = nix::unistd::close(self.guard);
                let served = helper::detach().map_err(unable).and_then(|()| {
                    helper::unmount_when_told(Arc::new(mounted))?;
                    Ok(serve::serve(fuse, Lower::Image(tree), Owners::identity())?)
                });
                if let Err(failure) = &served {
                    // A caller who has gone has had its answer.
                    let _ = sys::socket::send(&there, &helper::told(failure), None);
                }
                sys::process::exit_now(served.is_err().into())
            }
            Fork::Parent(_) => {
                drop((there, fuse));
                // These locks are the child's as well, and to drop them here is to unlock them there.
                std::mem::forget((lease, server));
                helper::wait_for_answer(&self.tree(), &here)
            }
        }
    }
}

fn lock(mut file: File, how: FlockArg) -> Result<Flock<File>, Errno> {
    loop {
        match Flock::lock(file, how) {
            Ok(lock) => return Ok(lock),
            Err((same, Errno::EINTR)) => file = same,
            Err((_, errno)) => return Err(errno),
        }
    }
}
