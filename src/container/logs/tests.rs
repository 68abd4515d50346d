use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const START: &str = "2026-11-22T04:50:59.5Z";

fn config(json: bool, max_size: u64, max_files: u32) -> LogConfig {
    let driver = if json { LogDriver::JsonFile } else { LogDriver::K8sFile };
    LogConfig { driver, max_size, max_files, ..LogConfig::default() }
}

fn writer(config: &LogConfig, folder: &Path) -> Writer {
    Writer::open(config, folder, &About::default()).unwrap()
}

fn moment(second: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

/// What is read: `o` or `e` for the stream, the text, and a newline where there was one.
fn read(config: &LogConfig, folder: &Path, query: &Query) -> String {
    let mut reader = Reader::open(files(config, folder).unwrap(), query).unwrap();
    let mut shown = String::new();
    reader.drain(|entry| show(&mut shown, entry)).unwrap();
    reader.finish(|entry| show(&mut shown, entry)).unwrap();
    shown
}

fn show(shown: &mut String, entry: &Entry) -> Result<(), Error> {
    shown.push(if entry.stream == Stream::Output { 'o' } else { 'e' });
    shown.push_str(std::str::from_utf8(&entry.text).unwrap());
    shown.push_str(if entry.whole { "\n" } else { "…" });
    Ok(())
}

#[test]
fn the_window_and_the_tail_are_what_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    for json in [false, true] {
        let folder = dir.path().join(json.to_string());
        let config = config(json, 400, 3);
        let mut writer = writer(&config, &folder);
        for second in 0..10 {
            let stream = if second % 2 == 0 { Stream::Output } else { Stream::Error };
            writer.write(stream, format!("{second}\n").as_bytes(), moment(second));
        }
        writer.write(Stream::Output, b"end", moment(10));
        writer.finish(moment(11));
        let all = Query::default();
        let shown = |query: Query| read(&config, &folder, &query);
        assert_eq!(shown(all), "o0\ne1\no2\ne3\no4\ne5\no6\ne7\no8\ne9\noend…");
        assert_eq!(shown(Query { tail: Some(0), ..all }), "");
        assert_eq!(shown(Query { tail: Some(1), ..all }), "oend…");
        assert_eq!(shown(Query { tail: Some(3), ..all }), "o8\ne9\noend…");
        assert_eq!(shown(Query { tail: Some(99), ..all }), shown(all));
        assert_eq!(shown(Query { since: Some(moment(8)), ..all }), "o8\ne9\noend…");
        assert_eq!(shown(Query { since: Some(moment(3)), until: Some(moment(4)), ..all }), "e3\no4\n");
        assert_eq!(shown(Query { until: Some(moment(4)), tail: Some(2), ..all }), "e3\no4\n");
        assert_eq!(shown(Query { since: Some(moment(12)), ..all }), "");
    }
}

#[test]
fn the_pieces_of_a_line_are_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(false, 30_000, 9);
    let mut writer = writer(&config, dir.path());
    let long = "x".repeat(100_000);
    writer.write(Stream::Output, format!("a\n{long}\nb\n").as_bytes(), moment(0));
    let query = Query { tail: Some(2), ..Query::default() };
    let shown = read(&config, dir.path(), &query);
    assert_eq!(shown.replace("…o", ""), format!("o{long}\nob\n"));
}

#[test]
fn what_a_killed_writer_left_is_shown_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(false, 1000, 3);
    writer(&config, dir.path()).write(Stream::Output, b"one\ntwo\n", moment(0));
    let path = dir.path().join("logs/k8s.log");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 2]).unwrap();
    assert_eq!(read(&config, dir.path(), &Query::default()), "oone\notw\n");
    fs::write(&path, &text[..text.len() - 20]).unwrap();
    assert_eq!(read(&config, dir.path(), &Query::default()), "oone\n");
    writer(&config, dir.path()).write(Stream::Output, b"three\n", moment(0));
    assert_eq!(read(&config, dir.path(), &Query::default()), "oone\nothree\n");
}

#[test]
fn a_reader_that_follows_survives_rotations() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(false, 3000, 3);
    let query = Query { follow: true, tail: Some(0), ..Query::default() };
    let mut reader = Reader::open(files(&config, dir.path()).unwrap(), &query).unwrap();
    let mut numbers = Vec::new();
    let mut drain = |reader: &mut Reader| {
        let each = |entry: &Entry| -> Result<(), Error> {
            numbers.push(std::str::from_utf8(&entry.text).unwrap().parse::<u32>().unwrap());
            Ok(())
        };
        reader.drain(each).unwrap()
    };
    assert!(!drain(&mut reader));
    let mut writer = writer(&config, dir.path());
    for number in 0..1000 {
        writer.write(Stream::Output, format!("{number}\n").as_bytes(), moment(0));
        if number % 37 == 0 {
            drain(&mut reader);
        }
    }
    drain(&mut reader);
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_is_left_behind_goes_on_with_what_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(false, 500, 2);
    let mut writer = writer(&config, dir.path());
    writer.write(Stream::Output, b"0\n", moment(0));
    let query = Query { follow: true, ..Query::default() };
    let mut reader = Reader::open(files(&config, dir.path()).unwrap(), &query).unwrap();
    for number in 1..100 {
        writer.write(Stream::Output, format!("{number}\n").as_bytes(), moment(0));
    }
    let mut shown = String::new();
    reader.drain(|entry| show(&mut shown, entry)).unwrap();
    assert!(reader.has_skipped() && !reader.has_skipped());
    assert!(shown.starts_with("o0\n") && shown.ends_with("o98\no99\n") && !shown.contains("o50\n"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_tail_is_the_end_of_all(
        lengths in prop::collection::vec((0..40_000usize, any::<bool>()), 1..12),
        count in 0..14u64,
        max_size in 1000..200_000u64,
        json: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = config(json, max_size, 1000);
        let mut writer = writer(&config, dir.path());
        for (number, (length, newline)) in lengths.iter().enumerate() {
            let text = format!("{number}{}{}", "x".repeat(*length), if *newline { "\n" } else { "" });
            writer.write(Stream::Output, text.as_bytes(), moment(0));
        }
        writer.finish(moment(0));
        let joined = |query: &Query| read(&config, dir.path(), query).replace("…o", "").replace('…', "");
        let all = joined(&Query::default());
        let lines: Vec<&str> = all.split_inclusive('\n').collect();
        let wanted = lines[lines.len().saturating_sub(usize::try_from(count).unwrap())..].concat();
        let query = Query { tail: Some(count), ..Query::default() };
        prop_assert!(joined(&query) == wanted);
    }
}
