//! `--storage`: who keeps a container's changes, and that nobody can tell the difference.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{User, wait_until};

/// Changes of every kind, by root in debian.
const CHANGES: &str = r#"
    chmod 4751 /usr/bin/tar; chown 7:8 /bin/bash; touch -d @1000000000 /usr/bin/apt
    echo more >>/etc/passwd; truncate -s 3 /etc/shadow; rm /etc/hostname.none /etc/group; rm -r /usr/share/doc
    rm -r /var/cache; mkdir /var/cache; echo again >/var/cache/file
    mv /etc/debian_version /etc/moved; mkdir /srv/dir; mv /srv/dir /srv/moved; ln /etc/moved /srv/moved/hard
    ln -s /nowhere /srv/link; chown -h 5:6 /srv/link; ln -sf /else /bin/awk; mkfifo -m 620 /srv/pipe; chown 9:9 /srv/pipe
    dd if=/dev/zero of=/srv/sparse bs=1 count=1 seek=10M 2>/dev/null; chown 1:2 /srv; chmod 2775 /srv
    python3 -c 'import os; os.setxattr("/srv/sparse", "user.note", b"text")'; chmod 0 /etc/fstab; mkdir -m 0 /srv/closed; touch /srv/closed/inside
    mv /usr/bin/dpkg /usr/bin/dpkg-moved; printf x | dd of=/usr/bin/dpkg-moved bs=1 seek=100000 conv=notrunc 2>/dev/null
    mkdir -p /opt/a/b; chown 100:100 /opt/a /opt/a/b; rm -r /media; touch /media; rm -r /mnt; ln -s /srv /mnt
"#;

/// A container that has ended after it made these changes.
fn changed(user: &User, name: &str) {
    let script = format!("cd /; {{ {CHANGES} }} 2>/dev/null; exit 0");
    let words = ["run", "--name", name, "--hostname", "same", "--network", "none", "debian", "sh", "-c", &script];
    user.run(words).success();
}

/// A tar's entries, in words that leave out the moment at which something was made.
fn entries(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let mut lines = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let old = header.mtime().ok().filter(|time| *time < 1_700_100_000);
        let (kind, mode, size) = (header.entry_type(), header.mode().unwrap(), header.size().unwrap());
        let owner = (header.uid().unwrap(), header.gid().unwrap());
        let link = entry.link_name().unwrap().map(|link| link.display().to_string()).unwrap_or_default();
        let xattrs: Vec<String> = entry
            .pax_extensions()
            .unwrap()
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .filter(|extension| extension.key().is_ok_and(|key| key.starts_with("SCHILY.xattr.")))
            .map(|extension| {
                format!("{}={}", extension.key().unwrap(), String::from_utf8_lossy(extension.value_bytes()))
            })
            .collect();
        let path = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        let sum = content.iter().fold(17_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        lines.push(format!("{path} {kind:?} {mode:o} {owner:?} {size} {old:?} {link} {xattrs:?} {sum}"));
    }
    lines
}

/// The topmost layer of an image, as it lies in the store.
fn top_layer(user: &User, image: &str) -> Vec<u8> {
    let layers = user.run(["inspect", "--format", "{{join .RootFS.Layers \"\\n\"}}", image]).success();
    let digest = layers.trim().lines().last().unwrap().trim_start_matches("sha256:").to_owned();
    std::fs::read(user.store().join("layers").join(&digest).join("layer.tar")).unwrap()
}

fn assert_same(what: &str, overlay: &[String], fuse: &[String]) {
    let only = |one: &[String], other: &[String], name: &str| -> Vec<String> {
        one.iter().filter(|line| !other.contains(line)).map(|line| format!("{name}: {line}")).collect()
    };
    let differences = [only(overlay, fuse, "overlay"), only(fuse, overlay, "fuse   ")].concat();
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
    assert!(!overlay.is_empty(), "{what}");
}

