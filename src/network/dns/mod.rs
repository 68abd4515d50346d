//! The name server of the networks: it answers for containers, and passes everything else on to whom this machine asks at that moment.
//!
//! Owned by the networks' holder, outside of their network namespace; the sockets that it answers on come from inside. What arrives
//! there comes from containers, and is hostile: `message` reads it and is fuzzed. Nothing here waits or starts a thread.

mod client;
mod decide;
mod flight;
mod message;
mod resolvers;
mod server;
mod zones;

pub use server::Server;
pub use zones::{Beyond, Zone, Zones};

/// Decides on a message as a server does that knows a few names; for whoever feeds it messages to make it fail.
#[doc(hidden)]
pub fn fuzz(message: &[u8]) {
    let address = std::net::IpAddr::from([10, 89, 0, 2]);
    let mut zone = Zone::new(vec![ipnet::IpNet::from(address)], Beyond::Host);
    zone.add("web", address);
    zone.call(address, "web");
    let mut knowledge = decide::Knowledge::new(resolvers::Resolvers::new("/nonexistent"));
    knowledge.zones.add("front", zone);
    for by_datagram in [false, true] {
        match knowledge.decide("front", address, message, by_datagram) {
            decide::Decision::Nothing => {}
            decide::Decision::Answer(answer) => assert_eq!(message::id(&answer), message::id(message)),
            decide::Decision::Ask(question, _) => {
                let mut answer = message.to_vec();
                question.is_answered_by(message, &answer);
                message::truncate(&mut answer, &question);
                assert!(answer.len() <= message.len());
            }
        }
    }
}
