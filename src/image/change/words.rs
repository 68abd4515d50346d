//! Words of a Dockerfile's line: blanks separate, quotes and backslashes keep together, `$NAME` stands for a variable.

use std::iter::Peekable;
use std::str::Chars;

/// The variables that a line may name.
pub struct Env<'a> {
    variables: &'a [String],
}

impl<'a> Env<'a> {
    /// `NAME=value` each; the last of a name counts.
    pub fn of(variables: &'a [String]) -> Self {
        Self { variables }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .iter()
            .rev()
            .find_map(|variable| variable.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, value)| value)
    }
}

/// The words of a line.
pub fn words(line: &str, env: &Env<'_>) -> Result<Vec<String>, String> {
    let mut chars = line.chars().peekable();
    let mut words = Vec::new();
    loop {
        while chars.peek().is_some_and(|c| c.is_whitespace()) {
            chars.next();
        }
        if chars.peek().is_none() {
            return Ok(words);
        }
        words.push(word(&mut chars, env, true)?);
    }
}

/// The whole line as one word.
pub fn expand(line: &str, env: &Env<'_>) -> Result<String, String> {
    word(&mut line.chars().peekable(), env, false)
}

/// `KEY=value` for each word, or the old form of one `KEY value`.
pub fn keys_and_values(line: &str, env: &Env<'_>) -> Result<Vec<(String, String)>, String> {
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if !first.contains('=') {
        if rest.trim().is_empty() {
            return Err("needs a value: NAME=value".into());
        }
        return Ok(vec![(first.to_owned(), expand(rest.trim(), env)?)]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("takes NAME=value, and not `{word}`")),
    };
    words(line, env)?.into_iter().map(pair).collect()
}

fn word(chars: &mut Peekable<Chars<'_>>, env: &Env<'_>, until_blank: bool) -> Result<String, String> {
    let mut out = String::new();
    while let Some(&c) = chars.peek() {
        if until_blank && c.is_whitespace() {
            break;
        }
        chars.next();
        match c {
            '\\' => out.extend(chars.next()),
            '\'' => single(chars, &mut out)?,
            '"' => double(chars, env, &mut out)?,
            '$' => variable(chars, env, &mut out)?,
            c => out.push(c),
        }
    }
    Ok(out)
}

fn single(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    for c in chars.by_ref() {
        if c == '\'' {
            return Ok(());
        }
        out.push(c);
    }
    Err("has a quote that is not closed".into())
}

fn double(chars: &mut Peekable<Chars<'_>>, env: &Env<'_>, out: &mut String) -> Result<(), String> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some(c @ ('"' | '$' | '\\')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => {}
            },
            '$' => variable(chars, env, out)?,
            c => out.push(c),
        }
    }
    Err("has a quote that is not closed".into())
}

/// `$NAME`, `${NAME}`, `${NAME:-default}` or `${NAME:+other}`, whose dollar is read already.
fn variable(chars: &mut Peekable<Chars<'_>>, env: &Env<'_>, out: &mut String) -> Result<(), String> {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let braced = chars.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(c) = chars.next_if(is_part) {
        name.push(c);
    }
    if !braced {
        match name.as_str() {
            "" => out.push('$'),
            name => out.push_str(env.get(name).unwrap_or_default()),
        }
        return Ok(());
    }
    let mut rest = String::new();
    loop {
        match chars.next() {
            Some('}') => break,
            Some(c) => rest.push(c),
            None => return Err("has a `${` that is not closed".into()),
        }
    }
    let value = env.get(&name);
    let full = value.filter(|value| !value.is_empty());
    match (rest.get(..2), rest.get(2..)) {
        _ if rest.is_empty() && !name.is_empty() => out.push_str(value.unwrap_or_default()),
        (Some(":-"), Some(other)) => out.push_str(full.unwrap_or(other)),
        (Some(":+"), Some(other)) => out.push_str(full.map_or("", |_| other)),
        _ => return Err(format!("does not know `${{{name}{rest}}}`")),
    }
    Ok(())
}
