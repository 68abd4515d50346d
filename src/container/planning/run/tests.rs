//! What a start is planned as; without an image where none is needed.

use plan::{Copied, Filesystem, Network, Step};

use super::{confinement, files, identity};
use crate::container::planning::account::{Accounts, Identity};
use crate::container::planning::caller::Caller;
use crate::container::planning::view::fake::Files;
use crate::container::record::{Kind, Looks, Mount, Namespace, Spec, UserNamespace};
use crate::security::capabilities::{Capabilities, Capability};

fn caller() -> Caller {
    Caller {
        uid: 1000,
        gid: 100,
        name: "dana".into(),
        group: "users".into(),
        gecos: "Dana".into(),
        home: "/home/dana".into(),
        shell: "/bin/zsh".into(),
        directory: None,
        umask: 0o77,
    }
}

fn web() -> Identity {
    Identity { uid: 33, gid: 34, groups: None, name: None, home: "/srv".into(), shell: None }
}

fn accounts() -> Accounts {
    let passwd = "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\ndana:x:7:7::/d:/bin/sh\n";
    Accounts::read(&Files(
        [("/etc/passwd", passwd), ("/etc/group", "www:x:33:\nextra:x:44:web\ndocker:x:99:\n")].into(),
    ))
}

fn outer() -> uidmap::Maps {
    let subids = || vec![uidmap::Range::new(100_000, 65_536)];
    uidmap::Maps::outer(1000, 100, &uidmap::SubIds { uids: subids(), gids: subids() }).unwrap()
}

fn mapped(spec: &Spec) -> plan::Users {
    let identity = identity::identity(spec, &accounts(), &caller()).unwrap();
    identity::users(spec, &caller(), outer(), &identity).unwrap()
}

#[test]
fn root_of_a_container_is_the_user() {
    let users = mapped(&Spec::default());
    assert_eq!((users.outer_uid(0), users.outer_uid(33), users.outer_uid(65_536)), (0, 33, 65_536));
}

#[test]
fn only_a_privileged_payload_has_power_over_namespaces_and_over_all_where_ids_are_its_own() {
    use crate::container::record::UserNamespace;
    let power = |privileged, users| mapped(&Spec { privileged, users, ..Spec::default() }).power;
    let keep = || UserNamespace::KeepId { uid: None, gid: None };
    assert_eq!(power(false, UserNamespace::Root), plan::Power::Nothing);
    assert_eq!(power(true, UserNamespace::Root), plan::Power::All);
    assert_eq!(power(true, keep()), plan::Power::Mounts);
}

#[test]
fn nobody_is_the_caller_by_having_his_name_or_number() {
    let identity = |user: &str| {
        let spec = Spec { user: user.into(), ..Spec::default() };
        let identity = identity::identity(&spec, &accounts(), &caller()).unwrap();
        (identity.uid, identity.gid, identity.groups, identity.home.display().to_string())
    };
    assert_eq!(identity("dana"), (7, 7, Some(vec![]), "/d".into()));
    assert_eq!(identity("1000"), (1000, 0, Some(vec![]), "/".into()));
    assert_eq!(identity(""), (0, 0, Some(vec![]), "/root".into()));
    assert_eq!(identity("web"), (33, 33, Some(vec![44]), "/srv".into()));
    assert_eq!(identity("web:www"), (33, 33, Some(vec![]), "/srv".into()));
}

#[test]
fn groups_are_added_by_name_and_by_number_or_kept() {
    let groups = |groups: &[&str]| {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        identity::identity(&Spec { groups, ..Spec::default() }, &accounts(), &caller()).map(|identity| identity.groups)
    };
    assert_eq!(groups(&["docker", "5", "99"]).unwrap(), Some(vec![5, 99]));
    assert_eq!(groups(&["keep-groups"]).unwrap(), None);
    assert!(groups(&["no-such-group"]).is_err());
    assert!(groups(&["keep-groups", "5"]).is_err(), "the other group was left away without a word");
}

#[test]
fn who_keeps_his_id_is_himself() {
    let keep = |uid, gid| Spec { users: UserNamespace::KeepId { uid, gid }, ..Spec::default() };
    let identity = identity::identity(&keep(None, None), &accounts(), &caller()).unwrap();
    assert_eq!((identity.uid, identity.gid), (1000, 100));
    assert_eq!(mapped(&keep(None, None)).outer_uid(1000), 0);
    assert_eq!(mapped(&keep(Some(5), Some(6))).outer_uid(5), 0);
    assert_eq!(mapped(&keep(Some(5), Some(6))).outer_uid(0), 1);
    let steps = identity::account_files(&keep(Some(5), None), &accounts(), &caller(), &identity);
    assert!(steps.is_empty(), "5 is somebody else than who runs here");
}

