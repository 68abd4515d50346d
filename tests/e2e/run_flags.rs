//! `enter run`: each flag once, by what it does inside.

use std::path::Path;

use crate::support::User;

/// What a script in busybox writes, run with these flags.
#[track_caller]
fn inside(user: &User, flags: &[&str], script: &str) -> String {
    let args = ["run", "--rm"].into_iter().chain(flags.iter().copied()).chain(["busybox", "sh", "-ec", script]);
    let outcome = user.run(args);
    assert!(outcome.status.success(), "{flags:?} {script}: {outcome:?}");
    outcome.success()
}

/// Asserts what a script writes, for each of several sets of flags.
#[track_caller]
fn each(cases: &[(&[&str], &str, &str)]) {
    each_of(&User::new(), cases);
}

#[track_caller]
fn each_of(user: &User, cases: &[(&[&str], &str, &str)]) {
    for (flags, script, expected) in cases {
        assert_eq!(inside(user, flags, script).trim_end(), *expected, "{flags:?} {script}");
    }
}

#[test]
fn the_command_and_its_entrypoint() {
    let user = User::new();
    let run = |flags: &[&str], command: &[&str]| {
        let args = ["run", "--rm"].iter().chain(flags).chain(&["busybox"]).chain(command).copied();
        user.run(args).success().trim_end().to_owned()
    };
    assert_eq!(run(&[], &["echo", "-n", "--rm"]), "--rm");
    assert_eq!(run(&["--entrypoint", "echo"], &["a", "b"]), "a b");
    assert_eq!(run(&["--entrypoint", r#"["echo", "a"]"#], &["b"]), "a b");
    assert_eq!(run(&["--entrypoint", ""], &["echo", "c"]), "c");
    assert_eq!(user.run(["run", "--rm", "busybox", "sh", "-c", "exit 7"]).code(), Some(7));
    assert_eq!(user.run(["run", "--rm", "busybox", "sh", "-c", "kill -9 $$; exit 3"]).code(), Some(3));
    assert_eq!(user.run(["run", "--rm", "--init", "busybox", "sh", "-c", "kill -9 $$"]).code(), Some(137));
    assert_eq!(user.run(["run", "--rm", "busybox", "no-such-command"]).code(), Some(127));
    assert_eq!(user.run(["run", "--rm", "busybox", "/etc"]).code(), Some(126));
}

#[test]
fn the_environment_is_dockers() {
    let mut user = User::new();
    user.set("MINE", "yes");
    user.set("HTTPS_PROXY", "http://proxy.example:1");
    user.set("ALL_PROXY", "http://me:secret@proxy.example:1");
    std::fs::write(user.home().join("vars"), "# comment\nFROM_FILE=1\nMINE\n").unwrap();
    let names = |flags: &[&str]| {
        let text = inside(&user, flags, "env");
        let mut names: Vec<String> = text.lines().map(|line| line.split('=').next().unwrap().to_owned()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(&[]), "HOME HOSTNAME HTTPS_PROXY PATH PWD SHLVL");
    assert_eq!(
        names(&["--http-proxy=false", "-e", "A=b", "-e", "MINE", "-e", "NOT_SET"]),
        "A HOME HOSTNAME MINE PATH PWD SHLVL"
    );
    assert_eq!(names(&["--http-proxy"]), "ALL_PROXY HOME HOSTNAME HTTPS_PROXY PATH PWD SHLVL");
    assert_eq!(names(&["--http-proxy=false", "--env-file", "vars"]), "FROM_FILE HOME HOSTNAME MINE PATH PWD SHLVL");
    assert!(names(&["--env-host"]).contains("XDG_DATA_HOME"));
    let outcome = |flags: &[&str], script| inside(&user, flags, script).trim_end().to_owned();
    assert_eq!(outcome(&["-e", "HOME=/x", "-e", "A=1=2"], "echo $HOME $A"), "/x 1=2");
}

#[test]
fn users_and_groups() {
    each(&[
        (&[], "id -u; id -g", "0\n0"),
        (&["-u", "7:8"], "id -u; id -g", "7\n8"),
        (&["-u", "nobody"], "id -un", "nobody"),
        (&["--group-add", "4321", "--group-add", "tty"], "id -G", "0 5 4321"),
        (&["-u", "1234"], "echo $HOME; pwd", "/\n/"),
        (&["--umask", "0077"], "umask", "0077"),
        (&[], "umask", "0022"),
        (&["-w", "/made/for/it"], "pwd; stat -c %u /made", "/made/for/it\n0"),
        (&["--init"], "cat /proc/1/comm", "init"),
        (&[], "cat /proc/1/comm; true", "sh"),
    ]);
}

#[test]
fn names_and_addresses() {
    each(&[
        (
            &["--hostname", "web", "--domainname", "example.org"],
            "hostname; cat /proc/sys/kernel/domainname",
            "web\nexample.org",
        ),
        (&["-h", "web"], "echo $HOSTNAME; tail -n 1 /etc/hosts | cut -f 2", "web\nweb"),
        (
            &["--add-host", "db:10.1.2.3", "--add-host", "six=[fd00::7]"],
            "grep -c -e 10.1.2.3.db -e fd00::7.six /etc/hosts",
            "2",
        ),
        (&["--no-hosts"], "cat /etc/hosts 2>/dev/null | wc -l", "0"),
        (
            &["--dns", "10.9.8.7", "--dns-search", "corp.example", "--dns-option", "ndots:3"],
            "cat /etc/resolv.conf",
            "nameserver 10.9.8.7\nsearch corp.example\noptions ndots:3",
        ),
        (&["--network", "none"], "ip -o link | wc -l; wc -c < /etc/resolv.conf", "1\n0"),
        (&["--network", "bridge"], "ip -o link | wc -l", "2"),
        (&["--timezone", "Europe/Berlin"], "date -d '2026-01-01 00:00' +%Z", "CET"),
    ]);
}

#[test]
fn the_hosts_own_namespaces() {
    let user = User::new();
    let host = |what: &str| std::fs::read_link(format!("/proc/self/ns/{what}")).unwrap().display().to_string();
    for (flag, value, kind) in [("--network", "host", "net"), ("--ipc", "host", "ipc"), ("--uts", "host", "uts")] {
        let script = format!("readlink /proc/self/ns/{kind}");
        assert_eq!(inside(&user, &[flag, value], &script).trim_end(), host(kind));
        assert_ne!(inside(&user, &[], &script).trim_end(), host(kind));
    }
    let me = std::process::id();
    assert_eq!(inside(&user, &["--pid", "host"], &format!("test -d /proc/{me} && echo seen")), "seen\n");
}

fn folders_files_and_memory(user: &User) {
    let folder = user.home().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("file"), "content\n").unwrap();
    let source = folder.display();
    let run = |flags: &[&str], script: &str| inside(user, flags, script).trim_end().to_owned();
    assert_eq!(run(&["-v", &format!("{source}:/a/b")], "cat /a/b/file; touch /a/b/new"), "content");
    assert!(folder.join("new").exists());
    assert_eq!(run(&["-v", &format!("{source}:/m:ro")], "touch /m/x 2>/dev/null || echo no"), "no");
    assert_eq!(run(&["-v", "./folder:/m"], "cat /m/file"), "content");
    assert_eq!(run(&["-v", "./folder/file:/etc/one"], "cat /etc/one"), "content");
    assert_eq!(
        run(&["--mount", &format!("type=bind,src={source},dst=/m,readonly")], "touch /m/x 2>/dev/null || echo no"),
        "no"
    );
    assert_eq!(run(&["-v", "/anonymous"], "test -d /anonymous && echo there"), "there");
    assert_eq!(
        run(&["--tmpfs", "/t:size=64k,mode=700"], "stat -c %a /t; df -k /t | tail -n 1 | awk '{print $2}'"),
        "700\n64"
    );
    assert_eq!(run(&["--tmpfs", "/t"], "cp /bin/busybox /t/echo; /t/echo x 2>/dev/null || echo no"), "no");
    assert_eq!(run(&["--tmpfs", "/t:exec"], "cp /bin/busybox /t/echo; /t/echo x"), "x");
    assert_eq!(run(&["--mount", "type=tmpfs,dst=/t,tmpfs-size=64k"], "df -k /t | tail -n 1 | awk '{print $2}'"), "64");
    assert_eq!(run(&["--shm-size", "1m"], "df -k /dev/shm | tail -n 1 | awk '{print $2}'"), "1024");
    assert_eq!(run(&[], "df -k /dev/shm | tail -n 1 | awk '{print $2}'"), "65536");
    assert_eq!(run(&["--ipc", "none"], "test -d /dev/shm || echo none"), "none");
    assert_eq!(run(&["--device", "/dev/zero:/dev/nothing"], "head -c 2 /dev/nothing | wc -c"), "2");
}

fn a_root_that_cannot_be_written(user: &User) {
    each_of(
        user,
        &[
            (&["--read-only"], "touch /x 2>/dev/null || echo no; touch /tmp/x /run/x /var/tmp/x; echo ok", "no\nok"),
            (&["--read-only", "--read-only-tmpfs=false"], "touch /tmp/x 2>/dev/null || echo no", "no"),
            (&["--read-only", "--tmpfs", "/x"], "touch /x/y; touch /dev/shm/y; echo ok", "ok"),
        ],
    );
}

#[test]
fn capabilities_and_other_confinement() {
    let sets = "grep -e CapEff -e CapBnd /proc/self/status | awk '{print $2}'";
    each(&[
        (&["--cap-drop", "ALL"], sets, "0000000000000000\n0000000000000000"),
        (&["--cap-drop", "all", "--cap-add", "CAP_CHOWN"], sets, "0000000000000001\n0000000000000001"),
        (&["--privileged"], "grep -e CapEff -e Seccomp: /proc/self/status | awk '{print $2}'", "000001ffffffffff\n0"),
        (&["-u", "1"], "grep CapEff /proc/self/status | awk '{print $2}'", "0000000000000000"),
        (&["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status | awk '{print $2}'", "1"),
        (&["--security-opt", "seccomp=unconfined"], "grep Seccomp: /proc/self/status | awk '{print $2}'", "0"),
        (&[], "grep Seccomp: /proc/self/status | awk '{print $2}'; wc -c < /proc/interrupts", "2\n0"),
        (&["--security-opt", "mask=/etc/passwd"], "wc -c < /etc/passwd", "0"),
        (&["--security-opt", "unmask=/proc/interrupts"], "head -c 1 /proc/interrupts | wc -c", "1"),
        (&["--security-opt", "systempaths=unconfined"], "mount | grep -c ' /proc/'  || true", "0"),
        (&["--security-opt", "label=disable", "--security-opt", "apparmor=unconfined"], "echo ok", "ok"),
        (&["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn", "100\n200"),
        (&["--ulimit", "core=0"], "ulimit -c", "0"),
        (&["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward", "1"),
        (&["--sysctl", "kernel.shmmax=1234"], "cat /proc/sys/kernel/shmmax", "1234"),
    ]);
}

fn whom_ids_are_outside(user: &User) {
    let owner = |flags: &[&str]| {
        let shared = user.home().join("shared");
        std::fs::create_dir_all(&shared).unwrap();
        crate::support::user::set_mode(&shared, 0o777);
        let volume = format!("{}:/shared", shared.display());
        let flags: Vec<&str> = flags.iter().copied().chain(["-v", &volume]).collect();
        let inside = inside(user, &flags, "id -u; touch /shared/file");
        let outside = std::os::unix::fs::MetadataExt::uid(&shared.join("file").metadata().unwrap());
        std::fs::remove_dir_all(&shared).unwrap();
        (inside.trim_end().to_owned(), outside)
    };
    let me = nix::unistd::getuid().as_raw();
    assert_eq!(owner(&[]), ("0".into(), me));
    assert_eq!(owner(&["--userns", "keep-id"]), (me.to_string(), me));
    assert_eq!(owner(&["--userns", "keep-id:uid=77,gid=78"]), ("77".into(), me));
    assert_ne!(owner(&["--userns", "nomap"]).1, me);
    let auto = owner(&["--userns", "auto:size=100"]);
    assert!(auto.0 == "0" && auto.1 != me, "{auto:?}");
    assert_eq!(inside(user, &["--userns", "auto:size=100"], "awk '{print $3}' /proc/self/uid_map"), "100\n");
}

#[test]
fn files_beside_the_container() {
    let user = User::new();
    let file = |name: &str| user.home().join(name);
    let id = user.run(["run", "-d", "--cidfile", "cid", "--pidfile", "pid", "busybox", "sleep", "100"]).success();
    assert_eq!(id.trim_end().len(), 64);
    assert_eq!(std::fs::read_to_string(file("cid")).unwrap(), id.trim_end());
    let pid = std::fs::read_to_string(file("pid")).unwrap();
    let command = std::fs::read_to_string(Path::new("/proc").join(pid.trim_end()).join("cmdline")).unwrap();
    assert_eq!(command, "sleep\x00100\x00");
    user.run(["run", "--cidfile", "cid", "busybox", "true"]).refused(&["cid", "exists"]);
    std::fs::write(file("labels"), "# comment\na=from file\nb=2\n").unwrap();
    user.run(["create", "--name", "labelled", "--label-file", "labels", "-l", "a=1", "-l", "c", "busybox"]).success();
    let labels = user.run(["inspect", "--format", "{{json .Config.Labels}}", "labelled"]).success();
    assert_eq!(labels, "{\"a\":\"1\",\"b\":\"2\",\"c\":\"\"}\n");
}

#[test]
fn streams_go_where_they_are_asked_for() {
    let user = User::new();
    let script = ["busybox", "sh", "-c", "cat; echo out; echo err >&2"];
    let run = |flags: &[&str]| {
        let args: Vec<&str> = ["run", "--rm"].iter().chain(flags).chain(&script).copied().collect();
        let outcome = user.run_with_input(&args, b"in\n");
        (outcome.text(), outcome.stderr.clone())
    };
    assert_eq!(run(&["-q"]), ("out\n".into(), "err\n".into()));
    assert_eq!(run(&["-i"]), ("in\nout\n".into(), "err\n".into()));
    assert_eq!(run(&["-a", "stderr"]), (String::new(), "err\n".into()));
    assert_eq!(run(&["-i", "-a", "stdin", "-a", "stdout"]), ("in\nout\n".into(), String::new()));
    let outcome = user.run(["run", "-it", "--rm", "busybox", "true"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), ""));
    assert!(outcome.stderr.contains("the input device is not a TTY"), "{}", outcome.stderr);
    assert_eq!(user.run(["run", "-t", "--rm", "busybox", "tty"]).success(), "/dev/pts/0\r\n");
}

#[test]
fn open_files_are_passed_on_only_if_asked() {
    let user = User::new();
    let mut shell = user.command("sh");
    let enter = crate::support::user::ENTER;
    shell.args(["-c", &format!("exec 3<vars; {enter} run --rm --preserve-fds 1 busybox sh -c 'cat <&3'")]);
    std::fs::write(user.home().join("vars"), "from three\n").unwrap();
    assert_eq!(crate::support::user::finish(shell, b"").success(), "from three\n");
}

#[test]
fn clients_show_devices_and_ask_for_a_terminal_as_well() {
    // distrobox: podman create -v /dev:/dev:rslave --ulimit host --mount type=devpts,destination=/dev/pts --userns keep-id
    each(&[
        (&["-v", "/dev:/dev:rslave", "-u", "42"], "echo x >/dev/null && echo written", "written"),
        (&["-t", "-v", "/dev:/dev"], "tty", "/dev/pts/0"),
        (&["--ulimit", "host", "--mount", "type=devpts,destination=/dev/pts"], "ls /dev/pts", "ptmx"),
        (
            &["--privileged", "--userns", "keep-id", "-u", "0", "-v", "/:/run/host:rslave"],
            "mkdir -p /mnt/x; mount -o bind /run/host/usr /mnt/x; mount -o remount,bind,ro /mnt/x; touch /mnt/x/y 2>/dev/null || echo kept",
            "kept",
        ),
    ]);
}

#[test]
fn a_file_that_is_made_with_the_callers_number_is_the_callers() {
    let user = User::new();
    let folder = user.home().join("made");
    std::fs::create_dir(&folder).unwrap();
    let own = std::fs::metadata(&folder).unwrap();
    let number = std::os::unix::fs::MetadataExt::uid(&own);
    let volume = format!("{}:/w", folder.display());
    let written = inside(&user, &["-v", &volume, "-w", "/w", "-u", &number.to_string()], "touch file; id -u");
    assert_eq!(written.trim_end(), number.to_string());
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder.join("file")).unwrap()), number);
}

on_both_drivers!(folders_files_and_memory, a_root_that_cannot_be_written, whom_ids_are_outside,);
