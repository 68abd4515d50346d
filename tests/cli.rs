//! What the program says and how it ends, to the letter, where no store and no registry is needed.

use std::path::Path;
use std::process::{Command, Stdio};

/// A user with an empty home and no settings.
struct User {
    home: tempfile::TempDir,
}

/// How a command ended: exit code, stdout, stderr.
type Ended = (i32, String, String);

impl User {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_enter"));
        command.args(args).env_clear().env("HOME", self.home.path()).stdin(Stdio::null());
        command
    }

    fn enter(&self, args: &[&str]) -> Ended {
        ended(&mut self.command(args))
    }

    fn enter_with(&self, variable: &str, value: &str, args: &[&str]) -> Ended {
        ended(self.command(args).env(variable, value))
    }

    /// Writes the settings file and says where it is.
    fn settings(&self, text: &str) -> String {
        let path = self.home.path().join(".config/enter/config.toml");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().expect("killed by a signal"), text(output.stdout), text(output.stderr))
}

fn error(text: &str) -> Ended {
    (125, String::new(), text.to_owned())
}

#[test]
fn version_and_help_are_data() {
    let user = User::new();
    assert_eq!(user.enter(&["--version"]), (0, format!("enter {}\n", env!("CARGO_PKG_VERSION")), String::new()));
    for args in [&["--help"][..], &["-h"], &["help"], &["images", "--help"], &["help", "images"]] {
        let (code, stdout, stderr) = user.enter(args);
        assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
        assert!(stdout.contains("Usage: enter"), "{args:?}: {stdout}");
    }
}

