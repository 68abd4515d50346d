//! Filling in.

use serde_json::Value;

use super::functions::{self, show};
use super::parse::{Node, Operand, Pipeline};
use super::{Context, Error};

/// The most that `{{range 5}}` counts to, so that a slip does not fill the memory.
const MAX_COUNT: i64 = 1_000_000;

/// Fills in `nodes`.
pub fn render(nodes: &[Node], context: &Context<'_>) -> Result<String, Error> {
    let mut eval = Eval { context, out: String::new(), variables: vec![(String::new(), context.data.clone())] };
    eval.nodes(nodes, context.data)?;
    Ok(eval.out)
}

/// How the nodes of a body were left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// At their end.
    Done,
    /// By `break`.
    Break,
    /// By `continue`.
    Continue,
}

struct Eval<'a> {
    context: &'a Context<'a>,
    out: String,
    /// Innermost last. The one without a name is `$`.
    variables: Vec<(String, Value)>,
}

impl Eval<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Error> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::Done
                }
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if !pipeline.variables.is_empty() {
                        self.set(pipeline, value)?;
                    } else if value.is_null() {
                        self.out.push_str(pipeline.field().map_or(functions::NOTHING, self.context.nothing));
                    } else {
                        self.out.push_str(&show(&value));
                    }
                    Flow::Done
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
                Node::If(branches, otherwise) => self.branches(branches, otherwise, dot)?,
                Node::With(subject, body, otherwise) => {
                    let value = self.pipeline(subject, dot)?;
                    self.scope(|eval| {
                        eval.declare(subject, std::slice::from_ref(&value));
                        if truth(&value) { eval.nodes(body, &value) } else { eval.nodes(otherwise, dot) }
                    })?
                }
                Node::Range(subject, body, otherwise) => self.range(subject, body, otherwise, dot)?,
            };
            if flow != Flow::Done {
                return Ok(flow);
            }
        }
        Ok(Flow::Done)
    }

    fn branches(&mut self, branches: &[(Pipeline, Vec<Node>)], otherwise: &[Node], dot: &Value) -> Result<Flow, Error> {
        self.scope(|eval| {
            for (condition, body) in branches {
                let value = eval.pipeline(condition, dot)?;
                eval.declare(condition, std::slice::from_ref(&value));
                if truth(&value) {
                    return eval.nodes(body, dot);
                }
            }
            eval.nodes(otherwise, dot)
        })
    }

    fn range(&mut self, subject: &Pipeline, body: &[Node], otherwise: &[Node], dot: &Value) -> Result<Flow, Error> {
        let elements: Vec<(Value, Value)> = match self.pipeline(subject, dot)? {
            Value::Array(list) => list.into_iter().enumerate().map(|(i, value)| (i.into(), value)).collect(),
            Value::Object(map) => {
                // In the order of the keys, as Go has it.
                let mut pairs: Vec<_> = map.into_iter().collect();
                pairs.sort_by(|one, other| one.0.cmp(&other.0));
                pairs.into_iter().map(|(key, value)| (key.into(), value)).collect()
            }
            Value::Null => Vec::new(),
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::Number(count) if count.as_i64().is_some_and(|count| count <= MAX_COUNT) => {
                (0..count.as_i64().unwrap_or_default()).map(|i| (i.into(), i.into())).collect()
            }
            other => {
                let what = format!("can't iterate over {}", show(&other));
                return Err(Error::Call { function: "range", what });
            }
        };
        if elements.is_empty() {
            return self.scope(|eval| eval.nodes(otherwise, dot));
        }
        for (key, value) in elements {
            let flow = self.scope(|eval| {
                eval.declare(subject, &[key, value.clone()]);
                eval.nodes(body, &value)
            })?;
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Done)
    }

    /// What variables `inside` makes are gone after it.
    fn scope(&mut self, inside: impl FnOnce(&mut Self) -> Result<Flow, Error>) -> Result<Flow, Error> {
        let depth = self.variables.len();
        let result = inside(self);
        self.variables.truncate(depth);
        result
    }

    /// Makes the variables of a block: one takes the last of `values`, two take both.
    fn declare(&mut self, pipeline: &Pipeline, values: &[Value]) {
        let skipped = values.len().saturating_sub(pipeline.variables.len());
        for (name, value) in pipeline.variables.iter().zip(&values[skipped..]) {
            self.variables.push((name.clone(), value.clone()));
        }
    }

    fn set(&mut self, pipeline: &Pipeline, value: Value) -> Result<(), Error> {
        if pipeline.declares {
            self.declare(pipeline, &[value]);
            return Ok(());
        }
        for name in &pipeline.variables {
            let variable = self.variables.iter_mut().rev().find(|(other, _)| other == name);
            variable.ok_or_else(|| Error::Variable(name.clone()))?.1 = value.clone();
        }
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Error> {
        let mut result = None;
        for command in &pipeline.commands {
            result = Some(self.command(command, result, dot)?);
        }
        Ok(result.unwrap_or(Value::Null))
    }

    /// One command; `piped` becomes the last argument of its function.
    fn command(&self, operands: &[Operand], piped: Option<Value>, dot: &Value) -> Result<Value, Error> {
        match operands {
            [Operand::Function(function), arguments @ ..] if function.is_lazy() => {
                // The arguments behind the one that decides are not looked at: they may make no sense then.
                let mut last = Value::Null;
                for argument in arguments {
                    last = self.operand(argument, dot)?;
                    if function.decides(&last) {
                        return Ok(last);
                    }
                }
                match piped {
                    Some(piped) => Ok(piped),
                    None if arguments.is_empty() => functions::call(function, &[]),
                    None => Ok(last),
                }
            }
            [Operand::Function(function), arguments @ ..] => {
                let arguments: Result<Vec<Value>, Error> =
                    arguments.iter().map(|operand| self.operand(operand, dot)).collect();
                let mut arguments = arguments?;
                arguments.extend(piped);
                functions::call(function, &arguments)
            }
            [only] if piped.is_none() => self.operand(only, dot),
            [Operand::Dot(names), arguments @ ..] | [Operand::Variable(_, names), arguments @ ..]
                if !names.is_empty() =>
            {
                let arguments: Result<Vec<Value>, Error> =
                    arguments.iter().map(|operand| self.operand(operand, dot)).collect();
                let mut arguments = arguments?;
                arguments.extend(piped);
                let name = &names[names.len() - 1];
                let called = (self.context.methods)(name, &arguments);
                called.ok_or_else(|| Error::Call { function: "|", what: format!(".{name} takes no arguments") })
            }
            _ => Err(Error::Call { function: "|", what: "only a function can be given arguments".into() }),
        }
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Value, Error> {
        match operand {
            Operand::Dot(names) => fields(dot, names),
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Variable(name, names) => {
                let variable = self.variables.iter().rev().find(|(other, _)| other == name);
                fields(&variable.ok_or_else(|| Error::Variable(name.clone()))?.1, names)
            }
            Operand::Group(pipeline, names) => fields(&self.pipeline(pipeline, dot)?, names),
            Operand::Function(function) => functions::call(function, &[]),
        }
    }
}

fn fields(value: &Value, names: &[String]) -> Result<Value, Error> {
    let mut value = value;
    for name in names {
        value = match value.as_object().and_then(|map| map.get(name)) {
            Some(field) => field,
            None if is_map(value) => &Value::Null,
            None => spelt_otherwise(value, name)
                .ok_or_else(|| Error::Field { name: name.clone(), known: names_of(value) })?,
        };
    }
    Ok(value.clone())
}

/// The one field whose name is the same but for capitals: docker's `.Id` is podman's `.ID`.
fn spelt_otherwise<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let mut alike = value.as_object()?.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    alike.next().filter(|_| alike.next().is_none()).map(|(_, field)| field)
}

/// Whether this was a map in Go, and no structure, whose fields begin with a capital.
fn is_map(value: &Value) -> bool {
    let is_field = |key: &String| {
        key.starts_with(|c: char| c.is_ascii_uppercase()) && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    value.as_object().is_some_and(|map| !map.keys().all(is_field) || map.is_empty())
}

/// The fields of a value, capitals and small letters mixed as in a dictionary.
fn names_of(value: &Value) -> Vec<String> {
    let mut names: Vec<String> = value.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect();
    names.sort_by_key(|name| name.to_lowercase());
    names
}

/// Go's truth: everything but false, zero, nothing, and what is empty.
pub fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}
