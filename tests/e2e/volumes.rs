//! Volumes: made, mounted, shared, listed, removed; and everything else that `--volume` and `--mount` show.

use crate::support::User;

/// What a script in busybox writes, run with these flags.
#[track_caller]
fn inside(user: &User, flags: &[&str], script: &str) -> String {
    let args = ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["busybox", "sh", "-ec", script]);
    user.run(args).success().trim_end().to_owned()
}

#[track_caller]
fn names(user: &User) -> Vec<String> {
    user.run(["volume", "ls", "-q"]).success().lines().map(str::to_owned).collect()
}

#[test]
fn a_volume_is_made_listed_shown_and_removed() {
    let user = User::without_registry();
    assert_eq!(user.run(["volume", "create", "--label", "of=web", "data"]).success(), "data\n");
    user.run(["volume", "create", "data"]).unable(&["there is a volume data already", "--ignore"]);
    assert_eq!(user.run(["volume", "create", "--ignore", "data"]).success(), "data\n");
    let anonymous = user.run(["volume", "create"]).success();
    assert_eq!(anonymous.trim_end().len(), 64);
    assert!(user.run(["volume", "ls"]).success().starts_with("DRIVER    VOLUME NAME\nlocal     "));
    assert_eq!(user.run(["volume", "ls", "-q", "--filter", "label=of=web"]).success(), "data\n");
    assert_eq!(user.run(["volume", "ls", "-q", "--filter", "anonymous=true"]).success(), anonymous);
    assert_eq!(
        user.run(["volume", "ls", "--format", "{{.Name}} {{.Label \"of\"}}", "--filter", "name=^d"]).success(),
        "data web\n"
    );
    let place = user.run(["volume", "inspect", "-f", "{{.Mountpoint}}", "dat"]).success();
    assert_eq!(user.run(["volume", "mount", "data"]).success(), place);
    assert!(std::path::Path::new(place.trim_end()).is_dir());
    assert_eq!(
        user.run(["inspect", "--type", "volume", "-f", "{{.Name}} {{.Labels.of}}", "data"]).success(),
        "data web\n"
    );
    assert_eq!(user.run(["volume", "exists", "data"]).code(), Some(0));
    assert_eq!(user.run(["volume", "exists", "dat"]).code(), Some(1));
    let missing = user.run(["volume", "inspect", "none"]);
    assert!(missing.code() == Some(1) && missing.stderr.contains("no such volume: none"), "{missing:?}");
    assert_eq!(user.run(["volume", "rm", "data"]).success(), "data\n");
    user.run(["volume", "rm", "data"]).unable(&["no such volume: data", "enter volume ls"]);
    user.run(["volume", "rm", "--force", "data"]).success();
    for name in ["-x", "a/b", "", "..", "ä"] {
        user.run(["volume", "create", "--", name]).unable(&["cannot be a volume's name"]);
    }
    user.run(["volume", "create", "--opt", "type=nfs", "x"]).unable(&["type=nfs", "only root"]);
    user.run(["volume", "create", "--opt", "o=size=1g", "x"]).unable(&["o=size", "type=tmpfs"]);
    assert_eq!(names(&user), [anonymous.trim_end()]);
}

