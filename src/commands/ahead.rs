//! Containers that begin before their image is all here: the process that fetches it, and the command that starts that process.
//!
//! They speak through the process's standard streams: the job goes in, and lines come out, as long as the command is there to read them.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use enter::registry::{self, Environment, Job, Told};
use enter::store::{Image, Store};
use nix::sys::signal::Signal;

use super::room;
use crate::failure::Failure;
use crate::settings::{self, Overrides};
use crate::ui::Ui;

/// The role's name.
pub const ROLE: &str = "__fill";

/// What the process says when containers can begin.
const READY: &str = "ready";

/// Starts the process, and waits until containers can begin. `None`: the image is to be pulled as ever.
pub fn start(store: &Store, job: &Job) -> Option<Image> {
    // Another command may have started it already.
    if let Ok(Some(image)) = store.arriving(job.image()) {
        return Some(image);
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg(ROLE).arg(store.root()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().ok()?;
    let sent = serde_json::to_writer(process.stdin.take()?, job).is_ok();
    let mut line = String::new();
    // It says why not in other words, or ends without any.
    let said = BufReader::new(process.stdout.take()?).read_line(&mut line).is_ok() && line.trim_end() == READY;
    match sent && said {
        true => store.arriving(job.image()).ok().flatten(),
        false => {
            let _ = process.wait();
            store.arriving(job.image()).ok().flatten()
        }
    }
}

/// Whether a container begins before its image is all here.
pub fn is_arriving(store: &Store, image: &Image) -> bool {
    matches!(store.by_id(&image.id), Ok(None))
}

/// Says, after such a container has ended, that it had to do without what did not come.
pub fn tell(ui: &Ui, store: &Store, image: &Image, name: &str) {
    // What cannot be found out is found out by the next command.
    if let Ok(Some(reason)) = store.trouble(&image.id) {
        ui.warning(&format!(
            "the download of {name} has failed ({reason}): files that had not come could not be read; fetch the rest: enter pull {name}"
        ));
    }
}

/// Plays the role.
pub fn play(ui: &Ui, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let doing = |errno: nix::errno::Errno| Failure::new("cannot fetch an image in the background").because(errno);
    sys::descriptor::close_on_exec_from(3).map_err(doing)?;
    nix::unistd::setsid().map_err(doing)?;
    // Instead of `exe`, which ps(1) would show.
    nix::sys::prctl::set_name(c"enter-fill").map_err(doing)?;
    nix::unistd::chdir("/").map_err(doing)?;
    for signal in [Signal::SIGPIPE, Signal::SIGHUP, Signal::SIGINT] {
        sys::process::ignore_signal(signal).map_err(doing)?;
    }
    let root = arguments.first().ok_or_else(|| Failure::new("cannot fetch an image in the background: no store"))?;
    let mut text = Vec::new();
    let read = std::io::stdin().read_to_end(&mut text).and_then(|_| Ok(serde_json::from_slice(&text)?));
    let job: Job = read.map_err(|error| Failure::new("cannot read which image is to be fetched").because(error))?;
    let store = Store::open(Path::new(root))?;
    let image = registry::fill(&store, &job, &Environment::of_process(), &Words)?;
    let settings = settings::load(Overrides::default())?;
    room::keep(ui, &store, room::most(&settings), &[&image.id]);
    Ok(ExitCode::SUCCESS)
}

/// Tells the command that waits, if it still does.
struct Words;

impl Words {
    fn say(line: &str) {
        // Nobody may be there to hear it.
        let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
    }
}

impl Told for Words {
    fn ready(&self) {
        Self::say(READY);
    }

    fn failed(&self, error: &registry::Error) {
        Self::say(&format!("failed: {error}"));
    }
}
