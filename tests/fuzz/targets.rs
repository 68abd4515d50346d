//! What is fed: each takes any bytes, and asserts what must hold of what it makes of them.

use std::cell::OnceCell;
use std::io::Read as _;
use std::path::Path;

use cowfs::layer::{LayerIndex, Limits, Stream, index_tar};
use cowfs::tree::{Tree, merge};
use enter::container::planning::account::Accounts;
use enter::container::planning::view::View;
use enter::image::{
    Amended, Config, Digest, Document, Platform, Reference, Transport, history_of, layers_of, parse_document,
};
use enter::registry::{Configuration, Environment, credentials, fuzzing};
use enter::store::{Bundle, Decoder, Store, Wanted};
use enter::trust::{self, Policy, Source};

/// A parser that is fed.
pub type Target = fn(&[u8]);

/// All of them.
pub const TARGETS: &[(&str, Target)] = &[
    ("reference", reference),
    ("transport", transport),
    ("digest", digest),
    ("platform", platform),
    ("document", document),
    ("config", config),
    ("change", change),
    ("layer", layer),
    ("index", index),
    ("tree", tree),
    ("decoder", decoder),
    ("archive", archive),
    ("challenge", challenge),
    ("token", token),
    ("words", words),
    ("registries", registries),
    ("credentials", stored_credentials),
    ("policy", policy),
    ("payload", payload),
    ("key", trust::fuzzing::key),
    ("signatures", fuzzing::signatures),
    ("accounts", accounts),
    ("subids", subids),
    ("options", options),
    ("acl", acl),
    ("request", request),
    ("names", enter::network::dns::fuzz),
];

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// An error's words and hint are made, as they would be shown.
fn shown(error: &impl std::error::Error) {
    let words = error.to_string();
    assert!(words.len() < 100_000, "an error of {} bytes", words.len());
}

fn reference(input: &[u8]) {
    let Ok(name) = Reference::parse(&text(input)) else { return };
    let again = Reference::parse(&name.to_string()).expect("what is shown is a name");
    assert_eq!(again.to_string(), name.to_string());
    assert!(!name.path().contains("..") && name.to_string().is_ascii());
}

fn transport(input: &[u8]) {
    match Transport::parse(&text(input)) {
        Ok(Some(transport)) => drop((transport.path().is_some(), transport.to_string())),
        Ok(None) => {}
        Err(error) => shown(&error),
    }
}

