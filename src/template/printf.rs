//! Go's `printf`: `%s %v %d %q %x %t %f %%`, with flags, width and precision.

use serde_json::Value;

use super::functions::show;

/// The widest that anything is padded to.
pub const MAX_WIDTH: u64 = 1_000;

/// What stands between the percent sign and the verb.
#[derive(Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

/// Fills `arguments` into `format`.
pub fn format(format: &str, arguments: &[Value]) -> Result<String, String> {
    let (mut out, mut characters, mut arguments) = (String::new(), format.chars().peekable(), arguments.iter());
    while let Some(c) = characters.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let spec = spec(&mut characters)?;
        match characters.next() {
            Some('%') => out.push('%'),
            Some(verb) => {
                let value = arguments.next().ok_or_else(|| format!("nothing for %{verb}"))?;
                out.push_str(&one(&spec, verb, value)?);
            }
            None => return Err("a lone % at the end".into()),
        }
    }
    if arguments.next().is_some() { Err("more arguments than verbs".into()) } else { Ok(out) }
}

fn spec(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Spec, String> {
    let mut spec = Spec::default();
    while let Some(flag) = characters.next_if(|c| matches!(c, '-' | '0' | '+' | ' ' | '#')) {
        match flag {
            '-' => spec.left = true,
            '0' => spec.zero = true,
            '+' => spec.plus = true,
            _ => {}
        }
    }
    spec.width = number(characters)?.unwrap_or_default();
    if characters.next_if_eq(&'.').is_some() {
        spec.precision = Some(number(characters)?.unwrap_or_default());
    }
    Ok(spec)
}

fn number(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, String> {
    let mut digits = String::new();
    while let Some(digit) = characters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.is_empty() {
        return Ok(None);
    }
    let number = digits.parse::<u64>().ok().filter(|number| *number <= MAX_WIDTH);
    number.and_then(|number| usize::try_from(number).ok()).map(Some).ok_or_else(|| format!("{digits} is too wide"))
}

fn one(spec: &Spec, verb: char, value: &Value) -> Result<String, String> {
    let wrong = || format!("%{verb} of {}", show(value));
    let cut = |text: String| match spec.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    };
    let body = match verb {
        's' | 'v' => cut(show(value)),
        'q' => format!("{:?}", cut(value.as_str().ok_or_else(wrong)?.to_owned())),
        't' => value.as_bool().ok_or_else(wrong)?.to_string(),
        'd' => value.as_i64().ok_or_else(wrong)?.to_string(),
        'f' => format!("{:.*}", spec.precision.unwrap_or(6), value.as_f64().ok_or_else(wrong)?),
        'x' | 'X' => {
            let hex = match value {
                Value::String(text) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
                other => format!("{:x}", other.as_u64().ok_or_else(wrong)?),
            };
            if verb == 'X' { hex.to_uppercase() } else { hex }
        }
        _ => return Err(format!("%{verb} is not understood")),
    };
    let numeric = value.is_number();
    let body = if spec.plus && numeric && !body.starts_with('-') { format!("+{body}") } else { body };
    let missing = spec.width.saturating_sub(body.chars().count());
    Ok(match (spec.left, spec.zero && numeric) {
        (true, _) => format!("{body}{:missing$}", ""),
        (false, true) => {
            let sign = usize::from(body.starts_with(['-', '+']));
            format!("{}{}{}", &body[..sign], "0".repeat(missing), &body[sign..])
        }
        (false, false) => format!("{:missing$}{body}", ""),
    })
}