#[test]
fn without_arguments_the_help_goes_to_stderr_as_dockers_does() {
    let (code, stdout, stderr) = User::new().enter(&[]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert!(stderr.contains("Usage: enter [OPTIONS] NAME [COMMAND]..."), "{stderr}");
}

#[test]
fn what_is_typed_wrongly_is_told_with_a_way_out() {
    let user = User::new();
    for (args, expected) in [
        (&["--nope"][..], "error: unknown flag `--nope`\nhint: see `enter --help`\n"),
        (&["--usre", "x", "debian"], "error: unknown flag `--usre`\nhint: did you mean `--user`?\n"),
        (&["debian", "--nope"], "error: unknown flag `--nope`\nhint: see `enter --help`\n"),
        (&["debian", "-u"], "error: `--user USER[:GROUP]` is given no value\nhint: see `enter --help`\n"),
        (
            &["--storage", "overly", "debian"],
            "error: --storage must be one of auto, overlay, fuse, not `overly`\nhint: did you mean `overlay`?\n",
        ),
        (
            &["--network", "x y", "debian"],
            "error: --network cannot be `x y`: expected pasta (also called bridge and default), none, host, container:NAME or the name of a network\nhint: see `enter --help`\n",
        ),
        (
            &["-v", "data:/data", "debian"],
            "error: --volume cannot be `data:/data`: the source is no path; a folder here is ./data\nhint: see `enter --help`\n",
        ),
        (
            &["-e", "=x", "debian"],
            "error: --env cannot be `=x`: the name of the variable is empty\nhint: see `enter --help`\n",
        ),
        (&["help", "nope"], "error: there is no subcommand `nope`\nhint: see `enter --help`\n"),
        (
            &["completion", "fisch"],
            "error: SHELL must be one of bash, fish, zsh, not `fisch`\nhint: did you mean `fish`?\n",
        ),
    ] {
        assert_eq!(user.enter(args), error(expected), "{args:?}");
    }
}

#[test]
fn what_is_missing_ends_a_verb_as_dockers_do() {
    let user = User::new();
    for (args, name) in [(&["shell"][..], "NAME"), (&["rmi"], "IMAGE"), (&["exec"], "CONTAINER")] {
        let text = format!("error: {name} is missing\nhint: see `enter {} --help`\n", args[0]);
        assert_eq!(user.enter(args), (1, String::new(), text), "{args:?}");
    }
}

#[test]
fn settings_that_cannot_be_are_named_with_file_line_and_key() {
    let user = User::new();
    let path = user.settings("# mine\nstorge = 'auto'\n");
    let expected = format!("error: {path}, line 2: unknown key `storge`\nhint: did you mean `storage`?\n");
    assert_eq!(user.enter(&["images"]), error(&expected));

    let path = user.settings("\n\nretries = 'often'\n");
    let expected = format!(
        "error: {path}, line 3: `retries` must be a number from 0 to 64, not `'often'`\n\
         hint: see `man enter.toml` for what can stand there\n"
    );
    assert_eq!(user.enter(&["images"]), error(&expected));

    let path = user.settings("network = \n");
    let (code, stdout, stderr) = user.enter(&["images"]);
    assert_eq!((code, stdout.as_str()), (125, ""));
    assert!(stderr.starts_with(&format!("error: {path}, line 1: not valid TOML\ncaused by: ")), "{stderr}");
}

#[test]
fn a_variable_that_cannot_be_is_named() {
    let expected = "error: the environment variable ENTER_STALL_TIMEOUT must be a time such as 30s or 2m, not `soon`\n\
                    hint: correct it, or remove it: unset ENTER_STALL_TIMEOUT\n";
    assert_eq!(User::new().enter_with("ENTER_STALL_TIMEOUT", "soon", &["images"]), error(expected));
}

#[test]
fn bad_settings_do_not_keep_the_completions_from_working() {
    let user = User::new();
    user.settings("nonsense");
    let (code, stdout, stderr) = user.enter(&["completion", "bash"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions/enter.bash");
    assert_eq!(stdout, std::fs::read_to_string(committed).unwrap());
    assert_eq!(user.enter(&["__complete", "fish", "enter", "hos"]).1, "host\ta throwaway view of this machine\n");
    assert_eq!(user.enter(&["__complete", "bash", "enter --network=h", "=:"]).1, "host\n");
}

#[test]
fn colour_is_only_for_those_who_want_it() {
    let user = User::new();
    let plain = "error: the environment variable ENTER_PULL must be one of missing, always, never, newer, not `x`";
    assert!(user.enter_with("ENTER_PULL", "x", &["images"]).2.starts_with(plain));
    user.settings("color = 'always'");
    let (code, _, stderr) = user.enter(&["rmi", "nope"]);
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "\u{1b}[1;31merror\u{1b}[0m: no such image: nope\n\u{1b}[1;36mhint\u{1b}[0m: see the images that are here: enter images\n"
    );
}

#[test]
fn text_that_would_drive_a_terminal_is_shown_instead() {
    let (code, _, stderr) = User::new().enter(&["rmi", "a\u{1b}]0;title\u{7}\nhint: do as I say"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: no such image: a\\u{1b}]0;title\\u{7}\n       hint: do as I say\n"), "{stderr}");
}

#[test]
fn nobody_reading_any_more_ends_it_silently_by_a_signal() {
    use std::os::unix::process::ExitStatusExt as _;
    let user = User::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = user.command(&["completion", "bash"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(13));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_full_disk_below_stdout_is_an_error() {
    let user = User::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (code, _, stderr) = ended(user.command(&["images"]).stdout(full));
    assert_eq!(code, 125);
    assert_eq!(
        stderr,
        "error: cannot write to the standard output\ncaused by: No space left on device (os error 28)\n"
    );
}

#[test]
fn an_empty_store_is_an_empty_list() {
    let user = User::new();
    let table = "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n";
    assert_eq!(user.enter(&["images"]), (0, table.into(), String::new()));
    assert_eq!(user.enter(&["images", "-q"]), (0, String::new(), String::new()));
    assert_eq!(user.enter(&["images", "--format", "json"]), (0, String::new(), String::new()));
    assert!(std::fs::read_dir(user.home.path()).unwrap().next().is_none(), "asking made something");
}

#[test]
fn a_verb_that_fails_on_what_it_was_given_ends_with_1_as_in_docker() {
    let user = User::new();
    let failed = |text: &str| (1, String::new(), text.to_owned());
    let fields = "hint: the fields are: .Containers .CreatedAt .CreatedSince .Digest .ID .Pinned .Repository .SharedSize .Size .Tag .UniqueSize .VirtualSize\n";
    assert_eq!(
        user.enter(&["images", "--format", "{{.Nope}}"]),
        failed(&format!("error: cannot fill in the template: can't evaluate field Nope\n{fields}"))
    );
    assert_eq!(
        user.enter(&["images", "--filter", "nope=1"]),
        failed("error: invalid filter `nope`\nhint: the keys are: before, dangling, label, pinned, reference, since\n")
    );
    let missing = "error: no such image: a\nhint: see the images that are here: enter images\n";
    assert_eq!(user.enter(&["rmi", "a"]), failed(missing));
    assert_eq!(user.enter(&["rmi", "--force", "a"]), (0, String::new(), missing.into()));
    assert_eq!(user.enter(&["rmi", "a", "b"]), failed(&format!("{missing}{}", missing.replace(": a", ": b"))));
}

#[test]
fn what_docker_and_podman_have_and_enter_has_not_is_told_with_what_does_the_same() {
    let user = User::new();
    for (args, hint) in [
        (&["images", "--tree"][..], "enter image tree IMAGE"),
        (&["image", "ls", "--history"], "enter history IMAGE"),
        (&["image", "scp", "a", "host::"], "enter save IMAGE | ssh HOST enter load"),
        (&["image", "sign", "a"], "cosign sign"),
        (&["manifest", "add", "--artifact", "list", "file"], "oras push"),
        (&["network", "create", "--aux-address", "a=10.5.0.9", "n"], "--ip-range"),
        (&["network", "create", "--opt", "metric=5", "n"], "enter network create --help"),
        (&["network", "create", "--ipam-driver", "none", "n"], "enter network create --help"),
        (&["import", "--arch", "arm64", "-"], "--platform OS/ARCH"),
    ] {
        let (code, stdout, stderr) = user.enter(args);
        assert_eq!((code, stdout.as_str()), (125, ""), "{args:?}: {stderr}");
        let told = stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap_or_default();
        assert!(told.contains(hint), "{args:?}: {stderr}");
    }
    let (code, _, stderr) = user.enter(&["rmi", "--no-prune", "nothing"]);
    assert!(code == 1 && stderr.contains("no such image: nothing"), "{stderr}");
}
