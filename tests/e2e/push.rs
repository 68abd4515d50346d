//! `enter push`, to the real registry, and what other tools make of what is there then.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::User;
use crate::support::user::finish;

/// A registry that can be written, killed and started again on the same port.
struct Writable {
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Child>,
}

impl Writable {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let root = folder.path().display();
        let config = format!(
            "version: 0.1\nlog: {{ level: info }}\nstorage:\n  filesystem: {{ rootdirectory: {root}/storage }}\nhttp:\n  addr: 127.0.0.1:{port}\n  secret: same\n"
        );
        fs::write(folder.path().join("config.yml"), config).expect("a file");
        let mut registry = Self { folder, port, server: None };
        registry.serve();
        registry
    }

    fn serve(&mut self) {
        let mut server = Command::new("docker-registry")
            .arg("serve")
            .arg(self.folder.path().join("config.yml"))
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed");
        let mut log = BufReader::new(server.stderr.take().expect("a pipe"));
        let mut line = String::new();
        while log.read_line(&mut line).expect("text") > 0 && !line.contains("listening on") {
            line.clear();
        }
        // Nobody may stop it by not reading what it says.
        thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        self.server = Some(server);
    }

    fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().and_then(|()| server.wait()).expect("it runs");
        }
    }

    fn name(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }

    /// Bytes of uploads that are under way.
    fn arrived(&self) -> u64 {
        fn walk(folder: &Path) -> u64 {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let size =
                |path: &Path| if path.is_dir() { walk(path) } else { fs::metadata(path).map_or(0, |file| file.len()) };
            entries.map(|entry| size(&entry.path())).sum()
        }
        walk(&self.folder.path().join("storage"))
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What `skopeo inspect` says.
fn skopeo(user: &User, name: &str, arguments: &[&str]) -> String {
    let mut skopeo = user.command("skopeo");
    skopeo.args(["inspect", "--tls-verify=false"]).args(arguments).arg(format!("docker://{name}"));
    finish(skopeo, b"").success()
}

#[test]
fn what_was_pulled_is_pushed_and_pulled_with_one_digest() {
    let (user, registry) = (User::new(), Writable::start());
    for image in ["busybox", "sixty", "zstd", "odd"] {
        user.run(["pull", "-q", image]).success();
        let there = registry.name(&format!("x/{image}:1"));
        let digestfile = user.home().join("digest");
        let said = user
            .run(["push", "--tls-verify=false", "--digestfile", digestfile.to_str().expect("text"), image, &there])
            .success();
        let digest = fs::read_to_string(&digestfile).expect("it is written");
        assert!(said.starts_with(&format!("1: digest: {digest} size: ")), "{}", said);
        let offered = user.run(["images", "--digests", "--format", "{{.Digest}}", image]).success();
        assert_eq!(offered.trim(), digest);
        assert_eq!(skopeo(&user, &there, &["--format", "{{.Digest}}"]).trim(), digest);
    }
}

#[test]
fn other_tools_read_every_form() {
    let (user, registry) = (User::new(), Writable::start());
    user.run(["pull", "-q", "busybox"]).success();
    for flags in [
        ["--compression", "gzip"],
        ["--compression", "zstd"],
        ["--compression", "zstd:chunked"],
        ["--format", "docker"],
    ] {
        let there = registry.name(&format!("x/forms:{}", flags[1].replace(':', "-")));
        user.run(["push", "-q", "--tls-verify=false", "--force-compression", flags[0], flags[1], "busybox", &there])
            .success();
        let chunked = skopeo(&user, &there, &["--raw"]).contains("zstd-chunked.manifest-checksum");
        assert_eq!(chunked, flags[1] == "zstd:chunked");
        // All of it is decompressed, and compared with its digests.
        let mut skopeo = user.command("skopeo");
        skopeo.args([
            "--insecure-policy",
            "copy",
            "-q",
            "--dest-decompress",
            "--src-tls-verify=false",
            &format!("docker://{there}"),
        ]);
        skopeo.arg(format!("oci:{}/{}", user.home().display(), flags[1].replace(':', "-")));
        finish(skopeo, b"").success();
    }
}

#[test]
fn a_registry_that_is_killed_in_the_middle_gets_all_of_it() {
    let (user, mut registry) = (User::new(), Writable::start());
    user.run(["pull", "-q", "debian"]).success();
    let there = registry.name("x/debian:1");
    thread::scope(|scope| {
        let push = scope.spawn(|| user.run(["push", "--tls-verify=false", "debian", &there]).success());
        let began = Instant::now();
        while registry.arrived() < 4 << 20 && began.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(5));
        }
        registry.kill();
        registry.serve();
        push.join().expect("the push succeeds");
    });
    let offered = user.run(["images", "--digests", "--format", "{{.Digest}}", "debian"]).success();
    assert_eq!(skopeo(&user, &there, &["--format", "{{.Digest}}"]).trim(), offered.trim());
}

