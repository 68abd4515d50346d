//! The holder's own life: killed and replaced, ended with the last container, and containers that come and go.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::laboratory::{Container, LIMIT, OUTSIDE, PORT, echo, in_laboratory};

#[test]
fn a_killed_holder_is_replaced_and_connections_go_on() {
    in_laboratory("life::a_killed_holder_is_replaced_and_connections_go_on", |laboratory| {
        laboratory.network("learning", false);
        let mut cat = laboratory.plugged(&["learning"]);
        let mut dog = laboratory.plugged(&["learning"]);
        cat.serve();
        let address = cat.addresses(&laboratory, "learning")[0];
        let connect = || TcpStream::connect_timeout(&SocketAddr::new(address, PORT), LIMIT).unwrap();
        let mut connection = dog.inside(connect);
        echo(&mut connection).unwrap();
        for _ in 0..3 {
            laboratory.kill_holder();
            for container in [&cat, &dog] {
                let attached = container.attached.as_ref().unwrap();
                let mut end = [PollFd::new(attached.as_fd(), PollFlags::POLLIN)];
                assert_eq!(poll(&mut end, PollTimeout::try_from(LIMIT).unwrap()), Ok(1));
            }
            // Without a holder, too.
            echo(&mut connection).unwrap();
            laboratory.start_holder();
            for container in [&mut cat, &mut dog] {
                container.attached.as_mut().unwrap().renew().unwrap();
            }
            echo(&mut connection).unwrap();
            dog.reaches(cat.addresses(&laboratory, "learning")[0], PORT);
            dog.reaches(OUTSIDE[0].parse().unwrap(), PORT);
        }
        // One who comes later is on the same network.
        let late = laboratory.plugged(&["learning"]);
        late.reaches(address, PORT);
    });
}

#[test]
fn after_a_kill_nothing_is_taken_from_those_who_have_not_come_back_yet() {
    in_laboratory("life::after_a_kill_nothing_is_taken_from_those_who_have_not_come_back_yet", |laboratory| {
        laboratory.network("learning", false);
        laboratory.network("catsonly", false);
        let mut cat = laboratory.plugged(&["catsonly"]);
        let other = laboratory.plugged(&["catsonly"]);
        let mut dog = laboratory.plugged(&["learning"]);
        cat.serve();
        let address = SocketAddr::new(cat.addresses(&laboratory, "catsonly")[0], PORT);
        let mut connection = other.inside(|| TcpStream::connect_timeout(&address, LIMIT).unwrap());
        laboratory.kill_holder();
        laboratory.start_holder();
        dog.attached.as_mut().unwrap().renew().unwrap();
        // The holder has seen nobody of this network yet.
        echo(&mut connection).unwrap();
        other.reaches(address.ip(), PORT);
        cat.attached.as_mut().unwrap().renew().unwrap();
        other.reaches(address.ip(), PORT);
    });
}

#[test]
fn a_new_container_after_a_kill_waits_for_those_who_have_the_namespaces() {
    in_laboratory("life::a_new_container_after_a_kill_waits_for_those_who_have_the_namespaces", |laboratory| {
        laboratory.network("learning", false);
        let mut cat = laboratory.plugged(&["learning"]);
        cat.serve();
        laboratory.kill_holder();
        let users = |laboratory: &super::laboratory::Laboratory| {
            nix::sys::stat::fstat(laboratory.client().users().unwrap()).unwrap().st_ino
        };
        laboratory.start_holder();
        let asked = std::thread::scope(|scope| {
            let root = laboratory.root();
            let maps = laboratory.maps.clone();
            let asked = scope.spawn(move || {
                let client = enter::network::holder::Client::existing(&root, &maps).unwrap().unwrap();
                nix::sys::stat::fstat(client.users().unwrap()).unwrap().st_ino
            });
            // It may well be asked before.
            std::thread::sleep(Duration::from_millis(300));
            cat.attached.as_mut().unwrap().renew().unwrap();
            asked.join().unwrap()
        });
        assert_eq!(asked, users(&laboratory));
        let dog = laboratory.plugged(&["learning"]);
        dog.reaches(cat.addresses(&laboratory, "learning")[0], PORT);
    });
}