#[test]
fn both_drivers_make_the_same_changes() {
    let seen = ["overlay", "fuse"].map(|driver| {
        let user = User::on(driver);
        changed(&user, "one");
        assert_eq!(
            user.run(["inspect", "--format", "{{.Driver}} {{.GraphDriver.Name}}", "one"]).success(),
            format!("{driver} {driver}\n")
        );
        let diff: Vec<String> = user.run(["diff", "one"]).success().lines().map(str::to_owned).collect();
        let export = entries(&user.run(["export", "one"]).stdout);
        user.run(["commit", "-q", "one", "made"]).success();
        let layer = entries(&top_layer(&user, "made"));
        // And while it runs, when the filesystem may hold back what it has not written yet.
        user.run([
            "run",
            "-d",
            "--name",
            "runs",
            "--network",
            "none",
            "made",
            "sh",
            "-c",
            "echo late >>/etc/moved; touch /ready; exec sleep 1000",
        ])
        .success();
        wait_until("the change", || user.run(["cp", "runs:/ready", "-"]).status.success().then_some(()));
        user.run(["commit", "-q", "runs", "again"]).success();
        let again = entries(&top_layer(&user, "again"));
        let again: Vec<String> = again.into_iter().filter(|line| line.starts_with("etc/moved ")).collect();
        user.run(["rm", "-f", "runs"]).success();
        let size = user.run(["inspect", "-s", "--format", "{{.SizeRw}}", "one"]).success();
        (diff, export, layer, again, size)
    });
    let [overlay, fuse] = seen;
    assert_same("diff", &overlay.0, &fuse.0);
    assert_same("export", &overlay.1, &fuse.1);
    assert_same("commit", &overlay.2, &fuse.2);
    assert_same("commit of a running container", &overlay.3, &fuse.3);
    let [overlay, fuse] = [overlay.4, fuse.4].map(|size| size.trim().parse::<u64>().unwrap());
    assert!(fuse <= overlay, "a file of which only the permissions changed takes no room: {overlay}, {fuse}");
}

#[test]
fn a_container_stays_with_the_driver_that_it_was_made_with() {
    let mut user = User::on("fuse");
    user.run(["run", "--name", "one", "--network", "none", "busybox", "sh", "-c", "echo x >>/file; cat /file"])
        .success();
    user.set("ENTER_STORAGE", "overlay");
    assert_eq!(user.run(["start", "-a", "one"]).success(), "x\nx\n");
    assert_eq!(user.run(["inspect", "--format", "{{.Driver}}", "one"]).success(), "fuse\n");
    let kind = |flags: &[&str]| {
        let script = "stat -f -c %T / 2>/dev/null; grep ' / ' /proc/mounts | cut -d' ' -f3";
        let words = [&["run", "--rm", "--network", "none"], flags, &["busybox", "sh", "-c", script]].concat();
        user.run(words).success().trim().lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(kind(&[]), "overlay");
    assert_eq!(kind(&["--storage", "fuse"]), "fuse.cowfs");
    let refused = user.run(["run", "--storage", "tape", "busybox"]);
    assert!(refused.code() == Some(125) && refused.stderr.contains("overlay"), "{}", refused.stderr);
}

#[test]
fn small_writes_are_collected_where_that_is_asked_for() {
    let user = User::on("fuse");
    let script = "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done >/log; wc -l </log";
    let run =
        |option: &str| user.run(["run", "--network", "none", "--storage-opt", option, "busybox", "sh", "-c", script]);
    assert_eq!(run("writeback").success(), "200\n");
    assert_eq!(run("writeback=false").success(), "200\n");
    let sized = run("size=1g");
    assert!(sized.code() == Some(125) && sized.stderr.contains("quota"), "{}", sized.stderr);
    let other = user.run(["run", "--storage", "overlay", "--storage-opt", "writeback", "busybox", "true"]);
    assert!(other.code() == Some(125) && other.stderr.contains("add --storage fuse"), "{}", other.stderr);
}

#[test]
fn where_the_kernel_takes_no_overlay_another_driver_is_found_by_itself() {
    let user = User::new();
    let driver = || user.run(["info", "--format", "{{.Driver}}"]).success().trim().to_owned();
    assert_eq!(driver(), "overlay");
    let file = user.store().join("overlay");
    let answer = std::fs::read_to_string(&file).unwrap();
    assert!(answer.ends_with(" works\n"), "{answer}");
    std::fs::write(&file, answer.replace("works", "refused")).unwrap();
    assert_eq!(driver(), "fuse");
    user.run(["run", "--name", "one", "--network", "none", "busybox", "true"]).success();
    assert_eq!(user.run(["inspect", "--format", "{{.Driver}}", "one"]).success(), "fuse\n");
    // An answer of another boot says nothing.
    std::fs::write(&file, "00000000-0000-0000-0000-000000000000 1 refused\n").unwrap();
    assert_eq!(driver(), "overlay");
    assert!(
        !std::fs::read_dir(user.store()).unwrap().any(|entry| entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("trial."))
    );
}

/// The process that serves a container's root: the parent of its init.
fn server(user: &User, container: &str) -> Pid {
    let monitor = user.store().join("containers");
    let folder = std::fs::read_dir(monitor).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
        std::fs::read_to_string(path.join("container.json"))
            .is_ok_and(|text| text.contains(&format!("\"name\":\"{container}\"")))
    });
    let state = std::fs::read_to_string(folder.unwrap().join("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", state["init"])).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    Pid::from_raw(parent.trim().parse().unwrap())
}