fn a_new_volume_gets_what_the_image_has(user: &User) {
    let image = "stat -c '%n %a' /etc; ls -A /etc | head -n 3; cat /etc/passwd | head -n 1";
    let was = inside(user, &[], image).replace("/etc", "/x");
    assert_eq!(inside(user, &["-v", "data:/etc"], "cat /etc/resolv.conf >/dev/null && echo there"), "there");
    assert_eq!(
        inside(user, &["-v", "data:/x"], "ls -A /x | head -n 3 >/dev/null; cat /x/passwd | head -n 1"),
        was.lines().last().unwrap()
    );
    // Once: what was deleted stays so, and what is in it stays as it is.
    inside(user, &["-v", "data:/etc"], "rm -r /etc/passwd; echo mine >/etc/own");
    assert_eq!(inside(user, &["-v", "data:/etc"], "cat /etc/own; test -e /etc/passwd || echo gone"), "mine\ngone");
    assert_eq!(inside(user, &["-v", "bare:/etc:nocopy"], "ls -A /etc").lines().count(), 3, "names alone");
    assert_eq!(inside(user, &["--mount", "source=empty,target=/etc/network,volume-nocopy"], "ls -A /etc/network"), "");
    // Through a mount that can only be read, too, and of what another mount hides.
    let folder = user.home().join("folder");
    std::fs::create_dir_all(folder.join("apt")).unwrap();
    let over = format!("{}:/etc", folder.display());
    assert_eq!(inside(user, &["-v", "below:/etc/network:ro", "-v", &over], "ls /etc"), "apt\nnetwork");
}

fn volumes_without_a_name_go_with_their_container(user: &User) {
    inside(user, &["-v", "/a", "--mount", "type=volume,target=/b"], "echo x >/a/x; mkdir /b/y; chmod 0 /b/y");
    assert_eq!(names(user), [""; 0]);
    // The server may hear of init's end before the monitor has taken the container off the list, and must not count it as a user.
    let mut many: Vec<_> = (0..12)
        .map(|_| user.enter(["run", "--rm", "-v", "/a", "-v", "/b", "-v", "/c", "busybox", "true"]).spawn().unwrap())
        .collect();
    assert!(many.iter_mut().all(|one| one.wait().unwrap().success()));
    assert_eq!(names(user), [""; 0]);
    let id = user.run(["create", "-v", "/a", "-v", "kept:/b", "busybox", "true"]).success();
    assert_eq!(names(user).len(), 2);
    user.run(["rm", id.trim_end()]).success();
    assert_eq!(names(user).len(), 2, "docker keeps them without -v");
    assert_eq!(user.run(["volume", "prune", "--force"]).success().lines().count(), 4);
    assert_eq!(names(user), ["kept"]);
    let id = user.run(["create", "-v", "/a", "-v", "kept:/b", "busybox", "true"]).success();
    user.run(["rm", "-v", id.trim_end()]).success();
    assert_eq!(names(user), ["kept"]);
    // A container that cannot be made leaves none.
    user.run(["create", "--name", "one", "busybox"]).success();
    user.run(["create", "--name", "one", "-v", "/a", "busybox"]).refused(&["already in use"]);
    user.run(["run", "--rm", "-v", "/a", "busybox", "/no/such/program"]);
    assert_eq!(names(user), ["kept"]);
    assert_eq!(
        user.run(["volume", "prune", "--all", "--force"]).success(),
        "Deleted Volumes:\nkept\n\nTotal reclaimed space: 0B\n"
    );
}

fn a_chain_of_containers_shares_volumes_also_when_the_first_is_gone(user: &User) {
    user.run(["run", "--name", "first", "-v", "/data", "busybox", "sh", "-c", "echo content >/data/file"]).success();
    user.run(["run", "--name", "second", "--volumes-from", "first", "busybox", "sh", "-c", "echo more >>/data/file"])
        .success();
    user.run(["rm", "-v", "first"]).success();
    user.run(["create", "--name", "third", "--volumes-from", "second:ro", "-v", "own:/own", "busybox", "true"])
        .success();
    let read = inside(
        user,
        &["--volumes-from", "third"],
        "cat /data/file; touch /data/x 2>/dev/null || echo no; touch /own/x",
    );
    assert_eq!(read, "content\nmore\nno");
    // What is asked for by itself comes first.
    assert_eq!(inside(user, &["--volumes-from", "second", "-v", "own:/data"], "ls /data"), "x");
    user.run(["rm", "-v", "second", "third"]).success();
    assert_eq!(names(user), ["own"]);
    user.run(["run", "--volumes-from", "second", "busybox"]).refused(&["no such container: second"]);
}

