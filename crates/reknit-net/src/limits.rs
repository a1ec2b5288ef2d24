//! Every bound of this crate, in one place. What happens at a bound is said beside it.

use std::time::Duration;

/// Commands waiting for the swarm task. A full queue makes the caller wait.
pub const COMMANDS_MAX: usize = 256;
/// Events waiting for the consumer. When half of them are taken, gossip is dropped and counted; when all are, the swarm
/// is no longer polled until the consumer has made room, so connection and stream events are never lost.
pub const EVENTS_MAX: usize = 512;
/// How much of [`EVENTS_MAX`] gossip may not use.
pub const EVENTS_KEPT_FOR_LINKS: usize = EVENTS_MAX / 2;

/// Connections established in all; more are refused.
pub const CONNECTIONS_MAX: u32 = 768;
/// Connections that others opened to us; more are refused.
pub const CONNECTIONS_IN_MAX: u32 = 512;
/// Connections in negotiation, each way; more are refused.
pub const CONNECTIONS_PENDING_MAX: u32 = 64;
/// Connections with one device: one in use, and room for simultaneous dials and a move from relay to direct.
pub const CONNECTIONS_PER_DEVICE_MAX: u32 = 4;
/// Sync streams open at once on one connection, both directions counted; more inbound ones are reset, more outbound
/// ones refused.
pub const STREAMS_PER_CONNECTION_MAX: usize = 32;
/// Streams one remote may have open on a QUIC connection, for all protocols.
pub const QUIC_STREAMS_MAX: u32 = 128;
/// Time a sync stream may take to open.
pub const STREAM_OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Devices the peer tries to stay connected to; [`crate::NetError::TooMany`] beyond.
pub const KNOWN_DEVICES_MAX: usize = 1024;
/// Addresses kept for a device; the worst is replaced.
pub const ADDRESSES_PER_DEVICE_MAX: usize = 16;
/// Length of an address taken from another peer; longer ones are ignored.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// Devices being dialled at once; others wait their turn.
pub const DIALS_MAX: usize = 32;
/// Failures after which an address that has not been confirmed for [`ADDRESS_AGE_MAX`] is forgotten.
pub const ADDRESS_FAILURES_MAX: u32 = 6;
/// See [`ADDRESS_FAILURES_MAX`].
pub const ADDRESS_AGE_MAX: Duration = Duration::from_secs(600);

/// First wait after a failed attempt; doubled by each further one.
pub const RETRY_MIN: Duration = Duration::from_millis(250);
/// Longest wait between attempts.
pub const RETRY_MAX: Duration = Duration::from_secs(30);
/// Longest wait between attempts to reach a device that was connected less than [`PARTED_RECENTLY`] ago. With the packets
/// that an attempt sends again, a link that returns is noticed within 5 s.
pub const RETRY_PARTED_MAX: Duration = Duration::from_secs(2);
/// See [`RETRY_PARTED_MAX`].
pub const PARTED_RECENTLY: Duration = Duration::from_secs(15 * 60);
/// A connection shorter than this counts as a failed attempt, so that a peer that hangs up on us is not dialled in a
/// tight loop.
pub const STABLE_AFTER: Duration = Duration::from_secs(1);
/// Head start of direct addresses over relayed ones.
pub const RELAY_DELAY: Duration = Duration::from_millis(500);
/// How long a surplus connection is left open when it carries no sync stream.
pub const SURPLUS_IDLE: Duration = Duration::from_millis(100);
/// How long a surplus connection is left open for the streams on it to end.
pub const SURPLUS_BUSY: Duration = Duration::from_secs(2);

