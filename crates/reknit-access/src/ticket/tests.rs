use super::*;
use proptest::prelude::*;

fn ticket(peers: Vec<PeerHint>) -> Ticket {
    Ticket {
        space: SpaceId::from_bytes([1; 32]),
        space_name: "garden plan".into(),
        secret: SpaceSecret::from_bytes([2; 32]),
        invite_secret: InviteSecret::from_seed([3; INVITE_SEED_BYTES]),
        invite: EventId::from_bytes([4; 32]),
        role: Role::Writer,
        expires_ms: Some(1_700_000_000_000),
        peers,
    }
}

fn hint(addrs: &[&str]) -> PeerHint {
    PeerHint {
        device: DeviceId::from_bytes([5; 32]),
        addrs: addrs.iter().map(|&addr| addr.to_owned()).collect(),
    }
}

fn addresses() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<([u8; 4], u16)>()
            .prop_map(|(ip, port)| format!("/ip4/{}/udp/{port}/quic-v1", std::net::Ipv4Addr::from(ip))),
        any::<([u8; 16], u16)>()
            .prop_map(|(ip, port)| format!("/ip6/{}/tcp/{port}", std::net::Ipv6Addr::from(ip))),
        "/dns4/[a-z]{1,20}/tcp/[0-9]{1,6}",
        "/ip4/0?[0-9]{1,3}[.]1[.]2[.]3/tcp/0?[0-9]{1,3}",
        "[!-~]{1,40}",
    ]
}

fn tickets() -> impl Strategy<Value = Ticket> {
    let hints = proptest::collection::vec(
        (any::<[u8; 32]>(), proptest::collection::vec(addresses(), 0..4))
            .prop_map(|(device, addrs)| PeerHint { device: DeviceId::from_bytes(device), addrs }),
        0..3,
    );
    let secrets = any::<([u8; 32], [u8; INVITE_SEED_BYTES])>();
    (any::<[[u8; 32]; 2]>(), secrets, "[a-zé]{1,20}", any::<bool>(), any::<Option<u64>>(), hints).prop_map(
        |([space, invite], (secret, seed), space_name, writer, expires_ms, peers)| Ticket {
            space: SpaceId::from_bytes(space),
            space_name,
            secret: SpaceSecret::from_bytes(secret),
            invite_secret: InviteSecret::from_seed(seed),
            invite: EventId::from_bytes(invite),
            role: if writer { Role::Writer } else { Role::Reader },
            expires_ms,
            peers,
        },
    )
}

fn parse(text: &str) -> Result<Ticket, TicketError> {
    text.parse()
}

proptest! {
    #[test]
    fn tickets_survive_copying(ticket in tickets(), at: prop::sample::Index) {
        let text = ticket.to_string();
        let again = parse(&text).unwrap();
        prop_assert_eq!(again.to_string(), text.clone());
        prop_assert_eq!(&again.peers, &ticket.peers);
        prop_assert_eq!(&again.space_name, &ticket.space_name);
        prop_assert_eq!((again.space, again.invite, again.role), (ticket.space, ticket.invite, ticket.role));
        prop_assert_eq!(again.expires_ms, ticket.expires_ms);
        prop_assert_eq!(parse(&ticket.to_qr_text()).unwrap().to_string(), text.clone());
        let (head, tail) = text.split_at(at.index(text.len()));
        prop_assert_eq!(parse(&format!(" {head}\r\n  {tail}\n")).unwrap().to_string(), text);
    }

    #[test]
    fn any_text_is_a_ticket_or_not(text in "(reknit1)?[a-zA-Z2-7é ]{0,400}") {
        if let Ok(ticket) = parse(&text) {
            prop_assert_eq!(ticket.to_string(), text.to_lowercase());
        }
    }

    #[test]
    fn a_body_that_decodes_has_that_encoding_only(ticket in tickets(), at: prop::sample::Index, bit in 0u8..8) {
        let encoded = ticket.encode();
        let mut body = encoded[..encoded.len() - CHECKSUM_BYTES].to_vec();
        let at = at.index(body.len());
        body[at] ^= 1 << bit;
        if let Ok(other) = Ticket::decode(&body) {
            let again = other.encode();
            prop_assert_eq!(&again[..again.len() - CHECKSUM_BYTES], body.as_slice());
        }
    }
}

