//! Many containers at once: none is lost, and none is taken for another.

use crate::support::User;

#[test]
fn twenty_containers_by_four_shells_are_all_there_and_each_is_itself() {
    let user = User::new();
    user.run(["pull", "busybox"]).success();
    std::thread::scope(|scope| {
        for shell in 0..4 {
            let user = &user;
            scope.spawn(move || {
                for number in 0..5 {
                    let (name, script) =
                        (format!("m{shell}-{number}"), format!("echo marker {shell} {number}; exec sleep 1000"));
                    user.run(["run", "-d", "--name", &name, "busybox", "sh", "-c", &script]).success();
                }
            });
        }
    });
    let mut names: Vec<String> =
        user.run(["ps", "--format", "{{.Names}}"]).success().lines().map(ToOwned::to_owned).collect();
    names.sort_unstable();
    let all: Vec<String> = (0..20).map(|number| format!("m{}-{}", number / 5, number % 5)).collect();
    assert_eq!(names, all);
    for name in &names {
        let marker = name[1..].replace('-', " ");
        assert_eq!(user.run(["logs", name]).success(), format!("marker {marker}\n"));
    }
    user.run(["rm", "-f"].iter().map(|word| (*word).to_owned()).chain(names)).success();
    assert_eq!(user.run(["ps", "-aq"]).success(), "");
}
