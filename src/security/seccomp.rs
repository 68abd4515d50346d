//! The system call filter of an ordinary container (seccomp(2)), as instructions that go into the plan.
//!
//! Two filters, since seccomp takes the stricter answer of several and, among refusals, that of the one installed last:
//! the first lets through what is known and answers ENOSYS to all else; the second, installed after it, answers EPERM to what the container
//! lacks the capability for and to dangerous arguments. Processes of another architecture are killed by either.

use std::collections::BTreeMap;

use nix::libc as c;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};
use serde::{Deserialize, Serialize};

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

/// The personalities that change nothing but what uname(2) says (UNAME26 is 0x20000), that switch off the randomisation of addresses,
/// as debuggers do (0x40000), or that ask which one holds.
const PERSONALITIES: [u64; 6] = [0, 8, 0x20000, 0x20008, 0x40000, 0xffff_ffff];

/// Families of sockets that no network namespace holds in: to the hypervisor, and into the kernel's cryptography.
const FOREIGN_FAMILIES: [c::c_int; 2] = [c::AF_VSOCK, c::AF_ALG];

/// Requests that put words into the mouth of whoever sits at a terminal.
const TERMINAL_INJECTIONS: [u64; 2] = [0x5412 /* TIOCSTI */, 0x541c /* TIOCLINUX */];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Programs for the kernel, to be installed in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filters(pub Vec<Vec<u64>>);

/// The filters of a container with these capabilities, for this machine's architecture.
///
/// An error is a defect of the tables, not of the input.
pub fn filters(capabilities: Capabilities) -> Result<Filters, BackendError> {
    let (refused, mut known) = tables(capabilities)?;
    known.extend(refused.keys().map(|call| (*call, Vec::new())));
    let known = program(known, SeccompAction::Errno(c::ENOSYS as u32), SeccompAction::Allow)?;
    let refused = program(refused, SeccompAction::Allow, SeccompAction::Errno(c::EPERM as u32))?;
    Ok(Filters(vec![known, refused]))
}

fn program(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<Vec<u64>, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let program: BpfProgram = SeccompFilter::new(rules, otherwise, matched, architecture)?.try_into()?;
    Ok(program.iter().map(instruction).collect())
}

/// `struct sock_filter` in this machine's byte order.
fn instruction(of: &seccompiler::sock_filter) -> u64 {
    let [code_a, code_b] = of.code.to_ne_bytes();
    let [a, b, c, d] = of.k.to_ne_bytes();
    u64::from_ne_bytes([code_a, code_b, of.jt, of.jf, a, b, c, d])
}

/// What is refused, and what is let through beside it. A call without rules is meant whatever its arguments.
fn tables(capabilities: Capabilities) -> Result<(Rules, Rules), BackendError> {
    let mut free: Rules = FREE.iter().chain(FREE_HERE).map(|call| (*call, Vec::new())).collect();
    let mut refused: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    for (calls, any_of) in PRIVILEGED.iter().chain(PRIVILEGED_HERE) {
        let granted = any_of.iter().any(|capability| capabilities.has(*capability));
        let table = if granted { &mut free } else { &mut refused };
        table.extend(calls.iter().map(|call| (*call, Vec::new())));
    }
    if capabilities.has(Capability::SYS_ADMIN) {
        free.insert(c::SYS_clone3, Vec::new());
    } else {
        // clone3 passes its flags in memory, where no filter can look: it stays unknown, and callers take clone.
        refused.insert(c::SYS_clone, namespace_flags()?);
    }
    refused.insert(c::SYS_socket, one_of(0, FOREIGN_FAMILIES.map(|family| family as u64))?);
    // The kernel looks at 32 bits of both; so must we (CVE-2019-7303, CVE-2023-1523).
    refused.insert(c::SYS_ioctl, one_of(1, TERMINAL_INJECTIONS)?);
    refused.insert(c::SYS_personality, vec![none_of(0, PERSONALITIES)?]);
    Ok((refused, free))
}

fn namespace_flags() -> Result<Vec<SeccompRule>, BackendError> {
    (0..c::c_int::BITS)
        .map(|bit| 1u64 << bit)
        .filter(|flag| NAMESPACES as u32 as u64 & flag != 0)
        .map(|flag| rule([SeccompCondition::new(0, Len::Dword, Op::MaskedEq(flag), flag)?]))
        .collect()
}

fn one_of<const N: usize>(argument: u8, values: [u64; N]) -> Result<Vec<SeccompRule>, BackendError> {
    values.map(|value| rule([SeccompCondition::new(argument, Len::Dword, Op::Eq, value)?])).into_iter().collect()
}

fn none_of<const N: usize>(argument: u8, values: [u64; N]) -> Result<SeccompRule, BackendError> {
    let conditions = values.map(|value| SeccompCondition::new(argument, Len::Dword, Op::Ne, value));
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}

