//! `enter df`, `enter info` and `enter version`: the whole, in docker's words.

pub mod df;
pub mod info;
pub mod version;

use serde_json::Value;

use crate::failure::{Failure, VERB_FAILED};
use crate::template::{Context, Template};

/// A description as JSON in one line, or by a template; `None` where it is to be told in words.
fn described(value: &Value, format: Option<&str>) -> Result<Option<String>, Failure> {
    let text = match format {
        None | Some("") => return Ok(None),
        Some("json") => "{{json .}}",
        Some(text) => text,
    };
    let nothing = |_: &str| "[]";
    let context = Context { nothing: &nothing, ..Context::of(value) };
    let rendered = Template::parse(text).and_then(|template| template.render_in(&context));
    rendered.map(Some).map_err(|error| Failure::from(error).with_code(VERB_FAILED))
}
