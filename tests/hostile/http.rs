//! What can be wrong with an answer before its content: status, headers, redirects, and the time that it takes.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::registry::{Lie, Registry};
use crate::victim::{Victim, pause};

/// A registry that answers requests for manifests so.
fn answering(lie: Lie) -> Victim {
    Victim::told("/manifests/", lie)
}

fn redirecting(location: &str) -> Victim {
    answering(Lie::Answer(307, vec![("Location", location.to_owned())], Vec::new()))
}

#[test]
fn answers_that_are_no_http() {
    for bytes in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \x00\x01\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"",
    ] {
        answering(Lie::raw(bytes)).refuses(&["127.0.0.1"]);
    }
}

#[test]
fn statuses_that_are_no_answer() {
    for status in [201, 202, 204, 205, 300, 304, 305, 400, 402, 405, 406, 410, 418, 451, 500, 501, 511, 599, 600, 999] {
        answering(Lie::Answer(status, Vec::new(), Vec::new())).refuses(&[]);
    }
}

#[test]
fn headers_without_end() {
    let endless = |line: &'static str| {
        Lie::act(move |_, out| {
            out.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                out.write_all(line.repeat(1000).as_bytes())?;
            }
        })
    };
    answering(endless("X-Header: value\r\n")).refuses(&["127.0.0.1"]);
    answering(endless("one long line ")).refuses(&["127.0.0.1"]);
    answering(Lie::act(|_, out| {
        loop {
            out.write_all(&b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000))?;
        }
    }))
    .refuses(&["127.0.0.1"]);
    // Chunks have headers of their own.
    answering(Lie::act(|_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")?;
        loop {
            out.write_all(&[b'x'; 65536])?;
        }
    }))
    .refuses(&["127.0.0.1"]);
    answering(Lie::act(|_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n")?;
        loop {
            out.write_all(&b"X-Trailer: value\r\n".repeat(1000))?;
        }
    }))
    .refuses(&[]);
}

#[test]
fn answers_that_come_a_byte_at_a_time() {
    let drip = |start: &'static [u8], byte: &'static [u8]| {
        Lie::act(move |_, out| {
            out.write_all(start)?;
            loop {
                out.write_all(byte)?;
                pause(50);
            }
        })
    };
    for (start, byte) in [
        (&b""[..], &b"H"[..]),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 403 No\r\n\r\n", b" "),
        (b"HTTP/1.1 401 No\r\n\r\n", b" "),
        (b"HTTP/1.1 307 No\r\nLocation: /v2/a/manifests/1\r\n\r\n", b" "),
    ] {
        answering(drip(start, byte)).refuses(&[]);
    }
}

#[test]
fn a_layer_that_comes_a_byte_at_a_time() {
    let (victim, pushed) = Victim::new();
    let size = victim.registry.size(&format!("/v2/a/blobs/{}", pushed.blobs[0]));
    victim.registry.lie(
        &pushed.blobs[0].to_string(),
        usize::MAX,
        Lie::act(move |_, out| {
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
            loop {
                out.write_all(b"x")?;
                pause(60);
            }
        }),
    );
    victim.refuses(&["stalled"]);
}

#[test]
fn answers_that_stop() {
    for start in [
        &b""[..],
        b"HTTP/1.1",
        b"HTTP/1.1 200 OK\r\nContent-Ty",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ] {
        answering(Lie::act(move |_, out| {
            out.write_all(start)?;
            pause(5000);
            Ok(())
        }))
        .refuses(&["stalled"]);
    }
}

#[test]
fn a_handshake_that_stops() {
    let (victim, _) = Victim::new();
    for answer in [
        &b""[..],
        b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x16\x03\x03\xff\xff",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let _ = stream.read(&mut [0; 1000]).and_then(|_| stream.write_all(answer));
                    pause(5000);
                });
            }
        });
        victim.enter(&["pull", &format!("{host}/a:1")]).refused(&[&host]);
    }
    victim.has_nothing();
}

#[test]
fn redirects_to_where_no_image_is() {
    for location in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:1/x",
        "data:,{}",
        "javascript:1",
        "unix:///run/x.sock",
        "http://",
        "http://[",
        "https://[31m/",
    ] {
        redirecting(location).refuses(&["redirects to where it must not"]);
    }
    for location in [
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://0xa9.0xfe.0xa9.0xfe/",
    ] {
        redirecting(location).refuses(&["redirects to where it must not"]);
    }
}