#[test]
fn what_a_container_uses_stays() {
    let user = User::new();
    user.run(["create", "--name", "web", "-v", "data:/srv", "busybox", "true"]).success();
    user.run(["volume", "rm", "data"]).unable(&["volume data is used by web", "enter rm web"]);
    assert!(user.run(["volume", "prune", "-a", "-f"]).success().starts_with("Total"));
    assert_eq!(
        user.run(["ps", "-a", "--filter", "volume=data", "--format", "{{.Names}} {{.Mounts}} {{.LocalVolumes}}"])
            .success(),
        "web data 1\n"
    );
    let mounts = "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}} {{.Driver}}{{end}}";
    assert_eq!(user.run(["inspect", "-f", mounts, "web"]).success(), "volume data /srv true local\n");
    assert_eq!(user.run(["inspect", "-f", "{{.HostConfig.Binds}}", "web"]).success(), "[data:/srv]\n");
    assert_eq!(user.run(["volume", "ls", "-q", "--filter", "dangling=false"]).success(), "data\n");
    let df = user.run(["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}"]).success();
    assert!(df.contains("Local Volumes 1 1\n"), "{df}");
    user.run(["volume", "rm", "--force", "data"]).success();
    assert_eq!(user.run(["ps", "-aq"]).success(), "");
    // Gone by another way: it is told when the container is started.
    user.run(["create", "--name", "web", "-v", "data:/srv", "busybox", "true"]).success();
    std::fs::remove_dir_all(user.store().join("volumes/data")).unwrap();
    user.run(["start", "web"]).unable(&["cannot mount the volume data: it is gone", "enter volume create data"]);
}

fn a_view_can_be_written_and_changes_nothing(user: &User) {
    let folder = user.home().join("a,b:c");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("file"), "old\n").unwrap();
    let link = user.home().join("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let flag = format!("{}:/x:O", link.display());
    let script = "cat /x/file; echo new >/x/file; rm -f /x/none; mkdir /x/d; cat /x/file";
    for _ in 0..2 {
        assert_eq!(inside(user, &["-v", &flag], script), "old\nnew");
    }
    assert_eq!(std::fs::read_to_string(folder.join("file")).unwrap(), "old\n");
    assert!(!folder.join("d").exists());
    inside(user, &["-v", "data:/x"], "echo kept >/x/file");
    assert_eq!(inside(user, &["-v", "data:/x:O"], "echo new >/x/file; cat /x/file"), "new");
    assert_eq!(inside(user, &["-v", "data:/x"], "cat /x/file"), "kept");
    let file = format!("{}:/x:O", folder.join("file").to_str().unwrap().replace("a,b:c", "other"));
    std::fs::write(user.home().join("other"), "").unwrap();
    user.run(["run", "-v", &file.replace("other/file", "other"), "busybox"]).refused(&["it is no folder"]);
}

fn another_image_is_shown(user: &User) {
    let image = "type=image,source=debian,target=/deb";
    let script = "test -e /deb/etc/debian_version && echo there; touch /deb/x 2>/dev/null || echo no";
    assert_eq!(inside(user, &["--mount", image], script), "there\nno");
    let both = [
        "--mount",
        "type=image,source=debian,target=/deb/a,subpath=etc/apt",
        "--mount",
        "type=image,src=debian,dst=/b,rw=true",
    ];
    assert_eq!(inside(user, &both, "ls /deb/a | grep -cx sources.list; touch /b/x && ls /b/x"), "1\n/b/x");
    user.run(["create", "--name", "user", "--mount", image, "busybox", "true"]).success();
    let refused = user.run(["rmi", "debian"]);
    assert!(refused.code() == Some(1) && refused.stderr.contains("using its referenced image"), "{refused:?}");
    assert_eq!(user.run(["start", "-a", "user"]).code(), Some(0));
}

