//! `enter ps` and what else looks at containers: docker's columns and words, to the letter, as scripts read them.

use crate::support::{Outcome, User, wait_until};

/// A user with a running, an ended and a never started container, made in this order.
fn user_with_three() -> User {
    let user = User::new();
    user.run(["run", "-d", "--name", "web", "--label", "a.b=1", "busybox", "sleep", "1000"]).success();
    assert_eq!(user.run(["run", "--name", "done", "busybox", "sh", "-c", "exit 3"]).code(), Some(3));
    user.run(["create", "--name", "never", "busybox", "echo", "1234567890123456789"]).success();
    user
}

#[track_caller]
fn failed(outcome: &Outcome, text: &str) {
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), ""), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(text), "`{text}` is not in:\n{}", outcome.stderr);
}

#[test]
fn the_list_has_dockers_columns_states_and_order() {
    let user = user_with_three();
    let list = |args: &[&str]| user.run(["ps"].iter().chain(args)).success();
    let table = list(&[]);
    let heading = table.lines().next().unwrap_or_default().split("  ").map(str::trim).filter(|word| !word.is_empty());
    let columns = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
    assert_eq!(heading.collect::<Vec<_>>(), columns);
    assert_eq!(table.lines().count(), 2, "only what runs: {table}");
    assert_eq!(list(&["-a", "--format", "{{.Names}} {{.State}}"]), "never created\ndone exited\nweb running\n");
    let rows = list(&["-a", "--format", "{{.Names}}\\t{{.Command}}\\t{{.Status}}"]);
    let rows: Vec<&str> = rows.lines().collect();
    assert_eq!(rows[0], "never\t\"echo 12345678901234…\"\tCreated");
    assert!(rows[1].starts_with("done\t\"sh -c 'exit 3'\"\tExited (3) ") && rows[1].ends_with(" ago"), "{rows:?}");
    assert!(rows[2].starts_with("web\t\"sleep 1000\"\tUp "), "{rows:?}");

    let ids = list(&["-aq", "--no-trunc"]);
    assert!(ids.lines().all(|id| id.len() == 64), "{ids}");
    let short: Vec<&str> = ids.lines().map(|id| &id[..12]).collect();
    assert_eq!(list(&["-aq"]).lines().collect::<Vec<_>>(), short);
    assert_eq!(list(&["-lq"]).lines().collect::<Vec<_>>(), short[..1]);
    assert_eq!(list(&["-qn", "2"]).lines().collect::<Vec<_>>(), short[..2]);
    assert_eq!(list(&["--filter", "label=a.b", "--format", "{{.Label \"a.b\"}} {{.Labels}}"]), "1 a.b=1\n");
    assert_eq!(list(&["--filter", "status=exited", "--format", "{{.Names}}"]), "done\n");
    assert_eq!(list(&["-a", "--filter", "ancestor=busybox", "--filter", "before=done", "-q"]).lines().count(), 1);
    assert_eq!(list(&["-a", "--sort", "names", "--format", "{{.Names}}"]), "done\nnever\nweb\n");
    let size = list(&["-s", "--format", "{{.Size}}"]);
    assert!(size.contains("B (virtual 2."), "{size}");
    let json: serde_json::Value = serde_json::from_str(&list(&["--format", "json"])).expect("one object a line");
    assert_eq!((&json["Names"], &json["Image"], &json["State"]), (&"web".into(), &"busybox".into(), &"running".into()));

    user.run(["pause", "web"]).success();
    assert!(list(&["--format", "{{.Status}}"]).ends_with(" (Paused)\n"));
    failed(&user.run(["ps", "--filter", "colour=red"]), "invalid filter `colour`");
    failed(&user.run(["ps", "--format", "{{.Nope}}"]), "can't evaluate field Nope");
    user.run(["rm", "-f", "web", "done", "never"]).success();
    assert_eq!(list(&["-aq"]), "");
}

#[test]
fn what_a_container_is_called_and_runs_can_be_seen_and_changed() {
    let user = user_with_three();
    assert_eq!(user.run(["rename", "web", "site"]).success(), "");
    failed(&user.run(["rename", "site", "done"]), "already in use");
    failed(&user.run(["rename", "web", "other"]), "no such container: web");
    let top = user.run(["top", "site", "-o", "pid,args"]).success();
    let pid = user.run(["inspect", "-f", "{{.State.Pid}}", "site"]).success();
    assert!(top.lines().any(|line| line.starts_with(pid.trim_end()) && line.ends_with("sleep 1000")), "{top} {pid}");
    failed(&user.run(["top", "done"]), "not running");
    assert_eq!(user.run(["port", "site"]).success(), "");
    failed(&user.run(["port", "site", "9"]), "no public port '9/tcp' published for site");
    let stats = user.run(["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}"]).success();
    assert_eq!(stats, "site 1\n");
    let grouped = user.run(["container", "ls", "-a", "--format", "{{.Names}}"]).success();
    assert_eq!(grouped, "never\ndone\nsite\n");
    user.run(["rm", "-f", "site"]).success();
}

#[test]
fn a_changed_restart_policy_counts_from_the_next_end_on() {
    let user = User::new();
    user.run(["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).success();
    assert_eq!(user.run(["update", "--restart", "always", "web"]).success(), "web\n");
    let show = |format: &str| user.run(["inspect", "-f", format, "web"]).success();
    assert_eq!(show("{{.HostConfig.RestartPolicy.Name}}"), "always\n");
    let pid = show("{{.State.Pid}}");
    user.command("kill").args(["-9", pid.trim_end()]).status().expect("kill runs");
    wait_until("another run of the container", || {
        let line = show("{{.RestartCount}} {{.State.Running}} {{.State.Pid}}");
        (line.starts_with("1 true ") && !line.ends_with(&format!(" {pid}"))).then_some(())
    });
    user.run(["update", "--kernel-memory", "1g", "web"]).refused(&["--kernel-memory cannot be had"]);
    user.run(["rm", "-f", "web"]).success();
}

#[test]
fn names_and_labels_reach_no_terminal_raw() {
    let user = User::new();
    let label = "a=\u{1b}]0;title\u{7}";
    user.run(["create", "--name", "web", "--label", label, "busybox", "echo", "\u{1b}[2J"]).success();
    for args in
        ["ps -a --format '{{.Labels}} {{.Command}}'", "inspect web", "inspect -f '{{.Config.Labels}}{{.Args}}' web"]
    {
        let mut command = user.command("sh");
        command.args(["-c", &format!("\"$0\" {args}; echo en''ded")]).arg(crate::support::user::ENTER);
        let mut terminal = crate::support::Terminal::start(&command);
        let seen = terminal.wait_for("ended");
        assert!(!seen.contains("\u{1b}]0;title") && !seen.contains("\u{1b}[2J"), "{args}: {seen:?}");
        assert!(seen.contains("title"), "{args}: {seen:?}");
    }
    user.run(["rm", "web"]).success();
}
