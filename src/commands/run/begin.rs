//! Starts a container that has been made, now or long ago, and stays with it if asked.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cowfs::tree;
use enter::container::folder::{Folder, name::UPPER};
use enter::container::planning::Place;
use enter::container::planning::caller::Caller;
use enter::container::planning::run::{Start, run_plan, sorted};
use enter::container::record::{Kind, Namespace, NetworkMode, Record, Spec};
use enter::container::upper::Upper;
use enter::container::users::{self, Making, Users};
use enter::container::{Attach, Container, Containers, Left, Remote, Told, launch};
use enter::image::Digest;
use enter::store::{Image, Lease, Store};
use enter::volume::Volumes;
use plan::Plan;
use uidmap::Maps;

use super::super::{ahead, boxes, containers, ending, ports, told};
use super::networks;
use crate::failure::Failure;
use crate::ui::Ui;

/// A container that does not run, and that nobody else can start meanwhile.
pub struct Ready<'a> {
    /// Who starts it.
    pub caller: &'a Caller,
    /// All containers.
    pub containers: &'a Containers,
    /// Everything of ours.
    pub root: PathBuf,
    /// What it was made as.
    pub record: Record,
    /// Its folder, locked.
    pub folder: Folder,
    /// Its image.
    pub image: Image,
    /// The outer user namespace, where that is on its way.
    pub users: Option<Making>,
    /// How that is mapped.
    pub maps: Maps,
}

/// Starts it, and stays with it as `attach` says; with `None` only until its command runs.
///
/// Also returns the plan, for those who tell how it ended.
pub fn begin(ui: &Ui, ready: Ready<'_>, attach: Option<Attach>) -> Result<(Plan, Left), Failure> {
    let stays = attach.is_some();
    by(ui, ready, stays, |start, warn| launch::start(launch::Start { attach, ..start }, warn))
}

/// Starts a box, which runs at least as long as the connection that is returned is there.
pub fn open(ui: &Ui, ready: Ready<'_>) -> Result<(Plan, Remote), Failure> {
    let name = ready.record.name.clone();
    let (plan, opened) = by(ui, ready, true, |start, warn| launch::start_held(start, &name, warn))?;
    match opened {
        Ok(remote) => Ok((plan, remote)),
        Err(end) => {
            let failure = match ending::code(&plan, end) {
                Err(failure) => failure,
                Ok(_) => enter::container::Error::NotRunning(name).into(),
            };
            Err(failure)
        }
    }
}