#[test]
fn who_keeps_an_id_that_the_image_has_a_name_for_has_that_name_and_home() {
    let spec = Spec { users: UserNamespace::KeepId { uid: Some(33), gid: None }, ..Spec::default() };
    let identity = identity::identity(&spec, &accounts(), &caller()).unwrap();
    assert_eq!((identity.name.as_deref(), identity.home.to_str()), (Some("web"), Some("/srv")));
    let steps = identity::account_files(&spec, &accounts(), &caller(), &identity);
    assert!(!format!("{steps:?}").contains("/etc/passwd"), "{steps:?}");
}

#[test]
fn who_is_not_mapped_is_nobody_inside() {
    assert_eq!(mapped(&Spec { users: UserNamespace::NoMap, ..Spec::default() }).outer_uid(0), 1);
    let auto = Spec { users: UserNamespace::Auto { size: 100, start: 2000 }, ..Spec::default() };
    assert_eq!((mapped(&auto).outer_uid(0), mapped(&auto).outer_uid(99)), (2000, 2099));
    let out_of_reach = Spec { user: "100".into(), ..auto };
    let identity = identity::identity(&out_of_reach, &accounts(), &caller()).unwrap();
    assert!(identity::users(&out_of_reach, &caller(), outer(), &identity).is_err());
    let single = uidmap::Maps::single(1000, 100, 0, 0).unwrap();
    let nobody = Spec { users: UserNamespace::NoMap, ..Spec::default() };
    let identity = identity::identity(&nobody, &accounts(), &caller()).unwrap();
    assert!(identity::users(&nobody, &caller(), single, &identity).is_err());
}

#[test]
fn capabilities_are_added_and_dropped_as_docker_does() {
    let capabilities = |add: &[&str], drop: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut spec = Spec::default();
        (spec.hardening.cap_add, spec.hardening.cap_drop) = (names(add), names(drop));
        confinement::capabilities(&spec).unwrap()
    };
    let chown = Capabilities::of(&[Capability::CHOWN]);
    assert_eq!(capabilities(&[], &["ALL"]), Capabilities::NONE);
    assert_eq!(capabilities(&["CHOWN"], &["ALL"]), chown);
    assert_eq!(capabilities(&["ALL"], &["CAP_CHOWN"]), Capabilities::ALL.without(chown));
    assert!(!capabilities(&[], &["chown"]).has(Capability::CHOWN));
    assert!(capabilities(&["SYS_ADMIN"], &[]).has(Capability::SYS_ADMIN));
}

#[test]
fn what_is_asked_to_be_shown_is_not_masked() {
    let masks = |unmask: &[&str], privileged| {
        let mut spec = Spec { privileged, ..Spec::default() };
        spec.hardening.unmask = unmask.iter().map(|path| (*path).to_owned()).collect();
        spec.hardening.mask = vec!["/proc/version".into()];
        confinement::masks(&spec).len()
    };
    let all = masks(&[], false);
    assert_eq!(masks(&["/proc/kcore"], false), all - 1);
    assert_eq!((masks(&["ALL"], false), masks(&[], true)), (1, 1));
    assert!(masks(&["/proc/*"], false) < all - 5);
}

fn volumes() -> crate::volume::Volumes {
    crate::volume::Volumes::below(std::path::Path::new("/nonexistent"))
}

fn mount(kind: Kind, target: &str) -> Mount {
    Mount::new(kind, target, "")
}

#[test]
fn deeper_mounts_come_later_and_memory_below_what_is_shown_comes_after_it() {
    let tmpfs = || Kind::Tmpfs { size: None, mode: 0o1777 };
    let spec = Spec {
        mounts: vec![
            mount(tmpfs(), "/a/b/c"),
            mount(Kind::Bind("/usr".into()), "/a/b"),
            mount(tmpfs(), "/x"),
            mount(Kind::Bind("/usr".into()), "/a"),
        ],
        read_only: true,
        read_only_tmpfs: true,
        ..Spec::default()
    };
    let targets = |steps: Vec<Step>| -> Vec<String> {
        let target = |step: &Step| match step {
            Step::Mount { target, .. } | Step::Bind { target, .. } => target.as_path().display().to_string(),
            other => panic!("{other:?}"),
        };
        steps.iter().map(target).collect()
    };
    assert_eq!(targets(files::in_memory(&spec, &web())), ["/run", "/tmp", "/var/tmp", "/x"]);
    assert_eq!(targets(files::shown(&spec, &volumes(), &web()).unwrap()), ["/a", "/a/b", "/a/b/c"]);
}