#[test]
fn what_cannot_be_pushed_says_why() {
    let (user, registry) = (User::new(), Writable::start());
    user.run(["pull", "-q", "busybox"]).success();
    let there = registry.name("x/a:1");
    let id = user.run(["images", "-q", "busybox"]).success();
    let cases: [(&[&str], &str); 6] = [
        (&["no-such-image"], "no such image: no-such-image"),
        (&[id.trim()], "is no name"),
        (&["--tls-verify=false", "busybox", "127.0.0.1:1/a"], "cannot reach 127.0.0.1:1"),
        (&["--sign-by", "me", "busybox", &there], "enter makes no signatures"),
        (&["--format", "docker", "--compression", "zstd", "busybox", &there], "--format oci"),
        (&["--creds", "me:", "busybox", &there], "no user name or no password"),
    ];
    for (arguments, text) in cases {
        let outcome = user.run(["push"].iter().chain(arguments));
        assert_eq!(outcome.code(), Some(125), "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(text), "{arguments:?}: {}", outcome.stderr);
    }
}

#[test]
fn all_tags_and_all_platforms_go_and_come() {
    let (user, registry) = (User::new(), Writable::start());
    user.run(["pull", "-q", "busybox"]).success();
    let there = registry.name("x/tags");
    for tag in ["1", "2", "sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.sig"] {
        user.run(["tag", "busybox", &format!("{there}:{tag}")]).success();
    }
    let pushed = user.run(["push", "--tls-verify=false", "--all-tags", &there]).success();
    assert_eq!(pushed.lines().count(), 3, "{pushed}");
    user.run(["push", "-a", &format!("{there}:1")]).refused(&["it has one already"]);
    user.run(["push", "-a", &there, &there]).refused(&["leave the destination out"]);
    user.run(["rmi", "-af"]).success();
    let pulled = user.run(["pull", "-a", "-q", "--tls-verify=false", &there]).success();
    let names: std::collections::BTreeSet<String> = pulled.lines().map(str::to_owned).collect();
    assert_eq!(names, ["1", "2"].map(|tag| format!("{there}:{tag}")).into());
    user.run(["pull", "-a", "--tls-verify=false", &format!("{there}:1")]).refused(&["it has one already"]);
    user.run(["pull", "-a", "oci:somewhere"]).refused(&["for registries"]);

    // Every platform of an index, which then goes on as a whole.
    user.run(["pull", "-q", "--all-platforms", "platforms"]).success();
    let offered = user.run(["images", "--digests", "--format", "{{.Digest}}", "platforms"]).success();
    let several = registry.name("x/several:1");
    user.run(["push", "-q", "--all", "--tls-verify=false", "platforms", &several]).success();
    let index = skopeo(&user, &several, &["--raw"]);
    assert!(index.contains("manifests") && offered.lines().count() > 1, "{index}\n{offered}");
    for arch in ["amd64", "arm64"] {
        user.run(["pull", "-q", "--policy", "never", "--arch", arch, "platforms"]).success();
    }
    user.run(["pull", "-q", "--policy", "never", "--arch", "s390x", "platforms"]).refused(&["not in the store"]);
}
