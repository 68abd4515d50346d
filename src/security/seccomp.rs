//! The system call filter of an ordinary container (seccomp(2)), as instructions that go into the plan.
//!
//! What is known and harmless is let through, what the container lacks the capability for fails with EPERM, and all else with ENOSYS.

use std::collections::BTreeMap;

use nix::libc as c;

use super::arguments::{Compare, Test};
use super::bpf::{Answer, When, program};
use super::capabilities::{Capabilities, Capability};
use super::syscalls::{FREE, FREE_HERE, PRIVILEGED, PRIVILEGED_HERE, REFUSED};

/// `clone` with one of these makes a namespace; CLONE_NEWTIME is not among its flags.
const NAMESPACES: c::c_int = c::CLONE_NEWNS
    | c::CLONE_NEWCGROUP
    | c::CLONE_NEWUTS
    | c::CLONE_NEWIPC
    | c::CLONE_NEWUSER
    | c::CLONE_NEWPID
    | c::CLONE_NEWNET;

/// The personalities that change nothing but what uname(2) says (UNAME26 is 0x20000), that switch off the randomisation of
/// addresses, as debuggers do (0x40000), or that ask which one holds.
const PERSONALITIES: &[u32] = &[0, 8, 0x20000, 0x20008, 0x40000, 0xffff_ffff];

/// Families of sockets that no network namespace holds in: to the hypervisor, and into the kernel's cryptography.
const FOREIGN_FAMILIES: &[u32] = &[c::AF_VSOCK as u32, c::AF_ALG as u32];

/// Requests that put words into the mouth of whoever sits at a terminal: TIOCSTI and TIOCLINUX.
const TERMINAL_INJECTIONS: &[u32] = &[0x5412, 0x541c];

/// What a container may do with CAP_NET_RAW, if it has that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// Everything.
    Any,
    /// Send and receive ICMP from its own addresses, as `ping` does: no packets of its own making, and no look at others'.
    Echo,
}

/// The type of a socket without its flags (SOCK_TYPE_MASK in the kernel).
const TYPE: u64 = 0xf;
/// An int, as the kernel takes arguments that are one.
const INT: u64 = 0xffff_ffff;

/// The AF_PACKET of old, which the kernel still has.
const SOCK_PACKET: c::c_int = 10;

/// From linux/in6.h: libc does not have it.
const IPV6_HDRINCL: c::c_int = 36;

/// Options of a socket by which it sends what is not from its own address: level and name.
const FORGING: [(c::c_int, c::c_int); 4] = [
    (c::IPPROTO_IP, c::IP_HDRINCL),
    (c::IPPROTO_IP, c::IP_TRANSPARENT),
    (c::IPPROTO_IPV6, IPV6_HDRINCL),
    (c::IPPROTO_IPV6, c::IPV6_TRANSPARENT),
];

/// The filter of a container with these capabilities, for this machine's architecture: `struct sock_filter`, in its byte order.
pub fn filter(capabilities: Capabilities, raw: Raw) -> Vec<u64> {
    program(&answers(capabilities, raw), Answer::Fail(c::ENOSYS))
}

/// socket(2) and setsockopt(2), where of raw sockets only those for ICMP are to be had.
fn echo_only() -> [(c::c_long, Answer); 2] {
    let is = |argument, mask, value: c::c_int| Test { argument, compare: Compare::Masked(mask), value: value as u64 };
    let (family, kind, protocol) = (|value| is(0, INT, value), |value| is(1, TYPE, value), |value| is(2, INT, value));
    let refusal = c::SECCOMP_RET_ERRNO | c::EPERM as u32;
    let mut rules: Vec<(Vec<Test>, u32)> =
        FOREIGN_FAMILIES.iter().map(|foreign| (vec![family(*foreign as c::c_int)], refusal)).collect();
    for (internet, echo) in [(c::AF_INET, c::IPPROTO_ICMP), (c::AF_INET6, c::IPPROTO_ICMPV6)] {
        rules.push((vec![family(internet), kind(c::SOCK_RAW), protocol(echo)], c::SECCOMP_RET_ALLOW));
    }
    // These make no difference between raw and other sockets.
    for harmless in [c::AF_NETLINK, c::AF_UNIX] {
        rules.push((vec![family(harmless)], c::SECCOMP_RET_ALLOW));
    }
    rules.extend([c::SOCK_RAW, SOCK_PACKET].map(|raw| (vec![kind(raw)], refusal)));
    rules.extend([c::AF_PACKET, c::AF_XDP].map(|raw| (vec![family(raw)], refusal)));
    let forging = FORGING.map(|(level, name)| (vec![is(1, INT, level), is(2, INT, name)], refusal));
    [
        (c::SYS_socket, Answer::Rules(rules, c::SECCOMP_RET_ALLOW)),
        (c::SYS_setsockopt, Answer::Rules(forging.into(), c::SECCOMP_RET_ALLOW)),
    ]
}

