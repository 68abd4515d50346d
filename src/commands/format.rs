//! `--format` of the commands that list things: `json`, a template for each thing, or a template for a table.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::template::{Context, Error, Template};
use crate::ui::table;

/// A field, and what stands above it in a table; nothing above a list, which a template goes through.
pub type Heading = (&'static str, &'static str);

/// A format that was understood.
#[derive(Debug)]
pub struct Format {
    template: Template,
    /// The first row, for a table.
    headings: Option<Value>,
    /// Whether the first row is printed.
    headed: bool,
}

impl Format {
    /// Reads `text`, which names fields that `headings` know.
    pub fn parse(text: &str, headings: &[Heading]) -> Result<Self, Error> {
        if text == "json" {
            return Ok(Self { template: Template::parse("{{json .}}")?, headings: None, headed: true });
        }
        let table = text.strip_prefix("table").filter(|rest| rest.starts_with([' ', '\t', '\\']));
        let body = table.map_or(text, str::trim_start);
        // A shell passes on the backslash of "\t" as it is, and docker takes it for a tab.
        let template = Template::parse(&body.replace("\\t", "\t").replace("\\n", "\n"))?;
        let above = |heading: &str| if heading.is_empty() { Value::Array(Vec::new()) } else { Value::from(heading) };
        let row = headings.iter().map(|(field, heading)| ((*field).to_owned(), above(heading))).collect();
        // A wrong field is to be told even where there is nothing to list.
        let headings = Value::Object(row);
        let format = Self { template, headings: Some(headings), headed: true };
        format.heading()?;
        Ok(Self { headings: format.headings.filter(|_| table.is_some()), ..format })
    }

    /// The same, for a table without its first row if `bare`.
    #[must_use]
    pub fn without_headings(self, bare: bool) -> Self {
        Self { headed: !bare, ..self }
    }

    /// One line, or more if the template has them, for each of `rows`.
    pub fn render(&self, rows: &[Value]) -> Result<String, Error> {
        self.lay_out(rows.iter().map(|row| self.template.render(row)))
    }

    /// The same for things with labels, which a template reaches by `.Label "KEY"`.
    pub fn render_labelled(&self, rows: &[(Value, &BTreeMap<String, String>)]) -> Result<String, Error> {
        self.lay_out(rows.iter().map(|(row, labels)| {
            let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
            self.template.render_in(&Context { methods: &|name, key| method(name, key, label), ..Context::of(row) })
        }))
    }

    /// The first row; none but for a table.
    fn heading(&self) -> Result<Option<String>, Error> {
        let Some(headings) = &self.headings else { return Ok(None) };
        // docker's, to the letter: the last word of a label's key stands above it.
        let label = |key: &str| key.rsplit('.').next().unwrap_or_default().replace(['-', '_'], " ");
        let context = Context { methods: &|name, key| method(name, key, label), ..Context::of(headings) };
        self.template.render_in(&context).map(Some)
    }

    fn lay_out(&self, rows: impl Iterator<Item = Result<String, Error>>) -> Result<String, Error> {
        let lines: Result<Vec<String>, Error> = self.heading().transpose().into_iter().chain(rows).collect();
        let mut lines = lines?;
        if self.headings.is_none() {
            return Ok(lines.into_iter().map(|line| line + "\n").collect());
        }
        if !self.headed {
            lines.remove(0);
        }
        let cells: Vec<Vec<&str>> =
            lines.iter().flat_map(|line| line.split('\n')).map(|line| line.split('\t').collect()).collect();
        Ok(table::layout(&cells))
    }
}

/// The only method that docker's lists have.
fn method(name: &str, arguments: &[Value], label: impl Fn(&str) -> String) -> Option<Value> {
    match (name, arguments) {
        ("Label", [Value::String(key)]) => Some(label(key).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HEADINGS: &[Heading] = &[("ID", "IMAGE ID"), ("Tag", "TAG")];

    fn render(format: &str) -> Result<String, Error> {
        Format::parse(format, HEADINGS)?
            .render(&[json!({"ID": "0123", "Tag": "latest"}), json!({"ID": "4", "Tag": "b"})])
    }

    #[test]
    fn a_table_has_headings_and_columns() {
        assert_eq!(render(r"table {{.ID}}\t{{.Tag}}").unwrap(), "IMAGE ID   TAG\n0123       latest\n4          b\n");
    }

    #[test]
    fn a_table_can_go_without_headings() {
        let rows = [json!({"ID": "0123", "Tag": "latest"})];
        let format = Format::parse(r"table {{.ID}}\t{{.Tag}}", HEADINGS).unwrap().without_headings(true);
        assert_eq!(
            (format.render(&rows).unwrap().as_str(), format.render(&[]).unwrap().as_str()),
            ("0123      latest\n", "")
        );
        let plain = Format::parse("{{.ID}}", HEADINGS).unwrap().without_headings(true);
        assert_eq!(plain.render(&rows).unwrap(), "0123\n");
    }

    #[test]
    fn a_plain_template_is_a_line_for_each() {
        assert_eq!(render(r"{{.ID}}\t{{upper .Tag}}").unwrap(), "0123\tLATEST\n4\tB\n");
        assert_eq!(render("json").unwrap(), "{\"ID\":\"0123\",\"Tag\":\"latest\"}\n{\"ID\":\"4\",\"Tag\":\"b\"}\n");
        assert_eq!(render("tables").unwrap(), "tables\ntables\n");
    }

    #[test]
    fn labels_have_a_method() {
        let labels = [("a.b-c".to_owned(), "1".to_owned())].into();
        let render = |format: &str| {
            Format::parse(format, HEADINGS).unwrap().render_labelled(&[(json!({"ID": "4", "Tag": "b"}), &labels)])
        };
        assert_eq!(render(r#"table {{.ID}}\t{{.Label "a.b-c"}}"#).unwrap(), "IMAGE ID   b c\n4          1\n");
        assert_eq!(render(r#"{{.Label "a.b-c"}}{{.Label "none"}}"#).unwrap(), "1\n");
    }

    #[test]
    fn a_wrong_field_is_told_without_any_row() {
        assert!(Format::parse("{{.Nope}}", HEADINGS).is_err());
    }
}
