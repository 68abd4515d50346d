//! What `enter pull`, `images` and `rmi` print, to the letter: scripts read it.

use crate::support::{Outcome, User};

/// Code, stdout, stderr.
fn all(outcome: Outcome) -> (Option<i32>, String, String) {
    (outcome.code(), outcome.text(), outcome.stderr)
}

fn user_with(images: &[&str]) -> User {
    let user = User::new();
    for image in images {
        user.run(["pull", "-q", image]).success();
    }
    user
}

/// The only image's ID, in full.
fn only_id(user: &User) -> String {
    let ids = user.run(["images", "-q", "--no-trunc"]).success();
    assert_eq!(ids.lines().count(), 1, "{ids}");
    ids.trim_end().to_owned()
}

#[test]
fn pull_prints_the_complete_name_and_tells_the_rest_on_stderr() {
    let user = User::new();
    let (code, stdout, stderr) = all(user.run(["pull", "busybox"]));
    assert_eq!((code, stdout.as_str()), (Some(0), "docker.io/library/busybox:latest\n"));
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(lines[0].starts_with("pulling docker.io/library/busybox:latest: 1 layer, "), "{stderr}");
    assert!(lines[1].starts_with("layer ") && lines[1].ends_with(" done (1 of 1)"), "{stderr}");
    assert_eq!(lines.len(), 2, "{stderr}");

    let quiet = (Some(0), "docker.io/library/busybox:latest\n".to_owned(), String::new());
    assert_eq!(all(user.run(["pull", "-q", "busybox"])), quiet);
    assert_eq!(all(user.run(["pull", "--quiet", "docker.io/library/busybox:latest"])), quiet);
}

#[test]
fn progress_can_be_switched_off() {
    let mut user = User::new();
    user.set("ENTER_PROGRESS", "none");
    assert_eq!(user.run(["pull", "busybox"]).stderr, "");
}

#[test]
fn a_terminal_gets_bars_that_leave_nothing_behind() {
    let user = User::new();
    let mut command = user.command("sh");
    command.args(["-c", "\"$0\" pull sixty; echo en''ded"]).arg(crate::support::user::ENTER);
    let mut terminal = crate::support::Terminal::start(&command);
    let seen = terminal.wait_for("ended");
    assert!(seen.contains("pulling sixty:latest: ") && seen.contains(" of 60 layers"), "{seen:?}");
    // The last lines are taken off the screen before the name is printed.
    let last = seen.rsplit("layers").next().unwrap_or_default();
    assert!(last.contains("\u{1b}[2K") && last.trim_end().ends_with("docker.io/library/sixty:latest"), "{last:?}");
}

#[test]
fn the_list_has_dockers_columns() {
    let user = user_with(&["busybox", "odd"]);
    let table = user.run(["images"]).success();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("REPOSITORY   TAG       IMAGE ID       CREATED       SIZE"));
    let mut names: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["busybox", "odd"]);

    let table = user.run(["images", "--digests", "busybox"]).success();
    let words: Vec<&str> = table.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(words[..2], ["busybox", "latest"]);
    assert!(words[2].starts_with("sha256:") && words[2].len() == 71, "{table}");
}

#[test]
fn ids_are_short_or_whole() {
    let user = user_with(&["busybox"]);
    let id = only_id(&user);
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    assert_eq!(user.run(["images", "-q"]).success(), format!("{}\n", &id[7..19]));
}

#[test]
fn formats_are_templates_tables_and_json() {
    let user = user_with(&["busybox"]);
    let id = &only_id(&user)[7..19];
    let format = |format: &str| user.run(["images", "--format", format]).success();
    assert_eq!(format("{{.Repository}}:{{.Tag}}"), "busybox:latest\n");
    assert_eq!(format("{{.ID}}\\t{{upper .Repository}}"), format!("{id}\tBUSYBOX\n"));
    assert_eq!(format("table {{.ID}}\\t{{.Repository}}"), format!("IMAGE ID       REPOSITORY\n{id}   busybox\n"));
    let json: serde_json::Value = serde_json::from_str(&format("json")).expect("one object a line");
    let keys: Vec<&str> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    let dockers = [
        "Containers",
        "CreatedAt",
        "CreatedSince",
        "Digest",
        "ID",
        "Pinned",
        "Repository",
        "SharedSize",
        "Size",
        "Tag",
        "UniqueSize",
        "VirtualSize",
    ];
    assert_eq!(keys, dockers);
    assert_eq!((&json["ID"], &json["Tag"]), (&id.into(), &"latest".into()));
    assert_eq!(format("{{json .}}"), format("json"));
}

#[test]
fn filters_choose() {
    let user = user_with(&["busybox", "odd"]);
    let names = |args: &[&str]| {
        let args = ["images", "--format", "{{.Repository}}"].iter().chain(args);
        let mut names: Vec<String> = user.run(args).success().lines().map(ToOwned::to_owned).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&["busy*"]), ["busybox"]);
    assert_eq!(names(&["busybox:latest"]), ["busybox"]);
    assert_eq!(names(&["busybox:other"]), [""; 0]);
    assert_eq!(names(&["--filter", "reference=*:latest"]), ["busybox", "odd"]);
    assert_eq!(names(&["--filter", "reference=odd", "--filter", "reference=busybox"]), ["busybox", "odd"]);
    assert_eq!(names(&["--filter", "dangling=true"]), [""; 0]);
    assert_eq!(names(&["--filter", "dangling=false"]), ["busybox", "odd"]);
    assert_eq!(names(&["--filter", "label=no.such.label"]), [""; 0]);
    assert_eq!(names(&["--filter", "since=busybox"]), [""; 0], "both are equally old");
}

#[test]
fn removing_prints_what_is_gone() {
    let user = user_with(&["busybox", "sixty"]);
    let ids = user.run(["images", "-q", "--no-trunc", "busybox"]).success();
    let (code, stdout, stderr) = all(user.run(["rmi", "busybox", "nothing-like-this", "sixty:latest"]));
    assert_eq!(code, Some(1), "one of them is not there");
    assert!(stdout.starts_with(&format!("Untagged: busybox:latest\nDeleted: {ids}")), "{stdout}");
    assert!(stdout.contains("\nUntagged: sixty:latest\nDeleted: sha256:"), "the last is tried too: {stdout}");
    assert_eq!(stderr, "error: no such image: nothing-like-this\nhint: see the images that are here: enter images\n");
    assert_eq!(user.run(["images", "-q"]).success(), "");
}

#[test]
fn an_image_can_be_removed_by_the_beginning_of_its_id() {
    let user = user_with(&["busybox"]);
    let id = only_id(&user);
    let removed = user.run(["rmi", &id[7..12]]).success();
    assert_eq!(removed, format!("Untagged: busybox:latest\nDeleted: {id}\n"));
}

#[test]
fn images_in_the_store_are_completed() {
    let user = user_with(&["busybox"]);
    assert_eq!(user.run(["__complete", "fish", "enter", "busy"]).success(), "busybox:latest\timage\n");
    assert_eq!(user.run(["__complete", "fish", "enter", "rmi", ""]).success(), "busybox:latest\timage\n");
    assert_eq!(user.run(["__complete", "bash", "enter rmi busybox:l", "=:"]).success(), "latest\n");
}

#[test]
fn a_name_near_one_in_the_store_is_offered() {
    let user = user_with(&["busybox"]);
    let outcome = user.run(["--pull", "never", "busybxo"]);
    outcome.refused(&["busybxo", "did you mean `busybox`, which is in the store?"]);
}
