//! The layers below: two, so that the upper of them hides something of the other.

use super::{Head, Tar, pax_record};

/// Some of everything. Without `links` no file has two names.
pub fn layers(links: bool) -> Vec<Vec<u8>> {
    let mut first = Tar::default();
    let mut dir = |name: &str, mode, owner| {
        first.head(&Head {
            name: name.as_bytes(),
            kind: b'5',
            mode,
            uid: owner,
            gid: owner,
            mtime: 900_000_000,
            ..Head::default()
        });
    };
    dir(".", 0o755, 0);
    dir("a", 0o777, 0);
    dir("a/a", 0o770, 1000);
    dir("a/b", 0o755, 0);
    dir("c", 0o1777, 0);
    dir("c/c", 0o2755, 1001);
    dir("c/b", 0o755, 0);
    let mut file = |name: &str, mode, owner, content: &[u8]| {
        first.head(&Head {
            name: name.as_bytes(),
            mode,
            uid: owner,
            gid: owner,
            mtime: 1_000_000_000,
            size: content.len() as u64,
            ..Head::default()
        });
        first.body(content);
    };
    let large: Vec<u8> = (0..70_000u32).map(|n| if (10_000..40_000).contains(&n) { 0 } else { n as u8 }).collect();
    file("b", 0o4755, 0, &large[..5000]);
    file("a/c", 0o644, 1000, b"a file");
    file("a/a/a", 0o666, 1000, &large);
    file("a/a/b", 0o2775, 1001, b"setgid");
    file("a/b/a", 0o600, 0, b"of root alone");
    file("a/b/c", 0o444, 0, b"");
    file("c/a", 0o640, 1001, b"below a sticky directory");
    file("c/c/a", 0o644, 1000, b"hidden");
    file("c/b/a", 0o644, 0, b"whited out");
    first.symlink("c/c/c", "../../b");
    first.head(&Head { name: b"c/c/b", kind: b'6', mode: 0o666, mtime: 1_000_000_000, ..Head::default() });
    if links {
        first.hard_link("a/a/c", "a/c");
        first.hard_link("c/b/b", "b");
    }
    let mut second = Tar::default();
    let note = pax_record("SCHILY.xattr.user.a", b"noted");
    second.head(&Head { name: b"pax", kind: b'x', size: note.len() as u64, ..Head::default() });
    second.body(&note);
    second.file("a/b/b", "with an attribute");
    second.file("c/b/.wh.a", "");
    second.file("c/c/.wh..wh..opq", "");
    second.file("c/c/a", "shown");
    vec![first.end(), second.end()]
}
