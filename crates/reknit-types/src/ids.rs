//! Names of things: devices, spaces, events, entities.

use crate::codec::{DecodeError, Reader, Writer};
use data_encoding::BASE32_NOPAD;
use rand::Rng;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use ulid::Ulid;

/// A string is not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a {what}")]
pub struct ParseIdError {
    what: &'static str,
    text: String,
}

macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first ten characters: enough for people to tell ids apart.
            pub fn short(&self) -> String {
                let mut text = self.to_string();
                text.truncate(10);
                text
            }

            /// Takes an id off `reader`.
            pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(reader.array($what)?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let refused = || ParseIdError { what: $what, text: text.to_owned() };
                let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| refused())?;
                Ok(Self(bytes.try_into().map_err(|_| refused())?))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id32!(
    /// A device: the Ed25519 verifying key with which its events are checked. Also its libp2p PeerId.
    DeviceId,
    "device id"
);
id32!(
    /// A space: a hash that only its founder could have named, see [`SpaceId::found`].
    SpaceId,
    "space id"
);
id32!(
    /// An event: the BLAKE3 hash of its header.
    EventId,
    "event id"
);

impl SpaceId {
    /// The space that `founder` founds with `nonce`. The id binds the founder, so nobody else can write its genesis.
    pub fn found(founder: DeviceId, nonce: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(SPACE_ID_KEY);
        hasher.update(founder.as_bytes()).update(nonce);
        Self(*hasher.finalize().as_bytes())
    }
}

impl EventId {
    /// The id of an event with these header bytes.
    pub(crate) fn of_header(bytes: &[u8]) -> Self {
        Self(*blake3::keyed_hash(EVENT_ID_KEY, bytes).as_bytes())
    }
}

/// An entity: a ULID drawn when it is created.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(Ulid);

impl EntityId {
    /// A fresh id at `now_ms` (milliseconds since the Unix epoch).
    pub fn generate(now_ms: u64, rng: &mut impl Rng) -> Self {
        let random = (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64());
        Self(Ulid::from_parts(now_ms, random))
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Ulid(u128::from_be_bytes(bytes)))
    }

    /// The sixteen bytes of the id, most significant first: ids sort by creation time.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.0.to_be_bytes()
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityId({self})")
    }
}

impl FromStr for EntityId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused =
            || ParseIdError { what: "entity id (26 characters of Crockford base 32)", text: text.to_owned() };
        Ulid::from_string(text).map(Self).map_err(|_| refused())
    }
}

impl serde::Serialize for EntityId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for EntityId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The end of an author's chain, or of one branch of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tip {
    /// How many events the chain holds up to and with this one.
    pub seq: u64,
    /// The event.
    pub id: EventId,
}

/// An event by author, place in the author's chain, and id ("dot": Preguiça et al., Dotted Version Vectors, 2010).
/// The first two find it without an index of ids; the id tells the branches of a forked chain apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who wrote the event.
    pub author: DeviceId,
    /// Its place in the author's chain, from 1.
    pub seq: u64,
    /// The event.
    pub id: EventId,
}

impl Dot {
    /// The dot without its author.
    pub const fn tip(&self) -> Tip {
        Tip { seq: self.seq, id: self.id }
    }

    /// Appends the dot to `writer`.
    pub fn encode(&self, writer: &mut Writer) {
        writer.raw(self.author.as_bytes()).varint(self.seq).raw(self.id.as_bytes());
    }

    /// Takes a dot off `reader`.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let author = DeviceId::decode(reader)?;
        let seq = reader.varint("seq")?;
        Ok(Self { author, seq, id: EventId::decode(reader)? })
    }
}

const EVENT_ID_KEY: &[u8; 32] = b"reknit/1 event id               ";
const SPACE_ID_KEY: &[u8; 32] = b"reknit/1 space id               ";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_read_back_from_their_text(bytes: [u8; 32], entity: [u8; 16]) {
            let id = EventId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
            let entity = EntityId::from_bytes(entity);
            prop_assert_eq!(entity.to_string().parse::<EntityId>().unwrap(), entity);
        }
    }

    #[test]
    fn a_word_is_not_an_id() {
        let refused = "hello".parse::<DeviceId>().unwrap_err();
        assert_eq!(refused.to_string(), "\"hello\" is not a device id");
    }
}