fn deeper_places_are_mounted_later_whatever_the_order_of_flags(user: &User) {
    let folder = user.home().join("outer");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("one"), "1\n").unwrap();
    let outer = format!("{}:/a", folder.display());
    let file = format!("{}/one:/a/v/file", folder.display());
    let flags = ["-v", file.as_str(), "--tmpfs", "/a/v/t", "-v", "inner:/a/v", "-v", "/a/v/anon", "-v", &outer];
    assert_eq!(
        inside(user, &flags, "cat /a/v/file; touch /a/v/t/x /a/v/anon/y; ls /a /a/v"),
        "1\n/a:\none\nsub\nv\n\n/a/v:\nanon\nfile\nt"
    );
    assert_eq!(inside(user, &["-v", "inner:/x"], "ls /x /x/t"), "/x:\nanon\nfile\nt\n\n/x/t:");
}

#[test]
fn sources_are_folders_here_files_or_patterns() {
    let user = User::new();
    let home = user.home();
    for name in ["here", "p/a1", "p/a2", "p/b"] {
        std::fs::create_dir_all(home.join(name)).unwrap();
        std::fs::write(home.join(name).join("file"), format!("{name}\n")).unwrap();
    }
    assert_eq!(
        inside(&user, &["-v", "./here:/x", "-v", "./here/file:/etc/one:ro"], "cat /x/file /etc/one"),
        "here\nhere"
    );
    assert_eq!(inside(&user, &["-v", "here:/x"], "ls /x"), "", "a name alone is a volume's");
    let glob = format!("type=glob,source={}/p/a*,target=/g,ro", home.display());
    assert_eq!(
        inside(&user, &["--mount", &glob], "ls /g; cat /g/a2/file; touch /g/a1/x 2>/dev/null || echo no"),
        "a1\na2\np/a2\nno"
    );
    let none = format!("type=glob,source={}/p/z*,target=/g", home.display());
    user.run(["run", "--mount", &none, "busybox"]).refused(&["nothing on this machine fits"]);
    user.run(["run", "-v", "./nowhere:/x", "busybox"]).refused(&["nowhere", "it does not exist", "make it first"]);
    assert!(user.run(["ps", "-aq"]).success().is_empty(), "a container was made");
    let made = format!("type=bind,source={}/made/deep,target=/x,create", home.display());
    inside(&user, &["--mount", &made], "touch /x/file");
    assert!(home.join("made/deep/file").exists());
    user.run(["create", "--name", "late", "-v", "./here:/x", "busybox", "true"]).success();
    std::fs::remove_dir_all(home.join("here")).unwrap();
    user.run(["start", "late"]).unable(&["here", "it does not exist"]);
    user.run(["run", "-v", "a:/x", "-v", "b:/x/", "busybox"]).refused(&["two things cannot be mounted at /x"]);
}

#[test]
fn a_part_of_a_volume_leads_nowhere_else() {
    let user = User::new();
    inside(
        &user,
        &["-v", "data:/x"],
        "mkdir -p /x/a/b; echo part >/x/a/b/file; ln -s /etc /x/etc; ln -s ../../../../../etc /x/up; ln -s a /x/link",
    );
    let part = |path: &str| format!("source=data,target=/p,volume-subpath={path}");
    assert_eq!(inside(&user, &["--mount", &part("a/b")], "cat /p/file"), "part");
    assert_eq!(inside(&user, &["--mount", &part("link/b/file")], "cat /p"), "part");
    for path in ["etc", "up", "none"] {
        let outcome = user.run(["run", "--rm", "--mount", &part(path), "busybox", "ls", "/p"]);
        assert_eq!(outcome.code(), Some(125), "{path}: {outcome:?}");
    }
}

