//! Runs the example `union`, which mounts writable filesystems for real, in a user namespace with many ids.
#![allow(dead_code)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::view::expect;

/// A directory for one test, with the program in it, and a place in it for each driver that is tried.
pub struct Place {
    dir: TempDir,
    layers: Vec<String>,
}

impl Place {
    /// On a disk: a tmpfs has had no user.* attributes before kernel 6.6.
    pub fn new(layers: &[Vec<u8>]) -> Place {
        let dir = tempfile::Builder::new().prefix("cowfs-union-").tempdir_in("/var/tmp").unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let mut place = Place { dir, layers: Vec::new() };
        for (number, layer) in layers.iter().enumerate() {
            let path = place.path(&format!("layer{number}.tar"));
            std::fs::write(&path, layer).unwrap();
            place.layers.extend(["--tar".to_owned(), path.display().to_string()]);
        }
        place.install(&example("union"));
        place
    }

    /// Copies a program here, by another process: a descriptor for writing that another test's fork inherits makes a program
    /// busy.
    pub fn install(&self, program: &Path) -> PathBuf {
        let copied = Command::new("cp").arg(program).arg(self.dir.path()).status().unwrap();
        assert!(copied.success(), "cannot copy {}", program.display());
        self.path(program.file_name().unwrap().to_str().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command that runs a shell script above the layers: `$VIEW` is the filesystem, `$SERVER` the process that serves it,
    /// `$PLACE` the directory. What it writes is kept in the directory `sides`.
    pub fn command(&self, driver: &str, sides: &str, script: &str) -> Command {
        std::fs::create_dir_all(self.path(sides)).unwrap();
        let mut command = Command::new(self.path("union"));
        command.arg(driver).arg(self.path(sides)).args(&self.layers).args(["--", "sh", "-euc", script]);
        command.env("PLACE", self.dir.path()).env("LAYERS", self.layers.join(" ")).current_dir(self.dir.path());
        command
    }

    pub fn run(&self, driver: &str, sides: &str, script: &str) -> Output {
        self.command(driver, sides, script).output().unwrap()
    }

    /// What a script prints that must succeed.
    pub fn output(&self, driver: &str, sides: &str, script: &str) -> String {
        expect(self.run(driver, sides, script))
    }
}

impl Drop for Place {
    /// Files of subordinate users, and directories that nobody may enter, are removed from inside, where we are root.
    fn drop(&mut self) {
        let removed = self.run("none", "sides", "find $PLACE -mindepth 2 -delete");
        if !std::thread::panicking() {
            expect(removed);
        }
    }
}

/// The path of an example, which `cargo test` builds.
pub fn example(name: &str) -> PathBuf {
    let built = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join(name);
    assert!(
        built.exists(),
        "{} is missing: `cargo test -p cowfs` builds it, and so does `cargo build -p cowfs --examples`",
        built.display()
    );
    built
}
