//! Desktop files of an image, as this machine may have them: a stranger wrote them, and only what names and starts the application is kept.

use std::path::{Path, PathBuf};

/// What is kept; the rest could have this machine do something.
const KEPT: [&str; 15] = [
    "Version",
    "Type",
    "Name",
    "GenericName",
    "Comment",
    "Keywords",
    "Categories",
    "MimeType",
    "Terminal",
    "NoDisplay",
    "StartupNotify",
    "StartupWMClass",
    "Actions",
    "Exec",
    "Icon",
];

/// What takes the place of the stranger's.
pub struct Parts<'a> {
    /// The script that runs its arguments in the box.
    pub runner: &'a str,
    /// The line that says whose the file is.
    pub mark: &'a str,
    /// The box's name.
    pub place: &'a str,
    /// The icon's path, where there is one.
    pub icon: Option<&'a str>,
}

/// Key and value of a line.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// Lines of the groups that count, each group's name before its own.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut counts = false;
    text.lines().map(str::trim).filter(move |line| {
        if line.starts_with('[') {
            counts = *line == "[Desktop Entry]" || line.starts_with("[Desktop Action ");
        }
        counts && !line.starts_with('#') && !line.chars().any(char::is_control)
    })
}

/// What the application's icon is called.
pub fn icon(text: &str) -> Option<String> {
    lines(text).filter_map(pair).find(|(key, _)| *key == "Icon").map(|(_, value)| value.to_owned())
}

/// Where an icon of this name may be, the best first.
pub fn icon_places(name: &str) -> Vec<PathBuf> {
    let path = Path::new(name);
    if path.is_absolute() {
        let is_picture =
            path.extension().is_some_and(|ending| ["png", "svg", "xpm"].iter().any(|known| ending == *known));
        return if is_picture { vec![path.to_owned()] } else { Vec::new() };
    }
    if name.contains('/') {
        return Vec::new();
    }
    let sizes = ["scalable", "512x512", "256x256", "128x128", "96x96", "64x64", "48x48", "32x32"];
    let mut places: Vec<PathBuf> = sizes
        .iter()
        .map(|size| {
            let ending = if *size == "scalable" { "svg" } else { "png" };
            format!("/usr/share/icons/hicolor/{size}/apps/{name}.{ending}").into()
        })
        .collect();
    places.extend(["png", "svg", "xpm"].map(|ending| PathBuf::from(format!("/usr/share/pixmaps/{name}.{ending}"))));
    places.extend(
        ["png", "svg", "xpm"]
            .iter()
            .filter(|ending| name.ends_with(**ending))
            .map(|_| PathBuf::from(format!("/usr/share/pixmaps/{name}"))),
    );
    places
}

/// The file for this machine; `None` where it starts nothing.
pub fn rewritten(text: &str, parts: &Parts<'_>) -> Option<String> {
    let mut out = format!("{}\n", parts.mark);
    let (mut has_program, mut is_application) = (false, false);
    for line in lines(text) {
        if line.starts_with('[') {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        let Some((key, value)) = pair(line) else { continue };
        let plain = key.split('[').next().unwrap_or_default();
        if !KEPT.contains(&plain) {
            continue;
        }
        let value = match plain {
            "Exec" if value.is_empty() => continue,
            "Exec" => {
                has_program = true;
                format!("{} {value}", argument(parts.runner))
            }
            "Icon" => parts.icon.map_or_else(|| value.to_owned(), ToOwned::to_owned),
            "Name" => format!("{value} ({})", parts.place),
            "Type" => {
                is_application |= value == "Application";
                value.to_owned()
            }
            _ => value.to_owned(),
        };
        out.push_str(&format!("{key}={value}\n"));
    }
    (has_program && is_application).then_some(out)
}

/// An argument of `Exec`, in quotes, as the Desktop Entry Specification has them: escaped once for the quotes and once for the value.
fn argument(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '`' | '$' => out.push_str("\\\\"),
            '\\' => out.push_str("\\\\\\"),
            '%' => out.push('%'),
            _ => {}
        }
        out.push(char);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARTS: Parts<'_> = Parts { runner: "/a b/run", mark: "# mark", place: "work", icon: Some("/i.png") };

    #[test]
    fn only_what_names_and_starts_it_is_kept() {
        let text = "# x\n[Desktop Entry]\nType=Application\nName=Tool\nName[de]=Werkzeug\nExec=tool %U\nTryExec=/bin/tool\n\
                    DBusActivatable=true\nIcon=tool\nX-KDE-SubstituteUID=true\nActions=new\n[Desktop Action new]\nName=New\n\
                    Exec=tool --new\n[Other]\nExec=evil\n";
        let rewritten = rewritten(text, &PARTS).unwrap();
        assert_eq!(
            rewritten,
            "# mark\n[Desktop Entry]\nType=Application\nName=Tool (work)\nName[de]=Werkzeug (work)\nExec=\"/a b/run\" tool %U\n\
             Icon=/i.png\nActions=new\n[Desktop Action new]\nName=New (work)\nExec=\"/a b/run\" tool --new\n"
        );
        assert_eq!(icon(text).as_deref(), Some("tool"));
    }

    #[test]
    fn what_starts_no_program_is_no_application() {
        for text in ["", "[Desktop Entry]\nType=Link\nURL=file:///etc\n", "[Desktop Entry]\nType=Application\nExec=\n"]
        {
            assert_eq!(rewritten(text, &PARTS), None);
        }
    }

    #[test]
    fn icons_are_pictures_in_the_places_for_them() {
        assert_eq!(icon_places("/etc/passwd"), Vec::<PathBuf>::new());
        assert_eq!(icon_places("../../etc/x"), Vec::<PathBuf>::new());
        assert_eq!(icon_places("/opt/x.png"), [PathBuf::from("/opt/x.png")]);
        assert!(icon_places("x").contains(&"/usr/share/pixmaps/x.png".into()));
    }

    proptest! {
        #[test]
        fn every_program_that_is_started_is_the_runner(text in "(\\[Desktop Entry\\]\nType=Application\n)?((Exec|Name|TryExec|\\[Desktop Action x\\])[ =\\PC]{0,9}\n){0,6}") {
            for line in rewritten(&text, &PARTS).unwrap_or_default().lines() {
                prop_assert!(!line.starts_with("Exec") || line.contains("=\"/a b/run\" "), "{line}");
                prop_assert!(!line.starts_with("TryExec"), "{line}");
            }
        }
    }
}
