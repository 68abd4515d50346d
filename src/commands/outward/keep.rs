//! `enter keep [BOX]`, typed inside: the throwaway shell becomes a box, without being interrupted.

use plan::outward::Reply;

use super::Call;
use crate::cli::box_name;
use crate::commands::back;
use crate::failure::Failure;

/// Keeps the shell that is asked from.
#[expect(clippy::needless_pass_by_value, reason = "all verbs are of one form")]
pub fn run(call: Call<'_>) -> Result<Reply, Failure> {
    let own = call.container.record.name.clone();
    let name = match call.request.arguments.as_slice() {
        [] => own,
        [name] => {
            let typed = name.as_os_str().to_str().unwrap_or_default();
            let wrong = |why: String| Failure::new(format!("cannot keep this shell as `{typed}`: {why}"));
            box_name(typed).map_err(|why| wrong(why).with_hint("as in: enter keep work"))?
        }
        _ => return Err(Failure::new("a box has one name").with_hint("as in: enter keep work")),
    };
    back::keep_as(&call.containers, &call.container, &name)?;
    Ok(Reply::Done(format!("{name}\n")))
}