/// A ping is sent this often on every connection.
pub const PING_INTERVAL: Duration = Duration::from_millis(1500);
/// Two pings in a row without an answer in this time end the connection. In the worst case a death is noticed after
/// `2 * (PING_INTERVAL + PING_TIMEOUT)`, which is below 10 s.
pub const PING_TIMEOUT: Duration = Duration::from_millis(2500);
/// QUIC ends a connection after this long without a packet; [`QUIC_KEEP_ALIVE`] keeps live ones from it.
pub const QUIC_IDLE_MAX: Duration = Duration::from_millis(7500);
/// Quiet time after which QUIC sends a packet of its own.
pub const QUIC_KEEP_ALIVE: Duration = Duration::from_millis(2500);
/// Time for a QUIC or TCP connection to be up and authenticated.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Unacknowledged bytes on one QUIC stream.
pub const QUIC_STREAM_WINDOW: u32 = 16 << 20;
/// Unacknowledged bytes on one QUIC connection.
pub const QUIC_CONNECTION_WINDOW: u32 = 32 << 20;
/// A connection that no one uses and that is not with a known device ends after this long.
pub const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(30);

/// Bytes of one published message, framing included.
pub const GOSSIP_BYTES_MAX: usize = 64 << 10;
/// Topics we subscribe to, and topics remembered for one remote; further ones are refused.
pub const TOPICS_MAX: usize = 1024;
/// Messages queued for one remote; further ones are dropped by gossipsub.
pub const GOSSIP_QUEUE_MAX: usize = 128;

/// Bootstrap nodes in use; [`crate::NetError::TooMany`] beyond.
pub const BOOTSTRAP_NODES_MAX: usize = 8;
/// Namespaces announced at the rendezvous; [`crate::NetError::TooMany`] beyond.
pub const NAMESPACES_MAX: usize = 128;
/// Lifetime of a registration at a bootstrap node. Renewed at half of it.
pub const REGISTRATION_TTL: Duration = Duration::from_secs(2 * 60 * 60);
/// Registrations asked for in one discovery.
pub const DISCOVER_MAX: u64 = 100;
/// First and last wait between two discoveries in one namespace; doubled in between.
pub const DISCOVER_INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Wait after a refused registration or reservation.
pub const BOOTSTRAP_RETRY: Duration = Duration::from_secs(15);
/// Own addresses learned from bootstrap nodes.
pub const OBSERVED_ADDRESSES_MAX: usize = 4;
/// Names resolved at once; further dials to names wait for the next attempt.
pub const RESOLVES_MAX: usize = 32;
/// Time to resolve one name.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses taken from one name.
pub const RESOLVED_MAX: usize = 8;
/// Time given to closing connections on shutdown.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections of a bootstrap node; more are refused.
pub const NODE_CONNECTIONS_MAX: u32 = 4096;
/// Connections of a bootstrap node in negotiation; more are refused.
pub const NODE_PENDING_MAX: u32 = 256;
/// Registrations a bootstrap node keeps, in all and for one device; more are refused.
pub const NODE_REGISTRATIONS_MAX: usize = 50_000;
/// See [`NODE_REGISTRATIONS_MAX`]. Twice what a device may announce, since a renewal is refused at the bound.
pub const NODE_REGISTRATIONS_PER_DEVICE_MAX: usize = NAMESPACES_MAX * 2;
/// Discoveries a bootstrap node remembers, so that only news is sent; the oldest is forgotten.
pub const NODE_COOKIES_MAX: usize = 10_000;
/// Devices that may be reached through a bootstrap node at once; more are refused.
pub const NODE_RESERVATIONS_MAX: usize = 2048;
/// Reservations of one device, one for each of its connections.
pub const NODE_RESERVATIONS_PER_DEVICE_MAX: usize = 4;
/// Lifetime of a reservation. Renewed by peers before it ends.
pub const NODE_RESERVATION_DURATION: Duration = Duration::from_secs(60 * 60);
/// Circuits a bootstrap node carries at once, in all and for one device; more are refused.
pub const NODE_CIRCUITS_MAX: usize = 512;
/// See [`NODE_CIRCUITS_MAX`].
pub const NODE_CIRCUITS_PER_DEVICE_MAX: usize = 16;
/// A circuit is cut after this long; peers that still need it open another.
pub const NODE_CIRCUIT_DURATION: Duration = Duration::from_secs(60 * 60);
/// A circuit is cut after this many bytes; peers that still need it open another.
pub const NODE_CIRCUIT_BYTES_MAX: u64 = 256 << 20;
