//! Tests of system calls' arguments, all 64 bits of them, as profiles ask for.

use super::bpf::{Instruction, plain};

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Below,
    NotAbove,
    Above,
    NotBelow,
    /// It is equal once only these bits of it are left.
    Masked(u64),
}

/// A test of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    /// Which, from 0.
    pub argument: u8,
    /// How.
    pub compare: Compare,
    /// With what.
    pub value: u64,
}

// linux/bpf_common.h
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const ABOVE: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const NOT_BELOW: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K

/// Where the arguments are in `struct seccomp_data`.
const ARGUMENTS: u32 = 16;

/// Carries `verdict` out if all tests hold, and else goes on after itself.
pub(super) fn rule(tests: &[Test], verdict: Instruction) -> Vec<Instruction> {
    let mut code = vec![verdict];
    for test in tests.iter().rev() {
        let mut longer =
            test.code(u8::try_from(code.len()).expect("a call has six arguments, and a profile a test for each"));
        longer.append(&mut code);
        code = longer;
    }
    code
}

impl Test {
    /// Goes on after itself if it holds, and else `rest` instructions further on.
    fn code(&self, rest: u8) -> Vec<Instruction> {
        let (high, low) = ((self.value >> 32) as u32, self.value as u32);
        let place = ARGUMENTS + 8 * u32::from(self.argument);
        let (high_at, low_at) = if cfg!(target_endian = "little") { (place + 4, place) } else { (place, place + 4) };
        let (load_high, load_low) = (plain(LOAD, high_at), plain(LOAD, low_at));
        let jump = |code, value, yes, no| Instruction { code, yes, no, value };
        match self.compare {
            Compare::Equal => vec![load_high, jump(EQUAL, high, 0, rest + 2), load_low, jump(EQUAL, low, 0, rest)],
            Compare::NotEqual => vec![load_high, jump(EQUAL, high, 0, 2), load_low, jump(EQUAL, low, rest, 0)],
            Compare::Masked(mask) => vec![
                load_high,
                plain(AND, (mask >> 32) as u32),
                jump(EQUAL, high, 0, rest + 3),
                load_low,
                plain(AND, mask as u32),
                jump(EQUAL, low, 0, rest),
            ],
            Compare::Above | Compare::NotBelow => {
                let last = if self.compare == Compare::Above { ABOVE } else { NOT_BELOW };
                let (above, equal) = (jump(ABOVE, high, 3, 0), jump(EQUAL, high, 0, rest + 2));
                vec![load_high, above, equal, load_low, jump(last, low, 0, rest)]
            }
            Compare::Below | Compare::NotAbove => {
                let last = if self.compare == Compare::Below { NOT_BELOW } else { ABOVE };
                let (above, equal) = (jump(ABOVE, high, rest + 3, 0), jump(EQUAL, high, 0, 2));
                vec![load_high, above, equal, load_low, jump(last, low, rest, 0)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::bpf::{Answer, program, tests::interpret};
    use super::{Compare, Test};
    use proptest::prelude::*;

    fn holds(tests: Vec<Test>, arguments: [u64; 6]) -> bool {
        let rules = Answer::Rules(vec![(tests, 7)], 8);
        let architecture = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        interpret(&program(&BTreeMap::from([(1, rules)]), Answer::Allow), architecture, 1, arguments) == 7
    }

    proptest! {
        #[test]
        fn comparisons_are_of_all_64_bits(
            a in prop_oneof![any::<u64>(), 0..3_u64, (0..3_u64).prop_map(|n| n << 32), (0..3_u64).prop_map(|n| (1 << 32) + n)],
            b in prop_oneof![any::<u64>(), 0..3_u64, (0..3_u64).prop_map(|n| n << 32), (0..3_u64).prop_map(|n| (1 << 32) + n)],
            mask in any::<u64>(),
        ) {
            for (compare, expected) in [
                (Compare::Equal, a == b),
                (Compare::NotEqual, a != b),
                (Compare::Below, a < b),
                (Compare::NotAbove, a <= b),
                (Compare::Above, a > b),
                (Compare::NotBelow, a >= b),
                (Compare::Masked(mask), a & mask == b),
            ] {
                let test = Test { argument: 2, compare, value: b };
                prop_assert_eq!(holds(vec![test], [9, 9, a, 9, 9, 9]), expected, "{:?}", compare);
                let both = vec![Test { argument: 0, compare: Compare::Equal, value: 5 }, test];
                prop_assert_eq!(holds(both.clone(), [5, 9, a, 9, 9, 9]), expected);
                prop_assert!(!holds(both, [6, 9, a, 9, 9, 9]));
            }
        }
    }
}