#[test]
fn redirects_without_end() {
    let victim = answering(Lie::act(|request, out| {
        let path = request.line.split(' ').nth(1).unwrap_or_default();
        write!(out, "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {path}x\r\nContent-Length: 0\r\n\r\n")
    }));
    victim.refuses(&["more than 10 times"]);
    let long = format!("/{}", "x".repeat(60_000));
    redirecting(&long).refuses(&[]);
    let other = Registry::start();
    other.lie("/", usize::MAX, Lie::Answer(302, vec![("Location", format!("http://{}/", other.host()))], Vec::new()));
    redirecting(&format!("http://{}/", other.host())).refuses(&["more than 10 times"]);
}

#[test]
fn another_host_gets_no_credentials() {
    let elsewhere = Registry::start();
    let (victim, _) = Victim::new();
    victim.log_in(&victim.registry.host());
    victim.registry.lie(
        "/manifests/",
        1,
        Lie::Answer(401, vec![("WWW-Authenticate", "Basic realm=\"x\"".into())], Vec::new()),
    );
    let location = format!("http://{}/v2/a/manifests/1", elsewhere.host());
    victim.registry.lie("/manifests/", usize::MAX, Lie::Answer(307, vec![("Location", location)], Vec::new()));
    // It asks for them itself, too.
    elsewhere.want("Basic bWU6c2VjcmV0", "Basic realm=\"give\"");
    victim.refuses(&[]);
    assert!(!elsewhere.log().is_empty());
    assert!(
        elsewhere.log().iter().all(|request| !request.headers.contains_key("authorization")),
        "{:?}",
        elsewhere.log()
    );
}

#[test]
fn rest_that_is_wished_for() {
    for after in [
        "99999999999999999999",
        "3600",
        "-5",
        "Wed, 21 Oct 2099 07:28:00 GMT",
        "Wed, 21 Oct 1999 07:28:00 GMT",
        "\u{1b}[31m",
        "",
        "1e9",
        "0x10",
    ] {
        for status in [429, 503] {
            answering(Lie::Answer(
                status,
                vec![("Retry-After", after.to_owned())],
                b"{\"errors\":[{\"code\":\"TOOMANYREQUESTS\"}]}".to_vec(),
            ))
            .refuses(&["127.0.0.1"]);
        }
    }
}

#[test]
fn words_that_would_move_the_cursor() {
    let words = r#"{"errors":[{"code":"DENIED\u001b","message":"\u001b]0;title\u0007\u001b[2J\u009b31m \u202e rm -rf \u2066 \r\n owned \u0000"}]}"#;
    for status in [400, 401, 403, 404, 429, 500] {
        let outcome = answering(Lie::Answer(status, Vec::new(), words.as_bytes().to_vec())).refuses(&["owned"]);
        assert!(!outcome.stderr.contains(['\u{202e}', '\u{2066}', '\u{9b}']), "{:?}", outcome.stderr);
    }
    answering(Lie::raw("HTTP/1.1 418 \u{1b}[31m\u{7}owned\r\nContent-Length: 0\r\n\r\n")).refuses(&["no HTTP"]);
    let long = format!("{{\"errors\":[{{\"message\":\"{}\"}}]}}", "x".repeat(60_000));
    let outcome = answering(Lie::Answer(403, Vec::new(), long.into_bytes())).refuses(&[]);
    assert!(outcome.stderr.len() < 2000, "{}", outcome.stderr);
}

#[test]
fn a_registry_of_http_1_0() {
    let (victim, pushed) = Victim::new();
    for path in [
        format!("/v2/a/manifests/{}", pushed.manifest),
        format!("/v2/a/blobs/{}", pushed.id),
        format!("/v2/a/blobs/{}", pushed.blobs[0]),
    ] {
        let bytes = [&b"HTTP/1.0 200 OK\r\n\r\n"[..], &victim.registry.content(&path)].concat();
        victim.registry.lie(
            &format!("GET {}", path.replace(&pushed.manifest.to_string(), "1")),
            usize::MAX,
            Lie::raw(bytes),
        );
    }
    victim.pull("a:1").success();
}
