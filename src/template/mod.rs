//! The part of Go's text/template that `--format` of docker and podman is used with, over plain data.
//!
//! Actions: fields and chains of them, `$` and variables, literals, pipelines, parentheses, `if`, `else if`, `with`, `range`
//! with `else`, `break`, `continue`, comments, and `{{-` `-}}`. Functions: Go's own (`index`, `slice`, `len`, `print`, `printf`,
//! `println`, `and`, `or`, `not`, the comparisons) and docker's (`json`, `join`, `split`, `upper`, `lower`, `title`, `truncate`, `pad`).
//!
//! Knows no other module. What is printed, and where, is its caller's business.
//!
//! Sources: <https://pkg.go.dev/text/template>, <https://docs.docker.com/engine/cli/formatting/>.

mod eval;
mod functions;
mod lex;
mod parse;
mod printf;

pub use serde_json::Value;

/// What a template is filled in with, beyond plain data.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// What dot and dollar are at first.
    pub data: &'a Value,
    /// Methods with arguments that the data has, such as `.Label "key"`; `None` for those that it does not have.
    pub methods: &'a dyn Fn(&str, &[Value]) -> Option<Value>,
    /// What a field that holds nothing is printed as, by its name: Go prints `[]` for a list that was never made.
    pub nothing: &'a dyn Fn(&str) -> &'static str,
}

impl<'a> Context<'a> {
    /// Data and nothing more.
    pub fn of(data: &'a Value) -> Self {
        Self { data, methods: &|_, _| None, nothing: &|_| functions::NOTHING }
    }
}

/// A template that was understood.
#[derive(Debug)]
pub struct Template {
    nodes: Vec<parse::Node>,
}

/// Why a template cannot be understood, or not be filled in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The text is no template.
    #[error("cannot read the template, character {at}: {what}")]
    Syntax {
        /// Counted from 1.
        at: usize,
        /// What is wrong there.
        what: String,
    },
    /// The data has no such field.
    #[error("cannot fill in the template: can't evaluate field {name}")]
    Field {
        /// The name that was asked for.
        name: String,
        /// The fields that there are.
        known: Vec<String>,
    },
    /// A function was called with what it cannot take.
    #[error("cannot fill in the template: {function}: {what}")]
    Call {
        /// Which function.
        function: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A variable that was never set.
    #[error("cannot fill in the template: undefined variable ${0}")]
    Variable(String),
}

