//! The functions that a template can call: Go's and docker's.

use std::cmp::Ordering;

use serde_json::Value;

use super::Error;
use super::eval::truth;
use super::printf;

/// A function by its name.
#[derive(Debug)]
pub struct Function {
    name: &'static str,
    /// The fewest and the most arguments.
    arguments: (usize, usize),
    run: fn(&[Value]) -> Result<Value, String>,
}

const ANY: usize = usize::MAX;

/// What nothing is printed as.
pub const NOTHING: &str = "<no value>";

impl Function {
    /// Whether it looks at its arguments one by one, until one decides.
    pub fn is_lazy(&self) -> bool {
        matches!(self.name, "and" | "or")
    }

    /// Whether this argument of a lazy function decides.
    pub fn decides(&self, argument: &Value) -> bool {
        truth(argument) == (self.name == "or")
    }
}

const FUNCTIONS: &[Function] = &[
    // The evaluator does these two by itself.
    Function { name: "and", arguments: (1, ANY), run: |_| Ok(Value::Null) },
    Function { name: "or", arguments: (1, ANY), run: |_| Ok(Value::Null) },
    Function { name: "not", arguments: (1, 1), run: |a| Ok((!truth(&a[0])).into()) },
    Function { name: "eq", arguments: (2, ANY), run: |a| Ok(a[1..].iter().any(|other| equal(&a[0], other)).into()) },
    Function { name: "ne", arguments: (2, 2), run: |a| Ok((!equal(&a[0], &a[1])).into()) },
    Function { name: "lt", arguments: (2, 2), run: |a| Ok(order(a)?.is_lt().into()) },
    Function { name: "le", arguments: (2, 2), run: |a| Ok(order(a)?.is_le().into()) },
    Function { name: "gt", arguments: (2, 2), run: |a| Ok(order(a)?.is_gt().into()) },
    Function { name: "ge", arguments: (2, 2), run: |a| Ok(order(a)?.is_ge().into()) },
    Function { name: "index", arguments: (1, ANY), run: index },
    Function { name: "slice", arguments: (1, 3), run: slice },
    Function { name: "len", arguments: (1, 1), run: len },
    Function { name: "print", arguments: (0, ANY), run: |a| Ok(print(a).into()) },
    Function {
        name: "println",
        arguments: (0, ANY),
        run: |a| Ok((a.iter().map(show).collect::<Vec<_>>().join(" ") + "\n").into()),
    },
    Function { name: "printf", arguments: (1, ANY), run: |a| Ok(printf::format(text(&a[0])?, &a[1..])?.into()) },
    Function { name: "json", arguments: (1, 1), run: |a| Ok(a[0].to_string().into()) },
    Function { name: "join", arguments: (2, 2), run: join },
    Function { name: "split", arguments: (2, 2), run: split },
    Function { name: "lower", arguments: (1, 1), run: |a| Ok(text(&a[0])?.to_lowercase().into()) },
    Function { name: "upper", arguments: (1, 1), run: |a| Ok(text(&a[0])?.to_uppercase().into()) },
    Function { name: "title", arguments: (1, 1), run: |a| Ok(title(text(&a[0])?).into()) },
    Function {
        name: "truncate",
        arguments: (2, 2),
        run: |a| Ok(text(&a[0])?.chars().take(count(&a[1])?).collect::<String>().into()),
    },
    Function { name: "pad", arguments: (3, 3), run: |a| Ok(pad(text(&a[0])?, count(&a[1])?, count(&a[2])?).into()) },
];

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Calls it.
pub fn call(function: &'static Function, arguments: &[Value]) -> Result<Value, Error> {
    let (fewest, most) = function.arguments;
    let result = if arguments.len() < fewest || arguments.len() > most {
        Err(format!("wrong number of arguments: {}", arguments.len()))
    } else {
        (function.run)(arguments)
    };
    result.map_err(|what| Error::Call { function: function.name, what })
}

