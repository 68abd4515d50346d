//! Who reaches whom, by TCP and UDP, IPv4 and IPv6.

use std::net::IpAddr;

use super::laboratory::{HOSTS_PORT, OUTSIDE, PORT, in_laboratory, take_nf_tables_away};

fn outside() -> [IpAddr; 2] {
    OUTSIDE.map(|address| address.parse().unwrap())
}

#[test]
fn containers_of_one_network_reach_each_other_and_the_outside() {
    in_laboratory("isolation::containers_of_one_network_reach_each_other_and_the_outside", |laboratory| {
        laboratory.network("learning", false);
        let cat = laboratory.plugged(&["learning"]);
        let dog = laboratory.plugged(&["learning"]);
        cat.serve();
        for address in cat.addresses(&laboratory, "learning") {
            dog.reaches(address, PORT);
        }
        for address in outside() {
            dog.reaches(address, PORT);
        }
    });
}

#[test]
fn two_networks_do_not_reach_each_other_but_by_a_container_on_both() {
    in_laboratory("isolation::two_networks_do_not_reach_each_other_but_by_a_container_on_both", |laboratory| {
        let catsonly = laboratory.network("catsonly", false);
        laboratory.network("learning", false);
        let cat = laboratory.plugged(&["catsonly"]);
        let dog = laboratory.plugged(&["learning"]);
        let bobcat = laboratory.plugged(&["learning", "catsonly"]);
        cat.serve();
        bobcat.serve();
        for address in cat.addresses(&laboratory, "catsonly") {
            bobcat.reaches(address, PORT);
            dog.does_not_reach(address, PORT);
        }
        for address in bobcat.addresses(&laboratory, "learning") {
            dog.reaches(address, PORT);
        }
        // The bridges' own addresses are no way either: nothing answers there but to those whose bridge it is.
        for subnet in &catsonly.subnets {
            dog.does_not_reach(subnet.gateway, PORT);
            dog.does_not_reach(subnet.gateway, 53);
        }
        for address in outside() {
            bobcat.reaches(address, PORT);
        }
    });
}

#[test]
fn an_internal_network_has_no_way_out() {
    in_laboratory("isolation::an_internal_network_has_no_way_out", |laboratory| {
        laboratory.network("closed", true);
        laboratory.network("open", false);
        let one = laboratory.plugged(&["closed"]);
        let other = laboratory.plugged(&["closed"]);
        let open = laboratory.plugged(&["open"]);
        one.serve();
        open.serve();
        for address in one.addresses(&laboratory, "closed") {
            other.reaches(address, PORT);
        }
        for address in outside() {
            open.reaches(address, PORT);
            other.does_not_reach(address, PORT);
        }
        for address in open.addresses(&laboratory, "open") {
            other.does_not_reach(address, PORT);
        }
        // A route of its own making does not help: it is the holder that does not forward.
        let gateway = laboratory.networks.get("closed").unwrap().subnets[0].gateway;
        other.run(&format!("ip route add default via {gateway}"));
        other.does_not_reach(outside()[0], PORT);
        other.does_not_reach(open.addresses(&laboratory, "open")[0], PORT);
    });
}

#[test]
fn this_machines_own_servers_are_out_of_reach() {
    in_laboratory("isolation::this_machines_own_servers_are_out_of_reach", |laboratory| {
        laboratory.network("learning", false);
        let cat = laboratory.plugged(&["learning"]);
        cat.reaches(outside()[0], PORT);
        for address in ["127.0.0.1", "::1", "10.9.0.2", "10.9.0.1", "2001:db8:9::2", "169.254.1.1"] {
            cat.does_not_reach(address.parse().unwrap(), HOSTS_PORT);
        }
        for subnet in laboratory.networks.get("learning").unwrap().subnets {
            cat.does_not_reach(subnet.gateway, HOSTS_PORT);
        }
    });
}

#[test]
fn without_a_firewall_nothing_is_passed_on() {
    in_laboratory("isolation::without_a_firewall_nothing_is_passed_on", |laboratory| {
        take_nf_tables_away();
        laboratory.network("learning", false);
        laboratory.network("other", false);
        laboratory.network("closed", true);
        let plugged = |network: &str| {
            let mut container = laboratory.container(&[network], false);
            (container.plug_in_somehow(&laboratory), container)
        };
        let ((warning, cat), (_, dog), (_, stranger)) = (plugged("learning"), plugged("learning"), plugged("other"));
        let warning = warning.expect("who has no way out is told");
        assert!(warning.to_string().contains("the kernel has no firewall"), "{warning}");
        assert!(warning.hint().is_some_and(|hint| hint.contains("nf_tables")));
        assert_eq!(plugged("closed").0, None, "one that is to have no way out misses none");
        cat.serve();
        for address in cat.addresses(&laboratory, "learning") {
            dog.reaches(address, PORT);
            stranger.does_not_reach(address, PORT);
        }
        let gateway = laboratory.networks.get("other").unwrap().subnets[0].gateway;
        stranger.run(&format!("ip route replace default via {gateway}"));
        for address in cat.addresses(&laboratory, "learning").into_iter().chain(outside()) {
            stranger.does_not_reach(address, PORT);
        }
    });
}