#[test]
fn a_volume_travels_as_an_archive() {
    let user = User::new();
    inside(
        &user,
        &["-v", "from:/x"],
        "echo content >/x/file; chown 5:6 /x/file; ln -s file /x/link; mkdir -m 700 /x/d; chown 7 /x/d",
    );
    let tar = user.run(["volume", "export", "from"]).stdout;
    user.run(["volume", "create", "to"]).success();
    let outcome = user.run_with_input(["volume", "import", "to", "-"], &tar);
    assert!(outcome.status.success(), "{outcome:?}");
    let list = "cd /x; stat -c '%n %u:%g %a' * | sed 's/^link .*/link/'; cat link";
    let (from, to) = (inside(&user, &["-v", "from:/x"], list), inside(&user, &["-v", "to:/x"], list));
    assert_eq!((from.as_str(), from.as_str()), (to.as_str(), "d 7:0 700\nfile 5:6 644\nlink\ncontent"));
    user.run_with_input(["volume", "import", "to"], b"no archive at all").unable(&[]);
    let path = user.home().join("out.tar");
    user.run(["volume", "export", "--output", path.to_str().unwrap(), "from"]).success();
    user.run(["volume", "import", "to", path.to_str().unwrap()]).success();
}

#[test]
fn a_volume_that_is_a_folder_of_ones_own() {
    let user = User::new();
    let folder = user.home().join("mine");
    std::fs::create_dir(&folder).unwrap();
    let device = format!("device={}", folder.display());
    user.run(["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "mine"]).success();
    inside(&user, &["-v", "mine:/x"], "touch /x/file");
    assert!(folder.join("file").exists());
    user.run(["volume", "rm", "mine"]).success();
    assert!(folder.join("file").exists(), "the folder is the user's");
    let option = format!("type=volume,src=once,dst=/x,volume-opt={device},volume-opt=o=ro");
    assert_eq!(inside(&user, &["--mount", &option], "ls /x; touch /x/y 2>/dev/null || echo no"), "file\nno");
}

fn files_in_memory_are_as_they_were_asked_for(user: &User) {
    let looks = "stat -c '%u:%g %a' /t";
    assert_eq!(inside(user, &["--tmpfs", "/t:uid=33,gid=34,mode=750,nr_inodes=100,size=1m"], looks), "33:34 750");
    assert_eq!(inside(user, &["-u", "33:34", "--mount", "type=tmpfs,dst=/t,chown"], looks), "33:34 1777");
    let copied = "ls /etc | grep -c passwd; stat -c '%u:%g %a' /etc; touch /etc/x 2>/dev/null || echo no";
    assert_eq!(inside(user, &["--tmpfs", "/etc:tmpcopyup"], copied), "1\n0:0 755");
    assert_eq!(inside(user, &["--tmpfs", "/etc:tmpcopyup,ro,mode=711"], copied), "1\n0:0 711\nno");
    assert_eq!(inside(user, &["--tmpfs", "/etc/network"], "ls -A /etc/network"), "");
    let terminals = "type=devpts,target=/p,uid=5,gid=6,mode=600,max=3";
    let options = "awk '$2 == \"/p\" {print $4}' /proc/mounts | tr , '\\n' | grep -E '^(mode|max)'";
    assert_eq!(inside(user, &["--mount", terminals], options), "mode=600\nmax=3");
    // As docker's and podman's manuals have it.
    let memory = ["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1000", "memory"];
    user.run(memory).success();
    let kind = "awk '$2 == \"/t\" {print $3}' /proc/mounts; stat -c %u /t; ls /t; touch /t/x";
    for _ in 0..2 {
        assert_eq!(inside(user, &["-v", "memory:/t"], kind), "tmpfs\n1000");
    }
    user.run(["run", "-d", "--name", "one", "-v", "memory:/t", "busybox", "sleep", "1000"]).success();
    user.run(["run", "--rm", "-v", "memory:/t", "busybox", "true"])
        .refused(&["in the memory of one", "enter stop one"]);
    for verb in ["export", "import"] {
        let failed = user.run(["volume", verb, "memory", "-"].into_iter().take(if verb == "export" { 3 } else { 4 }));
        assert!(failed.stderr.contains("its files are in memory") && failed.code() == Some(1), "{failed:?}");
    }
    user.run(["volume", "create", "-o", "o=uid=5,gid=6", "owned"]).success();
    assert_eq!(inside(user, &["-v", "owned:/t"], looks), "5:6 755");
    assert_eq!(inside(user, &["-v", "owned:/etc"], "stat -c %u /etc /etc/passwd"), "5\n0");
}

#[test]
fn a_file_is_not_shown_in_the_place_of_a_folder_nor_the_other_way_round() {
    let user = User::new();
    std::fs::create_dir(user.home().join("folder")).unwrap();
    std::fs::write(user.home().join("file"), "").unwrap();
    user.run(["run", "--rm", "-v", "./file:/etc", "busybox"]).refused(&[
        "/etc",
        "is a directory",
        "in the place of a folder",
    ]);
    user.run(["run", "--rm", "-v", "./folder:/etc/passwd", "busybox"]).refused(&[
        "/etc/passwd",
        "not a directory",
        "in that of a file",
    ]);
}

fn what_a_container_that_does_not_run_mounts_can_be_copied(user: &User) {
    user.run(["create", "--name", "box", "-v", "data:/x", "busybox", "true"]).success();
    std::fs::write(user.home().join("file"), "copied\n").unwrap();
    user.run(["cp", "file", "box:/x/file"]).success();
    assert_eq!(inside(user, &["-v", "data:/x"], "cat /x/file"), "copied");
    user.run(["cp", "box:/x/file", "back"]).success();
    assert_eq!(std::fs::read_to_string(user.home().join("back")).unwrap(), "copied\n");
}

#[test]
fn what_an_image_wants_to_be_a_volume() {
    let user = User::new();
    let made = user.run(["create", "--name", "box", "busybox", "true"]);
    made.success();
    user.run(["commit", "--change", "VOLUME /var/keep", "--change", "VOLUME /etc", "box", "wants"]).success();
    let run = |flags: &[&str], script: &str| {
        let args = ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["wants", "sh", "-ec", script]);
        user.run(args).success().trim_end().to_owned()
    };
    let kind = "awk '$2 == \"/var/keep\" {print $3}' /proc/mounts; head -n 1 /etc/passwd | cut -d: -f1";
    assert_eq!(run(&["--image-volume", "tmpfs"], "awk '$2 == \"/var/keep\" {print $3}' /proc/mounts"), "tmpfs");
    assert_eq!(run(&["--image-volume", "ignore"], kind), "root");
    assert!(run(&[], kind).ends_with("\nroot"), "no volume, or an empty one");
    assert_eq!(run(&["-v", "named:/var/keep"], "touch /var/keep/x"), "");
    assert_eq!(names(&user), ["named"]);
    let id = user.run(["create", "wants", "true"]).success();
    assert_eq!(names(&user).len(), 3);
    user.run(["rm", "-v", id.trim_end()]).success();
    assert_eq!(names(&user), ["named"]);
}

#[test]
fn what_would_give_away_a_home_is_refused() {
    let user = User::new();
    let home = user.home().display().to_string();
    user.run(["run", "-v", &format!("{home}:/x:U"), "busybox"]).refused(&["given to the container's user"]);
    user.run(["run", "-v", "/:/x:U", "busybox"]).refused(&["given to the container's user"]);
}

on_both_drivers!(
    a_new_volume_gets_what_the_image_has,
    volumes_without_a_name_go_with_their_container,
    a_chain_of_containers_shares_volumes_also_when_the_first_is_gone,
    a_view_can_be_written_and_changes_nothing,
    another_image_is_shown,
    deeper_places_are_mounted_later_whatever_the_order_of_flags,
    what_a_container_that_does_not_run_mounts_can_be_copied,
    files_in_memory_are_as_they_were_asked_for,
);
