//! What is to be passed on, as it is told to who does it: eight bytes, and the socket beside them.

/// The kinds of traffic that are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// One order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What arrives at the socket that comes with this message is passed on. A TCP socket listens already.
    Add {
        /// How this is called in [`Order::Remove`].
        id: u32,
        /// What the socket is.
        protocol: Protocol,
        /// To which port inside.
        port: u16,
    },
    /// Nothing new is taken from that socket. Connections go on until they end.
    Remove {
        /// As it was added.
        id: u32,
    },
}

/// The length of a message.
pub(crate) const LENGTH: usize = 8;

/// A message that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonsense;

impl Order {
    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> [u8; LENGTH] {
        let (kind, protocol, port, id) = match *self {
            Self::Add { id, protocol: Protocol::Tcp, port } => (b'a', b't', port, id),
            Self::Add { id, protocol: Protocol::Udp, port } => (b'a', b'u', port, id),
            Self::Remove { id } => (b'r', 0, 0, id),
        };
        let ([p0, p1], [i0, i1, i2, i3]) = (port.to_le_bytes(), id.to_le_bytes());
        [kind, protocol, p0, p1, i0, i1, i2, i3]
    }

    /// As it was received.
    ///
    /// # Errors
    /// Where it is no order.
    pub fn decode(message: &[u8]) -> Result<Self, Nonsense> {
        let &[kind, protocol, p0, p1, i0, i1, i2, i3] = message else { return Err(Nonsense) };
        let (port, id) = (u16::from_le_bytes([p0, p1]), u32::from_le_bytes([i0, i1, i2, i3]));
        match (kind, protocol, port) {
            (b'a', b't', 1..) => Ok(Self::Add { id, protocol: Protocol::Tcp, port }),
            (b'a', b'u', 1..) => Ok(Self::Add { id, protocol: Protocol::Udp, port }),
            (b'r', 0, 0) => Ok(Self::Remove { id }),
            _ => Err(Nonsense),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_understood_is_what_was_said(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(order) = Order::decode(&bytes) {
                prop_assert_eq!(&order.encode()[..], &bytes[..]);
            }
        }

        #[test]
        fn orders_survive_the_socket(id: u32, udp: bool, port in 1_u16..) {
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            for order in [Order::Add { id, protocol, port }, Order::Remove { id }] {
                prop_assert_eq!(Order::decode(&order.encode()), Ok(order));
            }
        }
    }
}
