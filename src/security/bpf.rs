//! From a table of answers to the smallest and fastest filter for it: a search tree over the ranges of system call numbers that
//! are answered alike.
//!
//! The crate seccompiler compares with one number after the other and has one answer for each filter. That takes two filters
//! of 2,100 instructions together, which the kernel needs 0.9 ms to check and compile at every start; the tree has 180, and takes 0.07 ms.

use std::collections::BTreeMap;

use nix::libc as c;

use super::arguments::{self, Test};

/// How a system call is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The kernel gets it.
    Allow,
    /// It fails with this errno.
    Fail(c::c_int),
    /// It fails with EPERM where the lower 32 bits of an argument are so, and else the kernel gets it.
    Refuse {
        /// Which argument, from 0.
        argument: u8,
        /// How it must not be.
        when: When,
    },
    /// As a profile says: by the first rule of which all tests hold, else by the last value; values are those of seccomp(2).
    Rules(Vec<(Vec<Test>, u32)>, u32),
}

/// A condition on 32 bits of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Any of these bits is set.
    AnyBit(u32),
    /// It is one of these values.
    OneOf(&'static [u32]),
    /// It is none of these values.
    NoneOf(&'static [u32]),
}

// linux/bpf_common.h
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_NOT_BELOW: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_BITS: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// linux/audit.h
const THIS_ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };

/// One instruction, as the kernel has it.
#[derive(Clone, Copy)]
pub(super) struct Instruction {
    pub code: u16,
    pub yes: u8,
    pub no: u8,
    pub value: u32,
}

pub(super) fn plain(code: u16, value: u32) -> Instruction {
    Instruction { code, yes: 0, no: 0, value }
}

fn allow() -> Instruction {
    plain(RETURN, c::SECCOMP_RET_ALLOW)
}

fn fail(errno: c::c_int) -> Instruction {
    plain(RETURN, c::SECCOMP_RET_ERRNO | errno as u32)
}

/// The filter that answers each call by `answers`, and all others by `otherwise`, as `struct sock_filter` in this machine's byte
/// order. A process of another architecture is killed.
pub(super) fn program(answers: &BTreeMap<u32, Answer>, otherwise: Answer) -> Vec<u64> {
    program_for(answers, otherwise, c::SECCOMP_RET_KILL_PROCESS)
}

/// As [`program`], with what becomes of a process of another architecture.
pub(super) fn program_for(answers: &BTreeMap<u32, Answer>, otherwise: Answer, foreign: u32) -> Vec<u64> {
    let mut program = vec![
        plain(LOAD, ARCHITECTURE),
        Instruction { code: JUMP_EQUAL, yes: 1, no: 0, value: THIS_ARCHITECTURE },
        plain(RETURN, foreign),
        plain(LOAD, NUMBER),
    ];
    program.extend(tree(&ranges(answers, otherwise)));
    program.iter().map(Instruction::bytes).collect()
}

/// Where each stretch of calls with the same answer begins; the first begins at 0.
fn ranges(answers: &BTreeMap<u32, Answer>, otherwise: Answer) -> Vec<(u32, Answer)> {
    let mut ranges: Vec<(u32, Answer)> = vec![(0, otherwise.clone())];
    let mut next = 0;
    let mut begin = |at: u32, answer: &Answer| match ranges.last_mut() {
        Some(last) if last.1 == *answer => {}
        Some(last) if last.0 == at => last.1 = answer.clone(),
        _ => ranges.push((at, answer.clone())),
    };
    for (call, answer) in answers {
        if *call > next {
            begin(next, &otherwise);
        }
        begin(*call, answer);
        next = call + 1;
    }
    begin(next, &otherwise);
    ranges
}

fn tree(ranges: &[(u32, Answer)]) -> Vec<Instruction> {
    if let [(_, answer)] = ranges {
        return leaf(answer);
    }
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let pivot = above[0].0;
    let below = tree(below);
    // A conditional jump reaches 255 instructions, a plain one any.
    let mut code = match u8::try_from(below.len()) {
        Ok(yes) => vec![Instruction { code: JUMP_NOT_BELOW, yes, no: 0, value: pivot }],
        Err(_) => {
            vec![Instruction { code: JUMP_NOT_BELOW, yes: 0, no: 1, value: pivot }, plain(JUMP, below.len() as u32)]
        }
    };
    code.extend(below);
    code.extend(tree(above));
    code
}

