//! How each shell hands over what was typed, and takes what can follow. The scripts in `completions/` are the other end.

use super::{Answer, Candidate};
use crate::cli::CompletionShell;

/// The script that a shell is to read; the same text as in `completions/`.
pub fn script(shell: CompletionShell) -> &'static str {
    match shell {
        CompletionShell::Bash => include_str!("../../completions/enter.bash"),
        CompletionShell::Fish => include_str!("../../completions/enter.fish"),
        CompletionShell::Zsh => include_str!("../../completions/_enter"),
    }
}

/// The words of a question. bash asks with its line up to the cursor, since its own words are torn apart at every colon and
/// equals sign; the others ask with the words.
pub fn words(shell: CompletionShell, arguments: &[String]) -> Vec<String> {
    match (shell, arguments) {
        (CompletionShell::Bash, [line, ..]) => split(line),
        (CompletionShell::Bash, []) => Vec::new(),
        _ => arguments.to_vec(),
    }
}

/// The answer in the form that the script expects.
pub fn show(shell: CompletionShell, arguments: &[String], answer: &Answer) -> String {
    let candidates = match answer {
        Answer::Files => return ":files\n".into(),
        Answer::Directories => return ":directories\n".into(),
        Answer::Words(candidates) => candidates,
    };
    let torn = match (shell, arguments) {
        (CompletionShell::Bash, [line, breaks, ..]) => torn(line, breaks),
        _ => 0,
    };
    let line = |candidate: &Candidate| match shell {
        CompletionShell::Bash => candidate.value.get(torn..).unwrap_or_default().to_owned(),
        CompletionShell::Fish => format!("{}\t{}", candidate.value, candidate.help),
        CompletionShell::Zsh => {
            let value = candidate.value.replace('\\', r"\\").replace(':', r"\:");
            if candidate.help.is_empty() { value } else { format!("{value}:{}", candidate.help) }
        }
    };
    candidates.iter().map(|candidate| line(candidate) + "\n").collect()
}

/// How many bytes of the last word bash takes for words of their own, by `COMP_WORDBREAKS`, and so must not get back.
fn torn(line: &str, breaks: &str) -> usize {
    let words = split(line);
    let last = words.last().map(String::as_str).unwrap_or_default();
    last.rfind(|c: char| breaks.contains(c)).map_or(0, |at| at + last[at..].chars().next().map_or(0, char::len_utf8))
}

/// The words of a line as a shell sees them, quotes and backslashes taken off; the last is empty after a blank. Assignments
/// before the program's name are left out. An open quote ends with the line.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut in_word) = (Vec::new(), String::new(), false);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ' ' | '\t' | '\n' => {
                if in_word {
                    words.push(std::mem::take(&mut word));
                }
                in_word = false;
                continue;
            }
            '\\' => word.extend(characters.next()),
            '\'' => word.extend(characters.by_ref().take_while(|c| *c != '\'')),
            '"' => {
                while let Some(c) = characters.next().filter(|c| *c != '"') {
                    if c == '\\' { word.extend(characters.next()) } else { word.push(c) }
                }
            }
            c => word.push(c),
        }
        in_word = true;
    }
    words.push(word);
    let assignments = words.iter().take_while(|word| is_assignment(word)).count();
    words.split_off(assignments.min(words.len() - 1))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && name.starts_with(|c: char| !c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_bash_does_without_its_word_breaks() {
        assert_eq!(split("enter debian:12"), ["enter", "debian:12"]);
        assert_eq!(split("A=1 enter  "), ["enter", ""]);
        assert_eq!(split(r#"enter -e 'A=b c' "d\" e" f\ g"#), ["enter", "-e", "A=b c", "d\" e", "f g"]);
        assert_eq!(split("enter 'open qu"), ["enter", "open qu"]);
        assert_eq!(split(""), [""]);
    }

    #[test]
    fn bash_gets_back_only_what_follows_its_last_word_break() {
        let arguments = ["enter debian:1".to_owned(), " \t\n\"'><=;|&(:".to_owned()];
        let answer = Answer::Words(vec![Candidate { value: "debian:12".into(), help: "image".into() }]);
        assert_eq!(show(CompletionShell::Bash, &arguments, &answer), "12\n");
        assert_eq!(show(CompletionShell::Zsh, &arguments, &answer), "debian\\:12:image\n");
        assert_eq!(show(CompletionShell::Fish, &arguments, &answer), "debian:12\timage\n");
    }
}
