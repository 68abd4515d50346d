//! Records for systemd's journal, by its native protocol: one datagram for each
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use super::{About, Error, Stream};

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// A way to journald. It is not waited for: what it does not take at once is lost, and told.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// The fields that all records have.
    fields: Vec<u8>,
    datagram: Vec<u8>,
}

impl Journal {
    /// Finds the journal.
    pub fn open(about: &About) -> Result<Self, Error> {
        Self::at(Path::new(SOCKET), about)
    }

    fn at(path: &Path, about: &About) -> Result<Self, Error> {
        let missing = |source| Error::NoJournal { path: path.to_owned(), source };
        let socket = UnixDatagram::unbound().map_err(missing)?;
        socket.set_nonblocking(true).map_err(missing)?;
        // Sent to by name each time, so that a journald that is started anew is found; this is only to see that there is one.
        UnixDatagram::unbound().and_then(|trial| trial.connect(path)).map_err(missing)?;
        let tag = about.details.get("tag").map_or(about.short_id(), String::as_str);
        let mut fields = Vec::new();
        for (name, value) in [
            ("CONTAINER_ID", about.short_id()),
            ("CONTAINER_ID_FULL", &about.id),
            ("CONTAINER_NAME", &about.name),
            ("CONTAINER_TAG", tag),
            ("SYSLOG_IDENTIFIER", tag),
            ("IMAGE_NAME", &about.image),
        ] {
            field(&mut fields, name, value.as_bytes());
        }
        for (name, value) in &about.details {
            if let Some(name) = field_name(name).filter(|name| name != "TAG") {
                field(&mut fields, &name, value.as_bytes());
            }
        }
        Ok(Self { socket, path: path.to_owned(), fields, datagram: Vec::new() })
    }

    /// Sends one record.
    pub fn send(&mut self, stream: Stream, text: &[u8], whole: bool) -> io::Result<()> {
        self.datagram.clear();
        // syslog(3): 6 is informational, 3 is an error.
        field(&mut self.datagram, "PRIORITY", if stream == Stream::Output { b"6" } else { b"3" });
        self.datagram.extend_from_slice(&self.fields);
        if !whole {
            field(&mut self.datagram, "CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        field(&mut self.datagram, "MESSAGE", text);
        self.socket.send_to(&self.datagram, &self.path).map(|_| ())
    }
}

/// Adds a field in the form that holds any bytes.
fn field(datagram: &mut Vec<u8>, name: &str, value: &[u8]) {
    datagram.extend_from_slice(name.as_bytes());
    datagram.push(b'\n');
    datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    datagram.extend_from_slice(value);
    datagram.push(b'\n');
}

/// The name of a detail as the journal takes it: capitals, digits and `_`, and no `_` or digit first; `None` where nothing is left.
fn field_name(name: &str) -> Option<String> {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(fit).collect();
    let name = name.trim_start_matches(|c: char| c == '_' || c.is_ascii_digit());
    (!name.is_empty()).then(|| name.chars().take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_its_fields_and_any_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        let about = About {
            id: "0123456789abcdef".into(),
            name: "web".into(),
            image: "busybox".into(),
            details: [("org.x-y".into(), "z".into())].into(),
            ..About::default()
        };
        let mut journal = Journal::at(&path, &about).unwrap();
        journal.send(Stream::Error, b"a\nb\xff", false).unwrap();
        let mut buffer = [0; 4096];
        let length = journald.recv(&mut buffer).unwrap();
        let received = &buffer[..length];
        let has = |name: &str, value: &[u8]| {
            let mut wanted = Vec::new();
            field(&mut wanted, name, value);
            assert!(received.windows(wanted.len()).any(|window| window == wanted), "{name}");
        };
        has("PRIORITY", b"3");
        has("CONTAINER_ID", b"0123456789ab");
        has("CONTAINER_ID_FULL", b"0123456789abcdef");
        has("CONTAINER_TAG", b"0123456789ab");
        has("CONTAINER_NAME", b"web");
        has("CONTAINER_PARTIAL_MESSAGE", b"true");
        has("ORG_X_Y", b"z");
        has("MESSAGE", b"a\nb\xff");
    }

    #[test]
    fn a_missing_journal_is_told_with_its_mend() {
        let error = Journal::at(Path::new("/nonexistent/socket"), &About::default()).unwrap_err();
        assert!(error.hint().unwrap().contains("k8s-file"));
    }
}
