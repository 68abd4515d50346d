//! What is done in a project's box before somebody goes in: packages, and the file's hooks. All of it is run as by `enter BOX -- …`, and what it
//! writes goes to the standard error, as the standard output is that of the command that was asked for.

use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::process::{Command, ExitStatus, Stdio};

use enter::container::Container;

use super::Work;
use super::kept::Boxed;
use crate::failure::Failure;

/// Installs what it is given by the package manager of the image. What is there already needs no network.
const INSTALL: &str = r#"
has() { command -v "$1" >/dev/null 2>&1; }
if has apt-get; then
    export DEBIAN_FRONTEND=noninteractive
    dpkg -s "$@" >/dev/null 2>&1 && exit 0
    apt-get update || echo "the lists of packages are as old as they were" >&2
    exec apt-get install -y "$@"
elif has dnf || has microdnf || has yum; then
    rpm -q "$@" >/dev/null 2>&1 && exit 0
    for tool in dnf microdnf yum; do if has $tool; then exec $tool install -y "$@"; fi; done
elif has pacman; then
    pacman -Q "$@" >/dev/null 2>&1 && exit 0
    exec pacman -Syu --noconfirm --needed "$@"
elif has apk; then
    apk info -e "$@" >/dev/null 2>&1 && [ "$(apk info -e "$@" | wc -l)" -ge $# ] && exit 0
    exec apk add "$@"
elif has zypper; then
    rpm -q "$@" >/dev/null 2>&1 && exit 0
    exec zypper --non-interactive install "$@"
fi
echo "there is none of apt-get, dnf, microdnf, yum, pacman, apk and zypper in the image" >&2
exit 127
"#;

/// Packages, what is done once, and what each start asks for. What fails before the box was complete is an error, and tried again the next time.
pub(super) fn bring_up(work: &Work<'_>, container: &Container, boxed: &mut Boxed) -> Result<(), Failure> {
    let (name, loaded) = (&container.record.name, work.loaded);
    let project = &loaded.project;
    let missing: Vec<&str> =
        project.packages.iter().filter(|package| !boxed.packages.contains(package)).map(String::as_str).collect();
    if !missing.is_empty() {
        work.ui.note(&format!("installing in {name}: {}", missing.join(" ")));
        let mut words = vec!["sh", "-c", INSTALL, "sh"];
        words.extend(&missing);
        let failed = || Failure::new(format!("the packages of {} could not be installed", loaded.file.display()));
        let status = run(work, name, Some("root"), &words)?;
        if !status.success() {
            return Err(unfinished(failed(), status, name));
        }
        boxed.packages.extend(missing.into_iter().map(ToOwned::to_owned));
        loaded.kept.keep(boxed)?;
    }
    if !boxed.once {
        for line in &project.hooks.once {
            let status = run(work, name, project.user.as_deref(), &["sh", "-c", line])?;
            if !status.success() {
                return Err(unfinished(Failure::new(format!("`hooks.once` failed in {name}: {line}")), status, name));
            }
        }
        boxed.once = true;
        loaded.kept.keep(boxed)?;
    }
    if boxed.started != container.state.started {
        try_all(work, name, "start", &project.hooks.start);
        boxed.started = container.state.started;
        loaded.kept.keep(boxed)?;
    }
    Ok(())
}

/// What is run each time that somebody goes in.
pub(super) fn each_time(work: &Work<'_>, container: &Container) {
    try_all(work, &container.record.name, "enter", &work.loaded.project.hooks.enter);
}

/// Whoever goes in can mend what failed: it keeps nobody out.
fn try_all(work: &Work<'_>, name: &str, hook: &str, lines: &[String]) {
    for line in lines {
        match run(work, name, work.loaded.project.user.as_deref(), &["sh", "-c", line]) {
            Ok(status) if status.success() => {}
            Ok(status) => work.ui.warning(&format!("`hooks.{hook}` failed ({}): {line}", told(status))),
            Err(failure) => work.ui.failure(&failure),
        }
    }
}

fn unfinished(failure: Failure, status: ExitStatus, name: &str) -> Failure {
    failure.because(told(status)).with_hint(format!(
        "the box is kept: `enter` here tries it again, `enter {name}` goes in without it, `enter rm {name}` removes it"
    ))
}

fn told(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

/// Runs something in the box, in the project's folder.
fn run(work: &Work<'_>, name: &str, user: Option<&str>, words: &[&str]) -> Result<ExitStatus, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot run anything in {name}")).because(error);
    let stderr = std::io::stderr();
    // Somebody who sits there may be asked something, and can stop it.
    let is_watched = std::io::stdin().is_terminal() && stderr.is_terminal();
    // This very program, also where its file was replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg("shell").arg("--workdir").arg(&work.loaded.folder);
    command.args(user.map(|user| format!("--user={user}")));
    command.arg(format!("--env={}", work.variable())).args(["--", name, "--"]).args(words);
    command.stdin(if is_watched { Stdio::inherit() } else { Stdio::null() });
    command.stdout(Stdio::from(stderr.as_fd().try_clone_to_owned().map_err(failed)?));
    command.status().map_err(failed)
}
