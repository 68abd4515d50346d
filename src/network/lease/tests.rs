use super::super::{Range, record};
use super::*;

fn networks(subnets: &[(&str, &str)]) -> (tempfile::TempDir, Networks) {
    let dir = tempfile::tempdir().unwrap();
    let networks = Networks::below(dir.path());
    for (name, subnet) in subnets {
        let make = |others: &[Network]| {
            let mut network = record::Network::new(name)?;
            network.subnets.push(pool::subnet(subnet.parse().unwrap(), None, None, &pool::taken_by(others))?);
            Ok(network)
        };
        networks.create(name, make).unwrap();
    }
    (dir, networks)
}

fn on(network: &str) -> Wanted {
    Wanted { network: network.to_owned(), ..Wanted::default() }
}

fn tenant(name: &str) -> Tenant<'_> {
    Tenant { container: name, name, runs: false, occupied: &[], reaches_host: false }
}

fn alive(_: &str) -> Standing {
    Standing::Alive
}

fn addresses_of(leases: &[Lease]) -> Vec<String> {
    leases.iter().flat_map(|lease| &lease.addresses).map(ToString::to_string).collect()
}

#[test]
fn each_container_has_addresses_of_its_own_and_keeps_them() {
    let (_dir, networks) = networks(&[("a", "10.5.0.0/24"), ("b", "10.6.0.0/24")]);
    let first = networks.take(tenant("cat"), &[on("a"), on("b")], alive).unwrap();
    assert_eq!(addresses_of(&first), ["10.5.0.2", "10.6.0.2"]);
    assert_eq!(first.iter().map(|lease| lease.interface.as_str()).collect::<Vec<_>>(), ["eth0", "eth1"]);
    let second = networks.take(tenant("dog"), &[on("a")], alive).unwrap();
    assert_eq!(addresses_of(&second), ["10.5.0.3"]);
    assert_eq!(networks.take(tenant("cat"), &[on("a"), on("b")], alive).unwrap(), first);
    assert_eq!(networks.leases_of("cat").unwrap(), first);
    networks.rename_tenant("cat", "tiger").unwrap();
    assert!(networks.leases_of("cat").unwrap().iter().all(|lease| lease.container_name == "tiger"));
    networks.release("cat", Some("a")).unwrap();
    assert_eq!(addresses_of(&networks.leases_of("cat").unwrap()), ["10.6.0.2"]);
    networks.release("cat", None).unwrap();
    assert!(networks.leases_of("cat").unwrap().is_empty());
}

#[test]
fn what_a_dead_container_had_is_given_away_last_and_what_is_gone_is_free() {
    let (_dir, networks) = networks(&[("a", "10.5.0.0/29")]);
    networks.take(tenant("dead"), &[on("a")], alive).unwrap();
    networks.take(tenant("gone"), &[on("a")], alive).unwrap();
    let standing = |id: &str| match id {
        "dead" => Standing::Kept,
        "gone" => Standing::Gone,
        _ => Standing::Alive,
    };
    let mut given = Vec::new();
    for name in ["one", "two", "three", "four"] {
        given.extend(addresses_of(&networks.take(tenant(name), &[on("a")], standing).unwrap()));
    }
    assert_eq!(given, ["10.5.0.3", "10.5.0.4", "10.5.0.5", "10.5.0.6"]);
    // The dead one's is the last.
    assert_eq!(addresses_of(&networks.take(tenant("five"), &[on("a")], standing).unwrap()), ["10.5.0.2"]);
    assert!(networks.leases_of("dead").unwrap().is_empty() && networks.leases_of("gone").unwrap().is_empty());
    let full = networks.take(tenant("six"), &[on("a")], standing).unwrap_err();
    assert_eq!(full.to_string(), "the network a has no free address left in 10.5.0.0/29 (10.5.0.1 to 10.5.0.6)");
}

