//! Where a path inside is on this machine, if it is: by what the plan shows, and by nothing that anybody inside has made since.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::OFlag;
use nix::libc::{S_IFLNK, S_IFMT};
use nix::sys::stat::{Mode, fstat};
use plan::{Lower, Plan, Shown, Step};

/// Opens what is shown inside as `path`, which has no links in it, on this machine (O_PATH), and says where it is there. `None` where it is
/// not of this machine's, or is not there: no link leads anywhere else.
pub fn outside(plan: &Plan, path: &Path) -> Option<(OwnedFd, PathBuf)> {
    find(&plan.steps, &plan.root.lower, path)
}

fn find(steps: &[Step], lower: &Lower, path: &Path) -> Option<(OwnedFd, PathBuf)> {
    let (shown, below) = named(steps, lower, path)?;
    let top = nix::fcntl::open(&shown, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let found = if below.as_os_str().is_empty() {
        top
    } else {
        sys::path::open_beneath(&top, &below, OFlag::O_PATH, Mode::empty()).ok()?
    };
    if fstat(&found).is_ok_and(|status| status.st_mode & S_IFMT == S_IFLNK) {
        // Whoever opens it by its name is led on.
        return None;
    }
    let real = std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).ok()?;
    Some((found, real)).filter(|(_, real)| real.is_absolute())
}

/// What of this machine is shown where `path` is, and what of it that is.
fn named(steps: &[Step], lower: &Lower, path: &Path) -> Option<(PathBuf, PathBuf)> {
    let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if !path.is_absolute() || !path.components().all(is_plain) {
        return None;
    }
    // What was mounted last hides what was there before.
    let over = steps.iter().rev().find_map(|step| match step {
        Step::Bind { source, target, .. } => at(path, target.as_path(), Some(source.as_path())),
        Step::View { source: Shown::Directory(source), subpath, target, .. } if subpath.as_bytes().is_empty() => {
            at(path, target.as_path(), Some(source.as_path()))
        }
        Step::Mount { target, .. }
        | Step::View { target, .. }
        | Step::Show { target, .. }
        | Step::Cover { target, .. }
        | Step::Mask { target } => at(path, target.as_path(), None),
        _ => None,
    });
    match (over, lower) {
        (Some(Seen::This(place)), _) => Some(place),
        (Some(Seen::Nothing), _) | (None, Lower::Image { .. }) => None,
        (None, Lower::Host { directory, hidden }) => {
            let is_hidden = hidden.iter().any(|hidden| path.starts_with(hidden.as_path()));
            let below = path.strip_prefix("/").ok().filter(|_| !is_hidden)?;
            Some((directory.as_path().to_owned(), below.to_owned()))
        }
    }
}

/// What a step shows of this machine.
enum Seen {
    /// Nothing.
    Nothing,
    /// What is there, and what of it.
    This((PathBuf, PathBuf)),
}

/// What is seen of `source` at `path`, if that is at or below `target`.
fn at(path: &Path, target: &Path, source: Option<&Path>) -> Option<Seen> {
    let rest = path.strip_prefix(target).ok()?;
    Some(source.map_or(Seen::Nothing, |source| Seen::This((source.to_owned(), rest.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(source: &Path, target: &str) -> Step {
        Step::Bind { source: source.into(), target: target.into(), recursive: true, restrictions: Default::default() }
    }

    #[test]
    fn only_what_is_shown_has_a_place_outside() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(dir.join("home/project")).unwrap();
        std::fs::create_dir_all(dir.join("secret")).unwrap();
        std::os::unix::fs::symlink(dir.join("secret"), dir.join("home/link")).unwrap();
        let hidden = Step::Mask { target: "/work/hidden".into() };
        let steps = [bind(&dir.join("home"), "/work"), hidden];
        let image = Lower::Image { tree: "/t".into(), layers: Vec::new() };
        let real = |path: &str| find(&steps, &image, Path::new(path)).map(|(_, real)| real);
        assert_eq!(real("/work/project"), Some(dir.join("home/project")));
        assert_eq!(real("/work"), Some(dir.join("home")));
        for no in ["/etc", "/work/none", "/work/link", "/work/../etc", "/work/hidden/x", "work", "/workshop", ""] {
            assert_eq!(real(no), None, "{no}");
        }
        // Of this machine's own root, but for what is hidden of it.
        let host = Lower::Host { directory: "/".into(), hidden: vec![dir.join("secret").into()] };
        let real = |path: &Path| find(&steps, &host, path).map(|(_, real)| real);
        assert_eq!(real(&dir.join("home")), Some(dir.join("home")));
        assert_eq!(real(&dir.join("secret")), None);
    }
}
