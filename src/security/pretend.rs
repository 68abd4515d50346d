//! The filter of a container that has one user id only: which calls somebody answers in the kernel's place (the crate `pretend`).
//!
//! It stands beside the container's other filter, and forbids nothing: of two filters' answers the stricter one holds (seccomp(2)).

use std::collections::BTreeMap;

use nix::libc as c;

use super::arguments::{Compare, Test};
use super::bpf::{Answer, program_for};

/// The filter, for this machine's architecture: `struct sock_filter`, in its byte order.
pub fn filter() -> Vec<u64> {
    let test = |(argument, bits, value): &pretend::Test| Test {
        argument: *argument,
        compare: Compare::Masked(*bits),
        value: *value,
    };
    let answer = |alternatives: &[&[pretend::Test]]| match alternatives {
        [] => Answer::Rules(Vec::new(), c::SECCOMP_RET_USER_NOTIF),
        rules => {
            let rule = |tests: &&[pretend::Test]| (tests.iter().map(test).collect(), c::SECCOMP_RET_USER_NOTIF);
            Answer::Rules(rules.iter().map(rule).collect(), c::SECCOMP_RET_ALLOW)
        }
    };
    let answers: BTreeMap<u32, Answer> =
        pretend::wanted().into_iter().map(|(call, alternatives)| (call as u32, answer(alternatives))).collect();
    // What another architecture's calls are is not known here: the kernel answers them.
    program_for(&answers, Answer::Allow, c::SECCOMP_RET_ALLOW)
}

#[cfg(test)]
mod tests {
    use super::super::bpf::tests::interpret;
    use super::{c, filter};

    const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };

    fn is_answered(call: c::c_long, arguments: [u64; 6]) -> bool {
        match interpret(&filter(), ARCHITECTURE, call as u32, arguments) {
            c::SECCOMP_RET_USER_NOTIF => true,
            c::SECCOMP_RET_ALLOW => false,
            other => panic!("{other:#x}"),
        }
    }

    #[test]
    fn calls_about_owners_are_answered_and_others_are_not() {
        for call in [c::SYS_fchownat, c::SYS_setresuid, c::SYS_getuid, c::SYS_newfstatat, c::SYS_execve] {
            assert!(is_answered(call, [0; 6]), "call {call}");
        }
        for call in [c::SYS_read, c::SYS_write, c::SYS_openat, c::SYS_getpid, c::SYS_close, c::SYS_futex] {
            assert!(!is_answered(call, [0; 6]), "call {call}");
        }
        assert!(filter().len() < 150, "{}", filter().len());
    }

    #[test]
    fn opening_is_answered_where_it_may_make_a_file() {
        let open = |flags: i32| is_answered(c::SYS_openat, [0, 0, flags as u64, 0, 0, 0]);
        assert!(open(c::O_CREAT | c::O_WRONLY) && open(c::O_TMPFILE | c::O_RDWR));
        assert!(!open(c::O_RDWR) && !open(c::O_DIRECTORY) && !open(c::O_TRUNC | c::O_WRONLY));
    }

    #[test]
    fn of_sockets_only_the_question_for_the_other_end_is_answered() {
        let ask = |level: i32, option: i32| is_answered(c::SYS_getsockopt, [3, level as u64, option as u64, 0, 0, 0]);
        assert!(ask(c::SOL_SOCKET, c::SO_PEERCRED));
        assert!(!ask(c::SOL_SOCKET, c::SO_ERROR) && !ask(c::IPPROTO_TCP, c::SO_PEERCRED));
    }

    #[test]
    fn of_the_many_things_that_prctl_does_one_is_answered() {
        let ask = |option: i32| is_answered(c::SYS_prctl, [option as u64, 1, 0, 0, 0, 0]);
        assert!(ask(c::PR_SET_KEEPCAPS) && !ask(c::PR_SET_NAME) && !ask(c::PR_GET_KEEPCAPS));
    }

    #[test]
    fn another_architecture_is_left_alone() {
        assert_eq!(interpret(&filter(), 0x4000_0003, c::SYS_getuid as u32, [0; 6]), c::SECCOMP_RET_ALLOW);
    }
}
