//! `enter cp` and `enter export`: docker's rules, both ways, and nothing that leads out.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::support::{User, wait_until};

/// A container that runs.
fn running(user: &User, name: &str, script: &str) {
    user.run([
        "run",
        "-d",
        "--name",
        name,
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        &format!("{script}; exec sleep 1000"),
    ])
    .success();
    // It has done what it was told when its files say so.
    let ready = || user.run(["cp", &format!("{name}:/ready"), "-"]).status.success().then_some(());
    wait_until(&format!("{name} to be ready"), ready);
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn dockers_rules_hold_whether_it_runs_or_not(user: &User) {
    running(user, "one", "mkdir -p /srv/dir/sub; echo inside >/srv/dir/file; ln -s dir /srv/link; touch /ready");
    let home = user.home();
    std::fs::create_dir_all(home.join("folder/deep")).unwrap();
    std::fs::write(home.join("folder/deep/file"), "mine").unwrap();
    for round in ["running", "stopped"] {
        if round == "stopped" {
            user.run(["stop", "-t", "0", "one"]).success();
        }
        let target = |name: &str| format!("one:/tmp/{round}{name}");
        user.run(["cp", "folder", &target("new")]).success();
        user.run(["cp", "folder", &target("new")]).success();
        user.run(["cp", "folder/.", &target("contents")]).success();
        user.run(["cp", "folder/deep/file", &target("file")]).success();
        let listed = user.run(["cp", "one:/tmp", "-"]);
        let names: Vec<String> = tar::Archive::new(&listed.stdout[..])
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (0, 0));
                entry.path().unwrap().display().to_string()
            })
            .collect();
        for name in ["new/deep/file", "new/folder/deep/file", "contents/deep/file", "file"] {
            assert!(names.contains(&format!("tmp/{round}{name}")), "{name} of {names:?}");
        }
        let out = home.join(round);
        std::fs::create_dir(&out).unwrap();
        let out = out.display().to_string();
        user.run(["cp", "one:/srv/dir", &out]).success();
        user.run(["cp", "one:srv/dir/.", &format!("{out}/contents")]).success();
        user.run(["cp", "one:/srv/dir/file", &format!("{out}/renamed")]).success();
        user.run(["cp", "one:/srv/link", &out]).success();
        user.run(["cp", "-L", "one:/srv/link", &format!("{out}/followed")]).success();
        for name in ["dir/file", "contents/file", "renamed", "followed/file"] {
            assert_eq!(read(format!("{out}/{name}")), "inside\n", "{name}");
        }
        assert_eq!(std::fs::read_link(format!("{out}/link")).unwrap(), Path::new("dir"));
        assert_eq!(std::fs::metadata(format!("{out}/dir")).unwrap().uid(), std::fs::metadata(&home).unwrap().uid());
        for (from, to, reason) in [
            ("folder", "one:/etc/passwd", "a directory cannot take the place of a file"),
            ("folder/deep/file", "one:/nowhere/", "no such directory"),
            ("folder/deep/file", "one:/nowhere/x", "is not there"),
            ("one:/nowhere", ".", "no such file"),
            ("one:/etc/passwd/", ".", "not a directory"),
            ("folder", "elsewhere", "neither side"),
            ("folder", "none:/x", "no such container"),
        ] {
            let refused = user.run(["cp", from, to]);
            assert_eq!(refused.code(), Some(1), "{from} {to}: {}", refused.stderr);
            assert!(refused.stderr.contains(reason), "{from} {to}: {}", refused.stderr);
        }
    }
}

fn an_archive_goes_in_as_it_came_out(user: &User) {
    let script =
        "mkdir /srv; cd /srv; ln -s b a-link; chown -h 7:8 a-link; echo x >b; chown 5:6 b; chmod 640 b; touch /ready";
    running(user, "from", script);
    user.run(["create", "--name", "to", "busybox", "true"]).success();
    running(user, "alive", "touch /ready");
    let archive = user.run(["cp", "from:/srv", "-"]).stdout;
    for container in ["to", "alive"] {
        user.run_with_input(["cp", "-", &format!("{container}:/tmp")], &archive).success();
        user.run(["cp", "-a", "from:/srv", &format!("{container}:/copied")]).success();
        for path in ["/tmp/srv", "/copied"] {
            let again = user.run(["cp", &format!("{container}:{path}"), "-"]).stdout;
            let mut tar = tar::Archive::new(&again[..]);
            let seen: Vec<_> = (tar.entries().unwrap().map(Result::unwrap))
                .filter(|entry| entry.header().entry_type() != tar::EntryType::Directory)
                .map(|entry| {
                    let header = entry.header();
                    let target = entry.link_name().unwrap().map(|target| target.display().to_string());
                    (header.uid().unwrap(), header.gid().unwrap(), header.mode().unwrap(), target)
                })
                .collect();
            assert_eq!(seen, [(7, 8, 0o777, Some("b".into())), (5, 6, 0o640, None)], "{container}:{path}");
        }
    }
    let refused = user.run_with_input(["cp", "-", "to:/etc/passwd"], &archive);
    assert!(refused.code() == Some(1) && refused.stderr.contains("not a directory"), "{}", refused.stderr);
}

fn a_container_that_swaps_links_leads_no_copy_out_of_it(user: &User) {
    let home = user.home();
    let victim = home.join("victim");
    std::fs::create_dir(&victim).unwrap();
    std::fs::write(victim.join("secret"), "secret").unwrap();
    let swap = format!(
        "mkdir -p /srv/real; (while :; do ln -sfn ../../../../../../../..{0} /srv/d; ln -sfn {0} /srv/d; rm -f /srv/d; mkdir /srv/d; rm -rf /srv/d; \
         done) 2>/dev/null & touch /ready",
        victim.display()
    );
    running(user, "swaps", &swap);
    std::fs::write(home.join("file"), "new").unwrap();
    for _ in 0..30 {
        // Whether it succeeds depends on the moment.
        user.run(["cp", "file", "swaps:/srv/d/file"]);
        user.run(["cp", "file", "swaps:/srv/d/secret"]);
        let out = user.run(["cp", "swaps:/srv/d/secret", "-"]);
        assert!(!String::from_utf8_lossy(&out.stdout).contains("secret\0\0"), "a file of this machine came out");
    }
    assert_eq!(read(victim.join("secret")), "secret");
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 1);
}

fn an_export_is_the_whole_root_and_an_image_again(user: &User) {
    std::fs::write(user.home().join("shown"), "not part of it").unwrap();
    let volume = format!("{}:/mounted", user.home().display());
    user.run(["run", "--name", "done", "--network", "none", "-v", &volume, "busybox", "sh", "-c", "echo kept >/kept"])
        .success();
    let tar = user.run(["export", "done"]).stdout;
    let names: Vec<String> = tar::Archive::new(&tar[..])
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert!(names.contains(&"kept".to_owned()) && names.contains(&"bin/sh".to_owned()));
    assert!(!names.iter().any(|name| name.contains("shown")), "what is mounted is left out");
    let id = user.run_with_input(["import", "-c", "CMD [\"cat\", \"/kept\"]", "-", "again:1"], &tar).success();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(user.run(["run", "--rm", "--network", "none", "again:1"]).success(), "kept\n");
    let refused = user.run_with_input(["import", "-"], b"no tar at all");
    assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
}

on_both_drivers!(
    dockers_rules_hold_whether_it_runs_or_not,
    an_archive_goes_in_as_it_came_out,
    a_container_that_swaps_links_leads_no_copy_out_of_it,
    an_export_is_the_whole_root_and_an_image_again,
);
