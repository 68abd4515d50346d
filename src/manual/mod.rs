//! The manual, made of the definitions that the program itself runs by: commands and flags from `cli`, keys from `settings`.
//!
//! Owns the pages' layout and the text that stands in no definition. `enter __manual` writes them; the files in `man/` are
//! what it wrote, and `tests/manual.rs` holds them together.

mod page;
mod text;

use clap::Command;

use crate::cli::group::namesake;
use crate::cli::{self, examples};
use crate::settings::KEYS;
use page::Page;

/// Every page: the name of its file, and its text.
pub fn pages() -> Vec<(String, String)> {
    let mut root = cli::definition();
    root.build();
    let subcommands: Vec<&Command> = root.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    let mut pages = vec![("enter.1".to_owned(), enter(&root, &subcommands)), ("enter.toml.5".to_owned(), settings())];
    for sub in subcommands {
        let group = sub.get_name();
        pages.push((
            format!("enter-{group}.1"),
            if sub.has_subcommands() { self::group(&root, sub) } else { subcommand(sub, &[group]) },
        ));
        for verb in verbs(sub).filter(|verb| namesake(&root, group, verb.get_name()).is_none()) {
            let words = [group, verb.get_name()];
            let name = format!("enter-{}.1", words.join("-"));
            pages.push((
                name,
                if verb.is_subcommand_required_set() { inner_group(verb, words) } else { subcommand(verb, &words) },
            ));
            for inner in verbs(verb).filter(|_| verb.is_subcommand_required_set()) {
                let words = [group, verb.get_name(), inner.get_name()];
                pages.push((format!("enter-{}.1", words.join("-")), subcommand(inner, &words)));
            }
        }
    }
    pages
}

fn enter(root: &Command, subcommands: &[&Command]) -> String {
    let mut page = Page::new("enter", "1", &about(root));
    page.section("SYNOPSIS");
    page.synopsis("enter", "[OPTIONS] NAME [COMMAND]...");
    page.synopsis("enter", "SUBCOMMAND ...");
    page.section("DESCRIPTION");
    page.paragraphs(text::DESCRIPTION);
    page.section("SUBCOMMANDS");
    for sub in subcommands {
        page.entry(&format!("`enter-{}`(1)", sub.get_name()), &[&about(sub)]);
    }
    page.section("OPTIONS");
    page.arguments(root);
    page.examples(examples::of("enter"));
    page.section("EXIT STATUS");
    page.entries(text::SHELL_STATUS);
    page.section("ENVIRONMENT");
    for key in KEYS {
        page.entry(&format!("`{}`", key.env), &[&format!("The setting `{}`; see `enter.toml`(5).", key.name)]);
    }
    page.entries(text::ENVIRONMENT);
    page.section("FILES");
    page.entries(text::FILES);
    page.section("STORAGE");
    page.paragraphs(text::STORAGE);
    page.section("SECURITY");
    page.paragraphs(text::SECURITY);
    let mut others: Vec<String> = subcommands.iter().map(|sub| format!("`enter-{}`(1)", sub.get_name())).collect();
    others.extend(text::SEE_ALSO.iter().map(|page| (*page).to_owned()));
    page.section("SEE ALSO");
    page.paragraph(&others.join(", "));
    page.finish()
}

/// A group of verbs: each stands on a page of its own, or is another command.
fn group(root: &Command, sub: &Command) -> String {
    let name = sub.get_name();
    let mut page = Page::new(&format!("enter-{name}"), "1", &about(sub));
    page.section("SYNOPSIS");
    page.synopsis(&format!("enter {name}"), "VERB ...");
    page.section("DESCRIPTION");
    page.paragraphs(&long_about(sub));
    page.section("VERBS");
    for verb in verbs(sub) {
        let words: Vec<&str> = std::iter::once(verb.get_name()).chain(verb.get_visible_aliases()).collect();
        let at = match namesake(root, name, verb.get_name()) {
            Some(namesake) => format!("See `enter-{}`(1).", namesake.get_name()),
            None => format!("See `enter-{name}-{}`(1).", verb.get_name()),
        };
        page.entry(&format!("`{}`", words.join("`, `")), &[&(about(verb) + "."), &at]);
    }
    page.examples(examples::of(name));
    if name == "volume" {
        page.section("FIRST USE");
        page.paragraphs(text::VOLUMES_FIRST);
        page.section("OWNERS");
        page.paragraphs(text::OWNERS);
        page.entries(text::OWNERS_TABLE);
    }
    page.section("EXIT STATUS");
    page.entries(text::status(name));
    page.section("SEE ALSO");
    page.paragraph("`enter`(1), `enter.toml`(5)");
    page.finish()
}

