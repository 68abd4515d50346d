//! A user: a home, a configuration, a store and a runtime folder that belong to one test, and `enter` run in them.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{DEADLINE, hub};

/// The program under test.
pub const ENTER: &str = env!("CARGO_BIN_EXE_enter");

/// A user of a machine, as far as environment and home go; the uid is the tests' own.
pub struct User {
    folder: tempfile::TempDir,
    variables: Vec<(OsString, OsString)>,
}

impl User {
    /// A user whose docker.io is the tests' own registry.
    pub fn new() -> Self {
        let user = Self::without_registry();
        copy_folder(&hub().configuration, &user.config().join("containers"));
        user
    }

    /// The same, whose containers keep their changes by this driver.
    pub fn on(driver: &str) -> Self {
        let mut user = Self::new();
        user.set("ENTER_STORAGE", driver);
        user
    }

    /// A user with nothing configured.
    pub fn without_registry() -> Self {
        let folder = tempfile::Builder::new().prefix("enter-user.").tempdir().expect("a temporary folder");
        for name in ["home", "config", "data", "cache", "run"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder in the temporary folder");
        }
        set_mode(&folder.path().join("run"), 0o700);
        let mut user = Self { folder, variables: Vec::new() };
        user.set("HOME", user.home());
        user.set("XDG_CONFIG_HOME", user.config());
        user.set("XDG_DATA_HOME", user.data());
        user.set("XDG_CACHE_HOME", user.folder.path().join("cache"));
        user.set("XDG_RUNTIME_DIR", user.runtime());
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("SHELL", "/bin/sh")] {
            user.set(name, value);
        }
        for name in ["PATH", "USER", "LOGNAME", "http_proxy", "https_proxy", "no_proxy"] {
            if let Some(value) = std::env::var_os(name) {
                user.set(name, value);
            }
        }
        user
    }

    /// Sets a variable for every command from now on.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        self.variables.retain(|(other, _)| *other != name);
        self.variables.push((name, value.into()));
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn runtime(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// What enter keeps.
    pub fn store(&self) -> PathBuf {
        self.data().join("enter/v1")
    }

    /// Any program, in this user's environment and home.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.home()).stdin(Stdio::null());
        command
    }

    /// `enter` with these arguments, not yet started.
    pub fn enter<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(ENTER);
        command.args(args);
        command
    }

    /// Runs `enter` with these arguments and an empty standard input.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Outcome {
        finish(self.enter(args), b"")
    }

    /// Runs `enter` with these arguments and `input` as its standard input.
    #[track_caller]
    pub fn run_with_input<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &[u8]) -> Outcome {
        finish(self.enter(args), input)
    }

    /// Runs a shell script in an image, and returns what it wrote; it must succeed.
    #[track_caller]
    pub fn sh(&self, flags: &[&str], image: &str, script: &str) -> String {
        let args = flags.iter().copied().chain([image, "--", "sh", "-ec", script]);
        self.run(args).success()
    }
}

/// A container that a test leaves behind would outlive all tests, and the folder that it is in.
impl Drop for User {
    fn drop(&mut self) {
        let containers = std::fs::read_dir(self.store().join("containers"));
        if containers.is_ok_and(|mut containers| containers.next().is_some()) {
            let mut remove = self.enter(["rm", "--force", "--all"]);
            // A test that has failed already is not to panic once more.
            let _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Outcome {
    /// Its exit code; None where a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output of a command that must have succeeded.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.status.success(), "{}\nstdout:\n{}\nstderr:\n{}", self.status, self.text(), self.stderr);
        self.text()
    }

    /// Asserts that `enter` itself failed as it should: exit code 125, nothing on stdout, each text in the message, and a
    /// hint.
    #[track_caller]
    pub fn refused(&self, texts: &[&str]) -> &Self {
        self.failed(125, texts)
    }

    /// Asserts that a verb of docker's failed on what it was asked for: as [`Outcome::refused`], but with exit code 1.
    #[track_caller]
    pub fn unable(&self, texts: &[&str]) -> &Self {
        self.failed(1, texts)
    }

    #[track_caller]
    fn failed(&self, code: i32, texts: &[&str]) -> &Self {
        assert_eq!(self.code(), Some(code), "{}\nstdout:\n{}\nstderr:\n{}", self.status, self.text(), self.stderr);
        assert_eq!(self.text(), "", "stdout is for data");
        for text in texts {
            assert!(self.stderr.contains(text), "`{text}` is not in:\n{}", self.stderr);
        }
        assert!(self.stderr.contains("hint:"), "no hint in:\n{}", self.stderr);
        self
    }
}

/// Starts a command, gives it its input, and waits for its end, at most [`DEADLINE`].
#[track_caller]
pub fn finish(command: Command, input: &[u8]) -> Outcome {
    finish_with(command, input, &mut |_| ())
}

/// The same, and the most memory that the process itself had, in kB, as far as a look every few milliseconds sees it.
#[track_caller]
pub fn finish_watching(command: Command, input: &[u8]) -> (Outcome, u64) {
    let mut peak = 0;
    let outcome = finish_with(command, input, &mut |child| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = peak.max(line.trim_end_matches("kB").trim().parse().unwrap_or(0));
    });
    (outcome, peak)
}

#[track_caller]
fn finish_with(mut command: Command, input: &[u8], look: &mut dyn FnMut(&Child)) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let stdout = read_all(child.stdout.take().expect("stdout is a pipe"));
    let stderr = read_all(child.stderr.take().expect("stderr is a pipe"));
    let input = input.to_vec();
    // A command that does not read all its input closes the pipe; that is its right.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let status = wait_looking(&mut child, look);
    if status.is_none() {
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
    }
    let (stdout, stderr) = (stdout.join().expect("the reader ends"), stderr.join().expect("the reader ends"));
    writer.join().expect("the writer ends");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let Some(status) = status else {
        panic!("{command:?} did not end\nstdout:\n{}\nstderr:\n{stderr}", String::from_utf8_lossy(&stdout));
    };
    Outcome { status, stdout, stderr }
}

/// Waits for a child's end; None after [`DEADLINE`].
pub fn wait(child: &mut Child) -> Option<ExitStatus> {
    wait_looking(child, &mut |_| ())
}

fn wait_looking(child: &mut Child, look: &mut dyn FnMut(&Child)) -> Option<ExitStatus> {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        look(child);
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

/// Copies a folder of plain files and folders.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap_or_else(|error| panic!("cannot make {}: {error}", to.display()));
    for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("cannot read {}: {error}", from.display())) {
        let entry = entry.expect("a folder's entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("an entry's type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target)
                .unwrap_or_else(|error| panic!("cannot copy to {}: {error}", target.display()));
        }
    }
}

/// Sets a file's permissions.
pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("cannot chmod {}: {error}", path.display()));
}
