//! A registry that is killed and comes back all the time: the pull ends well, and nothing that was kept is fetched again.

use std::fs;
use std::time::Duration;

use crate::flapping::Flapping;

use super::Fixture;
use super::registry::{noise, tar};

/// Of each of the layers, bytes.
const SIZE: usize = 20 << 20;

#[test]
fn a_registry_that_dies_all_the_time_gives_an_image_in_the_end() {
    let mut fixture = Fixture::new();
    let tars: Vec<Vec<u8>> = (0..3).map(|at| tar(&format!("noise-{at}"), &noise(at, SIZE))).collect();
    let pushed = fixture.registry.push("big", "1", &tars);
    let proxy = Flapping::before(
        &fixture.registry.host(),
        Duration::from_millis(300),
        Duration::from_millis(40),
        Duration::from_millis(4),
    );
    fixture.configure(&format!("[[registry]]\nlocation = '{}'\ninsecure = true\n", proxy.host()));
    fixture.options.transfer.retries = 10;
    fixture.options.transfer.first_wait = Duration::from_millis(20);
    let image = fixture.pull_as(&format!("{}/big:1", proxy.host())).unwrap();
    assert!(image.tars.iter().zip(&tars).all(|(path, tar)| fs::read(path).unwrap() == *tar));
    assert!(proxy.deaths() > 3, "{} deaths", proxy.deaths());
    assert!(fixture.heard.retries() > 3);
    let blobs: u64 =
        pushed.blobs.iter().map(|blob| fixture.registry.size(&format!("/v2/big/blobs/{blob}")) as u64).sum();
    assert_eq!(fixture.heard.received(), blobs, "each byte arrives once");
    // Each request goes on where what was kept ended: the ranges of a blob never go back.
    for blob in &pushed.blobs {
        let log = fixture.registry.log();
        let asked = log.iter().filter(|request| request.line.contains(&blob.to_string()));
        let starts: Vec<u64> = asked
            .map(|request| request.headers.get("range").map_or(0, |range| range[6..range.len() - 1].parse().unwrap()))
            .collect();
        assert!(starts.is_sorted(), "{starts:?}");
        assert!(starts.iter().filter(|start| **start == 0).count() < starts.len(), "{starts:?}");
    }
    assert_eq!(fixture.leftovers(), Vec::<String>::new());
}
