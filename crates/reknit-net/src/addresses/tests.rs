use super::*;
use proptest::prelude::*;

const A: DeviceId = DeviceId::from_bytes([1; 32]);
const RELAY: &str =
    "/ip4/10.0.0.9/tcp/1/p2p/12D3KooW9xk7Zp1gejwfwNpfm6L9zH5NL4Bx5rm94LRYJJHJuARZ/p2p-circuit";

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn address(port: u16) -> Multiaddr {
    format!("/ip4/10.0.0.1/udp/{port}/quic-v1").parse().unwrap()
}

fn book() -> Book {
    let mut book = Book::new(7);
    assert!(book.know(A, ms(0)));
    book
}

fn legs(dials: &[Dial]) -> Vec<Leg> {
    dials.iter().map(|dial| dial.leg).collect()
}

#[test]
fn known_device_is_dialled_once_it_has_an_address() {
    let mut book = book();
    assert_eq!(book.take_due(ms(0)), []);
    assert_eq!(book.next_due(), None);
    assert!(book.learn(&A, address(1), ms(1)));
    assert_eq!(book.next_due(), Some(ms(0)));
    let dials = book.take_due(ms(1));
    assert_eq!(dials, [Dial { device: A, leg: Leg::Direct, addresses: vec![address(1)] }]);
    assert_eq!(book.take_due(ms(2)), [], "one attempt at a time");
}

#[test]
fn failed_attempts_wait_longer_and_longer_up_to_the_cap() {
    let mut book = book();
    book.learn(&A, address(1), ms(0));
    let (mut now, mut waits) = (ms(0), Vec::new());
    for _ in 0..12 {
        assert_eq!(book.take_due(now).len(), 1);
        book.on_dial_failed(&A, Leg::Direct, now);
        let next = book.next_due().unwrap();
        assert_eq!(book.take_due(next - ms(1)), []);
        waits.push(next - now);
        now = next;
    }
    assert!(waits[0] <= limits::RETRY_MIN);
    assert!(waits[11] >= limits::RETRY_MAX / 2 && waits[11] <= limits::RETRY_MAX);
}

#[test]
fn word_from_the_device_or_a_network_change_ends_the_wait() {
    for change in
        [|book: &mut Book| book.on_word(&A, ms(500)), |book: &mut Book| book.on_network_change(ms(500))]
    {
        let mut book = book();
        book.learn(&A, address(1), ms(0));
        let mut now = ms(0);
        for _ in 0..10 {
            book.take_due(now);
            book.on_dial_failed(&A, Leg::Direct, ms(0));
            now = book.next_due().unwrap();
        }
        assert_eq!(book.take_due(ms(500)), []);
        change(&mut book);
        assert_eq!(book.take_due(ms(500)).len(), 1);
        book.on_dial_failed(&A, Leg::Direct, ms(500));
        assert!(book.next_due().unwrap() <= ms(500) + limits::RETRY_MIN, "back-off starts over");
    }
}

#[test]
fn relay_waits_for_direct_addresses_to_have_had_their_chance() {
    let mut book = book();
    book.learn(&A, RELAY.parse().unwrap(), ms(0));
    book.learn(&A, address(1), ms(0));
    assert_eq!(legs(&book.take_due(ms(0))), [Leg::Direct]);
    assert_eq!(book.next_due(), Some(limits::RELAY_DELAY));
    assert_eq!(legs(&book.take_due(limits::RELAY_DELAY)), [Leg::Relayed]);
}

#[test]
fn relay_starts_at_once_when_direct_addresses_fail_or_are_missing() {
    let mut book = book();
    book.learn(&A, RELAY.parse().unwrap(), ms(0));
    assert_eq!(legs(&book.take_due(ms(0))), [Leg::Relayed]);
    book.on_dial_failed(&A, Leg::Relayed, ms(0));
    book.learn(&A, address(1), ms(0));
    assert_eq!(legs(&book.take_due(ms(1000))), [Leg::Direct]);
    book.on_dial_failed(&A, Leg::Direct, ms(1001));
    assert_eq!(legs(&book.take_due(ms(1001))), [Leg::Relayed]);
}

#[test]
fn relayed_device_is_still_tried_directly_and_a_direct_one_is_left_alone() {
    let mut book = book();
    book.learn(&A, RELAY.parse().unwrap(), ms(0));
    book.take_due(ms(0));
    book.on_up(&A, Reach::Relayed, ms(10));
    assert_eq!(book.take_due(ms(20_000)), [], "there is no direct address yet");
    book.learn(&A, address(1), ms(20_000));
    assert_eq!(legs(&book.take_due(ms(20_000))), [Leg::Direct]);
    book.on_up(&A, Reach::Direct, ms(20_010));
    assert_eq!(book.next_due(), None);
    book.on_word(&A, ms(20_020));
    assert_eq!(book.take_due(ms(90_000)), []);
}

