use enter::container::folder::Folder;
use enter::container::record::{ImageUse, Kind, Mount, Restart, Spec, State, Status};
use enter::network::publish::parse;
use jiff::Timestamp;

use super::*;

fn example() -> (tempfile::TempDir, Place, Folder) {
    let dir = tempfile::tempdir().unwrap();
    let place = Place {
        containers: Containers::below(dir.path()),
        networks: Networks::below(dir.path()),
        store: Store::open(dir.path()).unwrap(),
        volumes: Volumes::below(dir.path()),
        platform: Some(Platform::host()),
    };
    let spec = Spec {
        image: ImageUse { name: "debian".into(), id: format!("sha256:{}", "a".repeat(64)) },
        command: vec!["sleep".into(), "1000".into()],
        environment: vec!["PATH=/bin".into()],
        labels: [("com.example.a".to_owned(), "1".to_owned())].into(),
        restart: Restart::OnFailure { retries: 3 },
        ports: vec![parse("127.0.0.1:8080:80").unwrap()[0].port([0; 4].into())],
        mounts: vec![Mount { read_only: true, ..Mount::new(Kind::Bind("/src".into()), "/dst", "/src:/dst:ro") }],
        ..Spec::default()
    };
    let (folder, _) = place.containers.create(Containers::new_record(spec).unwrap(), Some("web")).unwrap();
    let state = State { status: Status::Running, pid: 4711, started: Some(Timestamp::UNIX_EPOCH), ..State::default() };
    state.write(folder.path()).unwrap();
    (dir, place, folder)
}

#[test]
fn scripts_find_what_they_ask_docker_for() {
    let (_dir, place, _alive) = example();
    let value = place.find("web", None, false).unwrap();
    let render = |text: &str| {
        let context = Context { nothing: &nothing, ..Context::of(&value) };
        Template::parse(text).unwrap().render_in(&context)
    };
    for (text, expected) in [
        ("{{.Name}} {{.State.Pid}} {{.State.Running}}", "/web 4711 true"),
        ("{{.State.StartedAt}} {{.State.FinishedAt}}", "1970-01-01T00:00:00Z 0001-01-01T00:00:00Z"),
        ("{{.Path}} {{.Args}} {{.Config.Cmd}} {{.Config.Entrypoint}}", "sleep [1000] [sleep 1000] []"),
        ("{{json .Config.Entrypoint}} {{.HostConfig.Init}}", "null <nil>"),
        ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "8080"),
        ("{{range $p, $b := .NetworkSettings.Ports}}{{$p}}={{(index $b 0).HostIp}}{{end}}", "80/tcp=127.0.0.1"),
        ("{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}} {{.Mode}} {{.RW}}{{end}}", "bind /src /dst ro false"),
        ("{{index .Config.Labels \"com.example.a\"}}{{index .Config.Labels \"none\"}}", "1"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}", "on-failure 3"),
        ("{{.HostConfig.Binds}} {{.HostConfig.NetworkMode}}", "[/src:/dst:ro] pasta"),
        ("{{slice .Id 0 12 | len}}", "12"),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
    assert!(render("{{.Nope}}").is_err());
    assert!(render("{{.State.Health.Status}}").is_err(), "there is no health check");
}

#[test]
fn the_json_has_dockers_order_and_indent() {
    let (_dir, place, _alive) = example();
    let text = json(vec![place.find("/web", Some(ObjectKind::Container), true).unwrap()], false);
    assert!(text.starts_with("[\n    {\n        \"Id\": \""), "{text}");
    assert!(text.ends_with("\n    }\n]\n"), "{text}");
    assert!(text.contains("\"SizeRw\": 0"), "{text}");
    assert!(!text.contains("\"Health\"") && !text.contains("\"Tmpfs\""), "{text}");
    let order =
        ["\"Id\"", "\"Created\"", "\"Path\"", "\"State\"", "\"HostConfig\"", "\"Mounts\"", "\"NetworkSettings\""];
    let at: Vec<_> = order.iter().map(|key| text.find(key)).collect();
    assert!(at.is_sorted() && at.iter().all(Option::is_some), "{at:?}");
    assert_eq!(json(Vec::new(), false), "[]\n");
}

#[test]
fn what_is_not_there_is_named_by_its_kind() {
    let (_dir, place, _alive) = example();
    let told = |name: &str, kind| place.find(name, kind, false).unwrap_err().chain().join(" / ");
    assert_eq!(told("nope", None), "no such object: nope");
    assert_eq!(told("nope", Some(ObjectKind::Container)), "no such container: nope");
    assert_eq!(told("web", Some(ObjectKind::Image)), "no such image: web");
    assert_eq!(told("web", Some(ObjectKind::Network)), "no such network: web");
}
