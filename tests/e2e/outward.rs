//! What those in a shell or box ask of the `enter` outside: by its socket, which strangers write to as well.

use crate::support::User;

fn the_small_enter_inside_says_where_one_is(user: &User) {
    user.run(["-n", "work", "busybox", "--", "true"]).success();
    let said = user.run(["work", "--", "enter"]).success();
    let said: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(said.contains(&vec!["box", "work"]) && said.contains(&vec!["image", "busybox"]), "{said:?}");
    let said = user.run(["busybox", "--", "enter"]).success();
    assert!(said.starts_with("shell ") && said.contains(" thrown away"), "{said}");
    // Also root, who is told so.
    let said = user.run(["-u", "root", "work", "--", "enter"]).success();
    assert!(said.contains("another user here"), "{said}");
    // It is no change of the box's.
    let diff = user.run(["diff", "work"]).success();
    assert!(!diff.contains("/run"), "{diff}");
}

fn the_client_is_the_last_of_its_name_and_is_only_read(user: &User) {
    let script = "echo $PATH; mkdir -p /usr/local/bin; printf '#!/bin/sh\\necho own\\n' >/usr/local/bin/enter; chmod +x /usr/local/bin/enter; \
                  enter; echo x 2>/dev/null >>/run/enter/enter || echo refused; rm /run/enter/enter 2>/dev/null || echo refused";
    let said = user.run(["-u", "root", "busybox", "--", "sh", "-c", script]).success();
    let mut lines = said.lines();
    assert!(lines.next().is_some_and(|path| path.ends_with(":/bin:/run/enter/bin")), "{said}");
    assert_eq!(lines.collect::<Vec<_>>(), ["own", "refused", "refused"]);
}

fn what_there_is_not_inside_is_refused_with_what_there_is(user: &User) {
    user.run(["busybox", "--", "enter", "pull", "x"]).refused(&["no `enter pull` inside", "enter help"]);
    let said = user.run(["busybox", "--", "enter", "help"]).success();
    assert!(said.contains("enter help"), "{said}");
}

fn a_folder_that_the_user_shows_there_gets_nothing_of_ours(user: &User) {
    let run = user.home().join("run");
    std::fs::create_dir(&run).expect("a folder");
    let volume = format!("{}:/run", run.display());
    user.run(["-v", &volume, "busybox", "--", "true"]).success();
    assert_eq!(std::fs::read_dir(&run).expect("the folder").count(), 0);
}

on_both_drivers! {
    the_small_enter_inside_says_where_one_is,
    the_client_is_the_last_of_its_name_and_is_only_read,
    what_there_is_not_inside_is_refused_with_what_there_is,
    a_folder_that_the_user_shows_there_gets_nothing_of_ours,
}