/// Starts it by `launch`. `stays`: the user is told how its image arrives.
fn by<T>(
    ui: &Ui,
    ready: Ready<'_>,
    stays: bool,
    launch: impl FnOnce(launch::Start<'_>, &mut dyn FnMut(Told)) -> Result<T, enter::container::Error>,
) -> Result<(Plan, T), Failure> {
    let Ready { caller, containers, root, mut record, folder, image, users, maps } = ready;
    boxes::complete(&mut record, &image.config.execution.env);
    let mut has_lost = false;
    let mut warn = |told: Told| {
        has_lost |= told.is_loss();
        told::warn(ui, &told);
    };
    // The monitor holds the lease too: an image that is in use is not removed.
    let lease = image.lease()?;
    if !Store::open(&root)?.mend(&image)? {
        return Err(enter::store::Error::NoSuchImage(record.spec.image.name.clone()).into());
    }
    let files = tree::Image::open(&image.tree, &image.tars)?;
    let sharer = sharer(containers, &record.spec)?;
    let networks = networks::take(containers, &root, &record, folder.path())?;
    // Until the container is attached itself: so long the holder has somebody, and keeps its namespaces.
    let mut holding = None;
    let (users, maps) = match sharer {
        other if networks.is_some() => {
            let (client, users) = networks::users(&root, &maps)?;
            holding = Some(client);
            if let Some(other) = other.filter(|other| !is_in(other, &users)) {
                let name = &other.record.name;
                return Err(Failure::new(format!(
                    "cannot share anything with the container {name} and be on networks of your own"
                ))
                .because("their user namespaces are not the same")
                .with_hint(format!(
                    "share its network too: --network container:{name}; or put {name} on a network as well"
                )));
            }
            (Users::Joined(users), maps)
        }
        Some(other) => (Users::of(other.state.init)?, plan_of(&other)?.users.outer),
        None => match users {
            Some(users) => (users.into(), maps),
            None => (users::make(&maps)?.into(), maps),
        },
    };
    let ports = ports::open(containers, &mut record)?;
    let upper = Upper::open(folder.path(), record.spec.storage).map_err(|errno| {
        Failure::new(format!("cannot look at what the container {} has written", record.name)).because(errno)
    })?;
    if containers.find(&record.id).is_ok_and(|container| !container.state.error.is_empty()) {
        examine(&upper, folder.path(), &record.name, &mut warn);
    }
    let store = Store::open(&root)?;
    let mut held = vec![lease];
    let start = Start {
        spec: &record.spec,
        files: &files,
        lower: plan::Lower::Image {
            tree: image.tree.clone().into(),
            layers: image.tars.iter().cloned().map(plan::Text::from).collect(),
        },
        upper: Some(&upper),
        images: shown(&store, &record.spec, &mut held)?,
        volumes: &Volumes::below(&root),
        size: terminal_size(),
        networks: networks.as_ref(),
        running: &|id| containers.find(id).ok().filter(Container::is_alive).and_then(|other| plan_of(&other).ok()),
    };
    let place = Place { id: record.id.clone(), folder: folder.path().to_owned(), state: root };
    let plan = run_plan(&start, caller, maps, place, &mut warn)?;
    let held: Vec<_> = held.iter().map(Lease::file).collect();
    let arriving = stays && ahead::is_arriving(&store, &image);
    let start = launch::Start { plan: &plan, folder, users, ports, held: &held, attach: None };
    let left = launch(start, &mut warn);
    drop(holding);
    if arriving && !has_lost {
        ahead::tell(ui, &store, &image, &record.spec.image.name);
    }
    Ok((plan, left?))
}

/// The other images that the container shows, by depth of their targets, as the plan numbers them.
fn shown(store: &Store, spec: &Spec, held: &mut Vec<Lease>) -> Result<Vec<plan::Lower>, Failure> {
    let mut images = Vec::new();
    for mount in sorted(&spec.mounts) {
        let Kind::Image(used) = &mount.kind else { continue };
        let gone = || {
            Failure::new(format!("cannot show the image {}: it is not in the store any more", used.name))
                .with_hint(format!("fetch it again: enter pull {}", used.name))
        };
        let image = Digest::parse(&used.id).ok().map(|id| store.by_id(&id)).transpose()?.flatten().ok_or_else(gone)?;
        held.push(image.lease()?);
        if !store.mend(&image)? {
            return Err(gone());
        }
        images.push(plan::Lower::Image {
            tree: image.tree.clone().into(),
            layers: image.tars.iter().cloned().map(plan::Text::from).collect(),
        });
    }
    Ok(images)
}

/// Looks at what a container has written that was ended with all its parts, or with this machine. What was not finished then is cleared
/// away when the filesystem is served again; what is damaged is told.
fn examine(upper: &Upper, folder: &Path, name: &str, warn: &mut dyn FnMut(Told)) {
    const SHOWN: usize = 3;
    let damaged = upper.damaged(SHOWN + 1);
    if damaged.is_empty() {
        return;
    }
    let shown: Vec<_> = damaged.iter().take(SHOWN).map(|path| format!("/{}", String::from_utf8_lossy(path))).collect();
    let more = if damaged.len() > SHOWN { " and more" } else { "" };
    warn(Told {
        message: format!("files of the container {name} cannot be read: {}{more}", shown.join(", ")),
        cause: Some(Box::new(Told::plain("the attribute that says whose they are is damaged"))),
        hint: Some(format!(
            "without it they are root's: setfattr -x user.cowfs.stat {}{}",
            folder.join(UPPER).display(),
            shown[0],
        )),
    });
}

fn terminal_size() -> Option<plan::Rows> {
    let size = sys::terminal::size(std::io::stdin()).ok()?;
    Some(plan::Rows { rows: size.rows, columns: size.columns })
}

fn plan_of(container: &Container) -> Result<Plan, Failure> {
    containers::plan(container).ok_or_else(|| {
        Failure::new(format!("cannot read the plan of the container {}", container.record.name))
            .with_hint("it was perhaps just removed")
    })
}

/// Whether a container's namespaces belong to this user namespace.
fn is_in(container: &Container, users: &std::os::fd::OwnedFd) -> bool {
    let theirs = fs::metadata(format!("/proc/{}/ns/user", container.state.init))
        .map(|metadata| (metadata.dev(), metadata.ino()));
    let ours = nix::sys::stat::fstat(users).map(|status| (status.st_dev, status.st_ino));
    matches!((theirs, ours), (Ok(theirs), Ok(ours)) if theirs == ours)
}

/// The running container that shares something with this one, and whose user namespace this one is therefore in; those of several must be one.
fn sharer(containers: &Containers, spec: &Spec) -> Result<Option<Container>, Failure> {
    let mut ids = Vec::new();
    if let NetworkMode::Container(id) = &spec.network {
        ids.push(("--network", id));
    }
    for (flag, namespace) in [("--pid", &spec.pid), ("--ipc", &spec.ipc)] {
        if let Namespace::Container(id) = namespace {
            ids.push((flag, id));
        }
    }
    let mut found: Option<Container> = None;
    for (flag, id) in ids {
        let other = containers.find(id)?;
        let name = &other.record.name;
        if !other.is_alive() || other.state.init == 0 {
            return Err(Failure::new(format!("cannot share what {flag} container:{name} names: it is not running"))
                .with_hint(format!("start it first: enter start {name}")));
        }
        let users = |container: &Container| fs::read_link(format!("/proc/{}/ns/user", container.state.init)).ok();
        if found.as_ref().is_some_and(|first| users(first) != users(&other)) {
            return Err(Failure::new(format!(
                "cannot share what {flag} container:{name} names together with another container's"
            ))
            .with_hint("share everything with one container, or with those that share with it themselves"));
        }
        found = Some(other);
    }
    Ok(found)
}
