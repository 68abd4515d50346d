//! `enter commit`, `diff`, `tag`, `history`, `save` and `load`: images made of containers, which other tools accept.

use crate::support::user::finish;
use crate::support::{User, wait_until};

/// A container that has ended after it ran a script.
fn ended(user: &User, name: &str, image: &str, script: &str) {
    user.run(["run", "--name", name, "--network", "none", image, "sh", "-ec", script]).success();
}

fn run(user: &User, image: &str, script: &str) -> String {
    user.run(["run", "--rm", "--network", "none", image, "sh", "-ec", script]).success()
}

const CHANGES: &str = "rm /etc/passwd; echo new >/etc/new; mkdir -p /srv/a; echo x >/srv/a/f; ln /srv/a/f /srv/a/g; ln -s f /srv/a/l; \
                       chown 7:8 /srv/a/f; chmod 4711 /srv/a/f; rm -r /usr; mkdir /usr; mkfifo /srv/pipe";

fn a_difference_is_told_as_docker_tells_it(user: &User) {
    ended(user, "one", "busybox", CHANGES);
    let expected = "C /etc\nA /etc/new\nD /etc/passwd\nA /srv\nA /srv/a\nA /srv/a/f\nA /srv/a/g\nA /srv/a/l\nA /srv/pipe\nC /usr\n";
    let told = user.run(["diff", "one"]).success();
    let told: String = told.lines().filter(|line| !line.contains("/usr/")).map(|line| format!("{line}\n")).collect();
    assert_eq!(told, expected);
    let json: serde_json::Value =
        serde_json::from_str(&user.run(["diff", "--format", "json", "one"]).success()).unwrap();
    assert_eq!(json["deleted"][0], "/etc/passwd");
    user.run(["commit", "-q", "one", "committed"]).success();
    assert!(user.run(["diff", "committed"]).success().contains("D /etc/passwd\nA /srv\n"));
    ended(user, "idle", "busybox", "true");
    assert_eq!(user.run(["diff", "idle"]).success(), "");
    assert_eq!(user.run(["diff", "nobody"]).code(), Some(1));
}

fn an_image_of_a_container_is_run_as_the_container_was(user: &User) {
    ended(user, "one", "busybox", CHANGES);
    let file = user.home().join("id");
    let id = user.run([
        "commit",
        "-a",
        "me",
        "-m",
        "why",
        "-c",
        "ENV GREETING='hello there'",
        "-c",
        "WORKDIR /srv",
        "--iidfile",
        file.to_str().unwrap(),
        "one",
        "made:1",
    ]);
    let id = id.success().trim().to_owned();
    assert_eq!(std::fs::read_to_string(file).unwrap(), id);
    let script = "test ! -e /etc/passwd; cat /etc/new; echo $GREETING; pwd; stat -c '%u:%g %a %h' /srv/a/f; readlink /srv/a/l; ls /usr | wc -l; \
                  test -p /srv/pipe";
    assert_eq!(run(user, "made:1", script), "new\nhello there\n/srv\n7:8 4711 2\nf\n0\n");
    user.run(["tag", "made:1", "other:2"]).success();
    assert!(user.run(["images", "--no-trunc", "-q", "other"]).success().contains(&id));
    let history = user.run(["history", "--format", "{{.Comment}}", "made:1"]).success();
    assert_eq!(history.lines().next(), Some("why"));
    user.run(["untag", "other:2"]).success();
    assert_eq!(user.run(["images", "-q", "other"]).success(), "");
    let squashed = user.run(["commit", "-q", "--squash", "one", "squashed"]).success();
    assert_ne!(squashed.trim(), id);
    assert_eq!(run(user, "squashed", "cat /etc/new; test ! -e /etc/passwd"), "new\n");
    for (change, reason) in [("RUN x", "RUN"), ("EXPOSE lots", "ports"), ("ENV A", "value")] {
        let refused = user.run(["commit", "-c", change, "one"]);
        assert!(refused.code() == Some(1) && refused.stderr.contains(reason), "{change}: {}", refused.stderr);
    }
}