/// A value as Go prints it.
pub fn show(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.into(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(list) => format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", show(value))).collect();
            pairs.sort();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn order(arguments: &[Value]) -> Result<Ordering, String> {
    match (&arguments[0], &arguments[1]) {
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (a, b) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.partial_cmp(&b).ok_or_else(|| "not a number".into()),
            _ => Err("only two numbers or two strings can be compared".into()),
        },
    }
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let mut value = arguments[0].clone();
    for key in &arguments[1..] {
        value = match &value {
            Value::Object(map) => match map.get(text(key)?) {
                Some(element) => element.clone(),
                // A map of texts gives Go's empty text for a key that it does not have.
                None if map.values().all(Value::is_string) => "".into(),
                None => Value::Null,
            },
            Value::Array(list) => {
                let at = key.as_u64().and_then(|at| usize::try_from(at).ok());
                let element = at.and_then(|at| list.get(at));
                element.ok_or_else(|| format!("index out of range: {}", show(key)))?.clone()
            }
            Value::Null => return Err("index of nothing".into()),
            other => return Err(format!("can't index {}", show(other))),
        };
    }
    Ok(value)
}

/// Go's `x[from:to]`: of texts by bytes.
fn slice(arguments: &[Value]) -> Result<Value, String> {
    let bound = |at: usize, default: usize| arguments.get(at).map_or(Ok(default), count);
    let length = match &arguments[0] {
        Value::String(text) => text.len(),
        Value::Array(list) => list.len(),
        other => return Err(format!("can't slice {}", show(other))),
    };
    let (from, to) = (bound(1, 0)?, bound(2, length)?);
    let part = match &arguments[0] {
        Value::String(text) => text.get(from..to).map(Into::into),
        Value::Array(list) => list.get(from..to).map(|part| part.to_vec().into()),
        _ => None,
    };
    part.ok_or_else(|| format!("out of range: {from} to {to} of {length}"))
}

fn len(arguments: &[Value]) -> Result<Value, String> {
    Ok(match &arguments[0] {
        Value::String(text) => text.len(),
        Value::Array(list) => list.len(),
        Value::Object(map) => map.len(),
        other => return Err(format!("len of {}", show(other))),
    }
    .into())
}

/// Go's Sprint: a blank between two values of which neither is a string.
fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    for (i, value) in arguments.iter().enumerate() {
        if i > 0 && !value.is_string() && !arguments[i - 1].is_string() {
            out.push(' ');
        }
        out.push_str(&show(value));
    }
    out
}

fn join(arguments: &[Value]) -> Result<Value, String> {
    match &arguments[0] {
        Value::Array(list) => Ok(list.iter().map(show).collect::<Vec<_>>().join(text(&arguments[1])?).into()),
        Value::Null => Ok(String::new().into()),
        other => Err(format!("can't join {}", show(other))),
    }
}

fn split(arguments: &[Value]) -> Result<Value, String> {
    let (whole, separator) = (text(&arguments[0])?, text(&arguments[1])?);
    // Go splits at nothing into characters, and Rust adds an empty one at each end.
    let parts: Vec<Value> = if separator.is_empty() {
        whole.chars().map(|c| c.to_string().into()).collect()
    } else {
        whole.split(separator).map(Into::into).collect()
    };
    Ok(parts.into())
}

fn title(text: &str) -> String {
    let mut begins = true;
    let capital = |c: char| {
        let out = if begins { c.to_uppercase().collect::<String>() } else { c.to_string() };
        begins = !c.is_alphanumeric();
        out
    };
    text.chars().map(capital).collect()
}

/// docker pads everything but nothing.
fn pad(text: &str, before: usize, after: usize) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("{:before$}{text}{:after$}", "", "")
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("expected a string, not {}", show(value)))
}

fn count(value: &Value) -> Result<usize, String> {
    let number = value.as_u64().filter(|number| *number <= printf::MAX_WIDTH);
    number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| format!("bad number {}", show(value)))
}
