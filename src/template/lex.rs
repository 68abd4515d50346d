//! Text and actions, and the words of an action.

use super::Error;

/// A piece of a template: its text, or what stands between `{{` and `}}`, and where that begins (counted from 0).
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Printed as it is.
    Text(&'a str),
    /// An action.
    Action(usize, &'a str),
}

/// One word of an action.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A name: of a function, or a keyword.
    Word(String),
    /// `.`, or `.A.B`, whose names these are.
    Field(Vec<String>),
    /// `$`, `$x`, `$x.A`: the name without its dollar, and the fields.
    Variable(String, Vec<String>),
    /// Between quotes or backquotes.
    Text(String),
    /// A whole number, or a character between single quotes.
    Integer(i64),
    /// A number with a point.
    Float(f64),
    /// `|`, `(`, `)`, `,`, `:=` or `=`.
    Sign(&'static str),
}

impl Token {
    /// Whether it is this name.
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Self::Word(word) if word == name)
    }
}

/// Splits a template, taking off the blanks that `{{-` and `-}}` ask for and leaving out comments.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Error> {
    let (mut pieces, mut rest, mut trim) = (Vec::new(), text, false);
    loop {
        let begin = rest.find("{{").unwrap_or(rest.len());
        let trim_end = rest[begin..].starts_with("{{-") && rest[begin + 3..].starts_with([' ', '\t', '\n', '\r']);
        let mut before = &rest[..begin];
        before = if trim { before.trim_start() } else { before };
        before = if trim_end { before.trim_end() } else { before };
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        if begin == rest.len() {
            return Ok(pieces);
        }
        let at = text.len() - rest.len() + begin;
        let inside = &rest[begin + 2 + usize::from(trim_end)..];
        let end = end_of_action(inside, at)?;
        let action = &inside[..end];
        trim = action.ends_with(" -") || action.ends_with("\t-") || action.ends_with("\n-");
        let action = action.strip_suffix('-').filter(|_| trim).unwrap_or(action);
        if !is_comment(action) {
            pieces.push(Piece::Action(text.len() - inside.len(), action));
        }
        rest = &inside[end + 2..];
    }
}

fn is_comment(action: &str) -> bool {
    let action = action.trim();
    action.starts_with("/*") && action.ends_with("*/")
}

/// Where the `}}` of an action stands, which does not count within quotes or a comment.
fn end_of_action(inside: &str, at: usize) -> Result<usize, Error> {
    let mut from = 0;
    if inside.trim_start().starts_with("/*") {
        from = inside.find("*/").map_or(inside.len(), |end| end + 2);
    }
    let mut characters = inside[from..].char_indices();
    while let Some((i, c)) = characters.next() {
        match c {
            '"' | '`' | '\'' => {
                let Some(length) = quoted(&inside[from + i..]) else {
                    return Err(syntax(at + 2 + from + i, "a string without its end"));
                };
                while characters.as_str().len() > inside.len() - from - i - length {
                    characters.next();
                }
            }
            '}' if characters.as_str().starts_with('}') => return Ok(from + i),
            _ => {}
        }
    }
    Err(syntax(at, "`{{` without `}}`"))
}

/// How many bytes the quoted text at the beginning of `text` has, its quotes included.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut characters = text.char_indices().skip(1);
    while let Some((i, c)) = characters.next() {
        match c {
            '\\' if quote != '`' => {
                characters.next()?;
            }
            '\n' if quote != '`' => return None,
            c if c == quote => return Some(i + 1),
            _ => {}
        }
    }
    None
}

/// The words of an action, each with where it begins in the whole template.
pub fn tokens(action: &str, start: usize) -> Result<Vec<(usize, Token)>, Error> {
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(c) = action[at..].chars().next() {
        let rest = &action[at..];
        let (token, length) = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' | '`' | '\'' => {
                let length = quoted(rest).ok_or_else(|| syntax(start + at, "a string without its end"))?;
                (literal(&rest[..length]).ok_or_else(|| syntax(start + at, "a string with an unknown escape"))?, length)
            }
            '.' | '$' => chain(rest),
            '0'..='9' | '-' | '+' => number(rest).ok_or_else(|| syntax(start + at, "a bad number"))?,
            ':' if rest.starts_with(":=") => (Token::Sign(":="), 2),
            '|' => (Token::Sign("|"), 1),
            '(' => (Token::Sign("("), 1),
            ')' => (Token::Sign(")"), 1),
            ',' => (Token::Sign(","), 1),
            '=' => (Token::Sign("="), 1),
            c if is_name(c) => {
                let length = name_length(rest);
                (Token::Word(rest[..length].to_owned()), length)
            }
            other => return Err(syntax(start + at, format!("`{other}` is not understood"))),
        };
        tokens.push((start + at, token));
        at += length;
    }
    Ok(tokens)
}

/// `.A.B`, `$x.A`; a lone point or dollar too.
fn chain(text: &str) -> (Token, usize) {
    let mut length = 0;
    let variable = text.strip_prefix('$').map(|rest| {
        let name = &rest[..name_length(rest)];
        length = 1 + name.len();
        name.to_owned()
    });
    let mut fields = Vec::new();
    while let Some(rest) = text[length..].strip_prefix('.') {
        let name = &rest[..name_length(rest)];
        if name.is_empty() {
            length += usize::from(variable.is_none() && fields.is_empty());
            break;
        }
        fields.push(name.to_owned());
        length += 1 + name.len();
    }
    match variable {
        Some(name) => (Token::Variable(name, fields), length),
        None => (Token::Field(fields), length.max(1)),
    }
}

fn number(text: &str) -> Option<(Token, usize)> {
    let length = text.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | '_' | 'e')).unwrap_or(text.len());
    let digits = text[..length].replace('_', "");
    let integer = digits.parse().map(Token::Integer).ok();
    integer.or_else(|| digits.parse().map(Token::Float).ok()).map(|token| (token, length))
}

/// What a quoted text means; a character between single quotes is its number, as in Go.
fn literal(text: &str) -> Option<Token> {
    let inside = &text[1..text.len() - 1];
    if text.starts_with('`') {
        return Some(Token::Text(inside.to_owned()));
    }
    let (mut out, mut characters) = (String::new(), inside.chars());
    while let Some(c) = characters.next() {
        out.push(match c {
            '\\' => match characters.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'a' => '\x07',
                '0' => '\0',
                digits @ ('x' | 'u' | 'U') => {
                    let count = [('x', 2), ('u', 4), ('U', 8)].iter().find(|(c, _)| *c == digits)?.1;
                    let hex: String = characters.by_ref().take(count).collect();
                    char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?
                }
                same @ ('\\' | '"' | '\'') => same,
                _ => return None,
            },
            c => c,
        });
    }
    if text.starts_with('"') {
        return Some(Token::Text(out));
    }
    let mut characters = out.chars();
    let only = characters.next().filter(|_| characters.as_str().is_empty())?;
    Some(Token::Integer(i64::from(u32::from(only))))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn name_length(text: &str) -> usize {
    text.find(|c| !is_name(c)).unwrap_or(text.len())
}

/// An error at a place that is counted from 0.
pub fn syntax(at: usize, what: impl Into<String>) -> Error {
    Error::Syntax { at: at + 1, what: what.into() }
}
