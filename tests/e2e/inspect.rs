//! `enter inspect`: docker's JSON, and templates over it.

use serde_json::Value;

use crate::support::User;

#[test]
fn a_container_is_shown_under_dockers_names() {
    let user = User::new();
    let flags =
        ["run", "-d", "--name", "web", "-e", "A=b", "-w", "/tmp", "-v", "/usr:/data:ro", "--label", "x.y=z", "--init"];
    user.run(flags.iter().chain(&["--restart", "on-failure:3", "busybox", "sleep", "1000"])).success();
    let text = user.run(["inspect", "web"]).success();
    assert!(text.starts_with("[\n    {\n        \"Id\": "), "{text}");
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let web = &json[0];
    for (pointer, expected) in [
        ("/Name", Value::from("/web")),
        ("/Path", "sleep".into()),
        ("/Args", ["1000"].as_slice().into()),
        ("/State/Status", "running".into()),
        ("/State/Running", true.into()),
        ("/State/ExitCode", 0.into()),
        ("/Config/Image", "busybox".into()),
        ("/Config/WorkingDir", "/tmp".into()),
        ("/Config/Labels/x.y", "z".into()),
        ("/HostConfig/Init", true.into()),
        ("/HostConfig/Binds", ["/usr:/data:ro"].as_slice().into()),
        ("/HostConfig/RestartPolicy/Name", "on-failure".into()),
        ("/HostConfig/RestartPolicy/MaximumRetryCount", 3.into()),
        ("/Mounts/0/Destination", "/data".into()),
        ("/Mounts/0/RW", false.into()),
    ] {
        assert_eq!(web.pointer(pointer), Some(&expected), "{pointer}");
    }
    assert!(web["Config"]["Env"].as_array().unwrap().contains(&"A=b".into()), "{text}");
    assert!(web["Image"].as_str().unwrap().starts_with("sha256:"), "{text}");

    let show = |format: &str| user.run(["inspect", "-f", format, "web"]).success();
    let pid = show("{{.State.Pid}}");
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", pid.trim_end())).expect("the process of that number");
    assert_eq!(cmdline, b"sleep\x001000\x00");
    assert_eq!(show("{{range .Mounts}}{{.Source}}:{{.Destination}}{{end}}"), "/usr:/data\n");
    assert_eq!(show("{{index .Config.Labels \"x.y\"}}{{json .Config.Cmd}}"), "z[\"sleep\",\"1000\"]\n");
    user.run(["rm", "-f", "web"]).success();
}

#[test]
fn what_is_not_there_is_told_and_the_rest_is_shown() {
    let user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    let outcome = user.run(["inspect", "nope"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), "[]\n"));
    assert!(outcome.stderr.starts_with("error: no such object: nope\n"), "{}", outcome.stderr);
    let outcome = user.run(["inspect", "-f", "{{.Os}} {{.RepoTags}} {{.Config.Cmd}}", "nope", "busybox"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), "linux [busybox:latest] [/bin/sh]\n"));
    assert_eq!(user.run(["inspect", "--type", "container", "busybox"]).code(), Some(1));
    assert_eq!(user.run(["image", "inspect", "-f", "{{.Nope}}", "busybox"]).code(), Some(1));
}

#[test]
fn an_image_that_was_made_here_tells_who_made_it() {
    let user = User::new();
    user.run(["pull", "-q", "busybox"]).success();
    user.run(["create", "--name", "box", "busybox"]).success();
    user.run(["commit", "-a", "Somebody", "-m", "a change", "box", "mine"]).success();
    let format = "{{.Author}}|{{.Comment}}|{{len .RepoDigests}}|{{.Digest}}";
    let told = user.run(["image", "inspect", "-f", format, "mine"]).success();
    assert!(told.starts_with("Somebody|a change|0|sha256:"), "{told}");
    let pulled = user.run(["image", "inspect", "-f", "{{len .RepoDigests}}", "busybox"]).success();
    assert_eq!(pulled, "1\n");
}
