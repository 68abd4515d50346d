//! `xdg-open`, typed inside: an address or a file, opened by what opens it on this machine.
//!
//! An address is one of http, https or mailto, written anew from what was understood of it. A file is one that is shown inside, and none that
//! runs when it is opened. Nothing that begins like an option is ever passed on.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use enter::container::outward::outside;
use enter::container::record::Record;
use plan::Plan;
use plan::outward::Reply;
use url::Url;

use super::Call;
use super::surroundings::{self, Variables};
use crate::failure::Failure;

/// What xdg-open(1) ends with where it could not open something.
const NOT_OPENED: u8 = 4;

/// What it ends with where a file is not there.
const NO_FILE: u8 = 2;

/// Longer addresses are none.
const LONGEST: usize = 8192;

/// How long what opens things may take to fail. It may well run for as long as what it has opened.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two looks at it.
const MOMENT: Duration = Duration::from_millis(20);

/// Files that run by being opened, by the ends of their names.
const RUNNING: [&str; 8] = ["desktop", "appimage", "jar", "sh", "run", "exe", "msi", "flatpakref"];

/// Opens it.
#[expect(clippy::needless_pass_by_value, reason = "all verbs are of one form")]
pub fn run(call: Call<'_>) -> Result<Reply, Failure> {
    let [what] = &call.request.arguments[..] else {
        return Err(Failure::new("xdg-open opens one address or file at a time").with_code(1));
    };
    let what = what.as_os_str().to_str().ok_or_else(|| cannot("", "its name is not UTF-8"))?;
    if !call.container.record.spec.outward.open {
        return Err(refused(&call.container.record, what));
    }
    let meant = if what.starts_with('/') { file(call.plan().as_ref(), what)? } else { address(what)? };
    open(&meant, &surroundings::environment(call.pid, &call.inside))
}

fn cannot(what: &str, why: &str) -> Failure {
    let what: String = what.chars().filter(|char| !char.is_control()).take(200).collect();
    Failure::new(format!("cannot open {what} outside")).because(why).with_code(NOT_OPENED)
}

fn refused(record: &Record, what: &str) -> Failure {
    let mend = if record.spec.boxed.is_some() {
        format!("allow it, outside: enter set {} --allow-open", record.name)
    } else {
        format!("open the shell with it: enter --allow-open {}", record.spec.image.name)
    };
    cannot(what, "that is not allowed here").with_hint(mend)
}

/// An address, as it is passed on.
fn address(what: &str) -> Result<String, Failure> {
    let failed = |why: &str| cannot(what, why);
    if what.len() > LONGEST {
        return Err(failed("it is too long"));
    }
    let url = Url::parse(what).map_err(|_| failed("it is neither an address nor a file"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => {}
        // Some mail programs attach what they are told to, such as secrets.
        "mailto" if url.query_pairs().all(|(name, _)| !name.to_ascii_lowercase().starts_with("attach")) => {}
        "mailto" => return Err(failed("mail with attachments is not begun from inside")),
        _ => {
            return Err(failed("only addresses of http, https and mailto are opened outside")
                .with_hint("open it inside, or copy it"));
        }
    }
    // An address of mail keeps spaces as they are.
    Some(String::from(url))
        .filter(|url| url.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| failed("it has a space in it"))
}

/// A file's path on this machine.
fn file(plan: Option<&Plan>, what: &str) -> Result<String, Failure> {
    let found = plan.and_then(|plan| outside(plan, Path::new(what)));
    let (_, path) = found.ok_or_else(|| {
        cannot(what, "it is in the container alone")
            .with_hint("copy it to a folder that is shown inside, such as your home")
    })?;
    let metadata = path.metadata().map_err(|error| cannot(what, &error.to_string()).with_code(NO_FILE))?;
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let runs = metadata.is_file() && (metadata.permissions().mode() & 0o111 != 0 || RUNNING.contains(&&*ending));
    if runs || !(metadata.is_file() || metadata.is_dir()) {
        return Err(cannot(what, "only documents and folders are opened outside, and nothing that can be run"));
    }
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| cannot(what, "its name is not UTF-8"))
}

/// What opens things on this machine.
fn opener(environment: &Variables) -> Option<(PathBuf, &'static [&'static str])> {
    let find = |name| surroundings::find_program(name, environment);
    find("xdg-open").map(|path| (path, &[][..])).or_else(|| find("gio").map(|path| (path, &["open"][..])))
}

fn open(what: &str, environment: &Variables) -> Result<Reply, Failure> {
    let (program, words) = opener(environment).ok_or_else(|| {
        cannot(what, "there is no xdg-open on this machine").with_hint("install it, outside: the package is xdg-utils")
    })?;
    let mut command = Command::new(&program);
    command.args(words).arg(what).env_clear().envs(environment).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().map_err(|error| cannot(what, &error.to_string()))?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(MOMENT),
            Ok(Some(status)) if status.success() => break,
            Ok(Some(status)) => return Err(cannot(what, &format!("{} failed: {status}", program.display()))),
            Err(error) => return Err(cannot(what, &error.to_string())),
        }
    }
    Ok(Reply::Done(String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_those_of_the_web_and_of_mail() {
        assert_eq!(address("https://example.org/a b?q=ü").unwrap(), "https://example.org/a%20b?q=%C3%BC");
        assert_eq!(address("HTTP://localhost:8080").unwrap(), "http://localhost:8080/");
        assert_eq!(address("mailto:a@example.org?subject=x").unwrap(), "mailto:a@example.org?subject=x");
        for bad in [
            "",
            "--help",
            "-x",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://",
            "ftp://x/",
            "mailto:a@b?attach=/etc/passwd",
            "mailto:a@b?Attachment=x",
            "vbscript:x",
            "example.org",
            "ssh://-oProxyCommand=x",
            "view-source:https://x",
            "https:",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(address(&format!("https://x/{}", "a".repeat(LONGEST))).is_err());
    }

    proptest! {
        #[test]
        fn nothing_passes_that_is_an_option_or_has_control_characters(text in "(https?:|mailto:|-|file:|\\PC){0,2}[\\x00-\\x7f]{0,40}") {
            if let Ok(passed) = address(&text) {
                prop_assert!(["http://", "https://", "mailto:"].iter().any(|start| passed.starts_with(start)), "{passed}");
                prop_assert!(passed.bytes().all(|byte| byte.is_ascii_graphic()), "{passed}");
            }
        }
    }
}