#[test]
fn what_is_asked_for_is_given_or_refused() {
    let (_dir, networks) = networks(&[("a", "10.5.0.0/24")]);
    let mac: Mac = "02:00:5e:10:00:07".parse().unwrap();
    let ask = |address: &str, mac| Wanted { addresses: vec![address.parse().unwrap()], mac, ..on("a") };
    let given = networks.take(tenant("cat"), &[ask("10.5.0.77", Some(mac))], alive).unwrap();
    assert_eq!((addresses_of(&given), given[0].mac), (vec!["10.5.0.77".to_owned()], mac));
    let refusal =
        |want: &Wanted| networks.take(tenant("dog"), std::slice::from_ref(want), alive).unwrap_err().to_string();
    let refused = "the address 10.5.0.77 on the network a is in use by the container cat";
    assert_eq!(refusal(&ask("10.5.0.77", None)), refused);
    assert!(refusal(&ask("10.5.0.78", Some(mac))).contains("in use by the container cat"));
    for (bad, why) in [
        ("10.5.0.1", "the gateway's"),
        ("10.5.0.255", "the whole of"),
        ("10.7.0.1", "those of 10.5.0.0/24"),
        ("fd00::1", "those of"),
    ] {
        assert!(refusal(&ask(bad, None)).contains(why), "{bad}");
    }
    assert!(refusal(&on("nowhere")).contains("no such network"));
    // A container that does not live any more keeps nothing from anybody.
    let kept = |_: &str| Standing::Kept;
    networks.take(tenant("dog"), &[ask("10.5.0.77", Some(mac))], kept).unwrap();
    assert!(networks.leases_of("cat").unwrap().is_empty());
}

#[test]
fn an_interface_is_called_as_asked_and_the_others_around_it() {
    let (_dir, networks) = networks(&[("a", "10.5.0.0/24"), ("b", "10.6.0.0/24"), ("c", "10.7.0.0/24")]);
    let named = Wanted { interface: Some("eth0".into()), ..on("b") };
    let leases = networks.take(tenant("cat"), &[on("a"), named, on("c")], alive).unwrap();
    assert_eq!(leases.iter().map(|lease| lease.interface.as_str()).collect::<Vec<_>>(), ["eth1", "eth0", "eth2"]);
}

#[test]
fn a_container_that_runs_keeps_its_interfaces() {
    let (_dir, networks) = networks(&[("a", "10.5.0.0/24"), ("b", "10.6.0.0/24"), ("c", "10.7.0.0/24")]);
    let running = |occupied: &'static [&'static str]| Tenant { runs: true, occupied, ..tenant("cat") };
    let interfaces = |tenant, names: &[&str]| -> Vec<String> {
        let wanted: Vec<Wanted> = names.iter().map(|name| on(name)).collect();
        networks.take(tenant, &wanted, alive).unwrap().into_iter().map(|lease| lease.interface).collect()
    };
    assert_eq!(interfaces(tenant("cat"), &["a", "b"]), ["eth0", "eth1"]);
    assert_eq!(interfaces(running(&[]), &["b"]), ["eth1"]);
    assert_eq!(interfaces(running(&[]), &["b", "c"]), ["eth1", "eth0"]);
    assert_eq!(interfaces(tenant("cat"), &["b", "c"]), ["eth0", "eth1"]);
    networks.release("cat", None).unwrap();
    assert_eq!(interfaces(running(&["eth0"]), &["a"]), ["eth1"]);
}

#[test]
fn a_range_is_for_those_who_do_not_ask() {
    let (_dir, networks) = networks(&[]);
    let make = |_: &[Network]| {
        let mut network = record::Network::new("a")?;
        let range = Range { first: "10.5.0.8".parse().unwrap(), last: "10.5.0.9".parse().unwrap() };
        network.subnets.push(pool::subnet("10.5.0.0/24".parse().unwrap(), None, Some(range), &[])?);
        Ok(network)
    };
    networks.create("a", make).unwrap();
    let asked = Wanted { addresses: vec!["10.5.0.40".parse().unwrap()], ..on("a") };
    assert_eq!(addresses_of(&networks.take(tenant("x"), &[asked], alive).unwrap()), ["10.5.0.40"]);
    assert_eq!(addresses_of(&networks.take(tenant("y"), &[on("a")], alive).unwrap()), ["10.5.0.8"]);
    assert_eq!(addresses_of(&networks.take(tenant("z"), &[on("a")], alive).unwrap()), ["10.5.0.9"]);
    assert!(matches!(networks.take(tenant("full"), &[on("a")], alive), Err(Error::Full { .. })));
}
