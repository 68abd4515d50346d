//! Images of many families, each strange in its own way: a shell, one command, `sudo`, and a box work at once in all of them, on both drivers,
//! for who has subordinate ids and who has not.

use crate::support::User;
use crate::support::user::{ENTER, Outcome, finish};

/// How a root is made, in an empty directory, by a shell that has put busybox and its names into `bin`.
const FAMILIES: &[(&str, &str)] = &[
    ("plain", "true"),
    // As Alpine: its package manager's files, and a profile that sets the PATH.
    (
        "alpine",
        "mkdir -p lib/apk/db etc/apk sbin; echo 'P:busybox' >lib/apk/db/installed; echo 3.20.0 >etc/alpine-release; mv bin/su sbin/",
    ),
    ("usr-merged", "rmdir usr/bin; mv bin usr/bin; ln -s usr/bin bin; ln -s usr/lib lib; mkdir usr/lib"),
    ("no-passwd", "rm -r etc"),
    ("empty-passwd", ": >etc/passwd; : >etc/group"),
    ("dangling-passwd", "rm etc/passwd etc/group; ln -s nowhere/passwd etc/passwd; ln -s ../../../nowhere etc/group"),
    (
        "absolute-passwd",
        "mkdir usr/etc; mv etc/passwd etc/group usr/etc; ln -s /usr/etc/passwd etc/passwd; ln -s /usr/etc/group etc/group",
    ),
    (
        "uid-taken",
        "echo \"other:x:$(id -u):$(id -g)::/home/other:/bin/sh\" >>etc/passwd; echo \"others:x:$(id -g):\" >>etc/group; mkdir -p home/other",
    ),
    ("name-taken", "echo \"$(id -un):x:4242:4242::/srv:/bin/false\" >>etc/passwd"),
    ("home-linked", "mkdir -p var/home; rm -r home; ln -s var/home home"),
    ("home-linked-absolutely", "mkdir -p usr/home; rm -r home; ln -s /usr/home home"),
    ("run-linked", "mkdir -p var/run; ln -s var/run run"),
    ("var-run", "mkdir run; ln -s ../run var/run; ln -s ../run/lock var/lock"),
    ("tiny", "rm -r etc home root tmp usr var"),
    ("sudo-in-local", "mkdir -p usr/local; ln -s ../../bin usr/local/bin; rm bin/su"),
    ("no-shell", "rm bin/sh bin/ash bin/hush 2>/dev/null || true"),
    ("distroless", "rm -r bin; mkdir -p etc; echo 'nonroot:x:65532:65532::/home/nonroot:/sbin/nologin' >>etc/passwd"),
    ("scratch", "rm -r *; echo data >file"),
];

/// Those that have no shell, or nothing at all.
const NEEDS_TOOLS: [&str; 3] = ["no-shell", "distroless", "scratch"];

/// Makes the image `localhost/NAME`.
fn import(user: &User, name: &str, script: &str) {
    let script = format!(
        "d=$(mktemp -d); cd \"$d\"; chmod 755 .; mkdir -p bin etc home root tmp usr/bin var; cp /bin/busybox bin/busybox
         for name in $(/bin/busybox --list); do [ $name = busybox ] || ln -s busybox bin/$name; done
         printf 'root:x:0:0:root:/root:/bin/sh\\nnobody:x:65534:65534::/:/bin/false\\n' >etc/passwd; printf 'root:x:0:\\ntty:x:5:\\n' >etc/group
         {script}
         tar --owner=0 --group=0 -cf \"$d.tar\" .; \"$ENTER\" import -q \"$d.tar\" localhost/{name} >/dev/null; rm -rf \"$d\" \"$d.tar\""
    );
    let mut command = user.command("sh");
    command.args(["-ec", &script]).env("ENTER", ENTER);
    finish(command, b"").success();
}

/// Runs `enter` where it can map one id only, as a user of this number.
pub fn alone(user: &User, storage: &str, (uid, gid): (u32, u32), args: &[&str], input: &[u8]) -> Outcome {
    let mut command = user.command("unshare");
    let outside = "mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid; uid=$0; gid=$1; shift; \
                   exec unshare --user --map-user=$uid --map-group=$gid -- \"$@\"";
    command
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--",
            "sh",
            "-ec",
            outside,
            &uid.to_string(),
            &gid.to_string(),
            ENTER,
        ])
        .args(args)
        .env("ENTER_STORAGE", storage);
    finish(command, input)
}

const LOOK: &str = "id -u; echo $USER $HOME; pwd; sudo id -u; sudo -u '#12' id -u; /usr/local/bin/su -c 'id -u'; \
                    touch ~/touched /etc/touched 2>/dev/null; sudo touch /etc/by-root && echo written; hostname";

