//! What is mounted: from flags, the image and other containers to what the record says, with the volumes that are made for it.

mod glob;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use enter::container::events::{Event, Journal};
use enter::container::planning::check_bind;
use enter::container::record::{ImageUse, Kind, Mount, Spec};
use enter::container::{Containers, volumes};
use enter::image::Config;
use enter::store::{Lease, Store};
use enter::volume::{Asked, Lock, Volumes};

use super::super::resolve;
use super::asked::{bad, whole};
use crate::cli::run::{FileArgs, ImageVolume, values};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// What is looked at for it.
pub struct Place<'a> {
    pub ui: &'a Ui,
    pub settings: &'a Settings,
    pub store: &'a Store,
    pub containers: &'a Containers,
    /// Everything of ours.
    pub root: &'a Path,
}

/// What a new container's record must be written under: until then nobody knows that it uses its volumes and images.
pub struct Held {
    /// Nobody removes a volume.
    _lock: Option<Lock>,
    /// Nobody removes the images that are shown.
    _leases: Vec<Lease>,
    /// Volumes that were made for this container alone.
    made: Vec<String>,
    root: PathBuf,
}

impl Held {
    /// Removes what was made for a container that there will not be.
    pub fn undo(self) {
        let Self { _lock: lock, made, root, .. } = self;
        drop(lock);
        volumes::remove_anonymous(&root, &made, &|| None);
    }
}

/// A mount, with what a volume is to be that is made for it.
struct Wanted {
    mount: Mount,
    asked: Asked,
}

impl Wanted {
    fn plain(mount: Mount) -> Self {
        Self { mount, asked: Asked::default() }
    }
}

/// Puts into `spec` what is to be mounted, and makes the volumes that are missing.
pub fn resolve(place: &Place<'_>, spec: &mut Spec, args: &FileArgs, config: &Config) -> Result<Held, Failure> {
    let mut wanted = explicit(args)?;
    let taken: BTreeSet<String> = wanted.iter().map(|wanted| wanted.mount.target.clone()).collect();
    wanted.extend(others(place, args)?.into_iter().filter(|mount| !taken.contains(&mount.target)).map(Wanted::plain));

    let of_image = config.execution.volumes.iter().filter(|path| path.starts_with('/')).map(|path| clean(path));
    spec.volumes = of_image.clone().collect();
    for path in of_image.filter(|path| path != "/") {
        let is_taken = wanted.iter().any(|wanted| wanted.mount.target == path);
        match args.image_volume {
            _ if is_taken => {}
            ImageVolume::Ignore => {}
            ImageVolume::Anonymous => {
                wanted.push(Wanted::plain(Mount::new(Kind::Volume(String::new()), &path, "")));
            }
            ImageVolume::Tmpfs => {
                let kind = Kind::Tmpfs { size: None, mode: 0o1777 };
                wanted.push(Wanted::plain(Mount { recursive: false, ..Mount::new(kind, &path, "") }));
            }
        }
    }
    spec.volumes_from = args.volumes_from.iter().map(|from| from.typed.clone()).collect();
    let without_name = |mount: &Mount| mount.kind == Kind::Volume(String::new());
    spec.volumes
        .extend(wanted.iter().filter(|wanted| without_name(&wanted.mount)).map(|wanted| wanted.mount.target.clone()));
    spec.volumes.sort();
    spec.volumes.dedup();
    furnish(place, spec, wanted)
}

/// Finds images, and makes what is missing of volumes.
fn furnish(place: &Place<'_>, spec: &mut Spec, wanted: Vec<Wanted>) -> Result<Held, Failure> {
    let mut leases = Vec::new();
    let mut mounts = Vec::new();
    for mut wanted in wanted {
        if let Kind::Image(image) = &mut wanted.mount.kind {
            let find = || resolve::image(place.ui, place.settings, place.store, &image.name);
            let (found, lease) = resolve::held(find, |image| Some(image))?;
            leases.extend(lease);
            *image = ImageUse { name: image.name.clone(), id: found.id.to_string() };
        }
        mounts.push(wanted);
    }
    let mut held = Held { _lock: None, _leases: leases, made: Vec::new(), root: place.root.to_owned() };
    let volumes = Volumes::below(place.root);
    let is_volume = |wanted: &Wanted| matches!(wanted.mount.kind, Kind::Volume(_));
    let lock = if mounts.iter().any(is_volume) { Some(volumes.lock()?) } else { None };
    for Wanted { mount, asked } in &mut mounts {
        let (Kind::Volume(name), Some(lock)) = (&mut mount.kind, &lock) else { continue };
        if !name.is_empty() && volumes.named(name).is_some() {
            continue;
        }
        let asked = match name.is_empty() {
            true => Asked { anonymous: true, ..asked.clone() },
            false => Asked { name: Some(name.clone()), ..asked.clone() },
        };
        let anonymous = asked.anonymous;
        let made = match volumes.create(lock, asked) {
            Ok(made) => made,
            Err(error) => {
                held._lock = None;
                held.undo();
                return Err(error.into());
            }
        };
        Journal::at(place.root).add(&Event::of_volume(&made.record.name, "create"));
        name.clone_from(&made.record.name);
        if anonymous {
            held.made.push(name.clone());
        }
    }
    held._lock = lock;
    spec.mounts = mounts.into_iter().map(|wanted| wanted.mount).collect();
    Ok(held)
}

