//! The Dev Containers CLI of the npm registry, with `enter` in the place of docker: what VS Code's extension does, too.
//!
//! `helpers/test.sh` installs it, as the hint here does.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::user::finish;
use crate::support::{ENTER, Outcome, User};

/// The version that is tried. 0.89.0 is a single file without any dependency.
const VERSION: &str = "0.89.0";

/// `target/tools`, beside the folder that this test was built in.
fn tools() -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    test.ancestors().nth(3).expect("it lies in target/debug/deps").join("tools")
}

/// The CLI's own file there.
fn program() -> PathBuf {
    let tools = tools();
    let package = tools.join("node_modules/@devcontainers/cli");
    let described = std::fs::read_to_string(package.join("package.json")).unwrap_or_default();
    assert!(
        described.contains(&format!("\"version\": \"{VERSION}\"")),
        "this test needs node and the Dev Containers CLI: npm install --prefix {} @devcontainers/cli@{VERSION}",
        tools.display()
    );
    package.join("devcontainer.js")
}

/// A folder of the user's with this `.devcontainer/devcontainer.json`.
fn project(user: &User, json: &str) -> PathBuf {
    let folder = user.home().join("project");
    std::fs::create_dir_all(folder.join(".devcontainer")).expect("a folder can be made");
    std::fs::write(folder.join(".devcontainer/devcontainer.json"), json).expect("a file can be written");
    folder
}

fn devcontainer(user: &User, verb: &str, folder: &Path, rest: &[&str]) -> Outcome {
    let own = tools().join("node_modules/node/bin/node");
    let mut command = user.command(if own.exists() { own } else { "node".into() });
    command.arg(program()).args([verb, "--docker-path", ENTER, "--workspace-folder"]).arg(folder).args(rest);
    finish(command, b"")
}

/// The last line of what `up` writes, which is for programs.
fn up(user: &User, folder: &Path, rest: &[&str]) -> Value {
    let outcome = devcontainer(user, "up", folder, rest);
    let stderr = outcome.stderr.clone();
    let text = outcome.success();
    let said: Value = serde_json::from_str(text.lines().last().unwrap_or_default()).expect("the CLI writes JSON");
    assert_eq!(said["outcome"], "success", "{said}\n{stderr}");
    said
}

#[test]
fn a_project_is_brought_up_and_worked_in() {
    let user = User::new();
    let json = r#"{
        // The image is fetched by `enter`.
        "image": "debian",
        "containerEnv": { "OF_CONTAINER": "one" },
        "remoteEnv": { "OF_REMOTE": "two ${localEnv:LANG}", "OF_BOTH": "${containerEnv:OF_CONTAINER}+" },
        "mounts": [{ "type": "volume", "source": "kept", "target": "/kept" }, "type=tmpfs,target=/scratch"],
        "appPort": ["127.0.0.1::8080"],
        "forwardPorts": [3000],
        "init": true,
        "capAdd": ["SYS_PTRACE"],
        "securityOpt": ["seccomp=unconfined"],
        "remoteUser": "root",
        "initializeCommand": "echo initialize >>outside",
        "onCreateCommand": "echo onCreate >>/tmp/life",
        "updateContentCommand": ["sh", "-c", "echo updateContent >>/tmp/life"],
        "postCreateCommand": { "one": "echo postCreate >/tmp/one", "two": ["touch", "/tmp/two words"] },
        "postStartCommand": "echo postStart >>/tmp/life",
        "postAttachCommand": "echo postAttach >>/tmp/life",
    }"#;
    let folder = project(&user, json);
    let said = up(&user, &folder, &[]);
    assert_eq!(said["remoteUser"], "root");
    assert_eq!(said["remoteWorkspaceFolder"], "/workspaces/project");
    let outside = std::fs::read_to_string(folder.join("outside")).expect("initializeCommand ran out here");
    assert_eq!(outside, "initialize\n");

    let inside = |script: &str| devcontainer(&user, "exec", &folder, &["sh", "-c", script]);
    let look = "pwd; cat /tmp/life /tmp/one; ls '/tmp/two words'; echo $OF_CONTAINER $OF_REMOTE $OF_BOTH; echo made >made; \
                touch /kept/file; grep -c -e ' /scratch ' -e ' /kept ' /proc/mounts";
    let expected = "/workspaces/project\nonCreate\nupdateContent\npostStart\npostAttach\npostCreate\n/tmp/two words\n\
                    one two C.UTF-8 one+\n2\n";
    assert_eq!(inside(look).success(), expected);
    assert_eq!(std::fs::read_to_string(folder.join("made")).unwrap_or_default(), "made\n");
    assert_eq!(inside("exit 7").code(), Some(7));
    let port = user.run(["port", said["containerId"].as_str().unwrap_or_default(), "8080"]).success();
    assert!(port.starts_with("127.0.0.1:"), "{port}");

    // It is found again, also when it has been stopped; and made anew when that is asked for.
    let id = &said["containerId"];
    user.run(["stop", "-t", "0", id.as_str().unwrap_or_default()]).success();
    let again = up(&user, &folder, &[]);
    assert_eq!(&again["containerId"], id);
    assert_eq!(inside("grep -c postCreate /tmp/one; grep -c postStart /tmp/life").success(), "1\n2\n");
    let new = up(&user, &folder, &["--remove-existing-container"]);
    assert_ne!(&new["containerId"], id);
    assert_eq!(user.run(["ps", "-aq"]).success().lines().count(), 1);
}

#[test]
fn whoever_has_the_callers_number_writes_in_the_project() {
    let user = User::new();
    let uid = nix::unistd::getuid().as_raw();
    let script =
        format!("echo coder:x:{uid}:{uid}::/home/coder:/bin/sh >>/etc/passwd; install -d -o {uid} /home/coder");
    user.run(["run", "--name", "made", "debian", "sh", "-ec", &script]).success();
    user.run(["commit", "made", "with-coder"]).success();
    let json = r#"{ "image": "with-coder", "remoteUser": "coder", "updateRemoteUserUID": false,
                    "postCreateCommand": "id -un >who" }"#;
    let folder = project(&user, json);
    up(&user, &folder, &[]);
    assert_eq!(std::fs::read_to_string(folder.join("who")).unwrap_or_default(), "coder\n");
    assert_eq!(devcontainer(&user, "exec", &folder, &["sh", "-c", "cd && pwd"]).success(), "/home/coder\n");
}

#[test]
fn an_image_that_would_have_to_be_built_is_refused_with_the_reason() {
    let user = User::new();
    let folder = project(&user, r#"{ "build": { "dockerfile": "Dockerfile" } }"#);
    std::fs::write(folder.join(".devcontainer/Dockerfile"), "FROM debian\n").expect("a file can be written");
    let outcome = devcontainer(&user, "up", &folder, &[]);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("there is no subcommand `build`"), "{}", outcome.stderr);
    user.run(["buildx", "version"]).refused(&["there is no subcommand `buildx`"]);
}
