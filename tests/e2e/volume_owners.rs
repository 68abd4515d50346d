//! Whom files belong to that are written through each kind of mount, inside and on this machine: the table of enter-volume(1), in every
//! mapping.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::support::User;
use crate::support::user::{ENTER, Outcome, finish, set_mode};

/// The first of the subordinate ids that the tests' user has.
fn first_subordinate() -> u32 {
    let name = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    let text = std::fs::read_to_string("/etc/subuid").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).expect("subordinate ids");
    line.split(':').next().unwrap().parse().unwrap()
}

/// `unshare` gives one id only, as a user without subordinate ids has it.
fn with_one_id(user: &User, storage: &str, args: &[&str]) -> Outcome {
    let mut command = user.command("unshare");
    command.args(["--user", "--map-root-user", "--", ENTER]).args(args).env("ENTER_STORAGE", storage);
    finish(command, b"")
}

fn folder(user: &User, name: &str) -> String {
    let path = user.home().join(name);
    std::fs::create_dir_all(&path).unwrap();
    set_mode(&path, 0o777);
    path.display().to_string()
}

fn owner(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).uid()
}

fn files_have_the_owners_of_the_table(user: &User) {
    let (me, first) = (nix::unistd::getuid().as_raw(), first_subordinate());
    // Which flags; and who inside is who here.
    let own = me.to_string();
    let mappings: [(&str, Vec<(u32, u32)>); 3] = [
        ("host", vec![(0, me), (33, first + 32)]),
        ("keep-id", vec![(0, first), (33, first + 33), (me, me)]),
        ("nomap", vec![(0, first), (33, first + 33)]),
    ];
    for (mode, owners) in mappings {
        let here = folder(user, mode);
        let (bind, volume) = (format!("{here}:/bind"), format!("{mode}:/volume"));
        let mut flags = vec!["run", "--rm", "-u", "0", "-v", &bind, "-v", &volume];
        if mode != "host" {
            flags.extend(["--userns", mode]);
        }
        let ids: String = owners.iter().map(|(id, _)| format!("{id} ")).collect();
        let script = format!(
            "for place in /bind /volume; do cd $place; for id in {ids}; do touch $id; chown $id $id; ln -s x l$id; chown -h $id l$id
             test $(stat -c %u $id) = $id; done; done"
        );
        user.run(flags.iter().copied().chain(["busybox", "sh", "-ec", &script])).success();
        for (id, here_is) in owners {
            for folder in [Path::new(&here).to_owned(), user.store().join("volumes").join(mode).join("_data")] {
                for name in [format!("{id}"), format!("l{id}")] {
                    assert_eq!(owner(&folder.join(&name)), here_is, "{mode}: {name} in {}", folder.display());
                }
            }
        }
    }
    // What is mine is root's inside, or mine, or nobody's.
    let mine = folder(user, "mine");
    std::fs::write(Path::new(&mine).join("file"), "").unwrap();
    let bind = format!("{mine}:/bind");
    for (flags, expected) in
        [(&[][..], "0"), (&["--userns", "keep-id"], own.as_str()), (&["--userns", "nomap", "-u", "0"], "65534")]
    {
        let args = ["run", "--rm", "-v", &bind].into_iter().chain(flags.iter().copied());
        let seen = user.run(args.chain(["busybox", "stat", "-c", "%u", "/bind/file"])).success();
        assert_eq!(seen.trim_end(), expected, "{flags:?}");
    }
    // A view keeps what it is given in the container, and is given what the container says.
    let view = format!("{mine}:/view:O");
    let script = "chown 33:34 /view/file; touch /view/new; chown 5 /view/new; stat -c '%u:%g' /view/file /view/new";
    assert_eq!(user.run(["run", "--rm", "-v", &view, "busybox", "sh", "-ec", script]).success(), "33:34\n5:0\n");
    assert_eq!(owner(&Path::new(&mine).join("file")), me);
}

fn a_new_volume_has_the_looks_of_the_images_directory(user: &User) {
    let of = |place: &str| {
        let flag = format!("{}:{place}", place.replace('/', ""));
        user.run(["run", "--rm", "-v", &flag, "debian", "stat", "-c", "%u:%g %a", place]).success()
    };
    let looks = |place: &str| user.run(["run", "--rm", "debian", "stat", "-c", "%u:%g %a", place]).success();
    for place in ["/etc", "/var/local", "/var/mail", "/tmp", "/root"] {
        assert_eq!(of(place), looks(place), "{place}");
    }
    assert_eq!(of("/no/such/place"), "0:0 755\n");
    let shadow = ["-v", "etc:/x", "debian", "stat", "-c", "%u:%g %a", "/x/shadow"];
    assert_eq!(user.run(["run", "--rm"].into_iter().chain(shadow)).success(), "0:42 640\n");
}

