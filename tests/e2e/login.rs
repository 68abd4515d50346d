//! Logging in and out: where credentials are kept, who finds them, and that nobody else sees them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::guarded::{Guarded, PASSWORD, USER};
use crate::support::user::{finish, set_mode};
use crate::support::{Terminal, User, hub};

/// A user who knows the registry, which holds `tool`, and has not logged in.
fn outsider(registry: &Guarded) -> User {
    let user = User::without_registry();
    configure(&user, &registry.configuration());
    user
}

fn configure(user: &User, text: &str) {
    std::fs::create_dir_all(user.config().join("containers")).expect("a folder in the home");
    std::fs::write(user.config().join("containers/registries.conf"), text).expect("a file in the home");
}

/// Copies busybox from the tests' own registry, as skopeo does it.
fn fill(registry: &Guarded) {
    let user = User::new();
    let mut copy = user.command("skopeo");
    copy.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "--dest-creds"]);
    copy.arg(format!("{USER}:{PASSWORD}"));
    copy.arg(format!("oci:{}:busybox", hub().layout.display()))
        .arg(format!("docker://{}/team/tool:1", registry.address));
    finish(copy, b"").success();
}

fn auth_file(user: &User) -> std::path::PathBuf {
    user.runtime().join("containers/auth.json")
}

#[test]
fn a_login_is_checked_kept_and_forgotten() {
    let registry = Guarded::start();
    let (user, address) = (outsider(&registry), registry.address.as_str());
    fill(&registry);
    let image = format!("{address}/team/tool:1");
    user.run(["pull", &image]).refused(&["without a login", &format!("enter login {address}")]);
    let wrong = user.run_with_input(["login", "-u", USER, "--password-stdin", address], b"wr0ng-secret\n");
    wrong.refused(&["does not accept this user name and password"]);
    assert!(!wrong.stderr.contains("wr0ng-secret"));
    assert!(!auth_file(&user).exists(), "what the registry refuses is not kept");
    let login = user
        .run_with_input(["login", "-v", "-u", USER, "--password-stdin", address], format!("{PASSWORD}\n").as_bytes());
    assert!(login.stderr.contains(&format!("Used: {}", auth_file(&user).display())), "{}", login.stderr);
    assert_eq!(login.success(), "Login Succeeded!\n");
    let mode = std::fs::metadata(auth_file(&user)).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(user.run(["login", "--get-login", address]).success(), format!("{USER}\n"));
    user.run(["pull", &image]).success();
    // Once more, by what is kept.
    let again = user.run(["login", address]);
    assert!(again.success().contains("Already logged in"));
    assert_eq!(user.run(["logout", address]).success(), format!("Removed login credentials for {address}\n"));
    user.run(["logout", address]).refused(&["not logged into"]);
    user.run(["login", "--get-login", address]).refused(&["not logged into"]);
    user.run(["pull", &image]).refused(&["without a login"]);
}

#[test]
fn other_tools_find_the_login_and_theirs_is_found() {
    let registry = Guarded::start();
    let (user, address) = (outsider(&registry), registry.address.as_str());
    fill(&registry);
    let inspect = |user: &User| {
        let mut skopeo = user.command("skopeo");
        skopeo.args(["inspect", "--raw", "--tls-verify=false"]).arg(format!("docker://{address}/team/tool:1"));
        finish(skopeo, b"")
    };
    assert!(!inspect(&user).status.success());
    user.run(["login", "-u", USER, "-p", PASSWORD, &format!("{address}/team")]).success();
    inspect(&user).success();
    user.run(["logout", &format!("{address}/team")]).success();
    assert!(!inspect(&user).status.success());
    for tool in ["podman", "skopeo"] {
        let mut login = user.command(tool);
        login.args(["login", "--tls-verify=false", "-u", USER, "--password-stdin", address]);
        finish(login, PASSWORD.as_bytes()).success();
        assert_eq!(user.run(["login", "--get-login", address]).success(), format!("{USER}\n"), "{tool}");
        user.run(["pull", "-q", &format!("{address}/team/tool:1")]).success();
        user.run(["logout", "--all"]).success();
        assert!(!inspect(&user).status.success(), "{tool}");
    }
}

