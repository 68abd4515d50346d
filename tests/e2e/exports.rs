//! What a box has put where this machine finds it: it runs in the box, follows it, goes with it, and harms nothing of anybody's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::support::User;
use crate::support::user::finish;

/// A box `work` with a program `tool` that says what it was given.
fn made(user: &User) -> PathBuf {
    let script = "mkdir -p /usr/local/bin /usr/share/applications /usr/share/pixmaps; \
        printf '#!/bin/sh\\necho tool; printf \"[%%s]\" \"$@\"; exit 7\\n' >/usr/local/bin/tool; chmod +x /usr/local/bin/tool; \
        printf '[Desktop Entry]\\nType=Application\\nName=Tool\\nExec=tool %%U\\nTryExec=tool\\nIcon=tool\\n' >/usr/share/applications/tool.desktop; \
        echo picture >/usr/share/pixmaps/tool.png";
    user.run(["-n", "work", "-u", "root", "busybox", "--", "sh", "-c", script]).success();
    user.home().join(".local/bin/tool")
}

/// Runs a wrapper from another directory.
fn wrapped(user: &User, wrapper: &PathBuf, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = user.command(wrapper);
    command.args(arguments).current_dir("/");
    let outcome = finish(command, b"");
    (outcome.code(), outcome.text())
}

fn a_program_of_a_box_runs_in_it(user: &User) {
    let wrapper = made(user);
    user.run(["export", "bin", "tool", "--from", "work"]).success();
    let (code, said) = wrapped(user, &wrapper, &["a", "b  c", "", "--", "-x", "$(id)", "'"]);
    assert_eq!((code, said.as_str()), (Some(7), "tool\n[a][b  c][][--][-x][$(id)][']"));
    let list = user.run(["export", "--list"]).success();
    assert!(list.contains("tool") && list.contains("work") && list.contains("there"), "{list}");
    // In the box itself, whose home it is.
    let inside = user.run(["work", "--", wrapper.to_str().expect("UTF-8"), "x"]);
    assert_eq!((inside.code(), inside.text().as_str()), (Some(7), "tool\n[x]"));
    // It follows the box, and goes with it.
    user.run(["rename", "work", "play"]).success();
    assert_eq!(wrapped(user, &wrapper, &["y"]), (Some(7), "tool\n[y]".into()));
    user.run(["rm", "play"]).success();
    assert!(!wrapper.exists());
}

fn nothing_of_anybody_is_hidden_or_overwritten(user: &User) {
    let wrapper = made(user);
    std::fs::create_dir_all(wrapper.parent().expect("a folder")).expect("a folder");
    std::fs::write(&wrapper, "mine").expect("a file");
    user.run(["export", "bin", "tool", "--from", "work"]).unable(&["not this box's"]);
    assert_eq!(std::fs::read_to_string(&wrapper).expect("it is there"), "mine");
    user.run(["export", "bin", "/bin/busybox", "--as", "sh"]).unable(&["would hide the other"]);
    user.run(["export", "bin", "tool", "--as", "mytool"]).success();
    // What was replaced since stays.
    let other = wrapper.with_file_name("mytool");
    std::fs::write(&other, "mine too").expect("a file");
    assert!(user.run(["export", "--list"]).success().contains("replaced"));
    user.run(["unexport", "mytool"]).success();
    user.run(["rm", "work"]).success();
    assert_eq!(std::fs::read_to_string(&other).expect("it is there"), "mine too");
    user.run(["unexport", "mytool"]).unable(&["not exported"]);
}

fn an_application_is_one_of_this_desktops(user: &User) {
    made(user);
    user.run(["export", "app", "tool", "--from", "work"]).success();
    let folder = user.data().join("applications");
    let files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("the folder").flatten().map(|entry| entry.path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let text = std::fs::read_to_string(file).expect("the file");
    assert!(text.contains("Name=Tool (work)\n") && !text.contains("TryExec"), "{text}");
    let icon = text.lines().find_map(|line| line.strip_prefix("Icon=")).expect("an icon");
    assert_eq!(std::fs::read_to_string(icon).expect("the icon"), "picture\n");
    let runner = text.lines().find_map(|line| line.strip_prefix("Exec=\"")).and_then(|line| line.split('"').next());
    let runner = PathBuf::from(runner.expect("a program"));
    assert_eq!(wrapped(user, &runner, &["tool", "z"]), (Some(7), "tool\n[z]".into()));
    user.run(["unexport", "tool"]).success();
    assert!(!file.exists() && !PathBuf::from(icon).exists());
}

fn a_container_called_app_is_exported_as_any(user: &User) {
    user.run(["create", "--name", "app", "busybox"]).success();
    let tar = user.run(["export", "app"]);
    assert!(tar.status.success() && tar.stdout.len() >= 1024, "{} {} {}", tar.status, tar.stdout.len(), tar.stderr);
    user.run(["export", "app", "tool", "--from", "app"]).unable(&["no box"]);
}

/// A stub in the place of what opens things here, which says what it was given.
fn opener(user: &mut User) -> PathBuf {
    let bin = user.home().join("stub");
    std::fs::create_dir_all(&bin).expect("a folder");
    let stub = bin.join("xdg-open");
    std::fs::write(&stub, "#!/bin/sh\nprintf '%s\\n' \"$@\" >>\"$HOME/opened\"\n").expect("a stub");
    std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let path = std::env::var("PATH").unwrap_or_default();
    user.set("PATH", format!("{}:{path}", bin.display()));
    user.home().join("opened")
}

#[test]
fn addresses_and_files_are_opened_outside_where_that_is_allowed() {
    let mut user = User::new();
    let opened = opener(&mut user);
    user.run(["-n", "work", "busybox", "--", "true"]).success();
    let refused = user.run(["work", "--", "xdg-open", "https://example.org"]);
    assert_eq!(refused.code(), Some(4));
    assert!(refused.stderr.contains("enter set work --allow-open"), "{}", refused.stderr);
    user.run(["set", "work", "--allow-open"]).success();
    std::fs::write(user.home().join("a b.txt"), "").expect("a file");
    std::fs::write(user.home().join("evil.desktop"), "").expect("a file");
    let script = "xdg-open https://example.org/x; $BROWSER mailto:a@example.org; cd; xdg-open 'a b.txt'; \
        xdg-open \"file://$HOME/a%20b.txt\"; for bad in javascript:x file:///etc/passwd /etc/passwd --help-me evil.desktop \
        'mailto:a@b?attach=/etc/passwd' none 'https://'; do xdg-open \"$bad\" 2>/dev/null && echo \"opened $bad\"; done; true";
    assert_eq!(user.run(["work", "--", "sh", "-c", script]).success(), "");
    let file = user.home().join("a b.txt");
    let said = std::fs::read_to_string(opened).expect("something was opened");
    assert_eq!(said, format!("https://example.org/x\nmailto:a@example.org\n{0}\n{0}\n", file.display()));
}

on_both_drivers! {
    a_program_of_a_box_runs_in_it,
    nothing_of_anybody_is_hidden_or_overwritten,
    an_application_is_one_of_this_desktops,
    a_container_called_app_is_exported_as_any,
}
