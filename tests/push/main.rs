//! Pushes, to a registry that takes them and one that breaks, forgets and refuses.

#[path = "../support/flapping.rs"]
mod flapping;
#[path = "../support/registry.rs"]
mod registry;
#[path = "../support/taker.rs"]
mod taker;

mod flap;
mod forms;
mod refusals;
mod sending;

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use enter::image::{Descriptor, Digest, Form, Platform, Reference};
use enter::registry::{
    Environment, Error, LayerEvent, Progress, PullOptions, PushOptions, Pushed, Silent, Transfer, pull, push,
};
use enter::store::{Image, Store};
use registry::Registry;
use taker::{Nature, Taker};

/// A registry to pull from, one to push to, a store, and a user who trusts both.
struct Fixture {
    source: Registry,
    taker: Taker,
    _dir: tempfile::TempDir,
    store: Store,
    options: PushOptions,
    heard: Heard,
}

/// Keeps what a push tells.
#[derive(Default)]
struct Heard {
    layers: Mutex<Vec<(Digest, LayerEvent)>>,
    changed: Mutex<Vec<(Digest, Digest)>>,
    retries: Mutex<Vec<String>>,
}

impl Progress for Heard {
    fn layer(&self, layer: &Digest, event: LayerEvent) {
        self.layers.lock().unwrap().push((layer.clone(), event));
    }

    fn changed(&self, layer: &Digest, now: &Digest, _why: &str) {
        self.changed.lock().unwrap().push((layer.clone(), now.clone()));
    }

    fn retrying(&self, reason: &Error, _wait: Duration) {
        self.retries.lock().unwrap().push(reason.to_string());
    }

    fn pushing(&self, _name: &Reference, layers: &[Descriptor]) {
        assert!(!layers.is_empty());
    }
}

impl Heard {
    /// What happened last to a layer.
    fn last(&self, layer: &Digest) -> Option<LayerEvent> {
        let layers = self.layers.lock().unwrap();
        layers.iter().rev().find(|(of, _)| of == layer).map(|(_, event)| *event)
    }
}

impl Fixture {
    fn new() -> Self {
        Self::with(Nature::default())
    }

    fn with(nature: Nature) -> Self {
        let (source, taker) = (Registry::start(), Taker::start(nature));
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("etc/containers/registries.conf");
        fs::create_dir_all(conf.parent().unwrap()).unwrap();
        let table = |host: String| format!("[[registry]]\nlocation = '{host}'\ninsecure = true\n");
        fs::write(conf, table(source.host()) + &table(taker.host())).unwrap();
        let home = dir.path().join("home").display().to_string();
        let options = PushOptions {
            transfer: Transfer {
                retries: 3,
                stall_timeout: Duration::from_secs(20),
                first_wait: Duration::from_millis(1),
                longest_wait: Duration::from_secs(2),
                ..Transfer::default()
            },
            environment: Environment::of(&[("HOME", &home)], &dir.path().join("etc")),
            compression: None,
            level: None,
            force_compression: false,
            format: None,
            keep_compressed: true,
        };
        let store = Store::open(&dir.path().join("store/v1")).unwrap();
        Self { source, taker, _dir: dir, store, options, heard: Heard::default() }
    }

    fn name(&self, name: &str) -> Reference {
        Reference::parse(&format!("{}/{name}", self.taker.host())).unwrap()
    }

    /// Pulls an image of one layer with this content.
    fn pulled(&self, name: &str, content: &[u8]) -> (Image, registry::Pushed) {
        let pushed = self.source.push(name, "1", &[registry::tar("file", content)]);
        (self.pull(&format!("{name}:1")), pushed)
    }

    fn pull(&self, name: &str) -> Image {
        let reference = Reference::parse(&format!("{}/{name}", self.source.host())).unwrap();
        let options = PullOptions {
            platform: Platform::parse("linux/amd64").unwrap(),
            transfer: self.options.transfer.clone(),
            environment: self.options.environment.clone(),
            ..PullOptions::default()
        };
        pull(&self.store, &reference, &options, &Silent).unwrap()
    }

    /// An image that was made here.
    fn made(&self, content: &[u8], name: &str) -> Image {
        let tar = registry::tar("file", content);
        let layer = self.store.draft("it", &mut &tar[..]).unwrap().publish().unwrap();
        let config = serde_json::json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [layer.diff_id()]}});
        self.store.make(config.to_string().as_bytes(), None, Form::Oci, &[self.name(name)]).unwrap()
    }

    fn push(&self, image: &Image, destination: &str) -> Result<Pushed, Error> {
        self.push_as(image, destination, &self.options)
    }

    fn push_as(&self, image: &Image, destination: &str, options: &PushOptions) -> Result<Pushed, Error> {
        push(&self.store, image, image.names.first(), &self.name(destination), options, &self.heard)
    }

    /// What the registry has under a name, parsed.
    fn there(&self, repository: &str, tag: &str) -> serde_json::Value {
        serde_json::from_slice(&self.taker.manifest(repository, tag).unwrap().1).unwrap()
    }
}

/// The digest of a manifest's layer.
fn layer(manifest: &serde_json::Value, at: usize) -> Digest {
    Digest::parse(manifest["layers"][at]["digest"].as_str().unwrap()).unwrap()
}
