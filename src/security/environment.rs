//! Which of the caller's environment variables go into a shell in a container: an allow-list, since what a login collects (tokens,
//! agents' sockets, library paths) is either secret or wrong elsewhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// About the terminal, the language and the user's taste: they hold wherever the user sits.
const ALWAYS: &[&str] = &[
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORTERM",
    "EDITOR",
    "FORCE_COLOR",
    "LANG",
    "LANGUAGE",
    "LS_COLORS",
    "NO_COLOR",
    "PAGER",
    "TERM",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TZ",
    "VISUAL",
];

/// How to reach the outside, in capitals or not. Only without a password in them.
const PROXIES: &[&str] = &["all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy"];

/// Whether a container gets the variable `name` of the caller's without having been asked for it.
///
/// `shares_network`: the container has the host's own network, where a proxy on the host's loopback can be reached.
pub fn is_passed(name: &str, value: &OsStr, shares_network: bool) -> bool {
    if ALWAYS.contains(&name) || name.starts_with("LC_") {
        return true;
    }
    if !is_proxy(name) {
        return false;
    }
    name.eq_ignore_ascii_case("no_proxy") || is_harmless_proxy(value.as_bytes(), shares_network)
}

/// Whether a variable says how to reach the outside.
pub fn is_proxy(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    // `Http_Proxy` is nobody's variable.
    PROXIES.contains(&lower.as_str()) && (name == lower || name == lower.to_ascii_uppercase())
}

/// Whether a proxy's address has no user or password in it, and can be reached.
fn is_harmless_proxy(value: &[u8], shares_network: bool) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    let address = value.split_once("://").map_or(value, |(_, address)| address);
    // An `@` further on, in a path, is no user; but no proxy needs one there.
    if address.contains('@') {
        return false;
    }
    shares_network || !is_loopback(address)
}

fn is_loopback(address: &str) -> bool {
    let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    let local_name = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    local_name || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::{ALWAYS, is_passed};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn names<'a>(all: &[(&'a str, &str)], shares_network: bool) -> Vec<&'a str> {
        let passed = |(name, value): &&(&str, &str)| is_passed(name, OsStr::new(value), shares_network);
        all.iter().filter(passed).map(|(name, _)| *name).collect()
    }

    #[test]
    fn the_terminal_and_the_language_go_along_and_secrets_do_not() {
        let all = [
            ("TERM", "xterm"),
            ("EDITOR", "vim"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("LC_ALL", "C.UTF-8"),
            ("LD_PRELOAD", "/x.so"),
            ("LD_LIBRARY_PATH", "/x"),
            ("SSH_AUTH_SOCK", "/x"),
            ("PATH", "/x"),
            ("GITHUB_TOKEN", "x"),
            ("DBUS_SESSION_BUS_ADDRESS", "x"),
            ("TZ", "Europe/Berlin"),
            ("term", "x"),
            ("BASH_FUNC_x%%", "() { x; }"),
        ];
        assert_eq!(names(&all, true), ["TERM", "EDITOR", "LC_ALL", "TZ"]);
        assert!(ALWAYS.is_sorted());
    }

    #[test]
    fn a_proxy_goes_along_only_without_a_password() {
        for value in ["http://user:secret@proxy:3128", "user@proxy", "socks5h://a:b@[::1]:1", "http://p/x@y"] {
            assert!(names(&[("https_proxy", value)], true).is_empty(), "{value}");
        }
        for name in ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            assert_eq!(names(&[(name, "http://proxy.example:3128/")], false), [name]);
        }
        assert!(names(&[("Http_Proxy", "http://proxy.example:3128/")], true).is_empty());
        assert_eq!(names(&[("no_proxy", "localhost,a@b")], false), ["no_proxy"]);
    }

    #[test]
    fn a_proxy_on_the_hosts_loopback_goes_along_only_with_the_hosts_network() {
        for value in
            ["http://127.0.0.1:3128", "localhost:8080", "socks5://[::1]:1080", "http://0.0.0.0:1", "http://x.localhost"]
        {
            assert!(names(&[("http_proxy", value)], false).is_empty(), "{value}");
            assert_eq!(names(&[("http_proxy", value)], true), ["http_proxy"], "{value}");
        }
    }

    #[test]
    fn what_is_not_text_is_no_proxy_but_may_be_a_language() {
        let strange = OsStr::from_bytes(&[0xff]);
        assert!(!is_passed("http_proxy", strange, true));
        assert!(is_passed("LANG", strange, true));
    }
}
