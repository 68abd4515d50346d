//! `enter` from end to end: the real program, as an ordinary user, with a real registry and real images.
//!
//! One test program for all of it, so that the registry is started once.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/registry.rs"]
mod registry;
#[path = "../support/stargz.rs"]
mod stargz;

mod ahead;
mod boxes;
mod commit;
mod contents;
mod cp;
mod devcontainers;
mod events;
mod exec;
mod exports;
mod families;
mod harness;
mod home;
mod home_random;
mod host;
mod host_exec;
mod image_trees;
mod images;
mod inspect;
mod isolation;
mod lifecycle;
mod limits;
mod listing;
mod login;
mod logs;
mod manifest;
mod many;
mod mount_helper;
mod names;
mod network;
mod networks;
mod one_id;
mod outward;
mod pasta;
mod peers;
mod places;
mod podman_flags;
mod ports;
mod project;
mod prune;
mod ps;
mod pulls;
mod push;
mod rebase;
mod refusals;
mod round;
mod run_flags;
mod run_life;
mod run_refusals;
mod search;
mod sharing;
mod shell;
mod signals;
mod space;
mod ssh;
mod storage;
mod streams;
mod sudo;
mod terminal;
mod trust;
mod volume_owners;
mod volumes;
mod wayback;