fn a_killed_server_is_told_and_what_was_written_stays(user: &User) {
    let script =
        "if [ -e /kept ]; then cat /kept; else echo kept >/kept; sync /kept; touch /ready; fi; exec sleep 1000";
    user.run(["run", "-d", "--name", "one", "--network", "none", "busybox", "sh", "-c", script]).success();
    wait_until("the file", || user.run(["cp", "one:/ready", "-"]).status.success().then_some(()));
    kill(server(user, "one"), Signal::SIGKILL).unwrap();
    assert_eq!(user.run(["wait", "one"]).success(), "125\n");
    let state = user.run(["inspect", "--format", "{{.State.Status}} {{.State.Error}}", "one"]).success();
    assert!(state.starts_with("exited the container's filesystem server was killed"), "{state}");
    let logs = user.run(["logs", "one"]);
    assert!(logs.stderr.contains("the container's filesystem server was killed"), "{}", logs.stderr);
    let started = user.run(["start", "one"]);
    assert!(started.status.success() && started.stderr.is_empty(), "{}", started.stderr);
    wait_until("the file again", || (user.run(["logs", "one"]).text() == "kept\n").then_some(()));
    user.run(["rm", "-f", "one"]).success();
}

on_both_drivers!(a_killed_server_is_told_and_what_was_written_stays);

#[test]
fn what_is_damaged_is_named_when_a_container_that_was_killed_is_started_again() {
    let user = User::on("fuse");
    user.run([
        "run",
        "-d",
        "--name",
        "one",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "touch /good /bad; exec sleep 1000",
    ])
    .success();
    wait_until("the files", || user.run(["cp", "one:/bad", "-"]).status.success().then_some(()));
    kill(server(&user, "one"), Signal::SIGKILL).unwrap();
    user.run(["wait", "one"]).success();
    let id = user.run(["inspect", "--format", "{{.Id}}", "one"]).success();
    let upper = user.store().join("containers").join(id.trim()).join("upper");
    sys::xattr::set(&upper.join("bad"), c"user.cowfs.stat", b"no record").unwrap();
    let started = user.run(["start", "one"]);
    assert!(started.status.success(), "{}", started.stderr);
    assert!(started.stderr.contains("cannot be read: /bad:"), "{}", started.stderr);
    assert!(started.stderr.contains("setfattr -x user.cowfs.stat "), "{}", started.stderr);
    let seen = user.run(["exec", "one", "sh", "-c", "cat /good; cat /bad || echo refused"]);
    assert_eq!(seen.text(), "refused\n", "{}", seen.stderr);
    user.run(["rm", "-f", "one"]).success();
}