#[test]
fn files_by_which_names_are_found_are_shown_where_a_mount_hides_them() {
    let parted = |mounts: Vec<Mount>| {
        let written = ["/etc/hosts", "/etc/resolv.conf", "/run/.containerenv"].map(|path| super::write(path, "x"));
        let (written, covering) = files::covering(&Spec { mounts, ..Spec::default() }, written.to_vec());
        let made = covering.iter().map(|step| matches!(step, Step::Cover { make: true, .. })).collect::<Vec<_>>();
        (written.len(), made)
    };
    let volume = || Kind::Volume("data".into());
    assert_eq!(parted(vec![mount(volume(), "/srv")]), (3, vec![]));
    assert_eq!(parted(vec![mount(volume(), "/etc")]), (1, vec![true, true]));
    // Nothing is made in a folder of the user's; and who gives a file himself has it.
    let own = vec![mount(Kind::Bind("/x".into()), "/etc"), mount(Kind::Bind("/y".into()), "/etc/hosts")];
    assert_eq!(parted(own), (1, vec![false]));
    assert_eq!(parted(vec![mount(Kind::Tmpfs { size: None, mode: 0o755 }, "/etc")]), (3, vec![]));
}

#[test]
fn a_volume_that_is_gone_is_told_before_anything_is_done() {
    let spec = Spec { mounts: vec![mount(Kind::Volume("data".into()), "/srv")], ..Spec::default() };
    let error = files::shown(&spec, &volumes(), &web()).unwrap_err();
    assert!(error.to_string().contains("cannot mount the volume data: it is gone"), "{error}");
    assert!(error.hint().unwrap().contains("enter volume create data"));
}

#[test]
fn what_is_shared_is_not_mounted_anew() {
    let bound = |spec: &Spec, network: &Network, path: &str| {
        let is = |step: &Step| matches!(step, Step::Bind { target, .. } if target.as_bytes() == path.as_bytes());
        files::furniture(spec, network).steps().iter().any(is)
    };
    let spec = Spec { pid: Namespace::Host, ipc: Namespace::Host, ..Spec::default() };
    assert!(bound(&spec, &Network::Host, "/proc") && bound(&spec, &Network::Host, "/sys"));
    assert!(!bound(&Spec::default(), &Network::None, "/proc") && !bound(&Spec::default(), &Network::None, "/sys"));
}

#[test]
fn devices_that_are_shown_can_be_used_and_this_machines_terminals_cannot() {
    let spec = |privileged| Spec {
        mounts: vec![mount(Kind::Bind("/dev".into()), "/dev"), mount(Kind::Bind("/usr".into()), "/mnt")],
        privileged,
        ..Spec::default()
    };
    let no_dev = |privileged| -> Vec<(String, bool)> {
        let restricted = |step: &Step| match step {
            Step::Mount { target, restrictions, .. } | Step::Bind { target, restrictions, .. } => {
                (target.as_path().display().to_string(), restrictions.no_dev)
            }
            other => panic!("{other:?}"),
        };
        files::shown(&spec(privileged), &volumes(), &web()).unwrap().iter().map(restricted).collect()
    };
    let with = |mnt| vec![("/dev".to_owned(), false), ("/dev/pts".to_owned(), false), ("/mnt".to_owned(), mnt)];
    // With --privileged, what is mounted can be mounted once more, read-only, as distrobox does.
    assert_eq!((no_dev(false), no_dev(true)), (with(true), with(false)));
}

#[test]
fn files_in_memory_are_whose_they_are_asked_to_be() {
    let planned = |give, looks| {
        let kind = Kind::Tmpfs { size: None, mode: 0o1777 };
        let mount = Mount { give, looks, ..Mount::new(kind, "/x", "") };
        let spec = Spec { mounts: vec![mount], ..Spec::default() };
        match &files::in_memory(&spec, &web())[..] {
            [Step::Mount { filesystem: Filesystem::Tmpfs { owner, copy, .. }, .. }] => (*owner, *copy),
            other => panic!("{other:?}"),
        }
    };
    let copied = Looks { copy_up: true, ..Looks::default() };
    assert_eq!(planned(false, Looks::default()), ((0, 0), Copied::Nothing));
    assert_eq!(planned(true, Looks::default()), ((33, 34), Copied::Nothing));
    assert_eq!(planned(true, Looks { uid: Some(5), ..copied }), ((5, 34), Copied::Files));
    assert_eq!(planned(false, copied), ((0, 0), Copied::All));
    assert_eq!(planned(false, Looks { mode: Some(0o700), ..copied }), ((0, 0), Copied::Files));
}