impl Error {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Field { known, .. } if !known.is_empty() => Some(format!(
                "the fields are: {}",
                known.iter().map(|name| format!(".{name}")).collect::<Vec<_>>().join(" ")
            )),
            _ => None,
        }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`Error::Syntax`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self { nodes: parse::parse(text)? })
    }

    /// Fills it in. A field that `data` does not have is an error, at any depth, as it is with Go's structures; but a key that a
    /// map does not have is nothing. A map is told by a key that could be no field of a Go structure.
    ///
    /// # Errors
    /// All but [`Error::Syntax`].
    pub fn render(&self, data: &Value) -> Result<String, Error> {
        self.render_in(&Context::of(data))
    }

    /// Fills it in with data that has methods.
    ///
    /// # Errors
    /// All but [`Error::Syntax`].
    pub fn render_in(&self, context: &Context<'_>) -> Result<String, Error> {
        eval::render(&self.nodes, context)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn data() -> Value {
        json!({
            "ID": "0123456789ab", "Repository": "debian", "Size": 1_234, "Empty": "", "Yes": true, "None": null,
            "Names": ["a", "b"], "Labels": {"maintainer": "me", "z.y": "dotted"}, "Ports": [{"Port": 80}, {"Port": 443}]
        })
    }

    fn render(text: &str) -> Result<String, Error> {
        Template::parse(text)?.render(&data())
    }

    #[test]
    fn what_scripts_write() {
        for (template, expected) in [
            ("{{.ID}}", "0123456789ab"),
            ("{{ .Repository }}:{{.Size}}", "debian:1234"),
            ("{{json .Names}}", r#"["a","b"]"#),
            ("{{.Names | json}}", r#"["a","b"]"#),
            ("{{join .Names \", \"}}", "a, b"),
            ("{{upper .Repository}}{{.Repository | upper | lower}}", "DEBIANdebian"),
            ("{{range .Names}}<{{.}}>{{end}}", "<a><b>"),
            ("{{range $i, $n := .Names}}{{$i}}={{$n}} {{end}}", "0=a 1=b "),
            ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "maintainer=me;z.y=dotted;"),
            ("{{range .Empty}}x{{else}}nothing{{end}}", "nothing"),
            ("{{index .Labels \"z.y\"}}{{index .Names 1}}", "dottedb"),
            ("{{index .Labels \"none\"}}|{{.Labels.none}}|{{.Labels.maintainer}}", "|<no value>|me"),
            ("{{index .Ports 0 \"none\"}}", "<no value>"),
            ("{{(index .Ports 1).Port}}", "443"),
            ("{{with index .Ports 0}}{{.Port}}{{$.ID}}{{end}}", "800123456789ab"),
            ("{{if .Empty}}a{{else if .Yes}}b{{else}}c{{end}}", "b"),
            ("{{if and .Yes (not .Empty)}}y{{end}}", "y"),
            ("{{if and .None (index .None 1)}}y{{else}}n{{end}}{{or .ID (index .None 1)}}", "n0123456789ab"),
            ("{{slice .ID 2 4}}{{slice .Names 1}}{{slice .ID 10}}", "23[b]ab"),
            ("{{range .Names}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"),
            ("{{range .Names}}{{if eq . \"a\"}}{{continue}}{{end}}{{.}}{{end}}", "b"),
            ("{{with .Empty}}a{{else with .ID}}{{.}}{{else}}c{{end}}", "0123456789ab"),
            ("{{with $x := .ID}}{{$x}}{{end}}{{printf \"%v %s\" .Names .ID}}", "0123456789ab[a b] 0123456789ab"),
            ("{{range $p := .Ports}}{{$p.Port}},{{end}}{{(index .Ports 0).Port | printf \"%d\"}}", "80,443,80"),
            ("{{if eq .Repository \"x\" \"debian\"}}y{{end}}", "y"),
            ("{{if gt (len .Names) 1}}many{{end}}", "many"),
            ("{{len .Repository}}", "6"),
            ("{{println .ID}}", "0123456789ab\n"),
            (
                "{{printf \"%-8s|%5d|%05d|%q|%v\" .Repository .Size 7 .ID .Yes}}",
                "debian  | 1234|00007|\"0123456789ab\"|true",
            ),
            ("{{printf \"%.3s %x %t%%\" .ID .Size .Yes}}", "012 4d2 true%"),
            ("{{truncate .ID 4}}{{pad .Empty 1 2}}{{pad \"x\" 1 2}}|{{title .Repository}}", "0123 x  |Debian"),
            ("{{index (split .Labels.maintainer \"\") 1}}", "e"),
            ("a {{- /* gone */ -}}  b", "ab"),
            ("a {{- .Size -}}\n b", "a1234b"),
            ("{{.Names}} {{.Labels}} {{.None}}", "[a b] map[maintainer:me z.y:dotted] <no value>"),
            ("{{$x := .ID}}{{$x}}{{$x = .Size}}{{$x}}", "0123456789ab1234"),
            ("{{`raw \\n`}}{{\"t\\t\\u00e9\"}}{{'a'}}", "raw \\nt\t\u{e9}97"),
            ("{{print 1 2 \"a\" 3}}", "1 2a3"),
            ("{{\"{{\"}}}}", "{{}}"),
        ] {
            assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn methods_take_arguments_and_nothing_is_printed_by_its_name() {
        let data = json!({"Binds": null, "Init": null});
        let methods = |name: &str, arguments: &[Value]| (name == "Label").then(|| format!("<{}>", arguments[0]).into());
        let nothing = |name: &str| if name == "Binds" { "[]" } else { "<nil>" };
        let context = Context { data: &data, methods: &methods, nothing: &nothing };
        let render = |text: &str| Template::parse(text).unwrap().render_in(&context);
        assert_eq!(render("{{.Label \"a\"}}{{$.Label \"b\"}}").unwrap(), "<\"a\"><\"b\">");
        assert_eq!(render("{{.Binds}}{{.Init}}{{json .Binds}}").unwrap(), "[]<nil>null");
        assert!(render("{{.Nope \"a\"}}").is_err());
    }

    #[test]
    fn a_field_is_found_by_podmans_spelling() {
        let data = json!({"Id": "1", "State": {"Pid": 2, "PID": 3}, "Labels": {"a-b": "c"}});
        let render = |text: &str| Template::parse(text).unwrap().render_in(&Context::of(&data));
        assert_eq!(render("{{.ID}} {{.State.Pid}} {{.state.PID}}").unwrap(), "1 2 3");
        assert!(render("{{.State.pid}}").is_err(), "it may be either");
        assert_eq!(render("{{.Labels.A}}").unwrap(), "<no value>", "keys of a map are what they are");
    }

    #[test]
    fn an_unknown_field_names_those_that_there_are() {
        let error = render("{{.Nope}}").unwrap_err();
        assert_eq!(error.to_string(), "cannot fill in the template: can't evaluate field Nope");
        assert!(error.hint().unwrap().starts_with("the fields are: .Empty .ID "), "{:?}", error.hint());
        assert!(render("{{.ID.Nope}}").is_err());
        assert!(render("{{range .Ports}}{{.Nope}}{{end}}").is_err());
    }

    #[test]
    fn what_is_no_template_says_where() {
        for (template, expected) in [
            ("{{.ID", "character 1: `{{` without `}}`"),
            ("ab{{}}", "character 5: nothing between `{{` and `}}`"),
            ("{{if .ID}}x", "character 12: `end` is missing"),
            ("x{{end}}", "character 4: `end` without a beginning"),
            ("{{nope .ID}}", "character 3: there is no function `nope`"),
            ("{{.ID | }}", "character 9: a command is missing after `|`"),
            ("{{\"abc}}", "character 3: a string without its end"),
            ("{{(.ID}}", "character 7: `)` is missing"),
            ("{{.ID ?}}", "character 7: `?` is not understood"),
            ("{{if .ID}}a{{else}}b{{else}}c{{end}}", "character 23: `else` after `else`"),
            ("{{break}}", "character 3: `break` outside of `range`"),
        ] {
            let error = render(template).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot read the template, {expected}"), "{template}");
        }
    }

    #[test]
    fn wrong_arguments_are_errors_and_not_panics() {
        for template in [
            "{{index .Names 5}}",
            "{{index .Names -1}}",
            "{{join .ID \",\"}}",
            "{{len 5}}",
            "{{upper}}",
            "{{printf}}",
            "{{$nope}}",
            "{{truncate .ID -1}}",
            "{{lt .Names 1}}",
            "{{range .Size}}{{.Nope}}{{end}}",
            "{{pad .ID 99999999999 1}}",
            "{{range 99999999999}}x{{end}}",
            "{{printf \"%99999999d\" 1}}",
            "{{slice .ID 9 3}}",
            "{{slice .ID 0 99}}",
            "{{slice \"\u{e9}\" 1}}",
            "{{.None.Nope}}",
            "{{.ID 1}}",
            "{{index .None 1}}",
        ] {
            assert!(render(template).is_err(), "{template}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\{\\{|\\}\\}|[-$.|()\"`a-zIDif end range 0-9:=,%']|\\PC){0,40}") {
            let _ = render(&text);
        }
    }
}
