//! `enter`, typed inside: which container this is, and what it may.

use super::Call;
use crate::failure::Failure;
use crate::ui::table;
use plan::outward::Reply;

/// Tells it.
#[expect(clippy::needless_pass_by_value, reason = "all verbs are of one form")]
pub fn tell(call: Call<'_>) -> Result<Reply, Failure> {
    let record = &call.container.record;
    let is_box = record.spec.boxed.is_some();
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    let mine = if call.uid == nix::unistd::getuid().as_raw() { "" } else { "; you are another user here" };
    let lines = [
        (
            if is_box { "box" } else { "shell" },
            if is_box { record.name.clone() } else { "thrown away at its end".into() },
        ),
        ("image", record.spec.image.name.clone()),
        ("container", record.id.chars().take(12).collect()),
        ("belongs to", format!("{}{mine}", user.unwrap_or_else(|| nix::unistd::getuid().to_string()))),
    ];
    let allowed = &record.spec.outward;
    let programs = if allowed.programs.is_empty() { "nothing".into() } else { allowed.programs.join(", ") };
    let opens = if allowed.open { "addresses, and files that are there outside too" } else { "nothing" };
    let lines = lines.into_iter().chain([("host-exec runs", programs), ("xdg-open opens", opens.into())]);
    let lines: Vec<_> = lines.collect();
    let cells: Vec<Vec<&str>> = lines.iter().map(|(word, value)| vec![*word, value.as_str()]).collect();
    Ok(Reply::Done(table::layout(&cells) + "\n"))
}
