//! `enter events`: what has happened, and what happens, whoever does it.

use crate::support::{User, wait_until};

#[test]
fn the_life_of_a_container_is_told() {
    let user = User::new();
    user.run(["run", "--rm", "--name", "brief", "--label", "job=a", "busybox", "sh", "-c", "exit 3"]);
    let told = |flags: &[&str]| {
        let args = ["events", "--since", "1h", "--until", "0s"];
        user.run(args.iter().chain(flags)).success()
    };
    let actions = told(&["--format", "{{.Type}} {{.Action}} {{.Name}}"]);
    let of_it: Vec<&str> = actions.lines().filter(|line| line.contains("brief")).collect();
    for (action, after) in [("create", "start"), ("start", "die"), ("die", "destroy")] {
        let place = |action: &str| of_it.iter().position(|line| *line == format!("container {action} brief"));
        assert!(place(action).is_some() && place(action) < place(after), "{actions}");
    }
    assert!(actions.lines().any(|line| line == "image pull busybox:latest"), "{actions}");
    assert_eq!(told(&["--filter", "event=die", "--format", "{{.Actor.Attributes.exitCode}}"]), "3\n");
    assert_eq!(told(&["--filter", "label=job=b"]), "");
    let line = told(&["--filter", "container=brief", "--filter", "event=start"]);
    assert!(line.contains(" container start ") && line.contains("image=busybox, job=a, name=brief)"), "{line}");
    let json = told(&["--filter", "event=die", "--format", "json"]);
    let event: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!((&event["Type"], &event["Actor"]["Attributes"]["job"]), (&"container".into(), &"a".into()));
    for (args, text) in [
        (&["events", "--since", "soon"][..], "invalid value `soon` for `--since`"),
        (&["events", "--filter", "colour=red"], "invalid filter `colour`"),
        (&["events", "--format", "{{.Nope}}"], "Nope"),
    ] {
        let outcome = user.run(args);
        assert_eq!(outcome.code(), Some(1), "{args:?}");
        assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
    }
}

#[test]
fn what_happens_is_told_at_once() {
    let user = User::new();
    user.run(["pull", "busybox"]).success();
    let output = user.home().join("output");
    let mut command = user.enter(["events", "--format", "{{.Action}} {{.Name}}", "--filter", "type=container"]);
    command.stdout(std::fs::File::create(&output).unwrap());
    let mut listener = command.spawn().expect("enter starts");
    let told = || std::fs::read_to_string(&output).unwrap_or_default();
    // It may not be listening yet.
    wait_until("an event", || {
        user.run(["create", "busybox"]).success();
        told().contains("create ").then_some(())
    });
    user.run(["create", "--name", "web", "busybox"]).success();
    wait_until("the event of a container", || told().contains("create web\n").then_some(()));
    user.run(["rename", "web", "old"]).success();
    wait_until("the event of a name", || told().contains("rename old\n").then_some(()));
    listener.kill().expect("it still listens");
    listener.wait().expect("a killed child ends");
}
