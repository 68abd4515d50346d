//! From words to a tree.

use serde_json::Value;

use super::Error;
use super::functions::{self, Function};
use super::lex::{self, Piece, Token, syntax};

/// A part of a template.
#[derive(Debug)]
pub enum Node {
    /// Printed as it is.
    Text(String),
    /// Printed as it comes out, unless it sets a variable.
    Action(Pipeline),
    /// The first branch whose pipeline is true, else the last.
    If(Vec<(Pipeline, Vec<Node>)>, Vec<Node>),
    /// The body, with what the pipeline gives for its dot.
    With(Pipeline, Vec<Node>, Vec<Node>),
    /// The body for each element.
    Range(Pipeline, Vec<Node>, Vec<Node>),
    /// Leaves the innermost range.
    Break,
    /// Goes on with the next element of the innermost range.
    Continue,
}

/// Commands, each given what the one before it gave, and the variables that take the result.
#[derive(Debug)]
pub struct Pipeline {
    /// Variables that are set, without their dollars.
    pub variables: Vec<String>,
    /// Whether they are new here (`:=`).
    pub declares: bool,
    /// The commands; never empty.
    pub commands: Vec<Vec<Operand>>,
}

impl Pipeline {
    /// The name of the field that it is, where it is nothing else.
    pub fn field(&self) -> Option<&str> {
        match self.commands.as_slice() {
            [command] => match command.as_slice() {
                [Operand::Dot(names) | Operand::Variable(_, names)] => names.last().map(String::as_str),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Part of a command.
#[derive(Debug)]
pub enum Operand {
    /// Fields of the dot.
    Dot(Vec<String>),
    /// Fields of a variable; the name is empty for `$`.
    Variable(String, Vec<String>),
    /// Itself.
    Literal(Value),
    /// A function; what follows are its arguments.
    Function(&'static Function),
    /// Fields of what a pipeline in parentheses gives.
    Group(Box<Pipeline>, Vec<String>),
}

/// How deep blocks and parentheses may stand in one another, so that no template exhausts the stack.
const MAX_DEPTH: usize = 100;

/// Reads a whole template.
pub fn parse(text: &str) -> Result<Vec<Node>, Error> {
    let pieces = lex::pieces(text)?;
    let mut parser = Parser { pieces: pieces.into_iter(), end: text.len(), depth: 0, ranges: 0 };
    let (nodes, stop) = parser.nodes()?;
    match stop {
        Stop::End => Ok(nodes),
        Stop::Keyword(Keyword { at, word, .. }) => Err(syntax(at, format!("`{word}` without a beginning"))),
    }
}

struct Parser<'a> {
    pieces: std::vec::IntoIter<Piece<'a>>,
    end: usize,
    depth: usize,
    /// How many ranges this stands in.
    ranges: usize,
}

/// Why a list of nodes is at its end.
enum Stop {
    End,
    Keyword(Keyword),
}

/// `end` or `else`, where it stands, and the words after it.
struct Keyword {
    at: usize,
    word: &'static str,
    rest: Vec<(usize, Token)>,
}

impl Parser<'_> {
    fn nodes(&mut self) -> Result<(Vec<Node>, Stop), Error> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (at, action) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.to_owned()));
                    continue;
                }
                Piece::Action(at, action) => (at, action),
            };
            let end = at + action.len();
            let mut tokens = lex::tokens(action, at)?;
            let keyword = match tokens.first() {
                None => return Err(syntax(at, "nothing between `{{` and `}}`")),
                Some((_, Token::Word(word))) => word.clone(),
                Some(_) => String::new(),
            };
            let mut rest = || tokens.drain(1..).collect::<Vec<_>>();
            nodes.push(match keyword.as_str() {
                "end" => return Ok((nodes, Stop::Keyword(Keyword { at, word: "end", rest: rest() }))),
                "else" => return Ok((nodes, Stop::Keyword(Keyword { at, word: "else", rest: rest() }))),
                "if" => self.branches(rest(), end)?,
                "with" => self.with(rest(), end)?,
                "range" => self.range(rest(), end)?,
                "break" if self.ranges > 0 => Node::Break,
                "continue" if self.ranges > 0 => Node::Continue,
                "break" | "continue" => return Err(syntax(at, format!("`{keyword}` outside of `range`"))),
                _ => Node::Action(pipeline(tokens, end)?),
            });
        }
        Ok((nodes, Stop::End))
    }

    fn branches(&mut self, condition: Vec<(usize, Token)>, end: usize) -> Result<Node, Error> {
        let mut branches = Vec::new();
        let mut condition = pipeline(condition, end)?;
        loop {
            let (body, stop) = self.body()?;
            branches.push((condition, body));
            match stop {
                Keyword { word: "else", mut rest, .. } if rest.first().is_some_and(|(_, token)| token.is("if")) => {
                    rest.remove(0);
                    condition = pipeline(rest, end)?;
                }
                Keyword { word: "else", .. } => return Ok(Node::If(branches, self.last_body()?)),
                _ => return Ok(Node::If(branches, Vec::new())),
            }
        }
    }

    fn with(&mut self, subject: Vec<(usize, Token)>, end: usize) -> Result<Node, Error> {
        let subject = pipeline(subject, end)?;
        let (body, stop) = self.body()?;
        let otherwise = match stop {
            Keyword { word: "else", mut rest, .. } if rest.first().is_some_and(|(_, token)| token.is("with")) => {
                rest.remove(0);
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(syntax(self.end, "blocks stand too deep in one another"));
                }
                let node = self.with(rest, end)?;
                self.depth -= 1;
                vec![node]
            }
            Keyword { word: "else", .. } => self.last_body()?,
            _ => Vec::new(),
        };
        Ok(Node::With(subject, body, otherwise))
    }

    fn range(&mut self, subject: Vec<(usize, Token)>, end: usize) -> Result<Node, Error> {
        let subject = pipeline(subject, end)?;
        self.ranges += 1;
        let body = self.body();
        self.ranges -= 1;
        let (body, stop) = body?;
        let otherwise = if stop.word == "else" { self.last_body()? } else { Vec::new() };
        Ok(Node::Range(subject, body, otherwise))
    }

    fn body(&mut self) -> Result<(Vec<Node>, Keyword), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(syntax(self.end, "blocks stand too deep in one another"));
        }
        let (nodes, stop) = self.nodes()?;
        self.depth -= 1;
        match stop {
            Stop::Keyword(keyword) => Ok((nodes, keyword)),
            Stop::End => Err(syntax(self.end, "`end` is missing")),
        }
    }

    fn last_body(&mut self) -> Result<Vec<Node>, Error> {
        let (nodes, stop) = self.body()?;
        if stop.word == "else" { Err(syntax(stop.at, "`else` after `else`")) } else { Ok(nodes) }
    }
}

