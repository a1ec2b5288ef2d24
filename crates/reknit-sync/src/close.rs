//! Why a session ends.

use reknit_types::{DecodeError, Reader, Writer};
use std::fmt;

macro_rules! close_reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal $why:literal,)*) => {
        /// Why a session ends, in a form that travels and that people can read.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum CloseReason {
            $($(#[$doc])* $name,)*
            /// A reason that this version does not know.
            Other(u8),
        }

        impl CloseReason {
            /// Every reason this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The byte this reason travels as.
            pub const fn to_byte(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }

            /// The reason with this byte.
            pub const fn from_byte(byte: u8) -> Self {
                match byte {
                    $($code => Self::$name,)*
                    code => Self::Other(code),
                }
            }
        }

        impl fmt::Display for CloseReason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str($why),)*
                    Self::Other(code) => write!(f, "reason {code}, which this version does not know; update it"),
                }
            }
        }
    };
}

close_reasons! {
    /// Nothing is wrong: one side leaves.
    Leaving = 0 "one side is leaving",
    /// Another session between the same two took over.
    Superseded = 1 "a newer session between the same two peers took over",
    /// The other side is no member, or no longer.
    NotMember = 2 "the other side is not a member of the space",
    /// The two speak different versions of the protocol.
    Version = 3 "the two sides speak different versions of the sync protocol; update the older one",
    /// A message did not decode.
    Malformed = 4 "a message could not be read",
    /// A frame did not decode, or an event in it was not genuine.
    BadFrame = 5 "a frame of events was damaged or forged",
    /// A message came that has no place in this phase.
    OutOfTurn = 6 "a message came out of turn",
    /// More was sent than credit allowed.
    CreditExceeded = 7 "more was sent than the receiver had given credit for",
    /// A receipt was not signed by the other side.
    ForgedReceipt = 8 "a receipt was not signed by the peer that sent it",
    /// A question or answer about a forked chain made no sense.
    BadLocate = 9 "questions about a forked chain contradict each other",
    /// The other side did not say hello in time.
    SilentHello = 10 "the other side did not say hello in time",
    /// The other side did not say in time what it has.
    SilentFrontier = 11 "the other side did not say in time what it has",
    /// The other side did not deliver what it said it has.
    BrokenPromise = 12 "the other side did not deliver events it said it has",
    /// The other side gave no credit in time.
    NoCredit = 13 "the other side did not take in what it was sent in time",
    /// Both sides are quiet and not equal; a fresh session will compare them anew.
    Unequal = 14 "both sides fell quiet without being equal; a fresh session compares them anew",
    /// The local history could not be read.
    History = 15 "the local store could not be read",
    /// A frame reached the session before it was verified, or the session was used after its end.
    Misused = 16 "the session was used wrongly by its own peer",
    /// What was said of a frontier made no sense.
    BadFrontier = 17 "what one side said it has makes no sense",
    /// One side has no room for authors, or branches of an author's chain, that the other has.
    NoRoom = 18 "one side has no room for what the other has: too many authors, or branches of an author's chain",
}

impl CloseReason {
    pub(crate) fn encode(self, writer: &mut Writer) {
        writer.u8(self.to_byte());
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_byte(reader.u8("reason")?))
    }
}
