//! Options as podman's users write them, and as nobody should.

use proptest::prelude::*;

use super::{Door, Options, Protocol, table};
use crate::dns::HostResolver;
use crate::host::{HostFamily, HostNetwork};
use crate::interface::Interface;

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

fn parse(text: &str) -> Options {
    Options::parse(&words(text)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    Options::parse(&words(text)).expect_err(text).to_string()
}

fn host() -> HostNetwork {
    let family = |address: &str, prefix, gateway: &str| {
        Some(HostFamily { address: address.parse().unwrap(), prefix, gateway: gateway.parse().ok() })
    };
    HostNetwork { ipv4: family("192.0.2.2", 24, "192.0.2.1"), ipv6: family("2001:db8::2", 64, "fe80::1") }
}

fn interface(text: &str) -> Interface {
    let mut resolver = HostResolver::default();
    resolver.configured.servers = vec!["192.0.2.1".parse().unwrap(), "2001:db8::53".parse().unwrap()];
    parse(text).interface(Some(&host()), &resolver).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What podman-run(1) has for slirp4netns' defaults.
const SLIRP: &str =
    "-I,tap0,--ipv4-only,-a,10.0.2.100,-n,24,-g,10.0.2.2,--dns-forward,10.0.2.3,-m,1500,--no-ndp,--no-dhcpv6,--no-dhcp";

#[test]
fn podmans_examples_are_understood() {
    let slirp = interface(SLIRP);
    assert_eq!((slirp.name.as_str(), slirp.mtu, slirp.ipv6), ("tap0", Some(1500), None));
    let ipv4 = slirp.ipv4.unwrap();
    assert_eq!(
        (ipv4.address.to_string(), ipv4.prefix, ipv4.gateway.to_string()),
        ("10.0.2.100".into(), 24, "10.0.2.2".into())
    );
    assert_eq!(slirp.resolver.servers, ["10.0.2.3".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(slirp.told.words, ["--no-ndp"]);
    assert!(slirp.lasting_resolver);

    assert_eq!(interface("--mtu,1500"), interface("-m1500"));
    assert_eq!(interface("--mtu,1500"), interface("--mtu=1500"));
    let auto = parse("-t,auto,-u,auto,-T,auto,-U,auto");
    assert_eq!(auto.told.doors, "tuTU");
    assert!(auto.opened().iter().all(|opened| opened.ports.is_none() && opened.is_wide()));
    let one = parse("-T,5201");
    assert_eq!(one.told.words, ["--tcp-ns", "5201"]);
    assert!(matches!(one.opened(), [one] if one.door == Door::Out && one.ports == Some(5201..=5201) && !one.is_wide()));
}

#[test]
fn the_gateway_is_this_machine_only_where_that_was_asked_for() {
    let open = interface("--map-gw");
    assert_eq!(open.host.unwrap().to_string(), "192.0.2.1");
    // The name server was there; pasta asks this machine's in its place.
    assert_eq!(open.resolver.servers[0].to_string(), "169.254.1.1");
    assert!(open.told.map_gateway);
    assert_eq!(interface("--map-gw,--no-map-gw").host, None);
    assert_eq!(interface("--map-gw,-6").host.unwrap().to_string(), "fe80::1");
    assert_eq!(interface("--map-host-loopback,10.9.9.9").host.unwrap().to_string(), "10.9.9.9");
    assert_eq!(interface("--map-host-loopback,none").host, None);
    assert_eq!(interface("--no-dhcp").host, None);
}

#[test]
fn addresses_have_what_pasta_gives_them() {
    let ipv4 = |text: &str| interface(text).ipv4.unwrap();
    assert_eq!((ipv4("-a,10.1.2.3").prefix, ipv4("-a,10.1.2.3/20").prefix), (8, 20));
    assert_eq!(ipv4("-a,10.1.2.3,-n,255.255.255.128").prefix, 25);
    assert_eq!((ipv4("-a,192.0.2.2").prefix, ipv4("-n,16").prefix), (24, 16));
    assert_eq!(ipv4("-a,10.1.2.3").gateway.to_string(), "192.0.2.1");
    let both = interface("-a,10.1.2.3,-a,fd00::7,-g,fd00::1");
    assert_eq!(both.ipv6.unwrap().gateway.to_string(), "fd00::1");
    assert_eq!(interface("-m,1000").ipv6, None, "IPv6 has packets of 1280 bytes at least");
    assert_eq!(interface("-D,9.9.9.9,-S,a.example b.example").resolver.search, ["a.example", "b.example"]);
    assert_eq!(interface("-D,none").resolver.servers, Vec::<std::net::IpAddr>::new());
    let none = parse("-6").interface(Some(&HostNetwork { ipv6: None, ..host() }), &HostResolver::default());
    assert!(none.unwrap_err().to_string().contains("no way out by IPv6"));
}

#[test]
fn ports_are_read_with_their_addresses() {
    let opened = |text: &str| parse(text).opened()[0].clone();
    let local = opened("-t,127.0.0.1/8080:80");
    assert_eq!((local.protocol, local.ports.clone(), local.is_wide()), (Protocol::Tcp, Some(8080..=8080), false));
    assert_eq!(local.to_string(), "the TCP port 8080 leads into the container, at 127.0.0.1");
    assert!(opened("-u,53").is_wide() && opened("-u,0.0.0.0/53").is_wide());
    assert_eq!(opened("-t,22-23:32-33").ports, Some(22..=23));
    assert_eq!(opened("-t,192.0.2.1%eth0/5").interface.as_deref(), Some("eth0"));
    assert!(parse("-t,none,-U,none").opened().is_empty());
    assert!(opened("-t,~22").ports.is_none() && opened("-t,127.0.0.1/~22-25").address.is_some());
    for bad in ["0", "65536", "80-79", "80-81:90", "x/80", "~x", "all", "", "-", "+80", "127.0.0.1/", "%x y/80"] {
        assert!(refused(&format!("-t,{bad}")).contains("tcp-ports"), "{bad}");
    }
    assert!(refused("-T,127.0.0.1/80").contains("127.0.0.1 alone"));
}

#[test]
fn what_cannot_be_had_is_told_with_the_reason() {
    for (text, why) in [
        ("--netns,/x", "namespaces itself"),
        ("--config-net", "configures the interface itself"),
        ("-f", "watches pasta"),
        ("-P,x", "watches pasta"),
        ("--runas,0", "as you"),
        ("-e", "--log-file"),
        ("-F,3", "virtual machines"),
        ("--bogus", "no option --bogus"),
        ("-Z", "no option -Z"),
        ("80", "-t,80,-t,443"),
        ("", "no option"),
        ("-t,80,443", "`443` is no option"),
        ("--mtu", "takes a value"),
        ("--no-tcp=1", "takes no value"),
        ("-46", "each by itself"),
        ("-m,67", "68"),
        ("-m,70000", "65520"),
        ("-m,x", "no number"),
        ("-a,1.2.3", "no address"),
        ("-a,127.0.0.1", "nobody"),
        ("-a,10.0.0.1,-a,10.0.0.2", "one of each family"),
        ("-a,10.0.0.1/33", "32 bits"),
        ("-a,10.0.0.1/8,-n,8", "twice"),
        ("-n,255.0.255.0", "mask"),
        ("-n,0", "mask"),
        ("-I,averyveryverylongname", "15"),
        ("-I,a/b", "no such name"),
        ("-I,lo", "meaning"),
        ("--ns-mac-addr,01:00:00:00:00:00", "several"),
        ("--ns-mac-addr,2:0:0", "hardware address"),
        ("-4,-a,fd00::1", "exclude each other"),
        ("-S,a\nnameserver 1.2.3.4", "domains"),
        ("--debug", "--log-file"),
        ("--log-size,7", "2048"),
    ] {
        let told = refused(text);
        assert!(told.contains(why), "{text}: {told}");
    }
}

#[test]
fn files_are_named_by_whole_paths() {
    let typed = words("-l,log,--pcap=cap,-pother,--mtu,1500");
    let whole = |path: &std::path::Path| Ok::<_, ()>(format!("/here/{}", path.display()));
    let written = Options::with_files(&typed, whole).unwrap();
    assert_eq!(written, words("-l,/here/log,--pcap=/here/cap,--pcap=/here/other,--mtu,1500"));
    assert_eq!(Options::parse(&written).unwrap().files().count(), 3);
}

#[test]
fn no_option_is_in_the_table_twice() {
    for (at, one) in table::TABLE.iter().enumerate() {
        let others = &table::TABLE[..at];
        assert!(others.iter().all(|other| other.long != one.long), "{}", one.long);
        assert!(one.short.is_none() || others.iter().all(|other| other.short != one.short), "{}", one.long);
    }
}

proptest! {
    #[test]
    fn nothing_that_is_typed_makes_it_panic(words in prop::collection::vec("\\PC{0,12}", 0..6)) {
        let _ = Options::parse(&words);
    }

    /// Whatever is accepted leaves the doors closed that were not named, and makes an interface that the kernel takes.
    #[test]
    fn what_is_accepted_makes_sense(
        chosen in prop::collection::vec((0..table::TABLE.len(), "[0-9a-z:./,%~-]{0,8}|none|auto|10.0.0.7|fd00::7|80|1500|x"), 0..5),
    ) {
        let mut words = Vec::new();
        for (at, value) in chosen {
            let known = &table::TABLE[at];
            words.push(format!("--{}", known.long));
            if known.takes() {
                words.push(value);
            }
        }
        if let Ok(options) = Options::parse(&words) {
            for (letter, long) in [('t', "--tcp-ports"), ('u', "--udp-ports"), ('T', "--tcp-ns"), ('U', "--udp-ns")] {
                prop_assert_eq!(options.told.doors.contains(letter), options.told.words.iter().any(|word| word == long));
            }
            prop_assert!(options.told.words.iter().all(|word| !word.contains('\0')));
            if options.template.is_none() && let Ok(interface) = options.interface(Some(&host()), &HostResolver::default()) {
                prop_assert!((1..16).contains(&interface.name.len()));
                prop_assert!(interface.ipv4.is_some() || interface.ipv6.is_some());
                prop_assert_eq!(interface.host.is_some(), options.reaches_host());
            }
        }
    }
}