#[test]
fn a_password_is_asked_for_without_echo() {
    let registry = Guarded::start();
    let (user, address) = (outsider(&registry), registry.address.as_str());
    let mut terminal = Terminal::start(&user.enter(["login", address]));
    terminal.wait_for("Username: ");
    terminal.line(USER);
    terminal.wait_for("Password: ");
    // Mistyped, and mended.
    terminal.line(&format!("{PASSWORD}x\u{7f}"));
    terminal.wait_for("Login Succeeded!");
    assert!(terminal.wait().success());
    assert!(!terminal.shown().contains(PASSWORD), "{}", terminal.shown());
}

#[test]
fn an_interrupted_question_leaves_the_terminal_as_it_was() {
    let registry = Guarded::start();
    let user = outsider(&registry);
    let enter = crate::support::user::ENTER;
    let script = format!(
        "stty -a >before; {enter} login -u {USER} {}; echo code $?; stty -a >after; cmp before after && echo same",
        registry.address
    );
    for (keys, code) in [("half\u{3}", "code 130"), ("\u{4}", "code 125")] {
        let mut terminal = Terminal::start(user.command("bash").args(["-c", &format!("trap : INT; {script}")]));
        terminal.wait_for("Password: ");
        terminal.send(keys);
        terminal.wait_for(code);
        terminal.wait_for("same");
        terminal.wait();
        assert!(!terminal.shown().contains("half"), "{}", terminal.shown());
    }
}

#[test]
fn a_killed_question_leaves_the_terminal_as_it_was() {
    let registry = Guarded::start();
    let user = outsider(&registry);
    let enter = crate::support::user::ENTER;
    // The shell's other job ends the login when it has asked; its process is the one that the shell waits for.
    let script = format!(
        "stty -a >before; (sleep 1; kill -TERM $(pgrep -P $$ enter)) & {enter} login -u {USER} {}; echo code $?; \
         stty -a >after; cmp before after && echo same",
        registry.address
    );
    let mut terminal = Terminal::start(user.command("bash").args(["-c", &script]));
    terminal.wait_for("Password: ");
    terminal.wait_for("code 143");
    terminal.wait_for("same");
    terminal.wait();
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let registry = Guarded::start();
    let (user, address) = (outsider(&registry), registry.address.as_str());
    user.run(["login", address]).refused(&["there is no terminal", "--password-stdin"]);
    user.run(["login", "--password-stdin", address]).refused(&["-u NAME"]);
    user.run(["login", "-u", "a:b", "--password-stdin", address]).refused(&["no user name"]);
    user.run(["login", "-u", "a", "--password-stdin", address]).refused(&["the password is empty"]);
    user.run(["login", "-u", "a", "-p", "b", "not/a registry"]).refused(&["is not a registry"]);
}

