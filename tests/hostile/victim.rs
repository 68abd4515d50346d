//! A user who pulls from a hostile registry, and what must hold of them afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use crate::registry::{Lie, Pushed, Registry, tar};
use crate::support::User;
use crate::support::user::{Outcome, finish_watching};

/// What no pull may need, in kB, whatever comes.
const MEMORY: u64 = 200 << 10;

/// A registry, and a user who trusts it as far as plain HTTP goes.
pub struct Victim {
    pub registry: Registry,
    pub user: User,
}

impl Victim {
    /// One whose registry has an honest image `a:1`.
    pub fn new() -> (Self, Pushed) {
        let victim = Self::of(Registry::start());
        let pushed = victim.registry.push("a", "1", &[tar("a", b"a")]);
        (victim, pushed)
    }

    /// One whose registry tells this lie about all requests that contain the text.
    pub fn told(on: &str, lie: Lie) -> Self {
        let (victim, _) = Self::new();
        victim.registry.lie(on, usize::MAX, lie);
        victim
    }

    /// One of a registry as it is.
    pub fn of(registry: Registry) -> Self {
        let mut user = User::without_registry();
        user.set("ENTER_RETRIES", "0");
        user.set("ENTER_STALL_TIMEOUT", "1s");
        let victim = Self { registry, user };
        victim.configure(&format!("[[registry]]\nlocation = '{}'\ninsecure = true\n", victim.registry.host()));
        for canary in ["home/canary", "data/canary", "data/enter/canary", "canary"] {
            let path = victim.root().join(canary);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "alive").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        }
        victim
    }

    /// Writes `registries.conf`.
    pub fn configure(&self, text: &str) {
        let folder = self.user.config().join("containers");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("registries.conf"), text).unwrap();
    }

    /// Logs `me:secret` in at a host.
    pub fn log_in(&self, host: &str) {
        let folder = self.user.home().join(".docker");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.json"), format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#))
            .unwrap();
    }

    fn root(&self) -> std::path::PathBuf {
        self.user.data().parent().unwrap().to_owned()
    }

    /// `enter` with these words; what must hold in any case is asserted.
    #[track_caller]
    pub fn enter(&self, words: &[&str]) -> Outcome {
        let before = outside(&self.root());
        let (outcome, peak) = finish_watching(self.user.enter(words), b"");
        assert!(peak < MEMORY, "{} MB of memory\n{}", peak >> 10, outcome.stderr);
        assert_eq!(outside(&self.root()), before, "outside of the store nothing changes");
        let words = format!("{}{}", outcome.stderr, outcome.text());
        let control = words.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{words:?}");
        assert!(!words.contains("panicked") && !words.contains("ENTER_"), "{words}");
        outcome
    }

    /// A pull of `name`.
    #[track_caller]
    pub fn pull(&self, name: &str) -> Outcome {
        self.enter(&["pull", &format!("{}/{name}", self.registry.host())])
    }

    /// A pull of `a:1` that is refused with these words in the message, and leaves nothing.
    #[track_caller]
    pub fn refuses(&self, texts: &[&str]) -> Outcome {
        let outcome = self.pull("a:1");
        outcome.refused(texts);
        assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
        self.has_nothing();
        outcome
    }

    /// The same where each layer is what it should be, and only together they are not: then they stay for a while, as another image may need them.
    #[track_caller]
    pub fn refuses_together(&self, texts: &[&str]) {
        self.pull("a:1").refused(texts);
        assert_eq!(self.files("images"), Vec::<String>::new());
        assert_eq!(self.files("blobs"), Vec::<String>::new());
        self.enter(&["image", "prune", "-f"]).success();
        self.has_nothing();
    }

    /// The store has no image and nothing of one.
    #[track_caller]
    pub fn has_nothing(&self) {
        let left: Vec<String> =
            self.files("layers").into_iter().chain(self.files("images")).chain(self.files("blobs")).collect();
        assert_eq!(left, Vec::<String>::new());
    }

    /// What the store has in one of its folders.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let mut found = BTreeMap::new();
        walk(&self.user.store().join(folder), &mut found);
        found.into_iter().filter(|(_, what)| what.1 != 0).map(|(path, _)| path).collect()
    }
}

/// Waits a moment, for a registry that takes its time.
pub fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// All files below a folder but the store's: mode, size (0 for a folder) and time of change.
fn outside(root: &Path) -> BTreeMap<String, (u32, u64, i64)> {
    let mut found = BTreeMap::new();
    walk(root, &mut found);
    let store = |path: &String| {
        path.starts_with(&format!("{}/data/enter/v1", root.display()))
            || path.starts_with(&format!("{}/run/", root.display()))
    };
    // A folder's time changes with what is in it, which is in the list itself.
    found
        .into_iter()
        .filter(|(path, _)| !store(path))
        .map(|(path, (mode, size, time))| (path, (mode, size, if size == 0 { 0 } else { time })))
        .collect()
}

fn walk(folder: &Path, found: &mut BTreeMap<String, (u32, u64, i64)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        if metadata.is_dir() {
            found.insert(entry.path().display().to_string(), (metadata.mode(), 0, 0));
            walk(&entry.path(), found);
        } else {
            found.insert(
                entry.path().display().to_string(),
                (metadata.mode(), metadata.size().max(1), metadata.mtime_nsec()),
            );
        }
    }
}
