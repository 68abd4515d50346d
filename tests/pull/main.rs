//! Pulls, against a registry that tells the truth and one that lies.

#[path = "../support/flapping.rs"]
mod flapping;
#[path = "../support/registry.rs"]
mod registry;

#[path = "../support/stargz.rs"]
mod stargz;

mod ahead;
mod fetching;
mod flap;
mod interrupted;
mod lies;
mod lists;
mod refusals;
mod signed;
mod tls;
mod trust;

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use enter::image::{Descriptor, Digest, Platform, Reference};
use enter::registry::{Environment, Error, LayerEvent, Policy, Progress, PullOptions, Transfer, pull};
use enter::store::{Bounds, Image, Store};
use registry::Registry;

/// A registry, a user's configuration that trusts it, and an empty store.
struct Fixture {
    registry: Registry,
    dir: tempfile::TempDir,
    store: Store,
    options: PullOptions,
    heard: Heard,
}

/// Keeps what a pull tells.
#[derive(Default)]
struct Heard {
    layers: Mutex<Vec<(Digest, LayerEvent)>>,
    retries: Mutex<Vec<String>>,
}

impl Progress for Heard {
    fn layer(&self, layer: &Digest, event: LayerEvent) {
        self.layers.lock().unwrap().push((layer.clone(), event));
    }

    fn retrying(&self, reason: &Error, _wait: Duration) {
        self.retries.lock().unwrap().push(reason.to_string());
    }

    fn resolved(&self, _name: &Reference, layers: &[Descriptor]) {
        assert!(!layers.is_empty());
    }
}

impl Heard {
    fn events(&self, layer: &Digest) -> Vec<LayerEvent> {
        let layers = self.layers.lock().unwrap();
        layers
            .iter()
            .filter(|(of, event)| of == layer && !matches!(event, LayerEvent::Received(_)))
            .map(|(_, event)| *event)
            .collect()
    }

    fn received(&self) -> u64 {
        let layers = self.layers.lock().unwrap();
        layers.iter().map(|(_, event)| if let LayerEvent::Received(bytes) = event { *bytes } else { 0 }).sum()
    }

    fn retries(&self) -> usize {
        self.retries.lock().unwrap().len()
    }

    fn forget(&self) {
        self.layers.lock().unwrap().clear();
        self.retries.lock().unwrap().clear();
    }
}

impl Fixture {
    /// One whose registry speaks plain HTTP, as its user accepts.
    fn new() -> Self {
        let fixture = Self::with(Registry::start());
        fixture.configure(&format!("[[registry]]\nlocation = '{}'\ninsecure = true\n", fixture.registry.host()));
        fixture
    }

    /// One whose user has configured nothing.
    fn with(registry: Registry) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let transfer = Transfer {
            retries: 3,
            stall_timeout: Duration::from_millis(400),
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_secs(2),
            ..Transfer::default()
        };
        let home = dir.path().join("home").display().to_string();
        let options = PullOptions {
            policy: Policy::Missing,
            platform: Platform::parse("linux/amd64").unwrap(),
            transfer,
            environment: Environment::of(&[("HOME", &home)], &dir.path().join("etc")),
            bounds: Bounds::default(),
            keep_compressed: true,
            max_size: None,
        };
        let store = Store::open(&dir.path().join("store/v1")).unwrap();
        Self { registry, dir, store, options, heard: Heard::default() }
    }

    /// Writes the system's `registries.conf`.
    fn configure(&self, text: &str) {
        self.write("etc/containers/registries.conf", text);
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Pulls `name` from the registry.
    fn pull(&self, name: &str) -> Result<Image, Error> {
        self.pull_as(&format!("{}/{name}", self.registry.host()))
    }

    /// Pulls a name as it is.
    fn pull_as(&self, name: &str) -> Result<Image, Error> {
        pull(&self.store, &Reference::parse(name).unwrap(), &self.options, &self.heard)
    }

    /// What lies in the store besides whole layers.
    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        let layers = self.store.root().join("layers");
        for layer in fs::read_dir(layers).into_iter().flatten().flatten() {
            let files = fs::read_dir(layer.path()).unwrap().flatten();
            let names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
            // A whole layer that no image needs yet is worth keeping.
            if !names.iter().any(|name| name == "layer.index") {
                left.push(String::from("directory"));
            }
            let belongs = |name: &str| {
                matches!(name, "layer.tar" | "layer.index")
                    || (name.starts_with("blob-") && !name.ends_with(".partial"))
            };
            left.extend(names.into_iter().filter(|name| !belongs(name)));
        }
        left
    }
}
