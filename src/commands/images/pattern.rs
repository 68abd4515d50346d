//! Patterns for names, as Go's `path.Match` reads them: `*` and `?` do not stand for a slash.

/// A pattern that was understood.
#[derive(Debug)]
pub struct Pattern(Vec<Part>);

/// A pattern that cannot be read: a bracket or a backslash without what must follow.
#[derive(Debug)]
pub struct WrongPattern;

#[derive(Debug)]
enum Part {
    Literal(char),
    Any,
    Many,
    /// One of these ranges, or none of them where the flag is set.
    Class(bool, Vec<(char, char)>),
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, WrongPattern> {
        let (mut parts, mut characters) = (Vec::new(), text.chars());
        while let Some(c) = characters.next() {
            parts.push(match c {
                '*' => Part::Many,
                '?' => Part::Any,
                '\\' => Part::Literal(characters.next().ok_or(WrongPattern)?),
                '[' => class(&mut characters)?,
                c => Part::Literal(c),
            });
        }
        Ok(Self(parts))
    }

    /// Whether the whole text fits. Takes at most pattern times text steps: only the last `*` is ever tried again.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut part, mut at, mut again) = (0, 0, None);
        loop {
            match (self.0.get(part), text.get(at)) {
                (None, None) => return true,
                (Some(Part::Many), _) => {
                    again = Some((part, at));
                    part += 1;
                    continue;
                }
                (Some(one), Some(c)) if one.takes(*c) => {
                    part += 1;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            match again {
                Some((star, from)) if text.get(from).is_some_and(|c| *c != '/') => {
                    again = Some((star, from + 1));
                    (part, at) = (star + 1, from + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::Any => c != '/',
            Self::Many => false,
            Self::Class(negated, ranges) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

/// What follows an opening bracket.
fn class(characters: &mut std::str::Chars<'_>) -> Result<Part, WrongPattern> {
    let negated = characters.as_str().starts_with('^');
    if negated {
        characters.next();
    }
    let mut ranges = Vec::new();
    loop {
        let low = match characters.next().ok_or(WrongPattern)? {
            ']' if !ranges.is_empty() => return Ok(Part::Class(negated, ranges)),
            c => member(c, characters)?,
        };
        let mut high = low;
        if characters.as_str().starts_with('-') {
            characters.next();
            let c = characters.next().ok_or(WrongPattern)?;
            high = member(c, characters)?;
        }
        ranges.push((low, high));
    }
}

fn member(c: char, characters: &mut std::str::Chars<'_>) -> Result<char, WrongPattern> {
    match c {
        '\\' => characters.next().ok_or(WrongPattern),
        '-' | ']' => Err(WrongPattern),
        c => Ok(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, expected) in [
            ("debian", "debian", true),
            ("deb*", "debian", true),
            ("deb*", "debian:12", true),
            ("*", "quay.io/a", false),
            ("*/*", "quay.io/a", true),
            ("*testimage*", "quay.io/libpod/testimage", false),
            ("d?bian", "debian", true),
            ("d?bian", "d/bian", false),
            ("[a-d]ebian", "debian", true),
            ("[^a-d]ebian", "debian", false),
            ("\\*", "*", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("", "", true),
            ("", "a", false),
            ("**", "a", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn half_a_pattern_is_none() {
        for pattern in ["[", "[a", "[a-", "[]a]", "[-]", "a\\"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