fn check(name: &str, user: &User, ids: (u32, u32), host: &str, run: &dyn Fn(&[&str], &[u8]) -> Outcome) {
    let image = format!("localhost/{name}");
    let tools: &[&str] = if NEEDS_TOOLS.contains(&name) { &["--tools"] } else { &[] };
    let who = std::env::var("USER").expect("the tests' user has a name");
    let home = user.home().display().to_string();
    let expected = |host: &str| format!("{}\n{who} {home}\n{home}\n0\n12\n0\nwritten\n{host}\n", ids.0);
    let with = |args: &[&'static str], more: &[&str]| -> Outcome {
        let all: Vec<&str> = args.iter().copied().chain(tools.iter().copied()).chain(more.iter().copied()).collect();
        run(&all, b"")
    };
    let one = with(&[], &[&image, "--", "sh", "-c", LOOK]);
    assert_eq!(one.text(), expected(host), "{name}, one command: {}", one.stderr);
    let all: Vec<&str> = tools.iter().copied().chain([&*image]).collect();
    let shell = run(&all, b"echo from a shell; exit 3\n");
    assert_eq!((shell.code(), shell.text().as_str()), (Some(3), "from a shell\n"), "{name}, a shell: {}", shell.stderr);
    let made = with(&["-n", "work"], &[&image, "--", "sh", "-c", LOOK]);
    assert_eq!(made.text(), expected("work"), "{name}, a new box: {}", made.stderr);
    let again = run(&["work", "--", "sh", "-c", &format!("ls /etc/by-root; {LOOK}")], b"");
    assert_eq!(again.text(), format!("/etc/by-root\n{}", expected("work")), "{name}, a box: {}", again.stderr);
    assert_eq!(run(&["rm", "work"], b"").code(), Some(0), "{name}");
}

fn every_family_works_at_once(user: &User) {
    let ids = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    for (name, script) in FAMILIES {
        import(user, name, script);
        check(name, user, ids, name, &|args, input| user.run_with_input(args, input));
    }
}

on_both_drivers! {
    every_family_works_at_once,
}

#[test]
fn every_family_works_for_who_has_one_id() {
    let user = User::new();
    let ids = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    for (number, (name, script)) in FAMILIES.iter().enumerate() {
        import(&user, name, script);
        let storage = ["fuse", "overlay"][number % 2];
        check(name, &user, ids, name, &|args, input| alone(&user, storage, ids, args, input));
    }
}

#[test]
fn a_user_of_a_directory_with_a_large_number_is_himself() {
    let user = User::new();
    // In no file of this machine's, and beyond what one line of /etc/subuid gives.
    let ids = (1_234_567, 1_234_567);
    for (name, script) in &FAMILIES[..4] {
        import(&user, name, script);
        check(name, &user, ids, name, &|args, input| alone(&user, "fuse", ids, args, input));
    }
}

#[test]
fn a_home_that_is_a_link_is_the_home() {
    let mut user = User::new();
    let (real, link) = (user.home(), user.home().with_file_name("linked-home"));
    std::os::unix::fs::symlink(&real, &link).expect("a link can be made");
    user.set("HOME", &link);
    let seen = user.run(["busybox", "--", "sh", "-c", "echo $HOME; cd; pwd; echo x >made"]);
    let link = link.display();
    assert_eq!(seen.text(), format!("{link}\n{link}\n"), "{}", seen.stderr);
    assert!(real.join("made").exists());
    assert_eq!(user.run(["-n", "work", "busybox", "--", "cat", &format!("{link}/made")]).text(), "x\n");
}

#[test]
fn tools_are_brought_along_where_they_are_asked_for() {
    let user = User::new();
    import(&user, "scratch", "rm -r *; echo data >file");
    user.run(["localhost/scratch"]).refused(&["there is none in this image", "enter --tools localhost/scratch"]);
    let script = "echo $SHELL; ls /file; echo a b | awk '{ print $2 }'; which ls; echo $PATH | grep -c ':/run/enter-tools/bin$'; \
                  touch /run/enter-tools/bin/x 2>/dev/null || echo sealed; grep -c . /etc/passwd";
    let seen = user.run(["--tools", "localhost/scratch", "--", "sh", "-c", script]);
    let expected = "/run/enter-tools/bin/sh\n/file\nb\n/run/enter-tools/bin/ls\n1\nsealed\n2\n";
    assert_eq!(seen.text(), expected, "{}", seen.stderr);
    // What the image has comes first.
    assert_eq!(user.run(["--tools", "busybox", "--", "which", "ls"]).text(), "/bin/ls\n");
    user.run(["-n", "work", "--tools", "localhost/scratch", "--", "true"]).success();
    user.run(["--tools", "work"]).refused(&["enter set work --tools"]);
    user.run(["set", "work", "--tools=false"]).success();
    user.run(["work"]).refused(&["enter set work --tools"]);
    user.run(["set", "work", "--tools"]).success();
    assert_eq!(user.run_with_input(["work"], b"echo here\n").text(), "here\n");
    let diff = user.run(["diff", "work"]).success();
    assert!(!diff.contains("tools"), "{diff}");
}