#[test]
fn lost_connection_is_retried_soon_and_a_flapping_one_ever_later() {
    let mut book = book();
    book.learn(&A, address(1), ms(0));
    book.take_due(ms(0));
    book.on_up(&A, Reach::Direct, ms(0));
    book.on_down(&A, ms(60_000));
    let retry = book.next_due().unwrap();
    assert!(retry > ms(60_000) && retry <= ms(60_000) + limits::RETRY_MIN);
    let mut now = retry;
    for _ in 0..10 {
        assert_eq!(book.take_due(now).len(), 1);
        book.on_up(&A, Reach::Direct, now);
        book.on_down(&A, now + ms(5));
        now = book.next_due().unwrap();
    }
    assert!(now - retry > limits::RETRY_MAX, "a peer that hangs up is not dialled in a tight loop");
}

#[test]
fn a_device_that_was_here_a_moment_ago_is_looked_for_often_and_later_less() {
    let mut book = book();
    book.learn(&A, address(1), ms(0));
    book.take_due(ms(0));
    book.on_up(&A, Reach::Direct, ms(0));
    book.on_down(&A, ms(60_000));
    let (mut now, mut longest) = (ms(60_000), ms(0));
    while now < ms(60_000) + limits::PARTED_RECENTLY {
        let next = book.next_due().unwrap();
        (longest, now) = (longest.max(next - now), next);
        assert_eq!(book.take_due(now).len(), 1);
        book.on_dial_failed(&A, Leg::Direct, now);
    }
    assert!(longest <= limits::RETRY_PARTED_MAX, "{longest:?}");
    assert!(book.next_due().unwrap() - now > limits::RETRY_PARTED_MAX);
}

#[test]
fn dials_at_once_and_devices_are_bounded() {
    let mut book = Book::new(1);
    for n in 0..=limits::KNOWN_DEVICES_MAX {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        assert_eq!(book.know(DeviceId::from_bytes(id), ms(0)), n < limits::KNOWN_DEVICES_MAX);
        book.learn(&DeviceId::from_bytes(id), address(1), ms(0));
    }
    let dials = book.take_due(ms(0));
    assert_eq!(dials.len(), limits::DIALS_MAX);
    assert_eq!(book.next_due(), None, "others wait for a dial to end");
    book.on_dial_failed(&dials[0].device, Leg::Direct, ms(1));
    assert_eq!(book.take_due(ms(1)).len(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Learn(u16),
    LearnRelay,
    Word,
    Change,
    Due,
    Fail(bool),
    Up(bool),
    Down,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u16..5).prop_map(Step::Learn),
        Just(Step::LearnRelay),
        Just(Step::Word),
        Just(Step::Change),
        Just(Step::Due),
        any::<bool>().prop_map(Step::Fail),
        any::<bool>().prop_map(Step::Up),
        Just(Step::Down),
        (0u64..40_000).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens, a device that is down, has an address and has no dial running is tried again within the cap.
    #[test]
    fn disconnected_device_is_always_tried_again(steps in prop::collection::vec(step(), 0..60)) {
        let mut book = book();
        book.learn(&A, address(1), ms(0));
        let mut now = ms(0);
        for step in steps {
            match step {
                Step::Learn(port) => drop(book.learn(&A, address(port), now)),
                Step::LearnRelay => drop(book.learn(&A, RELAY.parse().unwrap(), now)),
                Step::Word => book.on_word(&A, now),
                Step::Change => book.on_network_change(now),
                Step::Due => drop(book.take_due(now)),
                Step::Fail(direct) => book.on_dial_failed(&A, if direct { Leg::Direct } else { Leg::Relayed }, now),
                Step::Up(direct) => book.on_up(&A, if direct { Reach::Direct } else { Reach::Relayed }, now),
                Step::Down => book.on_down(&A, now),
                Step::Wait(wait) => now += ms(wait),
            }
        }
        book.on_dial_failed(&A, Leg::Direct, now);
        book.on_dial_failed(&A, Leg::Relayed, now);
        book.on_down(&A, now);
        book.take_due(now);
        book.on_dial_failed(&A, Leg::Direct, now);
        book.take_due(now);
        book.on_dial_failed(&A, Leg::Relayed, now);
        let next = book.next_due().expect("an attempt is planned");
        prop_assert!(next <= now + limits::RETRY_MAX);
        prop_assert_eq!(book.take_due(next).len(), 1);
    }
}
