//! What is mounted in a container, and what is made for that.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::unistd::{AccessFlags, access};
use plan::{Copied, Filesystem, Network, Restrictions, Step};

use crate::container::Error;
use crate::container::planning::account::Identity;
use crate::container::planning::furniture::{self, Furniture, Memory};
use crate::container::planning::run::volumes;
use crate::container::planning::{FROM_OUTSIDE, check_bind};
use crate::container::record::{Device, Kind, Looks, Mount, Namespace, Spec};
use crate::volume::Volumes;

/// The size of /dev/shm: docker's and podman's.
const SHARED_MEMORY: u64 = 64 << 20;

/// Where devices are.
const DEVICES: &str = "/dev";

/// What can be written in a container whose root cannot: podman's `--read-only-tmpfs`.
const SCRATCH: [(&str, u32); 3] = [("/run", 0o755), ("/tmp", 0o1777), ("/var/tmp", 0o1777)];

/// Devices are used, and no programs lie among them.
const DEVICE: Restrictions = Restrictions { read_only: false, no_suid: true, no_dev: false, no_exec: true };

/// The filesystems that every container has.
pub fn furniture(spec: &Spec, network: &Network) -> Furniture {
    let memory = match (&spec.ipc, spec.no_shared_memory) {
        (_, true) => Memory::None,
        (Namespace::Host, _) => Memory::Host,
        _ => Memory::Own(Some(spec.shm_size.unwrap_or(SHARED_MEMORY))),
    };
    Furniture {
        host_root: false,
        host_network: *network == Network::Host,
        host_processes: spec.pid == Namespace::Host,
        memory,
        writable_system: spec.privileged,
    }
}

/// What is in memory and below nothing that is shown: mounted before any file is written, so that those are seen.
pub fn in_memory(spec: &Spec, identity: &Identity) -> Vec<Step> {
    let is_taken = |path: &str| spec.mounts.iter().any(|mount| Path::new(&mount.target) == Path::new(path));
    let scratch = SCRATCH.iter().filter(|(path, _)| spec.read_only && spec.read_only_tmpfs && !is_taken(path));
    let restrictions = Restrictions { no_suid: true, no_dev: true, ..Restrictions::default() };
    let mut steps: Vec<Step> =
        scratch.map(|(path, mode)| furniture::mount(path, Filesystem::memory(*mode, None), restrictions)).collect();
    let early = sorted(&spec.mounts).filter(|mount| is_early(spec, mount));
    steps.extend(early.filter_map(|mount| tmpfs(spec, mount, identity)));
    steps
}

/// Mounts by depth, so that none hides another.
pub fn sorted(mounts: &[Mount]) -> impl Iterator<Item = &Mount> {
    let mut sorted: Vec<&Mount> = mounts.iter().collect();
    sorted.sort_by_key(|mount| Path::new(&mount.target).components().count());
    sorted.into_iter()
}

fn is_early(spec: &Spec, mount: &Mount) -> bool {
    let is_memory = |mount: &Mount| matches!(mount.kind, Kind::Tmpfs { .. });
    // In what can only be read nothing can be made any more: it comes late.
    let can_be_early = |mount: &Mount| is_memory(mount) && !mount.read_only;
    let is_below = |other: &Mount| {
        !can_be_early(other) && other.target != mount.target && Path::new(&mount.target).starts_with(&other.target)
    };
    can_be_early(mount) && !spec.mounts.iter().any(is_below)
}

pub fn restrictions(spec: &Spec, mount: &Mount) -> Restrictions {
    let asked = Restrictions { read_only: mount.read_only, no_exec: mount.no_exec, ..FROM_OUTSIDE };
    match &mount.kind {
        // What is restricted here cannot be shown once more inside without naming that restriction: `mount --rbind -o ro` would
        // fail. A program of this machine's root is nobody's inside, whatever its mode.
        Kind::Bind(_) if spec.privileged => Restrictions { no_suid: false, no_dev: false, ..asked },
        // Of devices that are shown, the permissions of the files themselves say who may use them: they are this user's,
        // inside as outside, as with --device.
        Kind::Bind(source) if source.starts_with(DEVICES) => Restrictions { no_dev: false, ..asked },
        _ => asked,
    }
}

fn tmpfs(spec: &Spec, mount: &Mount, identity: &Identity) -> Option<Step> {
    let Kind::Tmpfs { size, mode } = mount.kind else { return None };
    let looks = mount.looks;
    let (uid, gid) = if mount.give { (identity.uid, identity.gid) } else { (0, 0) };
    let owner = (looks.uid.unwrap_or(uid), looks.gid.unwrap_or(gid));
    let is_asked = looks.mode.is_some() || owner != (0, 0);
    let copy = match looks.copy_up {
        true if is_asked => Copied::Files,
        true => Copied::All,
        false => Copied::Nothing,
    };
    let filesystem = Filesystem::Tmpfs { mode, size, inodes: looks.most, owner, copy };
    Some(furniture::mount(&mount.target, filesystem, restrictions(spec, mount)))
}

/// The container's own terminals.
fn terminals(looks: Looks) -> Filesystem {
    if looks == Looks::default() {
        return Filesystem::Devpts;
    }
    let most = looks.most.map(|most| most.try_into().unwrap_or(u32::MAX));
    Filesystem::Terminals { uid: looks.uid, gid: looks.gid, mode: looks.mode, most }
}