fn leaf(answer: &Answer) -> Vec<Instruction> {
    let (argument, when) = match answer {
        Answer::Allow => return vec![allow()],
        Answer::Fail(errno) => return vec![fail(*errno)],
        Answer::Refuse { argument, when } => (*argument, *when),
        Answer::Rules(rules, otherwise) => {
            let rules = rules.iter().flat_map(|(tests, value)| arguments::rule(tests, plain(RETURN, *value)));
            return rules.chain([plain(RETURN, *otherwise)]).collect();
        }
    };
    // The lower half of the 64 bits. The kernel ignores the upper one where we look.
    let half = if cfg!(target_endian = "little") { 0 } else { 4 };
    let mut code = vec![plain(LOAD, ARGUMENTS + 8 * u32::from(argument) + half)];
    let refusal = fail(c::EPERM);
    match when {
        When::AnyBit(bits) => {
            code.push(Instruction { code: JUMP_BITS, yes: 1, no: 0, value: bits });
            code.extend([allow(), refusal]);
        }
        When::OneOf(values) => {
            code.extend(any_of(values));
            code.extend([allow(), refusal]);
        }
        When::NoneOf(values) => {
            code.extend(any_of(values));
            code.extend([refusal, allow()]);
        }
    }
    code
}

/// Goes on after the next instruction if one of the values is there, else at it.
fn any_of(values: &[u32]) -> impl Iterator<Item = Instruction> {
    let left = |index: usize| u8::try_from(values.len() - index).expect("our lists of values are short");
    values.iter().enumerate().map(move |(index, value)| Instruction {
        code: JUMP_EQUAL,
        yes: left(index),
        no: 0,
        value: *value,
    })
}

impl Instruction {
    fn bytes(&self) -> u64 {
        let [code_a, code_b] = self.code.to_ne_bytes();
        let [a, b, c, d] = self.value.to_ne_bytes();
        u64::from_ne_bytes([code_a, code_b, self.yes, self.no, a, b, c, d])
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Answer, THIS_ARCHITECTURE, When, c, program};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The part of BPF that filters are made of, as the kernel executes it.
    pub fn interpret(program: &[u64], architecture: u32, call: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [0u32; 16];
        data[..2].copy_from_slice(&[call, architecture]);
        for (index, argument) in arguments.iter().enumerate() {
            let bytes = argument.to_ne_bytes();
            data[4 + 2 * index] = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            data[5 + 2 * index] = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        }
        let (mut accumulator, mut at) = (0u32, 0usize);
        loop {
            let [a, b, yes, no, rest @ ..] = program[at].to_ne_bytes();
            let value = u32::from_ne_bytes(rest);
            let jump = |taken: bool| usize::from(if taken { yes } else { no });
            at += 1;
            match u16::from_ne_bytes([a, b]) {
                super::LOAD => accumulator = data[value as usize / 4],
                super::JUMP => at += value as usize,
                super::JUMP_EQUAL => at += jump(accumulator == value),
                super::JUMP_NOT_BELOW => at += jump(accumulator >= value),
                0x25 => at += jump(accumulator > value),
                0x54 => accumulator &= value,
                super::JUMP_BITS => at += jump(accumulator & value != 0),
                super::RETURN => return value,
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    fn expected(answer: &Answer, arguments: [u64; 6]) -> u32 {
        let fails = |errno: c::c_int| c::SECCOMP_RET_ERRNO | errno as u32;
        match answer {
            Answer::Allow => c::SECCOMP_RET_ALLOW,
            Answer::Fail(errno) => fails(*errno),
            Answer::Rules(..) => unreachable!("tested beside profiles"),
            Answer::Refuse { argument, when } => {
                let value = arguments[usize::from(*argument)] as u32;
                let refused = match when {
                    When::AnyBit(bits) => value & bits != 0,
                    When::OneOf(values) => values.contains(&value),
                    When::NoneOf(values) => !values.contains(&value),
                };
                if refused { fails(c::EPERM) } else { c::SECCOMP_RET_ALLOW }
            }
        }
    }

    fn answer() -> impl Strategy<Value = Answer> {
        let refuse = |when| (0u8..6).prop_map(move |argument| Answer::Refuse { argument, when });
        prop_oneof![
            Just(Answer::Allow),
            (1..100).prop_map(Answer::Fail),
            refuse(When::AnyBit(0x30)),
            refuse(When::OneOf(&[1, 5, 9])),
            refuse(When::NoneOf(&[0, 7])),
            refuse(When::OneOf(&[])),
        ]
    }

    proptest! {
        #[test]
        fn the_program_answers_as_the_table_does(
            answers in prop::collection::btree_map(0u32..700, answer(), 0..400),
            otherwise in answer(),
            arguments in prop::array::uniform6(prop_oneof![0u64..70, any::<u64>()]),
        ) {
            let program = program(&answers, otherwise.clone());
            prop_assert!(program.len() <= 4096, "BPF_MAXINSNS: {}", program.len());
            for call in (0..710).chain([u32::MAX, 0x4000_0000]) {
                let expected = expected(answers.get(&call).unwrap_or(&otherwise), arguments);
                prop_assert_eq!(interpret(&program, THIS_ARCHITECTURE, call, arguments), expected, "call {}", call);
            }
        }
    }

    #[test]
    fn a_process_of_another_architecture_is_killed() {
        let program = program(&BTreeMap::new(), Answer::Allow);
        assert_eq!(interpret(&program, 0x4000_0003, 0, [0; 6]), c::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(interpret(&program, THIS_ARCHITECTURE, 0, [0; 6]), c::SECCOMP_RET_ALLOW);
    }
}
