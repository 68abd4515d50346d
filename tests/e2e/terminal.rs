//! A person at a terminal: prompt, job control, window size, full-screen programs, and the line being cut.

use crate::support::{Terminal, User, wait_until};

/// A shell in `image`, at its first prompt. Texts that are waited for are torn in what is typed (`do''ne`), so that
/// the echo of the keys is not taken for the answer.
fn shell(user: &User, image: &str) -> Terminal {
    user.run(["pull", image]).success();
    let mut terminal = Terminal::start(&user.enter([image]));
    terminal.wait_for("$ ");
    terminal.line("echo rea''dy");
    terminal.wait_for("ready\r\n");
    terminal
}

#[test]
fn what_is_typed_before_the_prompt_is_not_lost() {
    let user = User::new();
    user.run(["pull", "debian"]).success();
    let mut terminal = Terminal::start(&user.enter(["debian"]));
    terminal.line("echo rea''dy");
    terminal.wait_for("ready\r\n");
}

#[test]
fn the_prompt_shows_the_image() {
    let user = User::new();
    let mut terminal = shell(&user, "debian");
    assert!(terminal.shown().contains("debian"), "{}", terminal.shown());
    terminal.line("exit 3");
    assert_eq!(terminal.wait().code(), Some(3));
}

#[test]
fn there_is_a_terminal_of_its_own_with_the_windows_size() {
    let user = User::new();
    let mut terminal = shell(&user, "busybox");
    terminal.line("tty; stty size; echo do''ne");
    let seen = terminal.wait_for("done\r\n");
    assert!(seen.contains("/dev/pts/0") && seen.contains("24 80"), "{seen}");
    terminal.line("sh -c 'trap \"stty size; exit\" WINCH; echo wai\"\"ting; while :; do sleep 0.1; done'");
    terminal.wait_for("waiting\r\n");
    terminal.resize(50, 132);
    terminal.wait_for("50 132\r\n");
}

#[test]
fn control_c_interrupts_the_command_and_not_the_shell() {
    let user = User::new();
    let mut terminal = shell(&user, "busybox");
    terminal.line("echo star''ted; sleep 1000");
    terminal.wait_for("started\r\n");
    // sleep must be in the foreground before the key can reach it.
    wait_until("sleep in the foreground", || terminal_has_sleep(&user).then_some(()));
    terminal.send("\x03");
    terminal.line("echo code $?");
    terminal.wait_for("code 130\r\n");
}

#[test]
fn control_z_stops_a_job_and_fg_goes_on_with_it() {
    let user = User::new();
    let mut terminal = shell(&user, "debian");
    terminal.line("sh -c 'echo star\"\"ted; read line; echo \"got $line\"'");
    terminal.wait_for("started\r\n");
    terminal.send("\x1a");
    terminal.wait_for("Stopped");
    terminal.line("jobs; fg");
    terminal.wait_for("Stopped");
    terminal.line("some words");
    terminal.wait_for("got some words\r\n");
}

#[test]
fn control_d_ends_the_shell() {
    let user = User::new();
    let mut terminal = shell(&user, "busybox");
    terminal.send("\x04");
    assert_eq!(terminal.wait().code(), Some(0));
}

#[test]
fn a_full_screen_program_fills_the_window_and_gives_it_back() {
    let user = User::new();
    let mut terminal = shell(&user, "debian");
    terminal.line("seq 1 1000 >/tmp/numbers; less /tmp/numbers");
    // 24 rows: 23 of text, and less's own line.
    terminal.wait_for("23\r\n");
    terminal.send("G");
    terminal.wait_for("1000\r\n");
    terminal.send("q");
    terminal.line("stty -a | grep -c ' echo '; echo do''ne");
    let seen = terminal.wait_for("done\r\n");
    assert!(seen.contains("1\r\n"), "the terminal echoes again: {seen}");
}

#[test]
fn the_users_terminal_is_as_it_was_afterwards() {
    let user = User::new();
    user.run(["pull", "busybox"]).success();
    let mut terminal = Terminal::start(&user.command("sh"));
    let enter = crate::support::user::ENTER;
    terminal.line(&format!("stty -g >~/before; {enter} busybox -- true; stty -g >~/after; echo do''ne"));
    terminal.wait_for("done\r\n");
    let read = |name: &str| std::fs::read_to_string(user.home().join(name)).expect("stty wrote its settings");
    assert_eq!(read("before"), read("after"));
}

#[test]
fn a_terminal_unknown_to_the_image_falls_back_to_one_that_it_knows() {
    let mut user = User::new();
    user.set("TERM", "a-terminal-of-tomorrow");
    let mut terminal = shell(&user, "debian");
    terminal.line("echo \"term is <$TERM>\"");
    terminal.wait_for("term is <xterm");
}

#[test]
fn hanging_up_ends_everything_that_was_started() {
    let user = User::new();
    let mut terminal = shell(&user, "busybox");
    // One in the foreground, one in the background, and one that has left its session and ignores the signal.
    terminal.line("(trap '' HUP TERM; exec setsid sleep 98765) & sleep 98765 & echo star''ted; sleep 98765");
    terminal.wait_for("started\r\n");
    wait_until("three sleeps", || (sleeps(&user, "98765") == 3).then_some(()));
    terminal.hang_up();
    wait_until("the end of the three sleeps", || (sleeps(&user, "98765") == 0).then_some(()));
    let status = terminal.wait();
    assert!(!status.success(), "{status}");
}

fn terminal_has_sleep(user: &User) -> bool {
    sleeps(user, "1000") == 1
}

/// How many processes `sleep ARGUMENT` of this user's home there are.
fn sleeps(user: &User, argument: &str) -> usize {
    let home = format!("HOME={}", user.home().display());
    let processes = std::fs::read_dir("/proc").expect("there is /proc").filter_map(|entry| entry.ok());
    processes
        .filter(|process| {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            command == [b"sleep\0", argument.as_bytes(), b"\0"].concat()
                && environment.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes())
        })
        .count()
}