fn answers(capabilities: Capabilities, raw: Raw) -> BTreeMap<u32, Answer> {
    let mut answers = BTreeMap::new();
    let mut set = |calls: &[c::c_long], answer: Answer| {
        answers.extend(calls.iter().map(|call| (*call as u32, answer.clone())));
    };
    set(FREE, Answer::Allow);
    set(FREE_HERE, Answer::Allow);
    set(REFUSED, Answer::Fail(c::EPERM));
    for (calls, any_of) in PRIVILEGED.iter().chain(PRIVILEGED_HERE) {
        let granted = any_of.iter().any(|capability| capabilities.has(*capability));
        set(calls, if granted { Answer::Allow } else { Answer::Fail(c::EPERM) });
    }
    if capabilities.has(Capability::SYS_ADMIN) {
        set(&[c::SYS_clone3], Answer::Allow);
    } else {
        // clone3 passes its flags in memory, where no filter can look: it stays unknown, and callers take clone.
        set(&[c::SYS_clone], Answer::Refuse { argument: 0, when: When::AnyBit(NAMESPACES as u32) });
    }
    if capabilities.has(Capability::NET_RAW) && raw == Raw::Echo {
        for (call, answer) in echo_only() {
            set(&[call], answer);
        }
    } else {
        set(&[c::SYS_socket], Answer::Refuse { argument: 0, when: When::OneOf(FOREIGN_FAMILIES) });
    }
    // The kernel looks at 32 bits of the request, and so must we (CVE-2019-7303, CVE-2023-1523).
    set(&[c::SYS_ioctl], Answer::Refuse { argument: 1, when: When::OneOf(TERMINAL_INJECTIONS) });
    set(&[c::SYS_personality], Answer::Refuse { argument: 0, when: When::NoneOf(PERSONALITIES) });
    answers
}

#[cfg(test)]
mod tests {
    use super::super::bpf::tests::interpret;
    use super::super::syscalls::{FREE, FREE_HERE, PRIVILEGED, PRIVILEGED_HERE, REFUSED};
    use super::{Capabilities, Capability, NAMESPACES, PERSONALITIES, Raw, TERMINAL_INJECTIONS, c, filter};
    use sys::Errno;
    use sys::seccomp::{Answer, try_out};

    /// What a container with these capabilities is answered by a call whose arguments make it fail, or do nothing, once it is let through.
    fn answer(capabilities: Capabilities, call: c::c_long, arguments: [u64; 6]) -> Answer {
        try_out(&filter(capabilities, Raw::Any), call, arguments).unwrap()
    }

    const REFUSAL: Answer = Answer::Failed(Errno::EPERM);
    const UNKNOWN: Answer = Answer::Failed(Errno::ENOSYS);
    /// No such address, descriptor, process or flag: with these no call below does anything.
    const NONSENSE: [u64; 6] = [u64::MAX; 6];

    #[test]
    fn ordinary_calls_are_let_through() {
        assert!(matches!(answer(Capabilities::NONE, c::SYS_getpid, [0; 6]), Answer::Returned(1..)));
        assert_eq!(answer(Capabilities::NONE, c::SYS_openat, NONSENSE), Answer::Failed(Errno::EFAULT));
        assert_eq!(answer(Capabilities::NONE, c::SYS_read, NONSENSE), Answer::Failed(Errno::EBADF));
        assert_eq!(answer(Capabilities::NONE, c::SYS_umask, [0o22, 0, 0, 0, 0, 0]), answer_without(c::SYS_umask));
    }

    /// `ret #SECCOMP_RET_ALLOW`
    const ALLOW_ALL: [u64; 1] = [u64::from_ne_bytes([6, 0, 0, 0, 0, 0, 0xff, 0x7f])];

    fn answer_without(call: c::c_long) -> Answer {
        try_out(&ALLOW_ALL, call, [0o22, 0, 0, 0, 0, 0]).unwrap()
    }