/// What flags ask for, each in a place of its own.
fn explicit(args: &FileArgs) -> Result<Vec<Wanted>, Failure> {
    let mut wanted = Vec::new();
    for (flag, typed) in
        args.volume.iter().map(|typed| ("--volume", typed)).chain(args.mount.iter().map(|typed| ("--mount", typed)))
    {
        let values::Volume { mount, relabel, glob, labels, options } = typed;
        if *relabel && Path::new("/sys/fs/selinux/enforce").exists() {
            let why = "its SELinux label would have to be changed, which enter does not do; do it once yourself: \
                       chcon -Rt container_file_t FOLDER";
            return Err(bad(flag, &mount.typed, why));
        }
        let asked = Asked { labels: labels.clone(), options: options.clone(), ..Asked::default() };
        asked.check()?;
        let mounts = if *glob { glob::expand(flag, mount)? } else { vec![mount.clone()] };
        for mut mount in mounts {
            source(flag, &mut mount)?;
            wanted.push(Wanted { mount, asked: asked.clone() });
        }
    }
    wanted.extend(args.tmpfs.iter().cloned().map(Wanted::plain));
    let mut targets = BTreeSet::new();
    for Wanted { mount, .. } in &mut wanted {
        mount.target = clean(&mount.target);
        if !targets.insert(mount.target.clone()) {
            return Err(Failure::new(format!("two things cannot be mounted at {}", mount.target))
                .with_hint("give each --volume, --mount and --tmpfs a target of its own"));
        }
    }
    Ok(wanted)
}

/// Sees that the source of a bind is there, or makes it where that was asked for.
fn source(flag: &str, mount: &mut Mount) -> Result<(), Failure> {
    let Kind::Bind(source) = &mut mount.kind else { return Ok(()) };
    *source = whole(source)?;
    if mount.create && source.symlink_metadata().is_err() {
        fs::create_dir_all(&source)
            .map_err(|error| Failure::new(format!("cannot make the directory {}", source.display())).because(error))?;
    }
    check_bind(source, Path::new(&mount.target))?;
    if mount.give {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        if home.starts_with(&*source)
            || ["/etc", "/usr", "/var", "/tmp", "/dev"].iter().any(|path| source == Path::new(path))
        {
            return Err(bad(
                flag,
                &mount.typed,
                "all of it would be given to the container's user; show a folder in it",
            ));
        }
    }
    Ok(())
}

/// What other containers mount; of several in one place the last.
fn others(place: &Place<'_>, args: &FileArgs) -> Result<Vec<Mount>, Failure> {
    let mut mounts: Vec<Mount> = Vec::new();
    for from in &args.volumes_from {
        let other = place.containers.find(&from.container)?;
        for mount in other.record.spec.mounts {
            if !matches!(mount.kind, Kind::Bind(_) | Kind::Volume(_) | Kind::Image(_)) {
                continue;
            }
            mounts.retain(|before| before.target != mount.target);
            let read_only = mount.read_only || from.read_only;
            mounts.push(Mount { read_only, typed: String::new(), ..mount });
        }
    }
    Ok(mounts)
}

/// A path in the container without needless slashes and dots.
fn clean(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn one_place_has_one_path() {
        for (path, expected) in [("/a/b/", "/a/b"), ("//a/./b", "/a/b"), ("/", "/"), ("/a/..b", "/a/..b")] {
            assert_eq!(clean(path), expected);
        }
    }
}
