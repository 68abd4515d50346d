//! The little of DNS messages that has to be understood here (RFC 1035, 6891): the header, one question, and how much a client takes.
//!
//! What is passed on is passed on as it came, whatever it holds: records of every type, known today or not. So only what this program
//! answers itself is written here, and nothing of an answer is read beyond the question that it repeats.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The length of a header.
pub const HEADER: usize = 12;

/// What a client takes by UDP that says nothing of it.
const PLAIN: usize = 512;

/// The most that is sent in one datagram, whatever a client takes: IPv6 carries no less unbroken over any link (RFC 9715).
pub const DATAGRAM: usize = 1232;

/// The longest name, as it is written in a message.
const LONGEST_NAME: usize = 255;

/// The types that are answered; all others are only told apart from these.
pub const A: u16 = 1;
/// A name for an address.
pub const PTR: u16 = 12;
/// An IPv6 address.
pub const AAAA: u16 = 28;
/// All of them.
pub const ANY: u16 = 255;
/// What extends a message (EDNS).
const OPT: u16 = 41;
/// The Internet.
pub const IN: u16 = 1;

const RESPONSE: u8 = 0x80;
const OPCODE: u8 = 0x78;
const AUTHORITATIVE: u8 = 0x04;
const TRUNCATED: u8 = 0x02;
const RECURSION_DESIRED: u8 = 0x01;
const RECURSION_AVAILABLE: u8 = 0x80;

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// There is the name; with what was asked for, or without.
    Fine = 0,
    /// The question is none.
    Malformed = 1,
    /// Nobody could be asked, or nobody answers.
    Failed = 2,
    /// There is no such name.
    NoSuchName = 3,
    /// Something other than a question.
    NotImplemented = 4,
}

/// A question that somebody has asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What the client knows it by.
    pub id: u16,
    /// The name in lower case, its labels separated by dots and without one at its end; `None` where a label holds what is no part of any
    /// host's name, a dot above all.
    pub name: Option<String>,
    /// What of it is asked for.
    pub kind: u16,
    /// In which of the worlds; [`IN`].
    pub class: u16,
    /// How much the client takes in one datagram, if it says so; which has a say in what an answer looks like too.
    pub extended: Option<u16>,
    /// Where the question ends in the message.
    end: usize,
}

/// Why a message is not answered as a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not answered at all: it is too short for a header, or an answer itself.
    Silence,
    /// It is answered with this.
    Say(Code),
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

/// The id of a message.
pub fn id(message: &[u8]) -> Option<u16> {
    number(message, 0)
}

/// Where a name ends that begins at `at`; `None` where it does not. One that goes on elsewhere ends with that.
fn end_of_name(message: &[u8], at: usize, may_point: bool) -> Option<usize> {
    let mut end = at;
    loop {
        match *message.get(end)? {
            0 => break,
            length @ 1..=63 => end += 1 + usize::from(length),
            192.. if may_point => return (end + 2 <= message.len()).then_some(end + 2),
            _ => return None,
        }
    }
    (end + 1 - at <= LONGEST_NAME).then_some(end + 1)
}

impl Question {
    /// Reads what a client has sent.
    pub fn read(message: &[u8]) -> Result<Question, Refusal> {
        let header: &[u8; HEADER] = message.first_chunk().ok_or(Refusal::Silence)?;
        if header[2] & RESPONSE != 0 {
            return Err(Refusal::Silence);
        }
        if header[2] & OPCODE != 0 {
            return Err(Refusal::Say(Code::NotImplemented));
        }
        Self::read_after_header(message).ok_or(Refusal::Say(Code::Malformed))
    }

    fn read_after_header(message: &[u8]) -> Option<Question> {
        if number(message, 4)? != 1 {
            return None;
        }
        let name_end = end_of_name(message, HEADER, false)?;
        let (kind, class) = (number(message, name_end)?, number(message, name_end + 2)?);
        let end = name_end + 4;
        let name = name(message.get(HEADER..name_end)?);
        Some(Question { id: id(message)?, name, kind, class, extended: extended(message, end)?, end })
    }

    /// How long the answer to this may be that goes by UDP.
    pub fn datagram(&self) -> usize {
        self.extended.map_or(PLAIN, |size| usize::from(size).clamp(PLAIN, DATAGRAM))
    }

