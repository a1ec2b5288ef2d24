//! Roles: what a member may do.

use reknit_types::{DecodeError, Reader, Writer};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What a member may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Carries what it cannot read.
    Relay,
    /// Reads.
    Reader,
    /// Reads, writes and invites.
    Writer,
    /// Decides about the space. Its founder is one.
    Admin,
}

/// A word is not the name of a role that can be given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a role that can be given; use \"reader\" or \"writer\"")]
pub struct ParseRoleError(String);

impl Role {
    /// Whether an invite may give this role.
    pub const fn is_invitable(self) -> bool {
        matches!(self, Self::Reader | Self::Writer)
    }

    /// Whether the role may change data.
    pub fn may_write(self) -> bool {
        self >= Self::Writer
    }

    /// The word people use for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Admin => "admin",
        }
    }

    /// Appends the role to `writer`.
    pub(crate) fn encode(self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Relay => 0,
            Self::Reader => 1,
            Self::Writer => 2,
            Self::Admin => 3,
        });
    }

    /// Takes a role off `reader`.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8("role")? {
            0 => Ok(Self::Relay),
            1 => Ok(Self::Reader),
            2 => Ok(Self::Writer),
            3 => Ok(Self::Admin),
            _ => Err(DecodeError::Invalid("role")),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ParseRoleError;

    /// Reads the roles that can be given.
    fn from_str(text: &str) -> Result<Self, ParseRoleError> {
        [Self::Reader, Self::Writer]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| ParseRoleError(text.chars().take(32).collect()))
    }
}
