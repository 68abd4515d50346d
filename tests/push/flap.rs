//! A registry that is killed and comes back all the time.

use super::*;
use crate::flapping::Flapping;

/// More than goes through in one life.
const SIZE: usize = 30 << 20;

/// Pushes through a proxy that lets some 12 MB through before it dies; returns how often it has died.
fn push_through(fixture: &mut Fixture) -> (registry::Pushed, usize) {
    let (image, source) = fixture.pulled("a", &registry::noise(1, SIZE));
    let (life, away, pause) = (Duration::from_millis(800), Duration::from_millis(60), Duration::from_millis(4));
    let proxy = Flapping::before(&fixture.taker.host(), life, away, pause);
    let trusted = format!("[[registry]]\nlocation = '{}'\ninsecure = true\n", proxy.host());
    let conf = fixture._dir.path().join("etc/containers/registries.conf");
    fs::write(&conf, fs::read_to_string(&conf).unwrap() + &trusted).unwrap();
    fixture.options.transfer.retries = 10;
    fixture.options.transfer.first_wait = Duration::from_millis(20);
    let destination = Reference::parse(&format!("{}/a:1", proxy.host())).unwrap();
    push(&fixture.store, &image, image.names.first(), &destination, &fixture.options, &fixture.heard).unwrap();
    let there = fixture.taker.blob("a", &source.blobs[0]).unwrap();
    assert_eq!(Digest::of(&there), source.blobs[0]);
    (source, proxy.deaths())
}

#[test]
fn who_keeps_what_has_come_is_sent_each_byte_once() {
    let mut fixture = Fixture::new();
    let (source, deaths) = push_through(&mut fixture);
    assert!(deaths > 1, "{deaths} deaths");
    let blob = fixture.taker.blob("a", &source.blobs[0]).unwrap();
    // The rest are the configuration and the manifest.
    let rest = fixture.taker.taken() - blob.len();
    assert!(rest < 10_000, "{rest} bytes too many");
    // One for each blob, and one more where a death kept the answer back.
    let begun = fixture.taker.count("POST ");
    assert!(begun >= 2 && begun <= 2 + deaths, "begun {begun} times, {deaths} deaths");
}

#[test]
fn who_loses_what_was_on_its_way_is_sent_nothing_when_it_dies() {
    let mut fixture = Fixture::with(Nature { keeps: false, ..Nature::default() });
    let (_, deaths) = push_through(&mut fixture);
    // All of it takes more than one life: so it has got through some of the deaths.
    assert!(deaths > 2, "{deaths} deaths");
    assert!(fixture.taker.count("POST ") > 2, "nothing was lost");
}
