//! The monitor's side of a log: takes what was read of the payload's output, and never makes it wait.
//!
//! One read is one write: lines are gathered in a batch. What cannot be written is lost and counted, and the count becomes a
//! record as soon as one can be written again.

use std::path::Path;

use jiff::Timestamp;

use super::form::Form;
use super::journald::Journal;
use super::lines::Splitter;
use super::rotated::{Lost, Rotated};
use super::{About, Error, LogConfig, LogDriver, Stream};

/// A batch is written when it has so many bytes, so that a read of many short lines takes no more memory than one of long ones.
const BATCH: usize = 256 << 10;

/// The log of a container that runs.
#[derive(Debug)]
pub struct Writer {
    splitters: [Splitter; 2],
    sink: Sink,
    batch: Vec<u8>,
    lost: Option<Lost>,
}

#[derive(Debug)]
enum Sink {
    Files { form: Form, file: Rotated },
    Journal(Journal),
    Nothing,
}

impl Writer {
    /// Opens the log of the container in `folder`, to go on where it ended.
    ///
    /// # Errors
    /// [`Error::NoJournal`], and what the filesystem says.
    pub fn open(config: &LogConfig, folder: &Path, about: &About) -> Result<Self, Error> {
        let sink = match (config.driver, super::file(config, folder)) {
            (LogDriver::Journald, _) => Sink::Journal(Journal::open(about)?),
            (LogDriver::None, _) | (_, None) => Sink::Nothing,
            (driver, Some(path)) => {
                let file = Rotated::open(path, config.max_size, config.max_files)?;
                let form = if driver == LogDriver::JsonFile { Form::json(&about.details) } else { Form::K8s };
                Sink::Files { form, file }
            }
        };
        Ok(Self { splitters: <[Splitter; 2]>::default(), sink, batch: Vec::new(), lost: None })
    }

    /// Takes what was read of `stream` just now. Lines are recorded when they end, and pieces of 16 KiB of longer ones.
    pub fn write(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) {
        self.record(stream, now, |splitter, emit| splitter.take(bytes, emit));
    }

    /// Records what had no newline: the payload has ended.
    pub fn finish(&mut self, now: Timestamp) {
        for stream in [Stream::Output, Stream::Error] {
            self.record(stream, now, |splitter, emit| splitter.finish(emit));
        }
    }

    fn record(
        &mut self,
        stream: Stream,
        now: Timestamp,
        split: impl FnOnce(&mut Splitter, &mut dyn FnMut(&[u8], bool)),
    ) {
        self.tell_losses(now);
        let Self { splitters, sink, batch, lost } = self;
        let splitter = &mut splitters[usize::from(stream == Stream::Error)];
        let mut lose = |result: Result<(), Lost>| {
            if let Err(more) = result {
                let before = lost.as_ref().map_or(0, |lost| lost.records);
                *lost = Some(Lost { records: before + more.records, ..more });
            }
        };
        match sink {
            Sink::Nothing => {}
            Sink::Journal(journal) => split(splitter, &mut |text, whole| {
                lose(journal.send(stream, text, whole).map_err(|reason| Lost { records: 1, reason }));
            }),
            Sink::Files { form, file } => {
                let header = form.header(stream, now);
                split(splitter, &mut |text, whole| {
                    let before = batch.len();
                    form.encode(batch, &header, text, whole);
                    if batch.len() > BATCH || file.overflows(batch.len()) {
                        lose(file.append(&batch[..before]));
                        batch.drain(..before);
                    }
                });
                lose(file.append(batch));
                batch.clear();
            }
        }
    }

    fn tell_losses(&mut self, now: Timestamp) {
        let Some(lost) = &self.lost else { return };
        let text = format!("[enter: {} log records before this one were lost: {}]", lost.records, lost.reason);
        let told = match &mut self.sink {
            Sink::Nothing => true,
            Sink::Journal(journal) => journal.send(Stream::Error, text.as_bytes(), true).is_ok(),
            Sink::Files { form, file } => {
                let mut record = Vec::new();
                form.encode(&mut record, &form.header(Stream::Error, now), text.as_bytes(), true);
                file.append(&record).is_ok()
            }
        };
        if told {
            self.lost = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T04:50:59.880325591Z".parse().unwrap()
    }

    #[test]
    fn lines_of_both_streams_are_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(&LogConfig::default(), dir.path(), &About::default()).unwrap();
        writer.write(Stream::Output, b"a\nb", now());
        writer.write(Stream::Error, b"c\n", now());
        writer.write(Stream::Output, b"d\ne", now());
        writer.finish(now());
        let head = "2026-11-22T04:50:59.880325591Z std";
        let wanted = format!("{head}out F a\n{head}err F c\n{head}out F bd\n{head}out P e\n");
        assert_eq!(fs::read_to_string(dir.path().join("logs/k8s.log")).unwrap(), wanted);
    }

    #[test]
    fn no_file_is_longer_than_it_may_be_and_no_record_is_torn() {
        let dir = tempfile::tempdir().unwrap();
        let config = LogConfig { max_size: 1000, max_files: 3, ..LogConfig::default() };
        let mut writer = Writer::open(&config, dir.path(), &About::default()).unwrap();
        for round in 0..50 {
            let lines: String = (0..20).map(|line| format!("{round} {line}\n")).collect();
            writer.write(Stream::Output, lines.as_bytes(), now());
        }
        let mut lines = Vec::new();
        for file in ["k8s.log.2", "k8s.log.1", "k8s.log"] {
            let text = fs::read_to_string(dir.path().join("logs").join(file)).unwrap();
            assert!(text.len() <= 1000 && text.ends_with('\n'), "{}", text.len());
            lines.extend(text.lines().map(|line| line.split_once(" F ").unwrap().1.to_owned()));
        }
        assert!(!dir.path().join("logs/k8s.log.3").exists());
        let all = (0..50).flat_map(|round| (0..20).map(move |line| format!("{round} {line}"))).collect::<Vec<_>>();
        assert!(lines.len() > 40 && all.ends_with(&lines), "{lines:?}");
    }

    #[test]
    fn losses_are_told_when_there_is_room_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(&LogConfig::default(), dir.path(), &About::default()).unwrap();
        writer.lost = Some(Lost { records: 7, reason: std::io::Error::from_raw_os_error(28) });
        writer.write(Stream::Output, b"on\n", now());
        let text = fs::read_to_string(dir.path().join("logs/k8s.log")).unwrap();
        let told: Vec<&str> = text.lines().map(|line| line.split_once(" F ").unwrap().1).collect();
        assert!(told[0].contains("7 log records before this one were lost: No space left"), "{told:?}");
        assert_eq!(told[1..], ["on"]);
    }
}
