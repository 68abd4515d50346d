//! What becomes of a message: it is answered from here, passed on, or nothing at all. No socket is touched.

use std::net::{IpAddr, SocketAddr};

use super::message::{self, A, AAAA, ANY, Code, IN, PTR, Question, Record, Refusal};
use super::resolvers::{self, Resolvers};
use super::zones::{Beyond, Found, Zones};

/// What becomes of a message.
#[derive(Debug)]
pub enum Decision {
    /// Nothing.
    Nothing,
    /// It is answered so.
    Answer(Vec<u8>),
    /// These are to be asked, in this order.
    Ask(Question, Vec<SocketAddr>),
}

/// All that answers come from.
#[derive(Debug)]
pub struct Knowledge {
    /// The names of containers.
    pub zones: Zones,
    /// Whom this machine asks.
    pub resolvers: Resolvers,
    /// How many answers with several addresses there were: each begins with another of them.
    rounds: usize,
}

impl Knowledge {
    /// Knowing nothing of containers.
    pub fn new(resolvers: Resolvers) -> Self {
        Self { zones: Zones::default(), resolvers, rounds: 0 }
    }

    /// Decides on what `client` has sent to the server of `network`, by datagram or else by a connection.
    pub fn decide(&mut self, network: &str, client: IpAddr, message: &[u8], by_datagram: bool) -> Decision {
        let question = match Question::read(message) {
            Ok(question) => question,
            Err(Refusal::Silence) => return Decision::Nothing,
            Err(Refusal::Say(code)) => {
                return message::refuse(message, code).map_or(Decision::Nothing, Decision::Answer);
            }
        };
        let limit = if by_datagram { question.datagram() } else { usize::from(u16::MAX) };
        let answer =
            |code, records: &[Record]| Decision::Answer(message::answer(message, &question, code, records, limit));
        let found = match &question.name {
            Some(name) if question.class == IN => self.zones.find(network, client, name, message::reversed(name)),
            _ => self.zones.find(network, client, "", None),
        };
        match found {
            Found::Addresses(mut addresses) => {
                addresses.retain(|address| match question.kind {
                    A => address.is_ipv4(),
                    AAAA => address.is_ipv6(),
                    kind => kind == ANY,
                });
                if addresses.len() > 1 {
                    self.rounds = self.rounds.wrapping_add(1);
                    let first = self.rounds % addresses.len();
                    addresses.rotate_left(first);
                }
                answer(Code::Fine, &addresses.into_iter().map(Record::Address).collect::<Vec<_>>())
            }
            Found::Name(name) if matches!(question.kind, PTR | ANY) => answer(Code::Fine, &[Record::Name(&name)]),
            Found::Name(_) => answer(Code::Fine, &[]),
            Found::Nothing => answer(Code::NoSuchName, &[]),
            Found::Beyond(beyond) => {
                let servers = match beyond {
                    Beyond::Host => self.resolvers.now(),
                    Beyond::Servers(servers) => self.resolvers.rank(resolvers::at_port(&servers)),
                    Beyond::Nowhere => Vec::new(),
                };
                if servers.is_empty() { answer(Code::Failed, &[]) } else { Decision::Ask(question, servers) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::query;
    use super::super::zones::Zone;
    use super::*;

    fn knowledge(beyond: Beyond) -> Knowledge {
        let mut knowledge = Knowledge::new(Resolvers::new("/nonexistent"));
        let mut zone = Zone::new(vec!["10.89.0.0/24".parse().unwrap()], beyond);
        for (name, address) in [("web", "10.89.0.2"), ("all", "10.89.0.2"), ("all", "10.89.0.3"), ("six", "fd00::2")] {
            zone.add(name, address.parse().unwrap());
        }
        zone.call("10.89.0.2".parse().unwrap(), "web");
        knowledge.zones.add("front", zone);
        knowledge
    }

    fn ask(knowledge: &mut Knowledge, name: &str, kind: u16) -> Result<(u8, usize, Vec<u8>), Vec<SocketAddr>> {
        match knowledge.decide("front", "10.89.0.9".parse().unwrap(), &query(5, name, kind, None), true) {
            Decision::Answer(answer) => {
                Ok((message::code(&answer), usize::from(u16::from_be_bytes([answer[6], answer[7]])), answer))
            }
            Decision::Ask(_, servers) => Err(servers),
            Decision::Nothing => panic!("a question is decided on"),
        }
    }

    fn counts(knowledge: &mut Knowledge, name: &str, kind: u16) -> Option<(u8, usize)> {
        ask(knowledge, name, kind).ok().map(|(code, records, _)| (code, records))
    }

    #[test]
    fn a_container_has_addresses_of_its_kind_and_nothing_else() {
        let mut knowledge = knowledge(Beyond::Host);
        assert_eq!(counts(&mut knowledge, "WEB", A), Some((0, 1)));
        for (name, kind) in [("web", AAAA), ("web", 15), ("web", 65), ("six", A)] {
            assert_eq!(
                counts(&mut knowledge, name, kind),
                Some((0, 0)),
                "no records, but the name is there: {name} {kind}"
            );
        }
        assert_eq!(counts(&mut knowledge, "six", AAAA), Some((0, 1)));
        assert_eq!(counts(&mut knowledge, "all", ANY), Some((0, 2)));
        let (_, _, answer) = ask(&mut knowledge, "2.0.89.10.in-addr.arpa", PTR).unwrap();
        assert!(answer.ends_with(b"\x03web\0"));
        assert_eq!(counts(&mut knowledge, "7.0.89.10.in-addr.arpa", PTR), Some((3, 0)));
    }

    #[test]
    fn several_addresses_take_turns() {
        let mut knowledge = knowledge(Beyond::Host);
        let mut last = || ask(&mut knowledge, "all", A).unwrap().2.last().copied().unwrap();
        let (one, two) = (last(), last());
        assert_ne!(one, two);
    }

    #[test]
    fn what_is_not_known_is_asked_for_where_the_network_says() {
        let host = ask(&mut knowledge(Beyond::Host), "example.com", A).unwrap_err();
        assert_eq!(host, ["127.0.0.1:53".parse().unwrap()]);
        let own = Beyond::Servers(vec!["192.0.2.1".parse().unwrap()]);
        assert_eq!(ask(&mut knowledge(own), "example.com", A).unwrap_err(), ["192.0.2.1:53".parse().unwrap()]);
        assert_eq!(counts(&mut knowledge(Beyond::Nowhere), "example.com", A), Some((3, 0)));
    }
}
