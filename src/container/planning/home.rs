//! The user's home in a shell or a box: shared, shown with what is written set aside, one of its own, or none; and a project without it.

use std::path::{Path, PathBuf};

use plan::{Filesystem, Shown, Step};

use super::caller::Caller;
use super::{FROM_OUTSIDE, Place, check_bind};
use crate::container::Error;
use crate::container::error::Told;
use crate::container::folder::name;
use crate::container::home;
use crate::container::record::{Home, Spec};

/// What says of a folder that a project has its top there.
const MARKS: [&str; 9] = [".git", ".hg", ".jj", ".svn", ".bzr", ".fslckout", "_darcs", ".pijul", ".enter.toml"];

/// What a home is planned from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// Which home.
    pub home: Home,
    /// What is shown of the home although that is not.
    pub project: Option<&'a Path>,
    /// Something else is shown in its place.
    pub covered: bool,
}

impl<'a> Asked<'a> {
    /// What a box was made with.
    pub fn of_box(spec: &'a Spec, caller: &Caller) -> Self {
        let covered = spec.mounts.iter().any(|mount| Path::new(&mount.target) == caller.home);
        Self { home: spec.home, project: spec.project.as_deref(), covered }
    }
}

/// The steps that show it, and what the monitor is to make ready for them.
///
/// # Errors
/// Where the project is not there.
pub(super) fn plan(
    asked: &Asked<'_>,
    place: &Place,
    caller: &Caller,
    warn: &mut dyn FnMut(Told),
) -> Result<(Vec<Step>, Option<plan::Home>), Error> {
    let (mut steps, made) = match asked.home {
        _ if asked.covered || caller.home == Path::new("/") => (Vec::new(), None),
        Home::Share => (shared(caller, warn).into_iter().collect(), None),
        Home::Cow => aside(place, caller, warn),
        Home::Own => own(place, caller),
        Home::None => (vec![in_memory(caller)], None),
    };
    if let Some(project) = asked.project {
        check_bind(project, project)?;
        steps.extend(way_to(project, caller));
        steps.push(bound(project));
    }
    Ok((steps, made))
}

/// The folders between the home and a project in it, which are the caller's as the home is.
fn way_to(project: &Path, caller: &Caller) -> Vec<Step> {
    let above = project.ancestors().skip(1).take_while(|path| *path != caller.home && path.starts_with(&caller.home));
    let folder =
        |path: &Path| Step::Directory { target: path.to_owned().into(), mode: 0o755, owner: (caller.uid, caller.gid) };
    let mut steps: Vec<Step> = above.map(folder).collect();
    steps.reverse();
    steps
}

/// What is at a path, at the same path.
fn bound(path: &Path) -> Step {
    let (source, target) = (path.to_owned().into(), path.to_owned().into());
    Step::Bind { source, target, recursive: true, restrictions: FROM_OUTSIDE }
}

/// Whether the home is there; says so where it is not.
fn is_there(caller: &Caller, warn: &mut dyn FnMut(Told)) -> bool {
    let there = caller.home.is_dir();
    if !there {
        let home = caller.home.display();
        warn(Told::plain(format!("your home {home} does not exist, and so is not in the container either")));
    }
    there
}

fn shared(caller: &Caller, warn: &mut dyn FnMut(Told)) -> Option<Step> {
    is_there(caller, warn).then(|| bound(&caller.home))
}

fn shown(folder: &Path, caller: &Caller) -> Step {
    Step::Show {
        source: Shown::Directory(folder.to_owned().into()),
        subpath: PathBuf::new().into(),
        target: caller.home.clone().into(),
        restrictions: FROM_OUTSIDE,
    }
}

fn aside(place: &Place, caller: &Caller, warn: &mut dyn FnMut(Told)) -> (Vec<Step>, Option<plan::Home>) {
    if !is_there(caller, warn) {
        return (Vec::new(), None);
    }
    let step = shown(&place.folder.join(name::HOME).join(home::ROOT), caller);
    let made = plan::Home::Aside {
        directory: caller.home.clone().into(),
        // What was set aside would show itself there, with all that was ever set aside.
        hidden: vec![place.state.clone().into()],
    };
    (vec![step], Some(made))
}

fn own(place: &Place, caller: &Caller) -> (Vec<Step>, Option<plan::Home>) {
    let folder = place.folder.join(name::HOME);
    let files = folder.join(home::OWN);
    // As useradd(8) does.
    let fill = Step::Fill {
        volume: folder.into(),
        data: files.clone().into(),
        from: "/etc/skel".into(),
        copy: true,
        owner: (caller.uid, caller.gid),
        owned: true,
        given: true,
    };
    (vec![fill, shown(&files, caller)], Some(plan::Home::Own))
}

fn in_memory(caller: &Caller) -> Step {
    let owner = (caller.uid, caller.gid);
    Step::Mount {
        target: caller.home.clone().into(),
        filesystem: Filesystem::Tmpfs { mode: 0o700, size: None, inodes: None, owner, copy: plan::Copied::Nothing },
        restrictions: FROM_OUTSIDE,
        optional: false,
    }
}

/// The working directory, if it lies in the project.
pub(super) fn directory_in(project: Option<&Path>, caller: &Caller) -> Option<PathBuf> {
    caller.directory.clone().filter(|directory| project.is_some_and(|project| directory.starts_with(project)))
}

/// Sees that a project is a folder that is there, and not all of the home.
///
/// # Errors
/// Why it is none.
pub fn check_project(project: &Path, caller: &Caller) -> Result<(), Error> {
    let reason = if caller.home.starts_with(project) {
        "it is all of your home, or more"
    } else if !project.is_dir() {
        "it is no folder"
    } else {
        return Ok(());
    };
    Err(Error::Plan {
        doing: format!("show {} alone of your home", project.display()),
        reason: reason.into(),
        hint: Some("go into the project, or name its folder".into()),
    })
}

/// The project that the caller is in: the nearest folder upward that is the top of a repository; else the present one.
///
/// # Errors
/// Where that would be all of the home, or more.
pub fn project(caller: &Caller) -> Result<PathBuf, Error> {
    let here = caller.directory_at_home().or_else(|| caller.directory.clone());
    let here = here.ok_or_else(|| Error::Plan {
        doing: "show the project that you are in alone".into(),
        reason: "the working directory is gone".into(),
        hint: Some("go into the project first: cd FOLDER".into()),
    })?;
    let whole = |path: &Path| caller.home.starts_with(path);
    check_project(&here, caller)?;
    let is_top = |path: &&Path| MARKS.iter().any(|mark| path.join(mark).exists());
    let top = here.ancestors().take_while(|path| !whole(path)).find(is_top);
    Ok(top.unwrap_or(&here).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_found_upward_but_is_never_the_home() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let caller = |directory: &Path| Caller {
            uid: 1000,
            gid: 1000,
            name: "u".into(),
            group: "u".into(),
            gecos: String::new(),
            home: home.clone(),
            shell: "/bin/sh".into(),
            directory: Some(directory.to_owned()),
            umask: 0o22,
        };
        let deep = home.join("src/tool/src/deep");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir(home.join(".git")).unwrap();
        assert_eq!(project(&caller(&deep)).unwrap(), deep, "that of the home counts for nothing");
        // As a worktree or a submodule has it.
        std::fs::write(home.join("src/tool/.git"), "gitdir: elsewhere").unwrap();
        assert_eq!(project(&caller(&deep)).unwrap(), home.join("src/tool"));
        for all in [&*home, Path::new("/"), home.parent().unwrap()] {
            assert!(project(&caller(all)).is_err(), "{}", all.display());
        }
    }
}
