//! Plans, made without privileges: what a caller gets for what he asked.

use std::ffi::OsString;

use super::*;
use crate::container::record::Home;
use request::{Reach, Volume};

fn caller(home: &Path) -> Caller {
    Caller {
        uid: 1000,
        gid: 100,
        name: "dana".into(),
        group: "users".into(),
        gecos: "Dana".into(),
        home: home.to_owned(),
        shell: "/bin/sh".into(),
        directory: Some(home.to_owned()),
        umask: 0o27,
    }
}

fn asked(command: &[&str]) -> Request<'static> {
    Request {
        source: Source::Host,
        user: None,
        command: command.iter().map(OsString::from).collect(),
        environment: vec![("EDITOR".into(), "vi".into())],
        home: Home::Share,
        project: None,
        volumes: Vec::new(),
        shares: crate::container::record::Shares {
            off: [crate::container::record::Switched::All].into(),
            ..Default::default()
        },
        directory: None,
        storage: Storage::Overlay,
        tools: false,
        reach: Reach::Nothing,
        networks: None,
        ports: Vec::new(),
        pasta: passt::Options::default(),
        hosts: Vec::new(),
        hostname: None,
        terminals: [false; 3],
        size: None,
    }
}

fn ranges() -> Maps {
    let subids = || vec![uidmap::Range::new(100_000, 65_536)];
    Maps::outer(1000, 100, &uidmap::SubIds { uids: subids(), gids: subids() }).unwrap()
}

fn planned(request: &Request<'_>, maps: Maps) -> Result<Plan, Error> {
    let home = tempfile::tempdir().unwrap();
    let place = Place { id: "a".repeat(64), folder: "/state/containers/a".into(), state: "/state".into() };
    plan(request, &caller(home.path()), maps, place, &mut |_| {})
}

fn refused(request: &Request<'_>) -> String {
    planned(request, ranges()).unwrap_err().to_string()
}

#[test]
fn the_caller_is_himself_inside() {
    let plan = planned(&asked(&["true"]), ranges()).unwrap();
    assert_eq!((plan.process.uid, plan.process.gid, plan.process.groups), (1000, 100, None));
    assert_eq!((plan.users.outer_uid(1000), plan.users.outer_gid(100)), (0, 0));
    assert_eq!((plan.users.outer_uid(0), plan.users.outer_uid(999), plan.users.outer_uid(1001)), (1, 1000, 1001));
    assert_eq!(plan.process.umask, 0o27);
    assert!(plan.process.environment.contains(&("EDITOR".into(), "vi".into())));
}

#[test]
fn root_is_a_subordinate_id_and_nobody_is_root_by_mistake() {
    let mut request = asked(&["true"]);
    request.user = Some("root".into());
    let plan = planned(&request, ranges()).unwrap();
    assert_eq!((plan.process.uid, plan.users.outer_uid(0)), (0, 1));
    request.user = Some("no-such-user".into());
    assert!(refused(&request).starts_with("cannot become the user `no-such-user`"));
}

#[test]
fn a_number_beyond_the_subordinate_ids_is_refused() {
    let mut request = asked(&["true"]);
    request.user = Some("70000".into());
    assert!(refused(&request).starts_with("cannot become the user 70000"));
}

#[test]
fn with_one_id_that_id_is_whoever_was_asked_for() {
    let mut request = asked(&["true"]);
    request.user = Some("root".into());
    let plan = planned(&request, Maps::single(1000, 100, 0, 0).unwrap()).unwrap();
    assert_eq!(plan.users.inner.uids.to_outside(0), Some(0));
    assert_eq!(plan.users.outer_uid(33), 0);
    let pretend = plan.process.pretend.unwrap();
    assert_eq!((pretend.uid, pretend.gid, pretend.groups), (0, 0, Some(vec![])));
    assert_eq!(planned(&request, ranges()).unwrap().process.pretend, None, "nobody is pretended where there are many");
}

#[test]
fn a_plan_survives_json() {
    let plan = planned(&asked(&["true"]), ranges()).unwrap();
    assert_eq!(Plan::from_json(plan.to_json().unwrap().as_bytes()).unwrap(), plan);
}

#[test]
fn no_terminal_without_two_ends_of_one() {
    let size = Some(plan::Rows { rows: 24, columns: 80 });
    let streams = |terminals: [bool; 3]| {
        let plan = planned(&Request { terminals, size, ..asked(&["true"]) }, ranges()).unwrap();
        (plan.process.terminal.is_some(), plan.process.streams)
    };
    assert_eq!(streams([true; 3]), (true, [Stream::Terminal; 3]));
    assert_eq!(streams([true, true, false]), (true, [Stream::Terminal, Stream::Terminal, Stream::Direct]));
    assert_eq!(streams([false, true, true]), (false, [Stream::Direct, Stream::Relay, Stream::Relay]));
    assert_eq!(streams([true, false, true]), (false, [Stream::Relay, Stream::Direct, Stream::Relay]));
}

#[test]
fn masks_come_after_everything_that_they_could_hide_in() {
    let plan = planned(&asked(&["true"]), ranges()).unwrap();
    let first_mask = plan.steps.iter().position(|step| matches!(step, Step::Mask { .. })).unwrap();
    let after = &plan.steps[first_mask..];
    assert!(after.iter().all(|step| matches!(step, Step::Mask { .. } | Step::ReadOnly { .. })));
}

#[test]
fn a_volume_must_exist_and_must_not_be_the_root() {
    let volume = |source: &str, target: &str| Volume { source: source.into(), target: target.into(), read_only: false };
    let with = |volume| Request { volumes: vec![volume], ..asked(&["true"]) };
    assert!(refused(&with(volume("/no/such", "/x"))).ends_with("it does not exist"));
    assert!(refused(&with(volume("/usr", "/"))).ends_with("the target is the root itself"));
    assert!(refused(&with(volume("/usr", "/x/../y"))).ends_with("the target has `..` in it"));
    let plan = planned(&with(volume("/usr", "/x")), ranges()).unwrap();
    assert!(
        plan.steps.iter().any(|step| matches!(step, Step::Bind { target, .. } if target.as_path() == Path::new("/x")))
    );
}

#[test]
fn the_state_is_hidden_from_a_view_of_this_machine() {
    let plan = planned(&asked(&["true"]), ranges()).unwrap();
    let Lower::Host { hidden, .. } = plan.root.lower else { panic!("not the host") };
    assert_eq!(hidden, [Text::from("/state")]);
}

#[test]
fn the_host_name_follows_the_image() {
    let mut request = asked(&["true"]);
    assert_eq!(planned(&request, ranges()).unwrap().hostname, "host");
    request.hostname = Some("a_b".into());
    assert!(refused(&request).starts_with("cannot name the host `a_b`"));
}