    /// How long an answer may be that is passed on as it came. Who says that he takes more than is sent from here takes it from others.
    pub fn passed_datagram(&self) -> usize {
        self.extended.map_or(PLAIN, |size| usize::from(size).max(PLAIN))
    }

    /// Whether `answer`, to which the `query` with this question has led, is one: nothing else is believed.
    pub fn is_answered_by(&self, query: &[u8], answer: &[u8]) -> bool {
        let is_response = answer.get(2).is_some_and(|flags| flags & RESPONSE != 0);
        if !is_response || id(query) != id(answer) {
            return false;
        }
        // A server that could make nothing of it may leave the question out.
        if number(answer, 4) == Some(0) {
            return matches!(code(answer), 1 | 2 | 4 | 5);
        }
        // The bytes before labels are too small to be taken for letters.
        match (query.get(HEADER..self.end), answer.get(HEADER..self.end)) {
            (Some(asked), Some(repeated)) => asked.eq_ignore_ascii_case(repeated),
            _ => false,
        }
    }
}

/// The name in a question, as those that are known here are written.
fn name(mut rest: &[u8]) -> Option<String> {
    let mut name = String::new();
    while let [length, more @ ..] = rest
        && *length > 0
    {
        let label = more.get(..usize::from(*length))?;
        if !name.is_empty() {
            name.push('.');
        }
        for byte in label {
            if !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_') {
                return None;
            }
            name.push(char::from(byte.to_ascii_lowercase()));
        }
        rest = more.get(label.len()..)?;
    }
    Some(name)
}

/// What the message says that its sender takes, if it says so: records follow from `at` on. `None` where they do not.
#[allow(clippy::option_option, reason = "whether it can be read, and whether it is said")]
fn extended(message: &[u8], mut at: usize) -> Option<Option<u16>> {
    let records = [6, 8, 10].into_iter().map(|at| number(message, at).map(u32::from)).sum::<Option<u32>>()?;
    let mut found = None;
    for _ in 0..records {
        at = end_of_name(message, at, true)?;
        let (kind, size) = (number(message, at)?, number(message, at + 2)?);
        if kind == OPT {
            found = Some(size);
        }
        at += 10 + usize::from(number(message, at + 8)?);
        if at > message.len() {
            return None;
        }
    }
    Some(found)
}

/// The code of an answer.
pub fn code(answer: &[u8]) -> u8 {
    answer.get(3).map_or(0, |flags| flags & 0x0f)
}

/// An answer to what could not be read as a question.
pub fn refuse(query: &[u8], code: Code) -> Option<Vec<u8>> {
    let header: &[u8; HEADER] = query.first_chunk()?;
    let mut answer = vec![header[0], header[1], RESPONSE | header[2] & (OPCODE | RECURSION_DESIRED), code as u8];
    answer.resize(HEADER, 0);
    Some(answer)
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(&'a str),
}

/// Writes the answer to a question that was read from `query`, of at most `limit` bytes: where that is too little, what does not fit is left
/// out, and the answer says so.
pub fn answer(query: &[u8], question: &Question, code: Code, records: &[Record], limit: usize) -> Vec<u8> {
    let recursion = query.get(2).map_or(0, |flags| flags & RECURSION_DESIRED);
    let mut answer = Vec::with_capacity(DATAGRAM.min(limit));
    answer.extend(question.id.to_be_bytes());
    let authoritative = if code == Code::Failed { 0 } else { AUTHORITATIVE };
    answer.extend([RESPONSE | authoritative | recursion, RECURSION_AVAILABLE | code as u8]);
    answer.extend([0, 1, 0, 0, 0, 0, 0, u8::from(question.extended.is_some())]);
    answer.extend(query.get(HEADER..question.end).unwrap_or_default());
    const EXTENSION: usize = 11;
    let room = limit.saturating_sub(if question.extended.is_some() { EXTENSION } else { 0 });
    let mut count: u16 = 0;
    for record in records {
        let whole = answer.len();
        add(&mut answer, record);
        if answer.len() > room || count == u16::MAX {
            answer.truncate(whole);
            answer[2] |= TRUNCATED;
            break;
        }
        count += 1;
    }
    answer[6..8].copy_from_slice(&count.to_be_bytes());
    if question.extended.is_some() {
        // The root's name, and the size of datagrams that are taken here.
        answer.push(0);
        answer.extend(OPT.to_be_bytes());
        answer.extend((DATAGRAM as u16).to_be_bytes());
        answer.extend([0; 6]);
    }
    answer
}

fn add(answer: &mut Vec<u8>, record: &Record) {
    /// The name in the question.
    const ITS_NAME: u16 = 0xc000 | HEADER as u16;
    let (kind, data) = match record {
        Record::Address(IpAddr::V4(address)) => (A, address.octets().to_vec()),
        Record::Address(IpAddr::V6(address)) => (AAAA, address.octets().to_vec()),
        Record::Name(name) => (PTR, labels(name)),
    };
    answer.extend(ITS_NAME.to_be_bytes());
    answer.extend(kind.to_be_bytes());
    answer.extend(IN.to_be_bytes());
    // For how many seconds it may be kept: it may change at any moment.
    answer.extend(0u32.to_be_bytes());
    answer.extend((data.len() as u16).to_be_bytes());
    answer.extend(data);
}

/// A name as it is written in a message. What is too long for one is cut.
fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').map(str::as_bytes).filter(|label| !label.is_empty()) {
        let label = &label[..label.len().min(63)];
        if bytes.len() + label.len() + 2 > LONGEST_NAME {
            break;
        }
        bytes.push(label.len() as u8);
        bytes.extend(label);
    }
    bytes.push(0);
    bytes
}

