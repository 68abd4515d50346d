use super::*;
use proptest::prelude::*;
use regex_lite::Regex;

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn full(text: &str) -> String {
    Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

#[test]
fn bare_names_are_completed() {
    for (typed, complete) in [
        ("debian", "docker.io/library/debian:latest"),
        ("debian:12-slim", "docker.io/library/debian:12-slim"),
        ("docker.io/debian", "docker.io/library/debian:latest"),
        ("index.docker.io/library/debian", "docker.io/library/debian:latest"),
        ("grafana/loki:3.0", "docker.io/grafana/loki:3.0"),
        ("localhost/tool", "localhost/tool:latest"),
        ("localhost:5000/tool", "localhost:5000/tool:latest"),
        ("localhost:5000/a/b/c:v1", "localhost:5000/a/b/c:v1"),
        ("[::1]:5000/tool", "[::1]:5000/tool:latest"),
        ("[fe80::1]/tool:x", "[fe80::1]/tool:x"),
        ("192.0.2.1:80/tool", "192.0.2.1:80/tool:latest"),
        ("Registry/tool", "Registry/tool:latest"),
        ("quay.io/a/b__c.d---e", "quay.io/a/b__c.d---e:latest"),
        ("library/debian", "docker.io/library/debian:latest"),
    ] {
        assert_eq!(full(typed), complete);
    }
}

#[test]
fn tag_and_digest_are_both_kept() {
    let reference = Reference::parse(&format!("quay.io/a/b:1@{DIGEST}")).unwrap();
    assert_eq!(reference.tag(), Some("1"));
    assert_eq!(reference.digest().unwrap().to_string(), DIGEST);
    assert_eq!(reference.selector(), DIGEST);
    let pinned = Reference::parse(&format!("debian@{DIGEST}")).unwrap();
    assert_eq!(pinned.tag(), None);
    assert_eq!(pinned.to_string(), format!("docker.io/library/debian@{DIGEST}"));
    assert_eq!(pinned.familiar(), format!("debian@{DIGEST}"));
}

#[test]
fn refuses_what_is_no_name() {
    let long_tag = format!("debian:{}", "x".repeat(129));
    let long_name = format!("debian/{}", "x".repeat(250));
    for text in [
        "",
        ":",
        "/",
        "@",
        "debian:",
        "debian@",
        "debian@sha256:12",
        "/debian",
        "debian/",
        "a//b",
        "Debian",
        "quay.io/Debian",
        "-debian",
        "debian-",
        "de bian",
        "debian:a b",
        "debian:-x",
        "debian:.x",
        "a..b",
        "a___b",
        "a._b",
        "../debian",
        "quay.io/../x",
        "https://quay.io/x",
        "quay.io:x/y",
        "quay.io:70000/y",
        "[::1/x",
        "[zz]/x",
        "-a.b/x",
        "a..b/x",
        "debian\n",
        "dëbian",
        "quay.io/",
        "debian:x@",
        &long_tag,
        &long_name,
        &DIGEST[7..],
    ] {
        assert!(Reference::parse(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn upper_case_is_told_how_to_write_it() {
    let hint = Reference::parse("Debian").unwrap_err().hint().unwrap();
    assert!(hint.ends_with(": debian"), "{hint}");
}

#[test]
fn short_names_are_remembered_and_can_move() {
    let short = Reference::parse("tool:1").unwrap();
    assert!(short.is_short());
    assert_eq!(short.typed_path(), "tool");
    assert_eq!(short, Reference::parse("docker.io/library/tool:1").unwrap());
    assert_eq!(short.in_repository("quay.io/team/tool").unwrap().to_string(), "quay.io/team/tool:1");
    assert!(short.in_repository("tool").is_err());
    assert!(short.in_repository("quay.io/tool:2").is_err());
}

proptest! {
    #[test]
    fn any_text_is_refused_or_stable(text in "\\PC{0,60}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
        }
    }

    #[test]
    fn names_that_look_right_are_stable(text in "([a-zA-Z0-9.-]{1,8}(:[0-9]{1,5})?/)?[a-z0-9._-]{1,8}(/[a-z0-9._-]{1,8}){0,2}(:[A-Za-z0-9_.-]{1,8})?") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
            prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
            prop_assert!(!reference.path().contains(".."));
        }
    }

    #[test]
    fn the_grammar_itself_is_accepted(domain in "[a-z0-9]{1,5}(\\.[a-z0-9]{1,5}){1,2}(:[1-9][0-9]{0,3})?", path in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,3}(/[a-z0-9]{1,4}){0,2}", tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}") {
        let text = format!("{domain}/{path}:{tag}");
        let reference = Reference::parse(&text).unwrap();
        prop_assert_eq!(reference.tag(), Some(tag.as_str()));
        if domain != DEFAULT_DOMAIN {
            prop_assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn the_grammar_is_that_of_distribution(parts in proptest::collection::vec(proptest::sample::select(PARTS), 1..9)) {
        let text = parts.concat();
        let ours = Reference::parse(&text);
        let theirs = oracle(&text);
        prop_assert_eq!(ours.as_ref().ok().map(ToString::to_string), theirs, "{}: {:?}", text, ours);
    }
}

/// What names are made of, and what they are not.
const PARTS: &[&str] = &[
    "a",
    "b0",
    "library",
    "docker.io",
    "index.docker.io",
    "localhost",
    "quay.io",
    "Registry",
    "A",
    "[::1]",
    "[fe80::1]",
    "[",
    "]",
    "192.0.2.1",
    "/",
    "/",
    "/",
    "a/b",
    ":",
    ":",
    ":5000",
    ":latest",
    ":v1.0-x_y",
    "@",
    DIGEST_WITH_AT,
    DIGEST,
    "sha256:12",
    "sha512:",
    ".",
    "..",
    "_",
    "__",
    "___",
    "-",
    "--",
    " ",
    "\n",
    "é",
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];
const DIGEST_WITH_AT: &str = "@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// `ParseNormalizedNamed` and `TagNameOnly` of distribution/reference, by its own regular expressions (regexp.go), but for digests that
/// cannot be verified here, addresses that are none, and ports that there cannot be.
fn oracle(text: &str) -> Option<String> {
    const COMPONENT: &str = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*";
    const LABEL: &str = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    if Regex::new("^[a-f0-9]{64}$").unwrap().is_match(text) {
        return None;
    }
    let (domain, rest) = match text.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first => {
            (if matches!(first, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { first }, rest)
        }
        _ => ("docker.io", text),
    };
    let rest = if domain == "docker.io" && !rest.contains('/') { format!("library/{rest}") } else { rest.to_owned() };
    let grammar = format!(
        r"^((?:{LABEL}(?:\.{LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?)/({COMPONENT}(?:/{COMPONENT})*)(?::([0-9A-Za-z_][0-9A-Za-z_.-]{{0,127}}))?(?:@(sha256:[a-f0-9]{{64}}|sha512:[a-f0-9]{{128}}))?$"
    );
    let whole = format!("{domain}/{rest}");
    let found = Regex::new(&grammar).unwrap().captures(&whole)?;
    let (domain, path) = (&found[1], &found[2]);
    let port = domain.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map(|(_, port)| port.parse::<u16>());
    let address = domain.strip_prefix('[').map(|rest| rest.split(']').next().unwrap().parse::<std::net::Ipv6Addr>());
    if path.len() > 255 || port.is_some_and(|port| port.is_err()) || address.is_some_and(|address| address.is_err()) {
        return None;
    }
    let tag = found.get(3).map(|tag| tag.as_str());
    let digest = found.get(4).map(|digest| format!("@{}", digest.as_str())).unwrap_or_default();
    let tag = tag.or_else(|| digest.is_empty().then_some("latest")).map(|tag| format!(":{tag}")).unwrap_or_default();
    Some(format!("{domain}/{path}{tag}{digest}"))
}
