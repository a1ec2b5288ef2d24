//! Real control events, memberships, keys, tickets and sealed announces.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use reknit_access::{
    Action, Control, InviteSecret, Membership, PeerHint, Role, SpaceKeys, SpaceSecret, Ticket, invite,
};
use reknit_types::{DeviceKey, Draft, Epoch, Kind, Payload, SpaceId, Stamp, Tip, VerifiedEvent};

use super::{Seed, seed};

pub(super) fn seeds() -> Vec<Seed> {
    let story = Story::tell();
    let mut seeds = vec![
        seed("membership", "two-members", story.membership.encode()),
        seed("membership", "nobody", Membership::new(story.space).encode()),
        seed("keys", "first-epoch", story.keys.encode().to_vec()),
        seed("announce_envelope", "short", story.keys.seal_announce(b"heads")),
        seed("announce_envelope", "empty", story.keys.seal_announce(b"")),
    ];
    for (name, control) in [("found", &story.found), ("invite", &story.invite), ("join", &story.join)] {
        seeds.push(seed("control", name, control.encode()));
    }
    for (name, ticket) in story.tickets() {
        let text = ticket.to_string();
        let body = text.strip_prefix("reknit1").expect("a ticket says so").to_ascii_uppercase();
        let bytes = data_encoding::BASE32_NOPAD.decode(body.as_bytes()).expect("tickets are base 32");
        seeds.push(seed("ticket", name, text));
        seeds.push(seed("ticket_body", name, &bytes[..bytes.len() - CHECKSUM_BYTES]));
    }
    seeds
}

const CHECKSUM_BYTES: usize = 4;

/// A space is founded, and somebody joins it by an invite.
struct Story {
    space: SpaceId,
    keys: SpaceKeys,
    founder: DeviceKey,
    secret: InviteSecret,
    invite_event: VerifiedEvent,
    found: Control,
    invite: Control,
    join: Control,
    membership: Membership,
}

impl Story {
    fn tell() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let keys = SpaceKeys::from_secret(SpaceSecret::from_bytes([7; 32]));
        let (founder, friend) = (DeviceKey::generate(&mut rng), DeviceKey::generate(&mut rng));
        let space = SpaceId::found(founder.id(), &[0; 32]);
        let mut membership = Membership::new(space);
        let action = Action::Found { nonce: [0; 32], name: "garden".into(), device_name: "laptop".into() };
        let found = Control { parents: vec![], action };
        let first = write(&mut membership, &keys, Author { key: &founder, tip: None, nth: 1 }, &found);
        let (secret, action) = invite(Role::Writer, Some(1_800_000_000_000), &mut rng);
        let invite = Control { parents: membership.parents_for(founder.id(), &action), action };
        let again = Author { key: &founder, tip: Some(first.tip()), nth: 2 };
        let invite_event = write(&mut membership, &keys, again, &invite);
        let proof = secret.proof(space, friend.id(), invite_event.id());
        let action = Action::Join { invite: invite_event.id(), proof, device_name: "phone".into() };
        let join = Control { parents: membership.parents_for(friend.id(), &action), action };
        write(&mut membership, &keys, Author { key: &friend, tip: None, nth: 3 }, &join);
        Self { space, keys, founder, secret, invite_event, found, invite, join, membership }
    }

    fn tickets(&self) -> [(&'static str, Ticket); 2] {
        let addrs = [
            "/ip4/192.168.1.20/udp/4001/quic-v1",
            "/ip6/fe80::1/tcp/4001",
            "/dns4/example.org/udp/443/quic-v1",
        ];
        let plain = Ticket {
            space: self.space,
            space_name: "garden".into(),
            secret: self.keys.secret().clone(),
            invite_secret: self.secret.clone(),
            invite: self.invite_event.id(),
            role: Role::Writer,
            expires_ms: None,
            peers: vec![],
        };
        let peers = vec![PeerHint { device: self.founder.id(), addrs: addrs.map(String::from).to_vec() }];
        [
            ("with-addresses", Ticket { peers, expires_ms: Some(1_800_000_000_000), ..plain.clone() }),
            ("plain", plain),
        ]
    }
}

/// Seals what `author` does as its next event, the `nth` of the space, and lets it happen.
fn write(
    membership: &mut Membership,
    keys: &SpaceKeys,
    author: Author<'_>,
    control: &Control,
) -> VerifiedEvent {
    let draft = Draft {
        kind: Kind::Control,
        parents: vec![],
        stamp: Stamp::from_u128((1_700_000_000_000 + u128::from(author.nth)) << 80),
        epoch: Epoch::FIRST,
        payload: Payload::Open(control.encode()),
    };
    let event = VerifiedEvent::seal(membership.space(), author.key, author.tip, draft, keys.control());
    let event = event.expect("a draft with a key becomes an event");
    membership.check(event.header(), Some(control)).expect("the author may do this");
    membership.apply(event.id(), event.header(), control);
    event
}

struct Author<'a> {
    key: &'a DeviceKey,
    tip: Option<Tip>,
    nth: u8,
}
