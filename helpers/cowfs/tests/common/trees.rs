//! What the example `operate` prints of two filesystems, compared.
#![allow(dead_code)]

/// Two lines that differ; of trees the first file that does.
pub fn explain(expected: &str, seen: &str) -> String {
    let mut pairs = expected.split("| ").zip(seen.split("| "));
    let (expected, seen) = pairs.find(|(expected, seen)| expected != seen).unwrap_or((expected, seen));
    format!("\n  a directory: {expected}\n  here:        {seen}")
}

/// What a line says but for what overlayfs is known to do differently: how many links directories have, and inodes' numbers, by
/// which two names are one file's.
pub fn without_links(line: &str) -> String {
    let words = line.split(' ').filter(|word| *word != "renumbered" && !word.starts_with("first="));
    let mut text = words.collect::<Vec<_>>().join(" ");
    let mut from = 0;
    while let Some(at) = text[from..].find(" links=").map(|at| from + at) {
        let digits = text[at + 7..].bytes().take_while(u8::is_ascii_digit).count();
        from = at + 7 + digits;
        if !text[from..].starts_with(" size=") {
            text.replace_range(at..from, "");
            from = at;
        }
    }
    text
}