fn digest(input: &[u8]) {
    if let Ok(digest) = Digest::parse(&text(input)) {
        assert_eq!(digest.to_string(), text(input));
        assert!(digest.hex().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

fn platform(input: &[u8]) {
    if let Ok(platform) = Platform::parse(&text(input)) {
        assert_eq!(Platform::parse(&platform.to_string()).expect("what is shown is a platform"), platform);
        let _ = Platform::host().distance(&platform);
    }
}

fn document(input: &[u8]) {
    let _ = layers_of(input);
    match parse_document(input, Some("application/vnd.oci.image.index.v1+json")) {
        Ok(Document::Index(index)) => drop(index.choose(&Platform::host())),
        Ok(Document::Manifest(manifest)) => assert!(manifest.layers.len() <= 500),
        Err(error) => shown(&error),
    }
}

fn config(input: &[u8]) {
    match Config::parse(input) {
        Ok(config) => {
            assert!(config.diff_ids.len() <= 500);
            let _ = history_of(input, config.diff_ids.len());
        }
        Err(error) => shown(&error),
    }
    if let Ok(amended) = Amended::from(input) {
        let _ = amended.environment();
        let _ = Config::parse(&amended.to_bytes());
    }
}

/// Each line a change, as of `commit --change`.
fn change(input: &[u8]) {
    let input = text(input);
    let mut image = Amended::empty(&Platform::host());
    let _ = image.apply_all(input.lines());
    Config::parse(&image.to_bytes()).expect("what was changed is a configuration");
}

fn limits() -> Limits {
    Limits { tar_bytes: 16 << 20, entries: 10_000, ..Limits::default() }
}

fn layer(input: &[u8]) {
    match index_tar(input, &limits()) {
        Ok(index) => {
            let mut bytes = Vec::new();
            index.write_to(&mut bytes).expect("memory can be written");
            assert!(LayerIndex::parse(bytes).expect("what was written is read") == index);
            match merge(&[index.clone(), index]) {
                Ok(tree) => walk(&Tree::from_bytes(tree).expect("what was merged is a tree")),
                Err(error) => shown(&error),
            }
        }
        Err(error) => shown(&error),
    }
    let mut stream = Stream::new(input, limits());
    while let Ok(Some(_)) = stream.next_member() {
        let _ = (&mut stream).take(100).read_to_end(&mut Vec::new());
    }
}

fn index(input: &[u8]) {
    if let Ok(index) = LayerIndex::parse(input.to_vec()) {
        index.entries().for_each(drop);
        let _ = merge(&[index]);
    }
}

fn tree(input: &[u8]) {
    if let Ok(tree) = Tree::from_bytes(input.to_vec()) {
        walk(&tree);
    }
}

fn walk(tree: &Tree) {
    tree.tar_lengths().take(1000).for_each(drop);
    for number in 0..tree.inode_count().min(1000) {
        let Some(inode) = tree.inode(number) else { continue };
        tree.entries(&inode).take(1000).for_each(drop);
        tree.xattrs(&inode).take(1000).for_each(drop);
        let _ = (
            tree.target(&inode),
            tree.parent(&inode),
            tree.child(&inode, b"a"),
            inode.data(),
            inode.device(),
            tree.segment(number),
        );
    }
    let _ = tree.lookup(b"a/b/../c");
}

fn decoder(input: &[u8]) {
    if let Ok(decoder) = Decoder::new(input) {
        // A bomb is no fault of the decoder's.
        let _ = std::io::copy(&mut decoder.take(8 << 20), &mut std::io::sink());
    }
}

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

/// Does something in a folder of this thread's own.
fn in_folder(act: impl FnOnce(&Path)) {
    FOLDER.with(|folder| {
        // In memory where that can be: nothing here has to last.
        let base = if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm").to_owned() } else { std::env::temp_dir() };
        act(folder.get_or_init(|| tempfile::tempdir_in(base).expect("a temporary folder")).path());
    });
}

fn archive(input: &[u8]) {
    in_folder(|folder| {
        let root = folder.join("store/v1");
        let store = Store::open(&root).expect("a store").with_limits(limits());
        match Bundle::from_stream(&store, input).and_then(|bundle| store.load(&bundle, &Wanted::default())) {
            Ok(loaded) => drop(loaded),
            Err(error) => shown(&error),
        }
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "nothing is written beside the store");
        if root.exists() {
            std::fs::remove_dir_all(&root).unwrap();
        }
    });
}

fn challenge(input: &[u8]) {
    fuzzing::challenge(&text(input));
}

fn token(input: &[u8]) {
    fuzzing::token(input);
}

fn words(input: &[u8]) {
    let words = fuzzing::words(input);
    assert!(words.chars().count() < 300 && !words.chars().any(char::is_control));
}

fn environment(folder: &Path) -> Environment {
    let home = folder.join("home").display().to_string();
    Environment::of(&[("HOME", home.as_str()), ("PATH", "/nowhere")], &folder.join("etc"))
}

fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn registries(input: &[u8]) {
    in_folder(|folder| {
        put(&folder.join("etc/containers/registries.conf"), input);
        let configuration = match Configuration::load(&environment(folder)) {
            Ok(configuration) => configuration,
            Err(error) => return shown(&error),
        };
        for name in [
            "debian",
            "quay.io/a/b:1",
            "registry.example.com:5000/team/tool@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ] {
            let name = Reference::parse(name).unwrap();
            for candidate in configuration.candidates(&name).unwrap_or_default() {
                let _ = configuration.endpoints(&candidate);
            }
            let _ = configuration.is_insecure_host("localhost:5000");
        }
    });
}

fn stored_credentials(input: &[u8]) {
    in_folder(|folder| {
        put(&folder.join("home/.docker/config.json"), input);
        for place in ["docker.io", "registry.example.com:5000/team", "localhost:5000"] {
            let place = enter::registry::Place::parse(place).unwrap();
            if let Err(error) = credentials(&environment(folder), &[], &place) {
                shown(&error);
                assert!(!error.to_string().contains("c2VjcmV0"));
            }
        }
    });
}

fn policy(input: &[u8]) {
    match Policy::parse(Path::new("policy.json"), input) {
        Ok(policy) => {
            let source = Source::registry(&Reference::parse("registry.example.com/team/tool:1").unwrap());
            let _ = policy.rules(&source).accept_anything();
        }
        Err(error) => shown(&error),
    }
}

fn payload(input: &[u8]) {
    // What is no JSON is none.
    assert!(!trust::fuzzing::payload(input) || serde_json::from_slice::<serde_json::Value>(input).is_ok());
}

/// Both files of an image with the same content.
struct Root<'a>(&'a [u8]);

impl View for Root<'_> {
    fn read(&self, _: &Path, limit: usize) -> Option<Vec<u8>> {
        Some(self.0[..self.0.len().min(limit)].to_vec())
    }

    fn exists(&self, _: &Path) -> bool {
        true
    }

    fn is_program(&self, _: &Path) -> bool {
        true
    }
}

fn accounts(input: &[u8]) {
    let accounts = Accounts::read(&Root(input));
    for user in ["root", "app:app", "0", "1000:1000", "nobody", ":", "", "4294967295", "-1", "a:b:c"] {
        let _ = accounts.inside(user);
    }
    let _ = (accounts.highest_id(), accounts.group_id("app"));
}

fn subids(input: &[u8]) {
    for range in uidmap::parse(input, "me", 1000).unwrap_or_default() {
        assert!(range.count > 0);
    }
    let _ = (uidmap::parse_getsubids(input), uidmap::nsswitch_source(input));
}

fn options(input: &[u8]) {
    let texts: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if let Err(error) = cowfs::options::Options::parse(&texts) {
        shown(&error);
    }
}

fn acl(input: &[u8]) {
    let _ = cowfs::acl::Acl::parse(input);
}

fn request(input: &[u8]) {
    cowfs::serve::cut_up(input);
}
