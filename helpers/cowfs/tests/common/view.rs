//! Runs the example `view`, which mounts for real, in a user namespace and as an ordinary user.
#![allow(dead_code)]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A directory for one test, with the program in it, that every user may enter.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Place {
        // On a disk: tmpfs has had no user.* attributes before kernel 6.6.
        let dir = tempfile::Builder::new().prefix("cowfs-test-").tempdir_in("/var/tmp").unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let built = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("view");
        let program = dir.path().join("view");
        assert!(
            built.exists(),
            "{} is missing: `cargo test -p cowfs` builds it, and so does `cargo build -p cowfs --examples`",
            built.display()
        );
        // By another process: a descriptor for writing that another test's fork inherits makes a program busy.
        let copied = Command::new("cp").arg(&built).arg(&program).status().unwrap();
        assert!(copied.success());
        Place { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes layers and returns the arguments that name them.
    pub fn layers(&self, tars: &[Vec<u8>]) -> Vec<String> {
        let write = |(number, bytes): (usize, &Vec<u8>)| {
            let path = self.path(&format!("layer{number}.tar"));
            std::fs::write(&path, bytes).unwrap();
            ["--tar".to_owned(), path.display().to_string()]
        };
        tars.iter().enumerate().flat_map(write).collect()
    }

    /// Runs a shell script that sees the lower at `$VIEW`, the directory at `$PLACE`, and this program as
    /// `$PLACE/view`.
    pub fn run(&self, options: &[String], script: &str) -> Output {
        self.command(options, script).output().unwrap()
    }

    pub fn command(&self, options: &[String], script: &str) -> Command {
        let mut command = Command::new(self.path("view"));
        command.args(options).args(["--", "sh", "-euc", script]);
        command.env("PLACE", self.dir.path()).env("TMPDIR", self.dir.path()).current_dir(self.dir.path());
        command
    }

    /// What a script prints that must succeed.
    pub fn output(&self, options: &[String], script: &str) -> String {
        expect(self.run(options, script))
    }
}

impl Drop for Place {
    /// Overlayfs leaves directories that nobody may enter, and files of subordinate users: they are removed
    /// from inside, where we are root.
    fn drop(&mut self) {
        if self.path("overlay").exists() && !std::thread::panicking() {
            self.output(&[], "rm -r $PLACE/overlay");
        }
    }
}

/// The standard output of what must have succeeded.
pub fn expect(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}

/// Makes `command` run as an ordinary user, where the tests were started by root.
pub fn as_ordinary_user(mut command: Command) -> Command {
    if nix::unistd::geteuid().is_root() {
        command.uid(ORDINARY).gid(ORDINARY);
    }
    command
}

/// A user who owns nothing.
pub const ORDINARY: u32 = 54321;

/// Hands a directory and what is in it to the user whom [`as_ordinary_user`] takes.
pub fn give(path: &Path) {
    if nix::unistd::geteuid().is_root() {
        let done = Command::new("chown").arg("-R").arg(format!("{ORDINARY}:{ORDINARY}")).arg(path).status().unwrap();
        assert!(done.success());
    }
}

/// Fails with a message that says what is missing.
pub fn require(program: &str) {
    let found =
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()));
    assert!(found, "this test needs `{program}`: install it (Debian: apt-get install {program})");
}