#[test]
fn who_is_replaced_is_found_although_the_door_or_the_lock_was_removed() {
    in_laboratory("life::who_is_replaced_is_found_although_the_door_or_the_lock_was_removed", |laboratory| {
        laboratory.network("learning", false);
        let mut cat = laboratory.plugged(&["learning"]);
        cat.serve();
        let address = cat.addresses(&laboratory, "learning")[0];
        let folder = laboratory.root().join("networks/.holder");
        let first = laboratory.holder();
        std::fs::remove_file(folder.join("socket")).unwrap();
        let begun = std::time::Instant::now();
        while !folder.join("socket").exists() {
            assert!(begun.elapsed() < LIMIT, "there is no new door");
            std::thread::sleep(Duration::from_millis(5));
        }
        laboratory.plugged(&["learning"]).reaches(address, PORT);
        assert_eq!(laboratory.holder(), first);
        // Whoever comes next may start another one, which has another lock.
        std::fs::remove_file(folder.join("lock")).unwrap();
        let mut end = [PollFd::new(cat.attached.as_ref().unwrap().as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut end, PollTimeout::try_from(LIMIT).unwrap()), Ok(1));
        laboratory.start_holder();
        cat.attached.as_mut().unwrap().renew().unwrap();
        laboratory.plugged(&["learning"]).reaches(address, PORT);
    });
}

