//! What the flags take, and what they refuse.

use std::time::Duration;

use enter::container::record::{Kind, Looks, NetworkMode, Restart, Rlimit, UserNamespace};
use proptest::prelude::*;

use super::*;

#[test]
fn bytes_have_dockers_units() {
    for (text, expected) in
        [("4096", 4096), ("64m", 64 << 20), ("1.5g", 3 << 29), ("10kb", 10240), ("1KiB", 1024), ("0", 0)]
    {
        assert_eq!(bytes(text), Ok(expected), "{text}");
    }
    for text in ["", "m", "-1", "1x", "1e3", "99999999999t", "1.2.3k"] {
        assert!(bytes(text).is_err(), "{text}");
    }
}

#[test]
fn times_are_gos() {
    for (text, milliseconds) in [("30s", 30_000), ("1m30s", 90_000), ("500ms", 500), ("0", 0), ("1.5h", 5_400_000)] {
        assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in ["", "s", "30", "-1s", "1d", "1.2.3s"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn signals_have_names_and_numbers() {
    for (text, expected) in
        [("term", "SIGTERM"), ("SIGKILL", "SIGKILL"), ("9", "9"), ("rtmin+3", "SIGRTMIN+3"), ("64", "64")]
    {
        assert_eq!(signal(text).as_deref(), Ok(expected), "{text}");
    }
    for text in ["", "0", "65", "NOPE", "RTMIN+99", "SIG"] {
        assert!(signal(text).is_err(), "{text}");
    }
}

#[test]
fn policies_and_modes() {
    assert_eq!(restart("on-failure:3"), Ok(Restart::OnFailure { retries: 3 }));
    assert!(restart("on-failure:-1").is_err() && restart("sometimes").is_err());
    assert_eq!(network("bridge"), Ok(Reached::Mode(NetworkMode::Pasta)));
    assert!(network("my/net").unwrap_err().contains("container:NAME"));
    assert_eq!(user_namespace("keep-id:uid=5,gid=6"), Ok(UserNamespace::KeepId { uid: Some(5), gid: Some(6) }));
    assert_eq!(user_namespace("auto:size=70"), Ok(UserNamespace::Auto { size: 70, start: 0 }));
    assert!(user_namespace("keep-id:x=1").is_err() && user_namespace("auto:size=x").is_err());
}

#[test]
fn volumes_are_read_as_docker_reads_them() {
    let Volume { mount, relabel, .. } = volume("./a:/b:ro,Z").unwrap();
    assert_eq!(
        (mount.kind, mount.target.as_str(), mount.read_only, relabel),
        (Kind::Bind("./a".into()), "/b", true, true)
    );
    assert_eq!(volume("/data").unwrap().mount.kind, Kind::Volume(String::new()));
    let named = volume("data:/b:nocopy,U").unwrap().mount;
    assert_eq!((named.kind, named.no_copy, named.give), (Kind::Volume("data".into()), true, true));
    assert!(volume("/a:/b:O,rprivate").is_ok_and(|volume| volume.mount.overlay && volume.mount.private));
    for (text, why) in [
        ("a/b:/b", "./a/b"),
        ("d@ta:/b", "volume's name"),
        ("/a:/b:copy", "volumes"),
        ("/a:/b:O,U", "exclude"),
        ("/a:/b:idmap", "root"),
        ("/a:/b:rshared", "cannot be had"),
        ("/a:/proc", "/proc"),
        ("data:/proc/sys/", "/proc"),
        (":/b", "empty"),
        ("/a:b", "slash"),
        ("/a:/b:rx", "rx"),
        ("/a:/", "root itself"),
        ("/a:/x/../y", ".."),
        ("a", "SOURCE:TARGET"),
        ("/a:/b:ro:z", "SOURCE:TARGET"),
    ] {
        assert!(volume(text).unwrap_err().contains(why), "{text}: {:?}", volume(text));
    }
}

#[test]
fn mounts_in_words() {
    // As distrobox has it of podman.
    assert_eq!(mount("type=devpts,destination=/dev/pts").unwrap().mount.kind, Kind::Devpts);
    assert!(mount("type=devpts,destination=/dev/pts,readonly").is_err());
    let one = mount("type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=700").unwrap().mount;
    assert_eq!(one.kind, Kind::Tmpfs { size: Some(1 << 20), mode: 0o700 });
    let size = |text: &str| match tmpfs(text).map(|mount| mount.kind) {
        Ok(Kind::Tmpfs { size, .. }) => size,
        _ => None,
    };
    let (half, all) = (size("/x:size=50%").unwrap(), size("/x:size=100%").unwrap());
    assert!(half > 0 && half.abs_diff(all / 2) <= 1 << 16, "{half} of {all}");
    for text in ["/x:size=0%", "/x:size=101%", "/x:size=%", "/x:size=-1%", "/x:size=5%%", "/x:size=1m%"] {
        assert!(tmpfs(text).is_err(), "{text}");
    }
    let kept = tmpfs("/x:uid=5,gid=6,nr_inodes=1k,tmpcopyup,U,ro").unwrap();
    let looks = Looks { uid: Some(5), gid: Some(6), mode: None, most: Some(1024), copy_up: true };
    assert_eq!((kept.looks, kept.give, kept.read_only), (looks, true, true));
    let terminals = mount("type=devpts,target=/dev/pts,uid=1,gid=2,mode=600,max=3").unwrap().mount.looks;
    assert_eq!(terminals, Looks { uid: Some(1), gid: Some(2), mode: Some(0o600), most: Some(3), copy_up: false });
    assert!(volume("/a:/b:runbindable").is_ok_and(|volume| volume.mount.private && volume.mount.unbindable));
    for text in ["/x:uid=-1", "/x:uid=4294967295", "/x:gid=root", "/x:nr_inodes=-3", "/x:mode=99999", "/x:ro=perhaps"] {
        assert!(tmpfs(text).is_err(), "{text}");
    }
    for key in ["max=0", "max=x", "uid=", "mode=9", "size=1"] {
        assert!(mount(&format!("type=devpts,target=/dev/pts,{key}")).is_err(), "{key}");
    }
    assert!(mount("type=bind,src=/a,target=/b,readonly").unwrap().mount.read_only);
    let kept =
        mount("source=data,dst=/x,volume-nocopy,volume-subpath=a//b/,volume-label=k=v,volume-opt=o=bind").unwrap();
    assert_eq!((kept.mount.kind, kept.mount.subpath.as_str()), (Kind::Volume("data".into()), "a/b"));
    assert!(kept.mount.no_copy && kept.labels["k"] == "v" && kept.options["o"] == "bind");
    assert_eq!(mount("dst=/x").unwrap().mount.kind, Kind::Volume(String::new()));
    let image = mount("type=image,source=debian,target=/x").unwrap().mount;
    assert!(image.read_only && matches!(image.kind, Kind::Image(used) if used.name == "debian"));
    assert!(!mount("type=image,source=debian,target=/x,rw=true").unwrap().mount.read_only);
    let all = mount("type=glob,source=/a/*").unwrap();
    assert!(all.glob && all.mount.target.is_empty());
    let comma = mount("type=bind,\"source=/a,b\",target=/x").unwrap().mount;
    assert_eq!(comma.kind, Kind::Bind("/a,b".into()));
    for text in [
        "type=bind,target=/x",
        "type=volume,src=a/b,dst=/x",
        "type=bind,src=/a",
        "type=bind,src=/a,dst=/x,what=1",
        "type=bind,src=/a,dst=/x,bind-propagation=shared",
        "type=volume,src=a,dst=/x,subpath=../b",
        "type=volume,src=a,dst=/x,volume-driver=nfs",
        "type=image,dst=/x",
        "type=ramfs,dst=/x",
        "type=tmpfs,dst=/proc",
        "type=bind,\"src=/a,dst=/x",
    ] {
        assert!(mount(text).is_err(), "{text}");
    }
}

#[test]
fn kernel_parameters_are_those_of_namespaces() {
    assert_eq!(sysctl("net/ipv4/ip_forward=1"), Ok(("net.ipv4.ip_forward".into(), "1".into())));
    for text in ["kernel.hostname=x", "vm.swappiness=1", "net..x=1", "net.x", "kernel.shmx=1"] {
        assert!(sysctl(text).is_err(), "{text}");
    }
}

#[test]
fn limits_have_names() {
    let set = |name: &str, soft, hard| Ok(Ulimit::Set(Rlimit { name: name.into(), soft, hard }));
    assert_eq!(ulimit("nofile=10:20"), set("nofile", 10, 20));
    assert_eq!(ulimit("core=-1"), set("core", u64::MAX, u64::MAX));
    // As distrobox has it of podman.
    assert_eq!(ulimit("host"), Ok(Ulimit::Host));
    for text in ["nofile", "nofile=", "nofile=20:10", "x=1", "nofile=1:2:3"] {
        assert!(ulimit(text).is_err(), "{text}");
    }
}

#[test]
fn devices_keep_the_permissions_that_they_have() {
    assert_eq!(device("/dev/fuse").unwrap().permissions, "rwm");
    assert_eq!(device("/dev/fuse:/dev/x:rw").unwrap().target.to_str(), Some("/dev/x"));
    for text in ["fuse", "/dev/fuse:r", "/dev/fuse:x", "/a:/b:c:d"] {
        assert!(device(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_no_panic(text in "\\PC{0,40}") {
        let _ = (bytes(&text), duration(&text), signal(&text), restart(&text), network(&text), user_namespace(&text));
        let _ = (volume(&text), mount(&text), tmpfs(&text), volumes_from(&text), device(&text), ulimit(&text), sysctl(&text), keys(&text));
        let _ = (extra_host(&text), exposed(&text), entrypoint(&text), umask(&text));
    }
}