fn what_is_to_be_the_containers_user_s_is_given_to_him(user: &User) {
    let here = folder(user, "given");
    std::fs::create_dir(Path::new(&here).join("sub")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", Path::new(&here).join("link")).unwrap();
    for source in [here.as_str(), "given"] {
        let flag = format!("{source}:/x:U");
        let script = "mkdir -p /x/sub; stat -c %u /x /x/sub; touch /x/mine";
        let given = user.run(["run", "--rm", "-u", "33", "-v", &flag, "busybox", "sh", "-ec", script]).success();
        assert_eq!(given, "33\n33\n", "{source}");
    }
    assert_eq!(owner(Path::new("/etc/passwd")), 0);
}

#[test]
fn with_one_id_a_volume_keeps_owners_and_a_folder_stays_mine() {
    let user = User::new();
    let me = nix::unistd::getuid().as_raw();
    let here = folder(&user, "bind");
    let bind = format!("{here}:/bind");
    // What the container's own filesystem is, is nothing to a volume.
    for storage in ["fuse", "overlay"] {
        let volume = format!("{storage}:/volume");
        let run = |flags: &[&str], script: &str| {
            let args = ["run", "--rm", "-v", &bind, "-v", &volume];
            let args: Vec<&str> =
                args.into_iter().chain(flags.iter().copied()).chain(["debian", "sh", "-ec", script]).collect();
            with_one_id(&user, storage, &args).success()
        };
        let made = "for place in /bind /volume; do cd $place; rm -rf * ; touch a; mkdir b; chmod 4755 a; chown 33:34 a b; chmod 777 $place
                    setpriv --reuid 5 --regid 6 --clear-groups sh -c 'touch c; mkdir d; touch d/e'
                    install -o 7 -g 8 /dev/null f; mv a g; ln g h; stat -c '%n %u:%g %a' b c d d/e f g h; done";
        let owners = "b 33:34 755\nc 5:6 644\nd 5:6 755\nd/e 5:6 644\nf 7:8 755\ng 33:34 755\nh 33:34 755\n";
        assert_eq!(run(&[], made), owners.repeat(2), "{storage}");
        let seen = "cd /volume; stat -c '%n %u:%g %a' b c d d/e f g h; stat -c %u /bind/c /bind/f";
        assert_eq!(run(&[], seen), format!("{owners}0\n0\n"), "{storage}");
        // It may change hands again, also back to root.
        assert_eq!(run(&[], "cd /volume; chown 0:0 c; chown :9 f; stat -c %u:%g c f"), "0:0\n7:9\n", "{storage}");
        assert_eq!(run(&[], "cd /volume; stat -c %u:%g c f"), "0:0\n7:9\n", "{storage}");
        // Whoever runs as somebody else finds what nobody has given away to be his own.
        assert_eq!(run(&["-u", "12"], "touch /volume/own; stat -c %u /volume/own /volume/g"), "12\n33\n", "{storage}");
        for path in [Path::new(&here).join("c"), user.store().join("volumes").join(storage).join("_data/d/e")] {
            assert_eq!(owner(&path), me, "{}", path.display());
        }
    }
}

#[test]
fn with_one_id_what_an_image_has_keeps_its_owners_in_a_volume() {
    let user = User::new();
    let run = |args: &[&str]| with_one_id(&user, "fuse", &[&["run", "--rm"], args].concat()).success();
    assert_eq!(run(&["-v", "etc:/etc", "debian", "stat", "-c", "%u:%g", "/etc/shadow", "/etc"]), "0:42\n0:0\n");
    assert_eq!(run(&["-v", "etc:/x", "busybox", "stat", "-c", "%u:%g", "/x/shadow"]), "0:42\n");
    assert_eq!(run(&["-v", "local:/var/local", "debian", "stat", "-c", "%u:%g %a", "/var/local"]), "0:50 2775\n");
    assert_eq!(run(&["-u", "33", "-v", "etc:/x:U", "busybox", "stat", "-c", "%u:%g", "/x/shadow"]), "33:0\n");
    let tar = with_one_id(&user, "fuse", &["volume", "export", "local"]).stdout;
    assert!(!tar.is_empty());
}

#[test]
fn with_one_id_files_in_memory_are_given_to_nobody_else() {
    let user = User::new();
    with_one_id(&user, "fuse", &["volume", "create", "--opt", "type=tmpfs", "--opt", "o=uid=5", "memory"]).success();
    for (mount, kind) in [
        ("type=tmpfs,target=/x,uid=5", "user 5"),
        ("type=tmpfs,target=/x,uid=0,gid=5", "group 5"),
        ("type=devpts,target=/x,gid=5", "group 5"),
        ("type=volume,source=memory,target=/x", "user 5"),
    ] {
        let refused = with_one_id(&user, "fuse", &["run", "--rm", "--mount", mount, "busybox", "true"]);
        assert_eq!(refused.code(), Some(125), "{mount}");
        let (what, why) = (format!("to the {kind}"), "no subordinate ones");
        assert!(refused.stderr.contains(&what) && refused.stderr.contains(why), "{mount}: {}", refused.stderr);
    }
    with_one_id(&user, "fuse", &["run", "--rm", "--mount", "type=tmpfs,target=/x,uid=0", "busybox", "true"]).success();
}

on_both_drivers!(
    files_have_the_owners_of_the_table,
    a_new_volume_has_the_looks_of_the_images_directory,
    what_is_to_be_the_containers_user_s_is_given_to_him,
);