#[test]
fn containers_are_told_of_each_other_and_fill_no_table_of_the_machine() {
    in_laboratory("life::containers_are_told_of_each_other_and_fill_no_table_of_the_machine", |laboratory| {
        laboratory.network("learning", false);
        let mut cat = laboratory.plugged(&["learning"]);
        let mut dog = laboratory.plugged(&["learning"]);
        let bird = laboratory.plugged(&["learning"]);
        let addresses = |one: &Container| one.addresses(&laboratory, "learning");
        let gateways = laboratory.networks.get("learning").unwrap().subnets;
        let knows = |one: &Container, others: &[&Container]| {
            let mut wanted: Vec<IpAddr> = gateways.iter().map(|subnet| subnet.gateway).collect();
            wanted.extend(others.iter().flat_map(|other| addresses(other)));
            wanted.sort();
            let begun = std::time::Instant::now();
            loop {
                let known = one.told_neighbours();
                if known == wanted {
                    return;
                }
                assert!(begun.elapsed() < LIMIT, "{known:?} instead of {wanted:?}");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        knows(&cat, &[&dog, &bird]);
        knows(&bird, &[&cat, &dog]);
        laboratory.kill_holder();
        // Gone while nobody could be told.
        drop(bird);
        laboratory.start_holder();
        [&mut cat, &mut dog].into_iter().for_each(|one| one.attached.as_mut().unwrap().renew().unwrap());
        knows(&cat, &[&dog]);
        knows(&dog, &[&cat]);
        laboratory.lease(&dog.id, &[]);
        laboratory.client().reload(&dog.id).unwrap();
        knows(&cat, &[]);
    });
}

#[test]
fn who_only_lost_its_inner_process_goes_on() {
    in_laboratory("life::who_only_lost_its_inner_process_goes_on", |laboratory| {
        laboratory.network("learning", false);
        let cat = laboratory.plugged(&["learning"]);
        cat.serve();
        let holder = laboratory.holder();
        let children = std::fs::read_to_string(format!("/proc/{holder}/task/{holder}/children")).unwrap();
        let inner = children.split_whitespace().find(|child| {
            std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|comm| comm.trim() == "enter-network-b")
        });
        let inner = nix::unistd::Pid::from_raw(inner.unwrap().parse().unwrap());
        nix::sys::signal::kill(inner, nix::sys::signal::Signal::SIGKILL).unwrap();
        let dog = laboratory.plugged(&["learning"]);
        dog.reaches(cat.addresses(&laboratory, "learning")[0], PORT);
        assert_eq!(laboratory.holder(), holder);
    });
}

#[test]
fn the_holder_ends_after_the_last_container() {
    in_laboratory("life::the_holder_ends_after_the_last_container", |laboratory| {
        laboratory.network("learning", false);
        let cat = laboratory.plugged(&["learning"]);
        let holder = laboratory.holder();
        drop(cat);
        let end = std::time::Instant::now() + LIMIT;
        while std::path::Path::new(&format!("/proc/{holder}/fd/0")).exists() {
            assert!(std::time::Instant::now() < end, "the holder goes on without containers");
            std::thread::sleep(Duration::from_millis(50));
        }
        laboratory.plugged(&["learning"]).reaches(OUTSIDE[0].parse().unwrap(), PORT);
    });
}

#[test]
fn networks_come_and_go_while_a_container_runs() {
    in_laboratory("life::networks_come_and_go_while_a_container_runs", |laboratory| {
        laboratory.network("learning", false);
        laboratory.network("catsonly", false);
        let cat = laboratory.plugged(&["catsonly"]);
        let dog = laboratory.plugged(&["learning"]);
        cat.serve();
        let address = cat.addresses(&laboratory, "catsonly")[0];
        dog.does_not_reach(address, PORT);
        laboratory.lease(&dog.id, &["learning", "catsonly"]);
        laboratory.client().reload(&dog.id).unwrap();
        dog.reaches(address, PORT);
        laboratory.lease(&dog.id, &["learning"]);
        laboratory.client().reload(&dog.id).unwrap();
        dog.does_not_reach(address, PORT);
        dog.reaches(OUTSIDE[0].parse().unwrap(), PORT);
        // Its only network with a way out, and then none.
        laboratory.lease(&dog.id, &["catsonly"]);
        laboratory.client().reload(&dog.id).unwrap();
        dog.reaches(address, PORT);
        dog.reaches(OUTSIDE[1].parse().unwrap(), PORT);
        laboratory.lease(&dog.id, &[]);
        laboratory.client().reload(&dog.id).unwrap();
        dog.does_not_reach(address, PORT);
    });
}

#[test]
fn a_container_in_a_user_namespace_of_its_own_is_plugged_in_by_a_relay() {
    in_laboratory("life::a_container_in_a_user_namespace_of_its_own_is_plugged_in_by_a_relay", |laboratory| {
        laboratory.network("links", false);
        let cat = laboratory.plugged(&["links"]);
        cat.serve();
        let mut dog = laboratory.container(&["links"], true);
        dog.plug_in(&laboratory);
        dog.serve();
        for address in cat.addresses(&laboratory, "links") {
            dog.reaches(address, PORT);
        }
        for address in dog.addresses(&laboratory, "links") {
            cat.reaches(address, PORT);
        }
        // As much as a connection can carry, whole and in order.
        let address = SocketAddr::new(cat.addresses(&laboratory, "links")[0], PORT);
        let sent: Vec<u8> = (0..8_000_000_u32).map(|number| (number * 7 % 251) as u8).collect();
        let back = dog.inside(|| {
            let mut stream = TcpStream::connect_timeout(&address, LIMIT).unwrap();
            let mut writer = stream.try_clone().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::io::Write::write_all(&mut writer, &sent).unwrap();
                    writer.shutdown(std::net::Shutdown::Write).unwrap();
                });
                let mut back = Vec::new();
                std::io::Read::read_to_end(&mut stream, &mut back).unwrap();
                back
            })
        });
        assert!(back == sent, "{} bytes came back of {}", back.len(), sent.len());
        laboratory.kill_holder();
        laboratory.start_holder();
        dog.attached.as_mut().unwrap().renew().unwrap();
        cat.addresses(&laboratory, "links").into_iter().for_each(|address| dog.reaches(address, PORT));
    });
}