#[test]
fn helpers_keep_and_forget() {
    let registry = Guarded::start();
    let (mut user, address) = (outsider(&registry), registry.address.clone());
    let helper = Helper::install(&mut user);
    let docker = user.home().join(".docker");
    std::fs::create_dir(&docker).expect("a folder in the home");
    let file = docker.join("config.json");
    std::fs::write(&file, r#"{"credsStore": "test", "other": [1]}"#).expect("a file in the home");
    let compat = ["--compat-auth-file", file.to_str().expect("text")];
    user.run(["login", compat[0], compat[1], "-u", USER, "-p", PASSWORD, &address]).success();
    let text = std::fs::read_to_string(&file).expect("a file in the home");
    assert!(!text.contains("\"auth\"") && text.contains(&address) && text.contains("other"), "{text}");
    assert!(helper.kept().contains(PASSWORD));
    assert_eq!(user.run(["login", "--get-login", &address]).success(), format!("{USER}\n"));
    user.run(["logout", compat[0], compat[1], &address]).success();
    assert_eq!(helper.kept(), "");
    // By registries.conf.
    configure(&user, &format!("credential-helpers = [\"test\"]\n{}", registry.configuration()));
    user.run(["login", "-u", USER, "-p", PASSWORD, &address]).success();
    assert!(helper.kept().contains(PASSWORD) && !auth_file(&user).exists());
    assert_eq!(user.run(["login", "--get-login", &address]).success(), format!("{USER}\n"));
    for (script, said) in [
        ("echo the keyring is locked; exit 1", "the keyring is locked"),
        ("echo '{\"Secret\": \"hunter2'", "its answer is no JSON"),
        ("exit 7", "exit status: 7"),
    ] {
        helper.becomes(script);
        let failed = user.run(["login", "--get-login", &address]);
        failed.refused(&["docker-credential-test", said]);
        assert!(!failed.stderr.contains("hunter2"), "{}", failed.stderr);
    }
    helper.remove();
    user.run(["login", "-u", USER, "-p", PASSWORD, &address]).refused(&["docker-credential-test", "no such program"]);
}

#[test]
fn a_password_on_the_command_line_is_warned_of_and_wiped() {
    let registry = Guarded::start();
    let mut user = outsider(&registry);
    let helper = Helper::install(&mut user);
    configure(&user, &format!("credential-helpers = [\"test\"]\n{}", registry.configuration()));
    // The helper looks at the command line of its parent, which by then has been overwritten, and at its own and its environment.
    helper.becomes(&format!(
        "tr '\\0' ' ' </proc/$PPID/cmdline >{0}/seen; tr '\\0' ' ' </proc/$$/cmdline >>{0}/seen; env >>{0}/seen; cat >/dev/null",
        helper.folder().display()
    ));
    let login = user.run(["login", "-u", USER, "-p", PASSWORD, &registry.address]);
    assert!(login.stderr.contains("warning:") && login.stderr.contains("--password-stdin"), "{}", login.stderr);
    login.success();
    let seen = std::fs::read_to_string(helper.folder().join("seen")).expect("the helper was run");
    assert!(seen.contains("login") && seen.contains(USER) && !seen.contains(PASSWORD), "{seen}");
}

#[test]
fn a_registry_that_has_its_tokens_made_is_logged_in_to() {
    let tokens = crate::support::tokens::Tokens::start("alice", "secret");
    let user = User::without_registry();
    configure(&user, &format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", tokens.address));
    user.run(["login", "-u", "alice", "-p", "wrong", &tokens.address]).refused(&["does not accept", "no such luck"]);
    user.run(["login", "-u", "alice", "-p", "secret", &tokens.address]).success();
    user.run(["login", "-u", "alice", "-p", "secret", "--tls-verify", &tokens.address]).refused(&["tls"]);
}

/// A credential helper that keeps what it is given in one file.
struct Helper(std::path::PathBuf);

impl Helper {
    fn install(user: &mut User) -> Self {
        let folder = user.home().join("bin");
        std::fs::create_dir(&folder).expect("a folder in the home");
        user.set("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default()));
        let helper = Self(folder);
        helper.becomes(
            "file=$(dirname \"$0\")/kept\n\
             case $1 in store) cat >\"$file\" ;; erase) rm \"$file\" ;;\n\
             get) cat \"$file\" 2>/dev/null || { echo credentials not found in native keychain; exit 1; } ;; esac",
        );
        helper
    }

    fn becomes(&self, script: &str) {
        let program = self.0.join("docker-credential-test");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a file in the home");
        set_mode(&program, 0o755);
    }

    fn folder(&self) -> &Path {
        &self.0
    }

    fn kept(&self) -> String {
        std::fs::read_to_string(self.0.join("kept")).unwrap_or_default()
    }

    fn remove(&self) {
        std::fs::remove_file(self.0.join("docker-credential-test")).expect("the helper is there");
    }
}
