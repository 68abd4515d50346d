//! Downloads that stall, break off or are answered wrongly half-way, and what is kept of them.

use std::fs;
use std::time::Duration;

use enter::registry::{Error, LayerEvent, Reason};

use super::Fixture;
use super::registry::{Lie, Pushed, noise, tar};

/// Bytes in the layer, compressed and not.
const SIZE: usize = 3 << 20;

/// An image of one layer that does not compress.
fn push(fixture: &Fixture) -> (Pushed, Vec<u8>) {
    let tars = [tar("noise", &noise(1, SIZE))];
    (fixture.registry.push("big", "1", &tars), tars.into_iter().next().unwrap())
}

/// The `Range` headers of all requests for blobs but the configuration.
fn ranges(fixture: &Fixture, pushed: &Pushed) -> Vec<Option<String>> {
    let log = fixture.registry.log();
    let blobs = log.iter().filter(|request| request.line.contains(&pushed.blobs[0].to_string()));
    blobs.map(|request| request.headers.get("range").cloned()).collect()
}

fn check(fixture: &Fixture, tar: &[u8]) {
    let image = fixture.pull("big:1").unwrap();
    assert!(fs::read(&image.tars[0]).unwrap() == tar);
    assert_eq!(fixture.leftovers(), Vec::<String>::new());
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_ended() {
    let fixture = Fixture::new();
    let (pushed, tar) = push(&fixture);
    fixture.registry.lie(&pushed.blobs[0].to_string(), 2, Lie::Cut(1_000_000));
    check(&fixture, &tar);
    let ranges = ranges(&fixture, &pushed);
    assert_eq!(ranges.len(), 3);
    assert_eq!(ranges[0], None);
    assert!(ranges[1..].iter().all(Option::is_some), "{ranges:?}");
    assert_eq!(fixture.heard.retries(), 2);
    assert!(fixture.heard.received() < SIZE as u64 + 200_000, "nothing is fetched twice");
}

#[test]
fn a_connection_that_stalls_is_taken_up_too() {
    let fixture = Fixture::new();
    let (pushed, tar) = push(&fixture);
    fixture.registry.lie(&pushed.blobs[0].to_string(), 1, Lie::Stall(1_500_000));
    check(&fixture, &tar);
    assert!(ranges(&fixture, &pushed)[1].is_some());
    assert!(fixture.heard.retries.lock().unwrap()[0].contains("stalled"));
}

#[test]
fn a_registry_that_always_stalls_is_given_up_and_what_came_is_kept() {
    let mut fixture = Fixture::new();
    let (pushed, tar) = push(&fixture);
    fixture.options.transfer.retries = 1;
    fixture.options.transfer.stall_timeout = Duration::from_millis(150);
    fixture.registry.lie(&pushed.blobs[0].to_string(), 1, Lie::Stall(2_000_000));
    fixture.registry.lie(&pushed.blobs[0].to_string(), usize::MAX, Lie::Stall(0));
    let error = fixture.pull("big:1").unwrap_err();
    assert!(matches!(&error, Error::Reach { reason: Reason::Silent(_), .. }), "{error:?}");
    assert_eq!(
        fixture.leftovers().len(),
        2,
        "the part that can be resumed, in its directory: {:?}",
        fixture.leftovers()
    );
    fixture.registry.repent();
    fixture.registry.forget();
    fixture.heard.forget();
    check(&fixture, &tar);
    let events = fixture.heard.events(&pushed.blobs[0]);
    assert!(matches!(events[0], LayerEvent::Started { from } if from > 1_000_000), "{events:?}");
    assert!(ranges(&fixture, &pushed)[0].is_some());
}

#[test]
fn a_range_that_is_ignored_or_wrong_costs_bytes_but_not_the_image() {
    for lie in [
        Lie::IgnoreRange,
        Lie::ContentRange("bytes 5-3145727/3145728"),
        Lie::ContentRange("bytes 0-1/2"),
        Lie::ContentRange("nonsense"),
        Lie::Answer(416, Vec::new(), Vec::new()),
    ] {
        let fixture = Fixture::new();
        let (pushed, tar) = push(&fixture);
        fixture.registry.lie(&pushed.blobs[0].to_string(), 1, Lie::Cut(1_000_000));
        fixture.registry.lie(&pushed.blobs[0].to_string(), 1, lie.clone());
        check(&fixture, &tar);
    }
}

#[test]
fn a_damaged_part_of_an_earlier_pull_is_thrown_away() {
    let mut fixture = Fixture::new();
    let (pushed, tar) = push(&fixture);
    fixture.options.transfer.retries = 0;
    fixture.registry.lie(&pushed.blobs[0].to_string(), 1, Lie::Cut(2_000_000));
    fixture.pull("big:1").unwrap_err();
    let layers = fixture.store.root().join("layers");
    let layer = fs::read_dir(layers).unwrap().next().unwrap().unwrap().path();
    let part = fs::read_dir(layer).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&part).unwrap();
    bytes[500_000] ^= 1;
    fs::write(&part, bytes).unwrap();
    check(&fixture, &tar);
}

#[test]
fn a_slow_registry_is_waited_for() {
    let fixture = Fixture::new();
    let (pushed, tar) = push(&fixture);
    fixture.registry.lie(&pushed.blobs[0].to_string(), 1, Lie::Slow(Duration::from_millis(100)));
    check(&fixture, &tar);
    assert_eq!(fixture.heard.retries(), 0);
}

#[test]
fn documents_that_break_off_are_asked_for_again() {
    let fixture = Fixture::new();
    let (pushed, tar) = push(&fixture);
    fixture.registry.lie("/manifests/1", 1, Lie::Cut(10));
    fixture.registry.lie(&pushed.id.to_string(), 1, Lie::Stall(10));
    check(&fixture, &tar);
    assert_eq!(fixture.heard.retries(), 2);
}
