//! A registry of one page that wants tokens, and makes them itself; plain HTTP on a port of 127.0.0.1.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A running server; it lives as long as the test program.
#[derive(Debug)]
pub struct Tokens {
    /// `127.0.0.1:PORT`.
    pub address: String,
}

impl Tokens {
    /// Starts one that gives its token to one user alone.
    pub fn start(user: &str, password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a port").to_string();
        let authorization = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let own = address.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away in the middle is no fault of the test's.
                let _ = answer(stream, &own, &authorization);
            }
        });
        Self { address }
    }
}

fn answer(mut stream: TcpStream, address: &str, authorization: &str) -> std::io::Result<()> {
    let mut lines = Vec::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        // TLS is no text, and not spoken here.
        let line = line?;
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let shown = lines.iter().find_map(|line| line.to_lowercase().starts_with("authorization: ").then(|| &line[15..]));
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"test\"\r\n");
    let (status, header, body) = match (path.split('?').next().unwrap_or_default(), shown) {
        ("/v2/", Some("Bearer good")) => ("200 OK", "", "{}"),
        ("/v2/", _) => ("401 Unauthorized", challenge.as_str(), "{}"),
        ("/token", Some(shown)) if shown == authorization => ("200 OK", "", r#"{"token": "good"}"#),
        ("/token", _) => {
            ("401 Unauthorized", "", r#"{"errors": [{"code": "UNAUTHORIZED", "message": "no such luck"}]}"#)
        }
        _ => ("404 Not Found", "", "{}"),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