fn rule<const N: usize>(conditions: [SeccompCondition; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into())
}

#[cfg(test)]
mod tests {
    use super::super::syscalls::{FREE, FREE_HERE, PRIVILEGED, PRIVILEGED_HERE, REFUSED};
    use super::{Capabilities, Capability, NAMESPACES, PERSONALITIES, TERMINAL_INJECTIONS, c, filters};
    use sys::Errno;
    use sys::seccomp::{Answer, try_out};

    /// What a container with these capabilities is answered by a call whose arguments make it fail, or do nothing, once it is let through.
    fn answer(capabilities: Capabilities, call: c::c_long, arguments: [u64; 6]) -> Answer {
        let filters = filters(capabilities).unwrap();
        let filters: Vec<&[u64]> = filters.0.iter().map(Vec::as_slice).collect();
        try_out(&filters, call, arguments).unwrap()
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

    fn answer_without(call: c::c_long) -> Answer {
        try_out(&[], call, [0o22, 0, 0, 0, 0, 0]).unwrap()
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
                    assert_eq!(verdict, None, "call {call} with {capability:?}");
                }
            }
        }
        // unshare(0) asks for nothing and succeeds where it is let through.
        assert_eq!(answer(Capabilities::ORDINARY, c::SYS_unshare, [0; 6]), REFUSAL);
        assert_eq!(answer(Capabilities::ALL, c::SYS_unshare, [0; 6]), Answer::Returned(0));
    }

    /// What both filters together answer to a call whose arguments are all zero, as the kernel would find it: for the calls that are
    /// better not made in a test.
    fn verdict(capabilities: Capabilities, call: c::c_long) -> Option<Errno> {
        let filters = filters(capabilities).unwrap();
        let answers: Vec<u32> = filters.0.iter().map(|program| interpret(program, call)).collect();
        match answers[..] {
            [ALLOW, ALLOW] => None,
            // Of two refusals, that of the filter installed last.
            [errno, ALLOW] | [_, errno] => Some(Errno::from_raw((errno & 0xffff) as i32)),
            _ => panic!("two filters"),
        }
    }

    const ALLOW: u32 = 0x7fff_0000;

    /// The part of BPF that filters are made of (linux/bpf_common.h).
    fn interpret(program: &[u64], call: c::c_long) -> u32 {
        let mut data = [0u32; 16];
        data[0] = call as u32;
        data[1] = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        let (mut accumulator, mut at) = (0u32, 0usize);
        loop {
            let [a, b, yes, no, rest @ ..] = program[at].to_ne_bytes();
            let value = u32::from_ne_bytes(rest);
            let jump = |taken: bool| usize::from(if taken { yes } else { no });
            at += 1;
            match u16::from_ne_bytes([a, b]) {
                0x20 => accumulator = data[value as usize / 4],
                0x54 => accumulator &= value,
                0x05 => at += value as usize,
                0x15 => at += jump(accumulator == value),
                0x25 => at += jump(accumulator > value),
                0x35 => at += jump(accumulator >= value),
                0x06 => return value,
                code => panic!("instruction {code:#x}"),
            }
        }
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
        for request in TERMINAL_INJECTIONS {
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
    fn only_harmless_personalities_can_be_taken() {
        let personality = |value: u64| answer(Capabilities::ALL, c::SYS_personality, [value, 0, 0, 0, 0, 0]);
        for value in PERSONALITIES {
            assert!(matches!(personality(value), Answer::Returned(_)), "{value:#x}");
        }
        for value in [0x0400_0000, 0x0010_0000, 6, 0x1_0000_0000 | 6] {
            assert_eq!(personality(value), REFUSAL, "{value:#x}");
        }
    }

    #[test]
    fn every_free_call_is_free_without_any_capability() {
        for call in FREE.iter().chain(FREE_HERE) {
            assert_eq!(verdict(Capabilities::NONE, *call), None, "call {call}");
        }
        assert_eq!(verdict(Capabilities::NONE, c::SYS_clone3), Some(Errno::ENOSYS));
        assert_eq!(verdict(Capabilities::NONE, c::SYS_mount), Some(Errno::EPERM));
    }

    #[test]
    fn the_filters_are_as_small_as_the_kernel_wants_them() {
        for capabilities in [Capabilities::NONE, Capabilities::ORDINARY, Capabilities::ALL] {
            for program in filters(capabilities).unwrap().0 {
                assert!(program.len() <= 4096, "BPF_MAXINSNS: {}", program.len());
            }
        }
    }

    #[test]
    fn a_capability_lets_through_its_own_calls_only() {
        let syslog = Capabilities::of(&[Capability::SYSLOG]);
        assert_eq!(answer(syslog, c::SYS_bpf, NONSENSE), REFUSAL);
        assert_ne!(answer(syslog, c::SYS_syslog, [u64::MAX; 6]), UNKNOWN);
    }
}
