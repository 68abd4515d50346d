//! The completions, asked of the shells that they are for.

use std::path::{Path, PathBuf};
use std::process::Command;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(name)
}

/// Runs a shell in which `enter` is the program under test, for a user who has nothing; returns the lines that it wrote.
fn lines(shell: &str, args: &[&str]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_enter")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(shell);
    command.args(args).env_clear().env("PATH", path).env("HOME", home.path()).env("LC_ALL", "C.UTF-8");
    let output = command.current_dir("/").output().unwrap_or_else(|error| panic!("cannot run {shell}: {error}"));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell}");
    String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
}

/// What bash would offer for the last word of `line`, with its own idea of what a word is.
fn bash(line: &str) -> Vec<String> {
    let word = line.rsplit([' ', ':', '=']).next().unwrap();
    let ask = format!(
        "source '{}'; COMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}} COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:'\n\
         COMP_POINT=${{#COMP_LINE}}; compopt() {{ :; }}; _enter enter '{word}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script("enter.bash").display()
    );
    lines("bash", &["--norc", "--noprofile", "-c", &ask]).into_iter().filter(|line| !line.is_empty()).collect()
}

fn fish(line: &str) -> Vec<String> {
    let ask = format!("source '{}'; complete -C '{line}'", script("enter.fish").display());
    let words = lines("fish", &["--no-config", "-c", &ask]).into_iter();
    words.map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

/// What zsh's completion system would be given; that system itself runs only at a prompt.
fn zsh(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let ask = format!(
        "compdef() {{ :; }}; _files() {{ print -- FILES $@; }}; _describe() {{ print -rl -- ${{(P)3}}; }}\n\
         source '{}'; words=({}); CURRENT={}; PREFIX='{}'; _enter",
        script("_enter").display(),
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len(),
        words.last().unwrap()
    );
    lines("zsh", &["-f", "-c", &ask])
}

#[test]
fn subcommands_flags_and_values_are_offered_in_each_shell() {
    for (line, expected) in [
        ("enter complet", "completion"),
        ("enter hos", "host"),
        ("enter --stor", "--storage"),
        ("enter --storage ov", "overlay"),
        ("enter completion zs", "zsh"),
        ("enter help rmi", "rmi"),
    ] {
        assert_eq!(bash(line), [expected], "{line}");
        assert_eq!(fish(line), [expected], "{line}");
        let offered = zsh(line);
        assert_eq!(offered.len(), 1, "{line}: {offered:?}");
        assert_eq!(offered[0].split(':').next(), Some(expected), "{line}");
    }
}

#[test]
fn a_value_after_an_equals_sign_is_what_each_shell_can_insert() {
    assert_eq!(bash("enter --storage=ov"), ["overlay"]);
    assert_eq!(fish("enter --storage=ov"), ["--storage=overlay"]);
    assert_eq!(zsh("enter --storage=ov"), ["--storage=overlay:The kernel's overlayfs"]);
}

#[test]
fn files_are_completed_by_the_shell_itself() {
    assert_eq!(bash("enter -v /et"), ["/etc"]);
    assert_eq!(fish("enter -v /et"), ["/etc/"]);
    assert_eq!(zsh("enter -v /et"), ["FILES"]);
    assert_eq!(bash("enter debian ls /et"), ["/etc"]);
    assert_eq!(zsh("enter -w /et"), ["FILES -/"]);
}

#[test]
fn what_is_no_command_of_ours_is_offered_nothing() {
    assert_eq!(bash("enter nothing-like-this"), [""; 0]);
    assert_eq!(fish("enter nothing-like-this"), [""; 0]);
    assert_eq!(zsh("enter nothing-like-this"), [""; 0]);
}
