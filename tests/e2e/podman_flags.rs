//! What scripts that were written for podman ask for, and docker does not have.

use crate::support::User;

#[test]
fn whether_something_exists_is_an_exit_code() {
    let user = User::new();
    user.run(["create", "--name", "web", "busybox"]).success();
    for (group, name, code) in
        [("container", "web", 0), ("container", "nobody", 1), ("image", "busybox", 0), ("image", "nothing", 1)]
    {
        let outcome = user.run([group, "exists", name]);
        assert_eq!((outcome.code(), outcome.text().as_str()), (Some(code), ""), "{group} {name}: {outcome:?}");
        assert_eq!(outcome.stderr, "", "{group} {name}");
    }
}

#[test]
fn what_is_not_there_can_be_ignored() {
    let user = User::new();
    let file = user.home().join("id");
    let file = file.to_str().unwrap();
    for verb in ["stop", "rm"] {
        assert_eq!(user.run([verb, "nobody"]).code(), Some(1));
        let outcome = user.run([verb, "--ignore", "nobody", "--cidfile", file]);
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{verb}");
        let outcome = user.run([verb, "--cidfile", file]);
        assert_eq!(outcome.code(), Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(file), "{outcome:?}");
    }
    assert_eq!(user.run(["rmi", "--ignore", "nothing"]).success(), "");
    let id = user.run(["run", "-d", "--cidfile", file, "busybox", "sleep", "100"]).success();
    assert_eq!(user.run(["stop", "-t", "0", "--cidfile", file]).success(), id);
    assert_eq!(user.run(["rm", "--cidfile", file]).success(), id);
}

#[test]
fn lists_go_without_headings_and_in_an_order() {
    let user = User::new();
    user.run(["run", "--name", "b", "busybox", "true"]).success();
    user.run(["run", "--name", "a", "busybox", "false"]);
    assert_eq!(user.run(["ps", "--noheading", "--external"]).success(), "");
    let names = user.run(["ps", "--filter", "status=stopped", "--format", "{{.Names}}", "--sort", "names"]).success();
    assert_eq!(names, "a\nb\n");
    user.run(["tag", "busybox", "quay.io/a/a:z"]).success();
    let tags = user.run(["images", "--noheading", "--sort", "tag", "--format", "table {{.Tag}}"]).success();
    assert_eq!(tags.lines().map(str::trim_end).collect::<Vec<_>>(), ["latest", "z"]);
    assert_eq!(user.run(["inspect", "-l", "--format", "{{.Name}} {{.ID | len}}"]).success(), "/a 64\n");
}

#[test]
fn a_container_whose_output_nobody_reads_tells_its_id() {
    let user = User::new();
    let told = user.run(["run", "--attach", "stdin", "--name", "quiet", "busybox", "echo", "hello"]).success();
    assert_eq!(told, user.run(["ps", "-aq", "--no-trunc"]).success());
    assert_eq!(user.run(["wait", "--condition", "stopped", "quiet"]).success(), "0\n");
}

#[test]
fn what_could_never_happen_is_refused() {
    let user = User::new();
    user.run(["create", "--health-on-failure", "kill", "busybox"]).refused(&["--health-on-failure", "--health-cmd"]);
    user.run(["cp", "--nope=false", "a:/b", "c"]).refused(&["--nope"]);
    assert_eq!(
        user.run(["run", "--rm", "--memory", "0", "--userns", "private", "busybox", "echo", "ok"]).success(),
        "ok\n"
    );
}

#[test]
fn why_one_in_the_background_cannot_be_started_is_told() {
    let user = User::new();
    for _ in 0..5 {
        let outcome = user.run(["run", "-d", "--rm", "--log-opt", "path=/proc/nowhere/log", "busybox", "true"]);
        assert_eq!(outcome.code(), Some(125), "{outcome:?}");
        assert!(outcome.stderr.contains("/proc/nowhere/log"), "{outcome:?}");
    }
}

#[test]
fn programs_of_old_find_the_table_of_mounts() {
    let user = User::new();
    assert_eq!(user.run(["run", "--name", "old", "busybox", "readlink", "/etc/mtab"]).success(), "/proc/mounts\n");
    assert_eq!(user.run(["diff", "old"]).success(), "", "it is none of the container's changes");
    user.run(["rm", "old"]).success();
}

#[test]
fn a_check_of_health_need_not_be_waited_for() {
    let user = User::new();
    let flags = ["--health-cmd", "test ! -e /ill", "--health-interval", "1h", "--health-retries", "1"];
    let args = ["run", "-d", "--name", "web"].iter().chain(&flags).chain(&["busybox", "sleep", "100"]).copied();
    user.run(args).success();
    assert_eq!(user.run(["healthcheck", "run", "web"]).success(), "");
    assert_eq!(user.run(["inspect", "-f", "{{.State.Health.Status}}", "web"]).success(), "healthy\n");
    user.run(["exec", "web", "touch", "/ill"]).success();
    let outcome = user.run(["healthcheck", "run", "web"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), "unhealthy\n"), "{outcome:?}");
    assert_eq!(user.run(["ps", "-q", "--filter", "health=unhealthy"]).success().lines().count(), 1);
    user.run(["rm", "-f", "web"]).success();
    user.run(["run", "-d", "--name", "plain", "busybox", "sleep", "100"]).success();
    let outcome = user.run(["healthcheck", "run", "plain"]);
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("nothing is checked"), "{outcome:?}");
    user.run(["rm", "-f", "plain"]).success();
}
