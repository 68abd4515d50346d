//! The real registry of one test program: `registry.sh`, started by the first test that asks, shared by all.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A running registry with the images of `images.py`, in the place of docker.io.
#[derive(Debug)]
pub struct Hub {
    /// `localhost:PORT`.
    pub address: String,
    /// What `~/.config/containers` is to hold: registries.conf and certs.d.
    pub configuration: PathBuf,
    /// The same images as an OCI layout on disk.
    pub layout: PathBuf,
    /// The script's standard input is held open here; it ends the registry when this process ends, however it ends.
    script: Child,
}

impl Hub {
    /// The process that all of the registry's are children of.
    pub fn process(&self) -> u32 {
        self.script.id()
    }
}

/// The registry, started at the first call. Its images are made by the first run on a machine, which takes a minute.
pub fn hub() -> &'static Hub {
    static HUB: OnceLock<Hub> = OnceLock::new();
    HUB.get_or_init(start)
}

/// A file beside this one.
pub fn support(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support").join(name)
}

fn start() -> Hub {
    let script = support("registry.sh");
    let mut child = Command::new(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", script.display()));
    let mut line = String::new();
    let output = child.stdout.take().expect("stdout is a pipe");
    BufReader::new(output).read_line(&mut line).expect("the registry script writes text");
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_ready, address, folder, layout] = words[..] else {
        panic!("{} did not become ready; what it wrote is above", script.display());
    };
    Hub { address: address.into(), configuration: folder.into(), layout: layout.into(), script: child }
}