/// What is shown of this machine, of volumes and of images, and what is in memory below that.
pub fn shown(spec: &Spec, volumes: &Volumes, identity: &Identity) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    let (mut views, mut images) = (0.., 0..);
    for mount in sorted(&spec.mounts).filter(|mount| !is_early(spec, mount)) {
        let image = matches!(mount.kind, Kind::Image(_)).then(|| images.next()).flatten();
        match &mount.kind {
            Kind::Tmpfs { .. } => steps.extend(tmpfs(spec, mount, identity)),
            Kind::Devpts => steps.push(furniture::mount(&mount.target, terminals(mount.looks), DEVICE)),
            _ if mount.overlay && !volumes::is_memory(mount, volumes) => {
                let source = volumes::source(mount, volumes, image)?;
                let number = views.next().unwrap_or_default();
                let (target, subpath) = (mount.target.as_str().into(), mount.subpath.as_str().into());
                steps.push(Step::View { source, subpath, number, target, restrictions: restrictions(spec, mount) });
            }
            Kind::Bind(source) => {
                check_bind(source, Path::new(&mount.target))?;
                steps.push(Step::Bind {
                    source: source.clone().into(),
                    target: mount.target.as_str().into(),
                    recursive: mount.recursive,
                    restrictions: restrictions(spec, mount),
                });
                if mount.private {
                    let unbindable = mount.unbindable;
                    steps.push(Step::Private { target: mount.target.as_str().into(), unbindable });
                }
                if Path::new(&mount.target) == Path::new(DEVICES) {
                    // This machine's terminals give way to the container's own: what sits at one of those could type into it,
                    // and a terminal for the container could not be made among them.
                    steps.push(furniture::mount("/dev/pts", Filesystem::Devpts, DEVICE));
                }
            }
            Kind::Volume(_) | Kind::Image(_) => steps.push(volumes::shown(spec, mount, volumes, identity, image)?),
        }
    }
    Ok(steps)
}

/// Parts the files that names are found by from all others, where a mount hides the directory that they are in: they are then shown in that, as
/// docker and podman do, and written to nobody's folder.
pub fn covering(spec: &Spec, steps: Vec<Step>) -> (Vec<Step>, Vec<Step>) {
    const NAMES: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
    let is_hidden = |path: &str| {
        let above = |mount: &Mount| mount.target != path && Path::new(path).starts_with(&mount.target);
        NAMES.contains(&path) && spec.mounts.iter().any(|mount| above(mount) && !is_early(spec, mount))
    };
    let (hidden, mut written): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(
        |step| matches!(step, Step::Write { target, .. } if target.as_path().to_str().is_some_and(is_hidden)),
    );
    let mut covering = Vec::new();
    for (number, step) in (0..).zip(hidden) {
        match step {
            // One that was asked for by itself has its own mount.
            Step::Write { target, .. }
                if spec.mounts.iter().any(|mount| Path::new(&mount.target) == target.as_path()) => {}
            Step::Write { target, content, mode } => {
                // A folder of the user's gets no files that he has not asked for.
                let above = spec.mounts.iter().filter(|mount| target.as_path().starts_with(&mount.target));
                let around = above.max_by_key(|mount| mount.target.len());
                let make = around.is_some_and(|mount| !matches!(mount.kind, Kind::Bind(_)) || mount.overlay);
                covering.push(Step::Cover { target, content, mode, number, make });
            }
            other => written.push(other),
        }
    }
    (written, covering)
}

/// Devices that were asked for; with `--privileged`, all that the user may use.
pub fn devices(spec: &Spec) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    if spec.privileged {
        steps.extend(usable(Path::new(DEVICES)).into_iter().map(|path| furniture::bound(&path, DEVICE)));
    }
    for device in &spec.devices {
        check_device(device)?;
        steps.push(Step::Bind {
            source: device.source.clone().into(),
            target: device.target.clone().into(),
            recursive: device.source.is_dir(),
            restrictions: DEVICE,
        });
    }
    Ok(steps)
}

fn check_device(device: &Device) -> Result<(), Error> {
    let Device { source, target, .. } = device;
    check_bind(source, target)?;
    let refused = |reason: &str, hint: &str| Error::Plan {
        doing: format!("give the container {}", source.display()),
        reason: reason.into(),
        hint: Some(hint.into()),
    };
    let kind = source.metadata().map(|metadata| metadata.file_type());
    if !kind.is_ok_and(|kind| kind.is_char_device() || kind.is_block_device() || kind.is_dir()) {
        return Err(refused("it is no device", "show a file or a folder with -v"));
    }
    if access(source, AccessFlags::R_OK | AccessFlags::W_OK).is_err() {
        return Err(refused(
            "you may not use it yourself",
            "see who may with `ls -l`, and join that group; the container keeps it with --group-add keep-groups",
        ));
    }
    Ok(())
}

/// The devices below a folder that the user may open, without terminals: what sits at one could type into it.
fn usable(folder: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Some((text, name)) = path.to_str().zip(name.to_str()) else { continue };
        let Ok(kind) = entry.file_type() else { continue };
        let is_terminal =
            ["tty", "pts", "ptmx", "console", "vcs", "hvc"].iter().any(|terminal| name.starts_with(terminal));
        let is_ours = ["null", "zero", "full", "random", "urandom", "shm", "mqueue", "fd"].contains(&name);
        if is_terminal || is_ours {
            continue;
        }
        if kind.is_dir() {
            paths.extend(usable(&path));
        } else if (kind.is_char_device() || kind.is_block_device())
            && access(&path, AccessFlags::R_OK | AccessFlags::W_OK).is_ok()
        {
            paths.push(text.to_owned());
        }
    }
    paths.sort();
    paths
}

/// What is made if it is missing: where it begins.
pub fn directories(spec: &Spec) -> Vec<Step> {
    let begin = Some(spec.directory.as_str()).filter(|path| !path.is_empty() && *path != "/");
    let directory = |path: &str| Step::Directory { target: path.into(), mode: 0o755, owner: (0, 0) };
    begin.map(directory).into_iter().collect()
}
