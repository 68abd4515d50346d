use super::super::record::Spec;
use super::*;

fn make(containers: &Containers, name: Option<&str>) -> Result<Container, Error> {
    let (folder, record) = containers.create(Containers::new_record(Spec::default())?, name)?;
    drop(folder);
    containers.find(&record.id)
}

#[test]
fn a_container_is_found_by_name_and_by_any_beginning_of_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let containers = Containers::below(dir.path());
    let made = make(&containers, Some("web")).unwrap();
    for word in ["web", "/web", &made.record.id, made.short_id(), &made.record.id[..40]] {
        assert_eq!(containers.find(word).unwrap().record.id, made.record.id, "{word}");
    }
    for word in ["we", "", "/", "../web", "zz"] {
        assert!(matches!(containers.find(word), Err(Error::NoSuchContainer(_))), "{word}");
    }
}

#[test]
fn a_damaged_state_neither_hides_the_others_nor_keeps_its_container() {
    let dir = tempfile::tempdir().unwrap();
    let containers = Containers::below(dir.path());
    make(&containers, Some("whole")).unwrap();
    let made = make(&containers, Some("torn")).unwrap();
    for damage in ["", "{\"status\": \"runn", "[[[["] {
        fs::write(made.folder.join(super::super::folder::name::STATE), damage).unwrap();
        assert_eq!(containers.all().unwrap().len(), 2);
        let found = containers.find("torn").unwrap();
        assert!(found.state.status == Status::Exited && found.state.error.contains("state.json"), "{found:?}");
    }
}

#[test]
fn names_are_unique_until_their_container_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let containers = Containers::below(dir.path());
    let made = make(&containers, Some("web")).unwrap();
    assert!(matches!(make(&containers, Some("web")), Err(Error::NameInUse { .. })));
    containers.rename(&made, "old").unwrap();
    make(&containers, Some("web")).unwrap();
    fs::remove_dir_all(containers.find("old").unwrap().folder).unwrap();
    make(&containers, Some("old")).unwrap();
}

#[test]
fn names_that_killed_commands_left_go() {
    let dir = tempfile::tempdir().unwrap();
    let containers = Containers::below(dir.path());
    let made = make(&containers, Some("web")).unwrap();
    let link = |name: &str, id: &str| std::os::unix::fs::symlink(id, containers.names().join(name)).unwrap();
    link("gone", &"0".repeat(64));
    link("renamed", &made.record.id);
    let left = || fs::read_dir(containers.names()).unwrap().count();
    containers.forget_nobody(3);
    assert_eq!(left(), 3);
    containers.forget_nobody(1);
    assert_eq!(left(), 1);
    assert!(containers.by_name("web").unwrap().is_some());
}

#[test]
fn a_damaged_record_hides_no_other_container_and_keeps_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let containers = Containers::below(dir.path());
    let (broken, whole) = (make(&containers, Some("web")).unwrap(), make(&containers, None).unwrap());
    fs::write(broken.folder.join(folder::name::RECORD), "{").unwrap();
    let all: Vec<String> = containers.all().unwrap().into_iter().map(|container| container.record.id).collect();
    assert!(all.contains(&broken.record.id) && all.contains(&whole.record.id));
    let found = containers.find(broken.short_id()).unwrap();
    assert!(found.state.error.contains("container.json"), "{}", found.state.error);
    make(&containers, Some("web")).unwrap();
}

#[test]
fn what_a_killed_run_left_of_a_throwaway_container_is_listed_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let containers = Containers::below(dir.path());
    let (folder, record) = containers.create(Containers::new_record(Spec::default()).unwrap(), None).unwrap();
    folder.mark_throwaway().unwrap();
    assert_eq!(containers.all().unwrap().len(), 1);
    drop(folder);
    assert!(containers.all().unwrap().is_empty());
    assert!(matches!(containers.find(&record.id), Err(Error::NoSuchContainer(_))));
}

#[test]
fn a_container_whose_lock_was_removed_can_be_taken_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let made = make(&Containers::below(dir.path()), None).unwrap();
    fs::remove_file(made.folder.join(folder::name::LOCK)).unwrap();
    assert!(Folder::take(&made.folder).unwrap().is_some());
}

#[test]
fn what_runs_by_its_state_but_is_not_locked_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let containers = Containers::below(dir.path());
    let made = make(&containers, None).unwrap();
    let state = State { status: Status::Running, started: Some(Timestamp::now()), ..State::default() };
    state.write(&made.folder).unwrap();
    let found = containers.find(&made.record.id).unwrap();
    assert_eq!((found.state.status, found.state.exit_code), (Status::Exited, KILLED));
    // Who takes the lock writes it down.
    let lock = Folder::take(&made.folder).unwrap().unwrap();
    assert_eq!(State::read(&made.folder).unwrap().unwrap().status, Status::Exited);
    state.write(&made.folder).unwrap();
    assert_eq!(containers.find(&made.record.id).unwrap().state.status, Status::Running);
    drop(lock);
}