fn a_file_that_would_hide_another_in_the_image_is_refused(user: &User) {
    ended(user, "one", "busybox", "touch /etc/.wh.passwd");
    for flags in [&["commit", "one"][..], &["commit", "--squash", "one"]] {
        let refused = user.run(flags);
        assert!(refused.code() == Some(1) && refused.stderr.contains("/etc/.wh.passwd"), "{}", refused.stderr);
    }
}

fn a_running_container_is_held_and_goes_on(user: &User) {
    user.run([
        "run",
        "-d",
        "--name",
        "busy",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "while :; do date >/new; mv /new /now; sleep 0.01; done",
    ])
    .success();
    wait_until("the first change", || user.run(["cp", "busy:/now", "-"]).status.success().then_some(()));
    user.run(["commit", "-q", "busy", "held"]).success();
    user.run(["commit", "-q", "--pause=false", "busy"]).success();
    assert_eq!(user.run(["ps", "--format", "{{.State}}", "--filter", "name=busy"]).success(), "running\n");
    assert!(run(user, "held", "cat /now").contains(':'));
    user.run(["rm", "-f", "busy"]).success();
}

fn commit_after_commit_shares_what_is_below(user: &User) {
    ended(user, "c0", "busybox", "echo 0 >/number");
    user.run(["commit", "-q", "c0", "chain:0"]).success();
    for number in 1..8 {
        let (container, image) = (format!("c{number}"), format!("chain:{}", number - 1));
        ended(user, &container, &image, &format!("echo {number} >>/number"));
        user.run(["commit", "-q", &container, &format!("chain:{number}")]).success();
    }
    assert_eq!(run(user, "chain:7", "cat /number | tr '\\n' ' '"), "0 1 2 3 4 5 6 7 ");
    let layers = std::fs::read_dir(user.store().join("layers")).unwrap().count();
    assert_eq!(layers, 9, "one for the base and one for each commit");
    ended(user, "idle", "chain:7", "true");
    user.run(["commit", "-q", "idle", "same"]).success();
    assert_eq!(std::fs::read_dir(user.store().join("layers")).unwrap().count(), layers, "no change makes no layer");
}

#[test]
fn what_is_saved_is_accepted_by_skopeo_and_loaded_again() {
    let user = User::new();
    ended(&user, "one", "busybox", CHANGES);
    let id = user.run(["commit", "-q", "one", "saved:1"]).success();
    for (form, transport) in [("docker-archive", "docker-archive"), ("oci-archive", "oci-archive")] {
        let file = user.home().join(form);
        let file = file.to_str().unwrap();
        user.run(["save", "--format", form, "-o", file, "saved:1"]).success();
        let mut skopeo = user.command("skopeo");
        skopeo.args(["inspect", "--config", &format!("{transport}:{file}")]);
        let config: serde_json::Value = serde_json::from_str(&finish(skopeo, b"").success()).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
        let mut skopeo = user.command("skopeo");
        let layout = format!("oci:{}:x", user.home().join(format!("layout-{form}")).display());
        skopeo.args(["--insecure-policy", "copy", "-q", &format!("{transport}:{file}"), &layout]);
        finish(skopeo, b"").success();
        user.run(["rmi", "saved:1"]).success();
        let loaded = user.run(["load", "-i", file]).success();
        assert_eq!(loaded, "Loaded image: saved:1\n");
        assert_eq!(user.run(["images", "-q", "--no-trunc", "saved"]).success(), id);
    }
    // A byte of a layer is another: what is loaded is compared with its digest.
    let file = user.home().join("oci-archive");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(4).rposition(|window| window == b"new\n").unwrap();
    bytes[at] ^= 1;
    user.run(["rmi", "saved:1"]).success();
    let refused = user.run_with_input(["load"], &bytes);
    assert!(refused.code() == Some(1) && refused.stderr.contains("digest"), "{}", refused.stderr);
    assert_eq!(user.run(["images", "-q", "saved"]).success(), "");
}

on_both_drivers!(
    a_difference_is_told_as_docker_tells_it,
    an_image_of_a_container_is_run_as_the_container_was,
    a_file_that_would_hide_another_in_the_image_is_refused,
    a_running_container_is_held_and_goes_on,
    commit_after_commit_shares_what_is_below,
);
