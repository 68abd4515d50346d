//! The way out of a shell or box: the socket at which `enter` listens inside, and the client that asks there.
//!
//! Inside there is `/run/enter`, only to be read: `enter`, the client (see `helpers/inside`), never the user's own program; `bin`, which ends
//! the PATH, with the client's names; and `socket`. The folder is one for all containers, made once for each build of `enter`; the socket
//! lies in the container's folder, and the monitor listens there (`monitor::outlet`).

mod places;

pub use places::outside;

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use plan::outward::{CLIENT, FOLDER, NAMES, PROGRAMS, SOCKET};
use plan::{Plan, Power, Restrictions, Step};

use super::embedded::{INSIDE, INSIDE_MARK};
use super::folder::name;
use super::planning::Place;

/// The variable by which programs find what opens addresses, and its value where that is outside.
pub const BROWSER: (&str, &str) = ("BROWSER", "/run/enter/bin/xdg-open");

/// Below the folder of everything of ours: the folders that are shown as `/run/enter`, by the mark of the client.
const CLIENTS: &str = "clients";

/// What is shown is only read, and is no source of privileges.
const SEALED: Restrictions = Restrictions { read_only: true, no_suid: true, no_dev: true, no_exec: false };

/// The steps that show it, after all others that mount something. None where something of the user's is shown in that place, in whose files a
/// folder would have to be made.
pub fn steps(place: &Place, power: Power, others: &[Step]) -> Vec<Step> {
    let is_above = |step: &Step| match step {
        Step::Bind { target, .. } | Step::Show { target, .. } | Step::View { target, .. } => {
            Path::new(FOLDER).starts_with(target.as_path())
        }
        _ => false,
    };
    if others.iter().any(is_above) {
        return Vec::new();
    }
    // Whose payload can undo what is read-only has a folder of its own: no other container runs what is in it.
    let client = match power {
        Power::All => place.folder.join(name::CLIENT),
        Power::Nothing | Power::Mounts => place.state.join(CLIENTS).join(INSIDE_MARK),
    };
    let bind = |source: PathBuf, target: &str, restrictions| Step::Bind {
        source: source.into(),
        target: target.into(),
        recursive: false,
        restrictions,
    };
    let socket = Restrictions { no_exec: true, ..SEALED };
    vec![bind(client, FOLDER, SEALED), bind(place.folder.join(name::OUTWARD), SOCKET, socket)]
}

/// Where the plan's container is to find the client; `None` where it has no way out.
pub fn client_of(plan: &Plan) -> Option<&Path> {
    plan.steps.iter().find_map(|step| match step {
        Step::Bind { source, target, .. } if target.as_path() == Path::new(FOLDER) => Some(source.as_path()),
        _ => None,
    })
}

/// Makes the folder that is shown, unless it is there.
///
/// # Errors
/// What the filesystem says, and of which path.
pub fn prepare(folder: &Path) -> Result<(), (PathBuf, std::io::Error)> {
    if folder.exists() {
        return Ok(());
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let parent = folder.parent().unwrap_or(folder);
    DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(at(parent))?;
    // Whole or not at all: another may be making it at the same time, and either is as good.
    let new = parent.join(format!(".new-{}", std::process::id()));
    let _ = fs::remove_dir_all(&new);
    let made = fill(&new).map_err(at(&new)).and_then(|()| match fs::rename(&new, folder) {
        Err(_) if folder.exists() => Ok(()),
        done => done.map_err(at(folder)),
    });
    let _ = fs::remove_dir_all(&new);
    made
}

fn fill(folder: &Path) -> std::io::Result<()> {
    let programs = folder.join(Path::new(PROGRAMS).file_name().unwrap_or_default());
    fs::create_dir(folder)?;
    fs::create_dir(&programs)?;
    // For all users of the container, whatever the umask says.
    let all = Permissions::from_mode(0o755);
    [folder, &programs].into_iter().try_for_each(|path| fs::set_permissions(path, all.clone()))?;
    let client = folder.join(CLIENT);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(&client)?;
    file.write_all(INSIDE)?;
    file.set_permissions(Permissions::from_mode(0o555))?;
    for name in NAMES {
        symlink(Path::new("..").join(CLIENT), programs.join(name))?;
    }
    // What the socket is shown on.
    fs::File::create(folder.join(Path::new(SOCKET).file_name().unwrap_or_default()))?;
    // It is there for good, and not to be found empty after a power cut.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { id: "a".repeat(64), folder: "/s/containers/a".into(), state: "/s".into() }
    }

    #[test]
    fn whoever_can_undo_a_mount_has_a_client_of_its_own() {
        let source = |power| match &steps(&place(), power, &[])[0] {
            Step::Bind { source, restrictions, .. } => (source.as_path().to_owned(), restrictions.read_only),
            step => panic!("{step:?}"),
        };
        assert_eq!(source(Power::All), ("/s/containers/a/client".into(), true));
        assert_eq!(source(Power::Nothing), (Path::new("/s/clients").join(INSIDE_MARK), true));
    }

    #[test]
    fn nothing_is_made_in_what_the_user_shows_there() {
        let bind = |target: &str| Step::Bind {
            source: "/x".into(),
            target: target.into(),
            recursive: true,
            restrictions: SEALED,
        };
        assert!(steps(&place(), Power::Nothing, &[bind("/run")]).is_empty());
        assert_eq!(steps(&place(), Power::Nothing, &[bind("/run/user"), bind("/home")]).len(), 2);
    }

    #[test]
    fn the_client_is_there_by_all_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("clients/1");
        prepare(&folder).unwrap();
        prepare(&folder).unwrap();
        for name in NAMES {
            assert_eq!(fs::read(folder.join("bin").join(name)).unwrap(), INSIDE);
        }
        assert_eq!(folder.join(CLIENT).metadata().unwrap().permissions().mode() & 0o777, 0o555);
        assert_eq!(fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1);
    }
}
