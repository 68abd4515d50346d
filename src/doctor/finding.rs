//! What a check found, as data.

use std::error::Error;

use serde::{Deserialize, Serialize};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It works.
    Good,
    /// It does not work, and shells are less good for it.
    Less,
    /// It does not work, and without it there is no shell.
    Bad,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was tried, in a few words; always the same for one check.
    pub check: String,
    /// How it ended.
    pub state: State,
    /// What was found, or what is wrong.
    pub detail: String,
    /// The command or the step that mends it.
    pub mend: Option<String>,
}

impl Finding {
    /// It works.
    pub fn good(check: &str, detail: impl Into<String>) -> Finding {
        Finding { check: check.into(), state: State::Good, detail: detail.into(), mend: None }
    }

    /// It does not work, and shells are less good for it.
    pub fn less(check: &str, detail: impl Into<String>, mend: Option<String>) -> Finding {
        Finding { check: check.into(), state: State::Less, detail: detail.into(), mend }
    }

    /// It does not work, and without it there is no shell.
    pub fn bad(check: &str, detail: impl Into<String>, mend: Option<String>) -> Finding {
        Finding { check: check.into(), state: State::Bad, detail: detail.into(), mend }
    }
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether a shell can be opened.
    pub usable: bool,
    /// The kernel's release and architecture (uname(2)).
    pub kernel: String,
    /// The family of distributions that the mends are for.
    pub distribution: String,
    /// What was tried, in an order in which things can be mended.
    pub findings: Vec<Finding>,
}

impl Report {
    /// A report on this machine.
    pub fn new(findings: Vec<Finding>) -> Report {
        let uname = nix::sys::utsname::uname();
        let kernel = uname.map(|name| format!("{} {}", name.release().display(), name.machine().display()));
        Report {
            usable: findings.iter().all(|finding| finding.state != State::Bad),
            kernel: kernel.unwrap_or_default(),
            distribution: distro::Family::here().to_string(),
            findings,
        }
    }
}

/// An error and its causes, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Finding, Report, State, chain};

    #[test]
    fn only_what_is_bad_makes_a_machine_unusable() {
        let report = |findings| Report::new(findings).usable;
        let (good, less) = (Finding::good("a", ""), Finding::less("b", "", None));
        assert!(report(vec![good.clone(), less.clone()]));
        assert!(!report(vec![good, less, Finding::bad("c", "", None)]));
    }

    #[test]
    fn the_json_is_what_scripts_rely_on() {
        let finding = Finding::less("network", "no pasta", Some("install it".into()));
        let json = serde_json::to_value(&finding).unwrap();
        let expected = serde_json::json!({
            "check": "network", "state": "less", "detail": "no pasta", "mend": "install it"
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::to_value(State::Bad).unwrap(), "bad");
    }

    #[test]
    fn causes_follow_their_error_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the door")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(chain(&Outer(std::io::Error::other("no key"))), "cannot open the door: no key");
    }
}