/// A group in a group, such as `image trust`.
fn inner_group(sub: &Command, words: [&str; 2]) -> String {
    let name = words.join("-");
    let mut page = Page::new(&format!("enter-{name}"), "1", &about(sub));
    page.section("SYNOPSIS");
    page.synopsis(&format!("enter {}", words.join(" ")), "VERB ...");
    page.section("DESCRIPTION");
    page.paragraphs(&long_about(sub));
    page.section("VERBS");
    for verb in verbs(sub) {
        let at = format!("See `enter-{name}-{}`(1).", verb.get_name());
        page.entry(&format!("`{}`", verb.get_name()), &[&(about(verb) + "."), &at]);
    }
    page.examples(examples::of(&name));
    page.section("SEE ALSO");
    page.paragraph("`enter`(1), `containers-policy.json`(5)");
    page.finish()
}

fn verbs(group: &Command) -> impl Iterator<Item = &Command> {
    group.get_subcommands().filter(|verb| verb.get_name() != "help")
}

fn subcommand(sub: &Command, words: &[&str]) -> String {
    let name = &words.join("-");
    let mut page = Page::new(&format!("enter-{name}"), "1", &about(sub));
    page.section("SYNOPSIS");
    page.synopsis(&format!("enter {}", words.join(" ")), &page::usage(sub));
    page.section("DESCRIPTION");
    page.paragraphs(&long_about(sub));
    page.section("OPTIONS");
    page.arguments(sub);
    page.examples(examples::of(name));
    page.section("EXIT STATUS");
    page.entries(text::status(name));
    page.section("SEE ALSO");
    page.paragraph("`enter`(1), `enter.toml`(5)");
    page.finish()
}

fn settings() -> String {
    let mut page = Page::new("enter.toml", "5", "the settings of enter");
    page.section("SYNOPSIS");
    page.paragraph("`~/.config/enter/config.toml`");
    page.section("DESCRIPTION");
    page.paragraphs(text::SETTINGS);
    page.section("KEYS");
    for key in KEYS {
        let meaning = key.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let mut kind = format!("It is {}.", (key.wanted)());
        let default = (key.default)();
        if !default.is_empty() {
            kind.push_str(&format!(" The default is `{default}`."));
        }
        page.entry(&format!("`{}`", key.name), &[&meaning, &kind, &format!("Variable: `{}`.", key.env)]);
    }
    page.section("EXAMPLES");
    page.verbatim(text::SETTINGS_EXAMPLE);
    page.section("ERRORS");
    page.paragraphs(text::SETTINGS_ERRORS);
    page.section("SEE ALSO");
    page.paragraph("`enter`(1)");
    page.finish()
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// The paragraphs of the long description, without the first, which is the short one.
fn long_about(command: &Command) -> Vec<String> {
    let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    let paragraphs: Vec<String> = long.split("\n\n").skip(1).map(ToOwned::to_owned).collect();
    if paragraphs.is_empty() { vec![about(command) + "."] } else { paragraphs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_settings_is_valid_and_names_every_key_it_should() {
        let overrides = crate::settings::check_file(text::SETTINGS_EXAMPLE);
        assert!(overrides.is_ok(), "{overrides:?}");
    }

    #[test]
    fn every_subcommand_is_described_and_has_an_example() {
        for sub in cli::definition().get_subcommands() {
            assert!(sub.get_long_about().is_some(), "`enter {}` has no long description", sub.get_name());
            assert!(!examples::of(sub.get_name()).is_empty(), "`enter {}` has no example", sub.get_name());
        }
    }
}