    #[test]
    fn calls_without_their_capability_are_refused_and_with_it_they_reach_the_kernel() {
        for (calls, any_of) in PRIVILEGED.iter().chain(PRIVILEGED_HERE) {
            for call in *calls {
                assert_eq!(answer(Capabilities::NONE, *call, NONSENSE), REFUSAL, "call {call}");
            }
            for capability in *any_of {
                for call in *calls {
                    let verdict = verdict(Capabilities::of(&[*capability]), *call);
                    assert_eq!(verdict, c::SECCOMP_RET_ALLOW, "call {call} with {capability:?}");
                }
            }
        }
        // unshare(0) asks for nothing and succeeds where it is let through.
        assert_eq!(answer(Capabilities::ORDINARY, c::SYS_unshare, [0; 6]), REFUSAL);
        assert_eq!(answer(Capabilities::ALL, c::SYS_unshare, [0; 6]), Answer::Returned(0));
    }

    /// What the filter answers, without making the call: for those that are better not made in a test.
    fn verdict(capabilities: Capabilities, call: c::c_long) -> u32 {
        let architecture = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        interpret(&filter(capabilities, Raw::Any), architecture, call as u32, [0; 6])
    }

    #[test]
    fn keys_are_refused_whatever_the_capabilities() {
        for call in REFUSED {
            assert_eq!(answer(Capabilities::ALL, *call, NONSENSE), REFUSAL);
        }
    }

    #[test]
    fn what_is_in_no_table_does_not_exist() {
        let past_the_end = 100_000;
        for call in [c::SYS_io_uring_setup, c::SYS_userfaultfd, c::SYS_nfsservctl, past_the_end, 0x4000_0000] {
            assert_eq!(answer(Capabilities::ORDINARY, call, NONSENSE), UNKNOWN, "call {call}");
        }
        assert_eq!(answer(Capabilities::ORDINARY, c::SYS_clone3, NONSENSE), UNKNOWN);
        assert_ne!(answer(Capabilities::ALL, c::SYS_clone3, NONSENSE), UNKNOWN);
    }

    #[test]
    fn no_namespace_can_be_cloned() {
        for bit in 0..32 {
            let flag = 1u64 << bit;
            if NAMESPACES as u64 & flag != 0 {
                for flags in [flag, flag | c::SIGCHLD as u64, flag | 0xdead_0000_0000_0000] {
                    assert_eq!(
                        answer(Capabilities::ORDINARY, c::SYS_clone, [flags, 0, 0, 0, 0, 0]),
                        REFUSAL,
                        "{flags:#x}"
                    );
                }
            }
        }
        // CLONE_THREAD without CLONE_SIGHAND makes no sense, which the kernel says once it is asked.
        let nonsense = c::CLONE_THREAD as u64;
        let asked = answer(Capabilities::ORDINARY, c::SYS_clone, [nonsense, 0, 0, 0, 0, 0]);
        assert_eq!(asked, Answer::Failed(Errno::EINVAL));
    }

    #[test]
    fn nothing_can_be_typed_into_a_terminal_also_not_by_the_upper_half_of_the_request() {
        for request in TERMINAL_INJECTIONS.iter().map(|request| u64::from(*request)) {
            for request in [request, request | 1 << 32, request | 0xffff_ffff_0000_0000] {
                assert_eq!(answer(Capabilities::ALL, c::SYS_ioctl, [u64::MAX, request, 0, 0, 0, 0]), REFUSAL);
            }
        }
        let window_size = answer(Capabilities::NONE, c::SYS_ioctl, [u64::MAX, c::TIOCGWINSZ, 0, 0, 0, 0]);
        assert_eq!(window_size, Answer::Failed(Errno::EBADF));
    }

    #[test]
    fn sockets_out_of_every_namespace_are_refused() {
        let socket =
            |family: u64| answer(Capabilities::ALL, c::SYS_socket, [family, c::SOCK_STREAM as u64, 0, 0, 0, 0]);
        for family in [c::AF_VSOCK, c::AF_ALG] {
            assert_eq!(socket(family as u64), REFUSAL);
            assert_eq!(socket(family as u64 | 1 << 32), REFUSAL);
        }
        assert!(matches!(socket(c::AF_INET as u64), Answer::Returned(3..)));
        assert!(matches!(socket(c::AF_UNIX as u64), Answer::Returned(3..)));
    }

