//! What nothing needs any more goes, and what a container needs stays.

use crate::support::User;

#[test]
fn an_image_stays_for_a_stopped_container() {
    let user = User::new();
    assert_eq!(user.run(["run", "--name", "done", "busybox", "sh", "-c", "echo kept >/file"]).code(), Some(0));
    assert_eq!(user.run(["images", "--format", "{{.Repository}} {{.Containers}}"]).success(), "busybox 1\n");
    let outcome = user.run(["rmi", "busybox"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), ""));
    let words = "error: conflict: unable to remove repository reference \"busybox:latest\" (must force) - container ";
    assert!(outcome.stderr.starts_with(words), "{}", outcome.stderr);

    // The compressed forms of its layers are nobody's need.
    let pruned = user.run(["image", "prune", "-af"]).success();
    assert!(pruned.starts_with("Total reclaimed space: ") && !pruned.contains(" 0B"), "{pruned}");
    assert_eq!(user.run(["image", "prune", "-af"]).success(), "Total reclaimed space: 0B\n");
    assert_eq!(user.run(["rmi", "-f", "busybox"]).success(), "Untagged: busybox:latest\n");
    assert_eq!(user.run(["image", "prune", "-f"]).success(), "Total reclaimed space: 0B\n");
    // It has its layers still.
    user.run(["start", "-a", "done"]).success();
    let listed = user.run(["ps", "-a", "--format", "{{.Image}}"]).success();
    assert_eq!(listed.trim_end().len(), 12, "the name is gone: {listed}");
    user.run(["rm", "done"]).success();
    let gone = user.run(["image", "prune", "-f"]).success();
    assert!(
        gone.starts_with("Deleted Images:\ndeleted: sha256:") && gone.contains("\n\nTotal reclaimed space: 2."),
        "{gone}"
    );
    assert_eq!(user.run(["images", "-q"]).success(), "");
}

#[test]
fn what_has_ended_goes_and_what_runs_stays() {
    let user = User::new();
    user.run(["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).success();
    let made = user.run(["create", "--label", "keep", "busybox"]).success();
    user.run(["run", "--name", "done", "busybox", "true"]).success();
    let done = user.run(["ps", "-lq", "--no-trunc"]).success();

    // An end of input is no yes.
    let asked = user.run(["container", "prune"]);
    assert_eq!((asked.code(), asked.text().as_str()), (Some(0), ""));
    assert!(asked.stderr.starts_with("WARNING! This will remove all stopped containers.\n"), "{}", asked.stderr);
    let pruned = user.run_with_input(["container", "prune", "--filter", "label!=keep"], b"y\n").success();
    assert!(pruned.starts_with(&format!("Deleted Containers:\n{done}\nTotal reclaimed space: ")), "{pruned}");
    let pruned = user.run(["system", "prune", "-f"]).success();
    assert!(pruned.starts_with(&format!("Deleted Containers:\n{made}\nTotal reclaimed space: ")), "{pruned}");
    assert_eq!(user.run(["ps", "-a", "--format", "{{.Names}}"]).success(), "web\n");
    let df = user.run(["df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}"]).success();
    assert!(df.starts_with("Images 1 1\nContainers 1 1\n"), "{df}");
    assert_eq!(user.run(["info", "-f", "{{.Containers}} {{.ContainersRunning}}"]).success(), "1 1\n");
    user.run(["rm", "-f", "web"]).success();
}