fn pipeline(tokens: Vec<(usize, Token)>, end: usize) -> Result<Pipeline, Error> {
    let mut words = Words { tokens: tokens.into_iter().peekable(), end, depth: 0 };
    let pipeline = words.pipeline()?;
    match words.tokens.next() {
        None => Ok(pipeline),
        Some((at, Token::Sign(sign))) => Err(syntax(at, format!("`{sign}` is out of place"))),
        Some((at, _)) => Err(syntax(at, "this is out of place")),
    }
}

struct Words {
    tokens: std::iter::Peekable<std::vec::IntoIter<(usize, Token)>>,
    end: usize,
    depth: usize,
}

impl Words {
    fn at(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |(at, _)| *at)
    }

    fn take(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|(_, token)| matches!(token, Token::Sign(other) if *other == sign)).is_some()
    }

    fn pipeline(&mut self) -> Result<Pipeline, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(syntax(self.at(), "parentheses stand too deep in one another"));
        }
        let (variables, declares) = self.variables()?;
        let mut commands = vec![self.command("a command is missing")?];
        while self.take("|") {
            commands.push(self.command("a command is missing after `|`")?);
        }
        self.depth -= 1;
        Ok(Pipeline { variables, declares, commands })
    }

    /// `$x :=`, `$x =`, `$k, $v :=`, or nothing.
    fn variables(&mut self) -> Result<(Vec<String>, bool), Error> {
        let mut ahead = self.tokens.clone();
        let mut names = Vec::new();
        while let Some((_, Token::Variable(name, fields))) = ahead.next() {
            if !fields.is_empty() || name.is_empty() {
                break;
            }
            names.push(name);
            match ahead.next() {
                Some((_, Token::Sign(sign @ (":=" | "=")))) => {
                    self.tokens = ahead;
                    return Ok((names, sign == ":="));
                }
                Some((_, Token::Sign(","))) if names.len() < 2 => {}
                _ => break,
            }
        }
        Ok((Vec::new(), false))
    }

    fn command(&mut self, missing: &str) -> Result<Vec<Operand>, Error> {
        let mut operands = Vec::new();
        while let Some((at, token)) = self.tokens.next_if(|(_, token)| !matches!(token, Token::Sign("|" | ")"))) {
            operands.push(match token {
                Token::Field(fields) => Operand::Dot(fields),
                Token::Variable(name, fields) => Operand::Variable(name, fields),
                Token::Text(text) => Operand::Literal(text.into()),
                Token::Integer(number) => Operand::Literal(number.into()),
                Token::Float(number) => Operand::Literal(number.into()),
                Token::Word(word) => match word.as_str() {
                    "true" => Operand::Literal(true.into()),
                    "false" => Operand::Literal(false.into()),
                    "nil" => Operand::Literal(Value::Null),
                    name => Operand::Function(
                        functions::find(name).ok_or_else(|| syntax(at, format!("there is no function `{name}`")))?,
                    ),
                },
                Token::Sign("(") => self.group()?,
                Token::Sign(sign) => return Err(syntax(at, format!("`{sign}` is out of place"))),
            });
        }
        if operands.is_empty() { Err(syntax(self.at(), missing)) } else { Ok(operands) }
    }

    fn group(&mut self) -> Result<Operand, Error> {
        let inside = self.pipeline()?;
        let at = self.at();
        if !self.take(")") {
            return Err(syntax(at, "`)` is missing"));
        }
        // Fields follow without a blank: `(index . 0).Name`.
        let fields = match self.tokens.next_if(|(next, token)| *next == at + 1 && matches!(token, Token::Field(_))) {
            Some((_, Token::Field(fields))) => fields,
            _ => Vec::new(),
        };
        Ok(Operand::Group(Box::new(inside), fields))
    }
}