    #[test]
    fn raw_sockets_are_for_echoes_alone_unless_more_was_asked_for() {
        let raw = Capabilities::ORDINARY.with(Capabilities::of(&[Capability::NET_RAW]));
        let architecture = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        let verdict = |call: c::c_long, arguments: [c::c_int; 3], which| {
            let [a, b, d] = arguments.map(|argument| argument as u64);
            // The kernel looks at 32 bits.
            let high = 0xdead_0000_0000_0000;
            let plain = interpret(&filter(raw, which), architecture, call as u32, [a, b, d, 0, 0, 0]);
            let dressed =
                interpret(&filter(raw, which), architecture, call as u32, [a | high, b | high, d | high, 0, 0, 0]);
            assert_eq!(plain, dressed);
            plain
        };
        let socket = |family, kind, protocol| verdict(c::SYS_socket, [family, kind, protocol], Raw::Echo);
        let refused = c::SECCOMP_RET_ERRNO | c::EPERM as u32;
        for flags in [0, c::SOCK_CLOEXEC, c::SOCK_CLOEXEC | c::SOCK_NONBLOCK] {
            for (family, kind, protocol) in [
                (c::AF_INET, c::SOCK_RAW, c::IPPROTO_ICMP),
                (c::AF_INET6, c::SOCK_RAW, c::IPPROTO_ICMPV6),
                (c::AF_INET, c::SOCK_DGRAM, c::IPPROTO_ICMP),
                (c::AF_INET, c::SOCK_STREAM, 0),
                (c::AF_INET6, c::SOCK_DGRAM, c::IPPROTO_UDP),
                (c::AF_NETLINK, c::SOCK_RAW, c::NETLINK_ROUTE),
                (c::AF_UNIX, c::SOCK_SEQPACKET, 0),
            ] {
                assert_eq!(socket(family, kind | flags, protocol), c::SECCOMP_RET_ALLOW, "{family} {kind} {protocol}");
            }
            for (family, kind, protocol) in [
                (c::AF_INET, c::SOCK_RAW, c::IPPROTO_RAW),
                (c::AF_INET, c::SOCK_RAW, c::IPPROTO_TCP),
                (c::AF_INET, c::SOCK_RAW, c::IPPROTO_ICMPV6),
                (c::AF_INET6, c::SOCK_RAW, c::IPPROTO_RAW),
                (c::AF_INET, super::SOCK_PACKET, c::IPPROTO_ICMP),
                (c::AF_PACKET, c::SOCK_RAW, 0x300),
                (c::AF_PACKET, c::SOCK_DGRAM, 0),
                (c::AF_XDP, c::SOCK_RAW, 0),
                (c::AF_VSOCK, c::SOCK_STREAM, 0),
                (c::AF_ALG, c::SOCK_SEQPACKET, 0),
            ] {
                assert_eq!(socket(family, kind | flags, protocol), refused, "{family} {kind} {protocol}");
            }
        }
        let option = |level, name| verdict(c::SYS_setsockopt, [3, level, name], Raw::Echo);
        for (level, name) in super::FORGING {
            assert_eq!(option(level, name), refused);
            assert_eq!(verdict(c::SYS_setsockopt, [3, level, name], Raw::Any), c::SECCOMP_RET_ALLOW);
        }
        for (level, name) in
            [(c::SOL_SOCKET, c::SO_RCVTIMEO), (c::IPPROTO_TCP, c::TCP_NODELAY), (c::IPPROTO_IP, c::IP_TTL)]
        {
            assert_eq!(option(level, name), c::SECCOMP_RET_ALLOW);
        }
        assert_eq!(verdict(c::SYS_socket, [c::AF_PACKET, c::SOCK_RAW, 0], Raw::Any), c::SECCOMP_RET_ALLOW);
    }

    #[test]
    fn only_harmless_personalities_can_be_taken() {
        let personality = |value: u64| answer(Capabilities::ALL, c::SYS_personality, [value, 0, 0, 0, 0, 0]);
        for value in PERSONALITIES.iter().map(|value| u64::from(*value)) {
            assert!(matches!(personality(value), Answer::Returned(_)), "{value:#x}");
        }
        for value in [0x0400_0000, 0x0010_0000, 6, 0x1_0000_0000 | 6] {
            assert_eq!(personality(value), REFUSAL, "{value:#x}");
        }
    }

    #[test]
    fn every_free_call_is_free_without_any_capability() {
        for call in FREE.iter().chain(FREE_HERE) {
            assert_eq!(verdict(Capabilities::NONE, *call), c::SECCOMP_RET_ALLOW, "call {call}");
        }
    }

    #[test]
    fn the_filter_is_small() {
        for capabilities in [Capabilities::NONE, Capabilities::ORDINARY, Capabilities::ALL] {
            let size = filter(capabilities.with(Capabilities::of(&[Capability::NET_RAW])), Raw::Echo).len();
            assert!(size < 450, "{size}");
        }
    }

    #[test]
    fn a_capability_lets_through_its_own_calls_only() {
        let syslog = Capabilities::of(&[Capability::SYSLOG]);
        assert_eq!(answer(syslog, c::SYS_bpf, NONSENSE), REFUSAL);
        assert_ne!(answer(syslog, c::SYS_syslog, [u64::MAX; 6]), UNKNOWN);
    }
}