/// Says of an answer that is too long for a datagram that there is more: who asks again by TCP gets all of it.
pub fn truncate(answer: &mut Vec<u8>, question: &Question) {
    answer.truncate(question.end);
    if answer.len() >= HEADER {
        answer[2] |= TRUNCATED;
        answer[6..HEADER].fill(0);
    }
}

/// Gives a message another id.
pub fn set_id(message: &mut [u8], id: u16) {
    if let Some(first) = message.first_chunk_mut() {
        *first = id.to_be_bytes();
    }
}

/// The address that a name of `in-addr.arpa` or `ip6.arpa` stands for.
pub fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let octets = octets.split('.').map(|octet| octet.parse::<u8>().ok()).collect::<Option<Vec<u8>>>()?;
        let [d, c, b, a] = octets[..] else { return None };
        return Some(Ipv4Addr::new(a, b, c, d).into());
    }
    let digits = name.strip_suffix(".ip6.arpa")?;
    let mut address: u128 = 0;
    let mut count = 0;
    for digit in digits.split('.').rev() {
        let [digit] = digit.as_bytes() else { return None };
        address = address << 4 | u128::from(char::from(*digit).to_digit(16)?);
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from(address).into())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A question as a resolver asks it.
    pub fn query(id: u16, name: &str, kind: u16, extended: Option<u16>) -> Vec<u8> {
        let mut query = id.to_be_bytes().to_vec();
        query.extend([RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(extended.is_some())]);
        query.extend(labels(name));
        query.extend(kind.to_be_bytes());
        query.extend(IN.to_be_bytes());
        if let Some(size) = extended {
            query.push(0);
            query.extend(OPT.to_be_bytes());
            query.extend(size.to_be_bytes());
            query.extend([0; 6]);
        }
        query
    }

    #[test]
    fn a_question_is_read() {
        let asked = Question::read(&query(7, "Web-1.Example", AAAA, Some(4096))).unwrap();
        assert_eq!((asked.id, asked.name.as_deref(), asked.kind), (7, Some("web-1.example"), AAAA));
        assert_eq!((asked.extended, asked.datagram(), asked.passed_datagram()), (Some(4096), DATAGRAM, 4096));
        let plain = Question::read(&query(7, "", A, None)).unwrap();
        assert_eq!((plain.name.as_deref(), plain.datagram(), plain.passed_datagram()), (Some(""), 512, 512));
    }

    #[test]
    fn a_dot_within_a_label_separates_nothing() {
        let mut odd = query(1, "a-b", A, None);
        odd[HEADER + 2] = b'.';
        assert_eq!(Question::read(&odd).unwrap().name, None);
    }

    #[test]
    fn what_is_no_question_is_refused_and_an_answer_is_not_answered() {
        let sound = query(1, "web", A, None);
        assert_eq!(Question::read(&sound[..HEADER - 1]), Err(Refusal::Silence));
        let with = |at: usize, byte: u8| {
            let mut message = sound.clone();
            message[at] = byte;
            Question::read(&message)
        };
        assert_eq!(with(2, RESPONSE), Err(Refusal::Silence));
        assert_eq!(with(2, 0x28), Err(Refusal::Say(Code::NotImplemented)));
        // No question, two questions, a record that is not there, a name that points, one that does not end.
        for (at, byte) in [(5, 0), (5, 2), (11, 1), (HEADER, 0xc0), (HEADER, 60)] {
            assert_eq!(with(at, byte), Err(Refusal::Say(Code::Malformed)), "{at}: {byte}");
        }
        let refused = refuse(&sound, Code::Malformed).unwrap();
        assert_eq!((refused.len(), id(&refused), code(&refused)), (HEADER, Some(1), 1));
    }

    #[test]
    fn only_what_repeats_the_question_is_its_answer() {
        let asked = query(9, "web.example", A, None);
        let question = Question::read(&asked).unwrap();
        let answer = answer(&asked, &question, Code::Fine, &[Record::Address([1, 2, 3, 4].into())], 512);
        assert!(question.is_answered_by(&asked, &answer));
        let with = |at: usize, change: u8| {
            let mut other = answer.clone();
            other[at] ^= change;
            question.is_answered_by(&asked, &other)
        };
        assert!(with(HEADER + 1, 0x20), "a letter in another case");
        assert!(!with(HEADER + 1, 1) && !with(0, 1) && !with(2, RESPONSE) && !with(question.end - 1, 1));
        assert!(!question.is_answered_by(&asked, &asked[..20]));
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_told() {
        let asked = query(1, "many", A, Some(1232));
        let question = Question::read(&asked).unwrap();
        let records: Vec<Record> = (0..200).map(|host| Record::Address([10, 0, 0, host].into())).collect();
        let short = answer(&asked, &question, Code::Fine, &records, question.datagram());
        let count = number(&short, 6).unwrap();
        assert!(short.len() <= DATAGRAM && short[2] & TRUNCATED != 0 && (50..100).contains(&count), "{count}");
        assert_eq!(extended(&short, question.end), Some(Some(1232)), "all records are whole");
        let whole = answer(&asked, &question, Code::Fine, &records, 65535);
        assert_eq!((number(&whole, 6), whole[2] & TRUNCATED), (Some(200), 0));
        let mut cut = whole;
        truncate(&mut cut, &question);
        assert_eq!((cut.len(), cut[2] & TRUNCATED, extended(&cut, question.end)), (question.end, 2, Some(None)));
    }

    #[test]
    fn a_reversed_address_is_that_address() {
        assert_eq!(reversed("4.3.2.10.in-addr.arpa"), Some([10, 2, 3, 4].into()));
        let six: Vec<&str> = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2".split('.').collect();
        assert_eq!(reversed(&format!("{}.ip6.arpa", six.join("."))), "2001:db8::567:89ab".parse().ok());
        for none in ["3.2.10.in-addr.arpa", "256.3.2.10.in-addr.arpa", "in-addr.arpa", "1.ip6.arpa", "web"] {
            assert_eq!(reversed(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_message_makes_this_panic(message: Vec<u8>, other: Vec<u8>, limit in 0usize..2000) {
            if let Ok(question) = Question::read(&message) {
                let records = [Record::Name("web"), Record::Address([1, 1, 1, 1].into())];
                let answer = answer(&message, &question, Code::Fine, &records, limit);
                prop_assert!(question.is_answered_by(&message, &answer));
                question.is_answered_by(&message, &other);
                let mut other = other;
                truncate(&mut other, &question);
            }
            refuse(&message, Code::Failed);
        }

        #[test]
        fn every_name_that_is_written_is_read(name in "[a-z0-9_]([a-z0-9_-]{0,20})(\\.[a-z0-9-]{1,20}){0,4}", kind: u16) {
            let asked = Question::read(&query(1, &name, kind, None)).unwrap();
            prop_assert_eq!((asked.name, asked.kind), (Some(name), kind));
        }
    }
}