#[test]
fn every_single_typing_error_is_refused() {
    let text = ticket(vec![hint(&["/ip4/192.168.1.20/udp/4001/quic-v1"])]).to_string();
    for at in 0..text.len() {
        for wrong in
            "abcdefghijklmnopqrstuvwxyz0123456789-é".chars().filter(|&wrong| !text[at..].starts_with(wrong))
        {
            let typo = format!("{}{wrong}{}", &text[..at], &text[at + 1..]);
            assert!(parse(&typo).is_err(), "{typo}");
            let insert = format!("{}{wrong}{}", &text[..at], &text[at..]);
            assert!(parse(&insert).is_err(), "{insert}");
        }
        let missing = format!("{}{}", &text[..at], &text[at + 1..]);
        assert!(parse(&missing).is_err(), "{missing}");
    }
}

#[test]
fn a_ticket_says_what_is_wrong_with_it() {
    let text = ticket(vec![hint(&["/ip4/192.168.1.20/udp/4001/quic-v1"])]).to_string();
    for end in PREFIX.len()..text.len() {
        assert_eq!(parse(&text[..end]).unwrap_err(), TicketError::CutShort, "{end}");
    }
    let typo = |at: usize| {
        let wrong = if text[at..].starts_with('q') { "r" } else { "q" };
        parse(&format!("{}{wrong}{}", &text[..at], &text[at + 1..])).unwrap_err()
    };
    assert_eq!(typo(20), TicketError::Mistyped);
    assert_eq!(typo(text.len() - 1), TicketError::Mistyped);
    assert_eq!(parse(&format!("{text}a")).unwrap_err(), TicketError::Mistyped);
    assert_eq!(parse(&text.replacen('1', "2", 1)).unwrap_err(), TicketError::Newer('2'));
    for other in ["", "hello", "https://example.org", "reknit", "reknitx"] {
        assert_eq!(parse(other).unwrap_err(), TicketError::NotATicket);
    }
}

#[test]
fn an_address_that_could_be_packed_is_refused_as_text() {
    let decode = |text: &str| {
        let mut writer = Writer::new();
        writer.u8(0).str(text);
        address::decode(&mut Reader::new(writer.as_slice()))
    };
    assert_eq!(decode("/ip4/127.0.0.1/tcp/80"), Err(DecodeError::Invalid("address")));
    assert_eq!(decode("/ip4/127.0.0.1/tcp/080").as_deref(), Ok("/ip4/127.0.0.1/tcp/080"));
}

#[test]
fn hints_beyond_the_limits_are_left_out() {
    let long = "x".repeat(300);
    let many = hint(&[&["/tcp/1", "with space", &long][..], &["/tcp/2"; 20]].concat());
    let read = parse(&ticket(vec![many; 20]).to_string()).unwrap();
    assert_eq!(read.peers.len(), TICKET_PEERS_MAX);
    assert!(
        read.peers.iter().all(|hint| hint.addrs.len() == TICKET_ADDRESSES_MAX && hint.addrs[1] == "/tcp/2")
    );
}

#[test]
fn a_ticket_fits_a_small_qr_code() {
    let two = ["/ip4/192.168.1.20/udp/4001/quic-v1", "/ip4/192.168.1.20/tcp/4001"];
    let four = ["/ip4/203.0.113.7/udp/4001/quic-v1", "/ip4/203.0.113.7/tcp/4001"];
    let size = |addrs: &[&str]| ticket(vec![hint(addrs)]).to_string().len();
    assert_eq!([size(&[]), size(&two), size(&[two, four].concat())], [279, 302, 324]);
}

#[test]
fn the_bytes_of_a_ticket_stay_as_they_are() {
    let addrs = ["/ip4/192.168.1.20/udp/4001/quic-v1", "/ip6/fe80::1/tcp/80", "/dns4/example.org/tcp/443"];
    assert_eq!(
        ticket(vec![hint(&addrs)]).to_string(),
        concat!(
            "reknit1aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqca",
            "ibaeaqcaibaeaqdambqgaydambqgaydambqgaydaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaeama2",
            "ck77pbrbntwc4temvxca4dmmfxacbifaucqkbifaucqkbifaucqkbifaucqkbifaucqkbifaucqkbifama4bkabcqh2cbh6q",
            "aaaaaaaaaaaaaaaaaaaaaababiaagjpmrxhgnbpmv4gc3lqnrss433sm4xxiy3qf42dim5f4f46i",
        )
    );
}

#[test]
fn debug_output_keeps_the_secrets() {
    let text = format!("{:?}", ticket(vec![]));
    assert!(text.contains("SpaceSecret(..)") && text.contains("InviteSecret(..)"), "{text}");
    assert!(!text.contains("2, 2") && !text.contains("3, 3"), "{text}");
}
