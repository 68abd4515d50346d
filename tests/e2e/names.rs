//! What a short name means: by registries.conf, by a question where several registries could answer, and by what was answered before.

use crate::support::user::finish;
use crate::support::{Guarded, Terminal, User, hub};

/// Two registries that let everybody in; the second has `tool`, the first has not.
fn two() -> (Guarded, Guarded, User) {
    let (first, second) = (Guarded::open(), Guarded::open());
    let user = User::without_registry();
    let mut copy = user.command("skopeo");
    copy.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]);
    copy.arg(format!("oci:{}:busybox", hub().layout.display())).arg(format!("docker://{}/tool:1", second.address));
    finish(copy, b"").success();
    (first, second, user)
}

fn configure(user: &User, first: &Guarded, second: &Guarded, mode: &str) {
    let text = format!(
        "unqualified-search-registries = [\"{}\", \"{}\"]\nshort-name-mode = \"{mode}\"\n{}{}",
        first.address,
        second.address,
        first.configuration(),
        second.configuration()
    );
    std::fs::create_dir_all(user.config().join("containers")).expect("a folder in the home");
    std::fs::write(user.config().join("containers/registries.conf"), text).expect("a file in the home");
}

#[test]
fn whoever_sits_at_the_terminal_is_asked_once() {
    let (first, second, user) = two();
    configure(&user, &first, &second, "enforcing");
    let mut terminal = Terminal::start(&user.enter(["pull", "tool:1"]));
    terminal.wait_for(&format!("1) {}/tool:1", first.address));
    terminal.wait_for(&format!("2) {}/tool:1", second.address));
    terminal.wait_for("Which one?");
    terminal.line("7");
    terminal.wait_for("Which one?");
    terminal.line("2");
    assert!(terminal.wait().success(), "{}", terminal.shown());
    let aliases = user.home().parent().expect("a folder").join("cache/containers/short-name-aliases.conf");
    let remembered = std::fs::read_to_string(aliases).expect("the choice is remembered");
    assert!(remembered.contains("tool") && remembered.contains(&second.address), "{remembered}");
    // From now on it is clear, also where nobody can be asked.
    assert!(user.run(["pull", "-q", "tool:1"]).success().contains(&second.address));
    user.run(["image", "exists", "tool:1"]).success();
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let (first, second, user) = two();
    configure(&user, &first, &second, "enforcing");
    let refused = user.run(["pull", "tool:1"]);
    assert!(!refused.status.success());
    for registry in [&first, &second] {
        assert!(refused.stderr.contains(&format!("{}/tool:1", registry.address)), "{}", refused.stderr);
    }
    // What is in the store is found without guessing.
    user.run(["pull", "-q", &format!("{}/tool:1", second.address)]).success();
    user.run(["image", "exists", "tool:1"]).success();
    for mode in ["permissive", "disabled"] {
        configure(&user, &first, &second, mode);
        assert!(user.run(["pull", "-q", "tool:1"]).success().contains(&second.address), "{mode}");
    }
    // All are tried in turn at a terminal too, if that is what the configuration says.
    let mut terminal = Terminal::start(&user.enter(["pull", "-q", "tool:1"]));
    assert!(terminal.wait().success());
    assert!(!terminal.shown().contains("Which one?"), "{}", terminal.shown());
}

#[test]
fn a_question_without_an_answer_fetches_nothing() {
    let (first, second, user) = two();
    configure(&user, &first, &second, "permissive");
    let mut terminal = Terminal::start(&user.enter(["pull", "tool:1"]));
    terminal.wait_for("Which one?");
    terminal.send("\u{4}");
    terminal.wait_for("none of the images");
    assert!(!terminal.wait().success());
    assert_eq!(user.run(["images", "-q"]).success(), "");
}
