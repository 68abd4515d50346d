//! `enter image diff`, `tree`, `mount` and `unmount`: what an image has in it.

use crate::support::User;

/// busybox, and two images on it: one:1, and two:1 on that.
fn user_with_images() -> User {
    let user = User::new();
    for (image, name, script) in [
        ("busybox", "one", "echo 1 >/one; rm /etc/passwd; chmod 600 /etc/group; mkdir -p /a/b; echo x >/a/b/c"),
        ("one:1", "two", "echo 2 >/one; rm -r /a; ln -s one /link; touch /secret; chown 33 /secret; chmod 600 /secret"),
    ] {
        user.run(["run", "--name", name, "--network", "none", image, "sh", "-ec", script]).success();
        user.run(["commit", "-q", name, &format!("{name}:1")]).success();
        user.run(["rm", name]).success();
    }
    user
}

#[test]
fn differences_are_told_between_layers_and_between_images() {
    let user = user_with_images();
    let diff = |args: &[&str]| user.run(["image", "diff"].iter().chain(args)).success();
    let of_one = "A /a\nA /a/b\nA /a/b/c\nC /etc\nC /etc/group\nD /etc/passwd\nA /one\n";
    assert_eq!(diff(&["one:1"]), of_one);
    assert_eq!(diff(&["one:1", "busybox"]), of_one);
    assert_eq!(diff(&["two:1", "busybox"]), "C /etc\nC /etc/group\nD /etc/passwd\nA /link\nA /one\nA /secret\n");
    assert_eq!(diff(&["two:1", "one:1"]), "D /a\nA /link\nC /one\nA /secret\n");
    assert_eq!(diff(&["one:1", "one:1"]), "");
    let json: serde_json::Value = serde_json::from_str(&diff(&["--format", "json", "two:1", "one:1"])).unwrap();
    assert_eq!(json["added"], serde_json::json!(["/link", "/secret"]));
    user.run(["image", "diff", "one:1", "none:1"]).unable(&["none:1"]);
}

#[test]
fn layers_are_shown_with_the_images_that_end_in_them() {
    let user = user_with_images();
    let told = user.run(["image", "tree", "two:1"]).success();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("Image ID: ") && lines[1] == "Tags:     [docker.io/library/two:1]", "{told}");
    assert_eq!(lines[3], "Image Layers");
    let ends = ["busybox:latest]", "one:1]", "two:1]"];
    for (number, (line, end)) in lines[4..].iter().zip(ends).enumerate() {
        assert!(line.starts_with(if number < 2 { "├── ID: " } else { "└── ID: " }) && line.ends_with(end), "{told}");
    }
    let told = user.run(["image", "tree", "--whatrequires", "busybox"]).success();
    assert_eq!(told.lines().skip(4).count(), 3, "{told}");
    assert_eq!(user.run(["image", "tree", "--whatrequires", "two:1"]).success().lines().skip(4).count(), 1);
}

#[test]
fn an_image_is_shown_at_a_path_until_it_is_unmounted() {
    let user = user_with_images();
    let sh = |script: &str, path: &str| {
        let mut command = user.command("sh");
        command.args(["-ec", script]).env("M", path).env("ENTER", crate::support::user::ENTER);
        crate::support::user::finish(command, b"")
    };
    let path = user.run(["image", "mount", "two:1"]).success().trim().to_owned();
    let seen = sh(
        "cat $M/one; readlink $M/link; stat -c '%u %a' $M/secret; cat $M/secret; ! touch $M/new 2>&1; $M/bin/busybox echo runs",
        &path,
    );
    let seen = seen.success();
    assert!(seen.starts_with("2\none\n33 600\n") && seen.ends_with("runs\n"), "{seen}");
    let listed = user.run(["image", "mount"]).success();
    assert_eq!(listed, format!("docker.io/library/two:1  {path}\n"));
    let json: serde_json::Value =
        serde_json::from_str(&user.run(["image", "mount", "--format", "json"]).success()).unwrap();
    assert_eq!(
        (&json[0]["mountpoint"], &json[0]["Repositories"][0]),
        (&path.clone().into(), &"docker.io/library/two:1".into())
    );
    // It stays as long as it is mounted.
    user.run(["rmi", "two:1"]).unable(&["unmount"]);
    assert_eq!(user.run(["image", "mount", "two:1"]).success().trim(), path);
    let id = user.run(["image", "unmount", "two:1"]).success();
    assert_eq!(sh("cat $M/one", &path).success(), "2\n", "it was mounted twice");
    // What is in use stays, unless it is forced.
    sh("cd $M; ! \"$ENTER\" image unmount two:1", &path).success();
    assert_eq!(sh("cd $M; \"$ENTER\" image unmount --force two:1; cat one", &path).success(), format!("{id}2\n"));
    assert_eq!(user.run(["image", "mount"]).success(), "");
    assert_eq!(user.run(["image", "unmount", "two:1"]).success(), "");
    // Somebody else has unmounted it.
    let path = user.run(["image", "mount", "one:1"]).success().trim().to_owned();
    sh("fusermount3 -u $M", &path).success();
    crate::support::wait_until("the server's end", || {
        (user.run(["image", "mount"]).success().is_empty()).then_some(())
    });
    let mounted = user.run(["image", "mount", "--all"]).success();
    assert_eq!(mounted.lines().count(), 3);
    assert_eq!(user.run(["image", "unmount", "--all"]).success().lines().count(), 3);
    user.run(["rmi", "--all", "--force"]).success();
    assert_eq!(std::fs::read_dir(user.store().join("mounts")).unwrap().count(), 0);
    user.run(["image", "mount", "none"]).unable(&["none"]);
}
