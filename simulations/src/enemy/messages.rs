//! Lies in every field of every message.
//!
//! No pattern here leaves a field out, and no match has a wildcard: what is added to a message is lied about, or this
//! does not build.

use super::known::Known;
use super::lie::{Liar, Lie};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use reknit_sync::limits::{
    ADMISSION_BYTES_MAX, ANNOUNCE_HEADS_MAX, AUTHORS_MAX, FRONTIER_TIPS_MAX, HAVE_TIPS_MAX, PROBES_MAX,
    SYMBOLS_MAX, TIPS_MAX,
};
use reknit_sync::{
    Against, Announce, CloseReason, Delta, Frame, Hello, Locate, Message, Opening, Probe, Receipt, Sketch,
    Symbol, Want,
};
use reknit_types::{DeviceId, Dot, EventId, Signature, Tip};

impl Lie for Message {
    fn show(&mut self, liar: &mut Liar<'_>) {
        match self {
            Self::Hello(hello) => hello.show(liar),
            Self::Frontier { against, delta } => {
                against.show(liar);
                delta.show(liar);
            }
            Self::Sketch(sketch) => sketch.show(liar),
            Self::Want(want) => want.show(liar),
            Self::Unknown(tips) => places(liar, ["unknown", "unknown.tip"], tips),
            Self::Locate(locate) => locate.show(liar),
            Self::Located { tip, unknown } => {
                liar.number("located.tip", tip);
                liar.number("located.unknown", unknown);
            }
            Self::Settled { tip, shared } => {
                liar.number("settled.tip", tip);
                liar.presence("settled.shared", shared, |rng, _| Probe { seq: 1, id: rng.random() });
                if let Some(probe) = shared {
                    show_probe(liar, ["settled.shared.seq", "settled.shared.id"], probe);
                }
            }
            Self::Events(frame) => liar.frame("events.frame", frame),
            Self::Have(dots) => show_dots(liar, &HAVE, dots, HAVE_TIPS_MAX),
            Self::Credit(bytes) => liar.number("credit", bytes),
            Self::Receipt(receipt) => receipt.show(liar),
            Self::Close(reason) => reason.show(liar),
        }
    }
}

impl Lie for Opening {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { version, tag, admission } = self;
        liar.number("opening.version", version);
        liar.digest("opening.tag", tag);
        liar.presence("opening.admission", admission, |rng, _| vec![rng.random(); 96]);
        if let Some(admission) = admission {
            liar.blob("opening.admission.bytes", admission);
            liar.list("opening.admission.length", admission, ADMISSION_BYTES_MAX);
        }
    }
}

impl Lie for Announce {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { heads, frontier_digest, frame } = self;
        show_dots(liar, &ANNOUNCE, heads, ANNOUNCE_HEADS_MAX);
        liar.digest("announce.frontier_digest", frontier_digest);
        liar.presence("announce.frame", frame, |_, known| {
            known.frames.back().cloned().unwrap_or_else(|| Frame::from_bytes(vec![0x10]))
        });
        if let Some(frame) = frame {
            liar.frame("announce.frame.bytes", frame);
        }
    }
}

impl Lie for Hello {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { version, digest, events, now_ms, base } = self;
        liar.number("hello.version", version);
        liar.digest("hello.digest", digest);
        liar.number("hello.events", events);
        liar.number("hello.now_ms", now_ms);
        liar.presence("hello.base", base, |rng, _| rng.random());
        if let Some(base) = base {
            liar.digest("hello.base.digest", base);
        }
    }
}

impl Lie for Against {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let base = liar.rng.random();
        liar.other("frontier.against", self, &[Self::Nothing, Self::Base(base), Self::Yours, Self::Sketch]);
        match self {
            Self::Base(digest) => liar.digest("frontier.against.base", digest),
            Self::Nothing | Self::Yours | Self::Sketch => {}
        }
    }
}

impl Lie for Delta {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { gone, new } = self;
        places(liar, ["frontier.gone", "frontier.gone.place"], gone);
        liar.list("frontier.new", new, AUTHORS_MAX);
        for (author, tips) in new.iter_mut().take(SHOWN_MAX) {
            liar.device("frontier.new.author", author);
            liar.list("frontier.new.tips", tips, TIPS_MAX);
            for tip in tips.iter_mut().take(SHOWN_MAX) {
                liar.tip(["frontier.new.seq", "frontier.new.id"], tip);
            }
        }
    }
}

impl Lie for Sketch {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { nonce, tips, symbols } = self;
        liar.digest("sketch.nonce", nonce);
        liar.number("sketch.tips", tips);
        liar.list("sketch.symbols", symbols, SYMBOLS_MAX);
        for Symbol { sum, check } in symbols.iter_mut().take(SHOWN_MAX) {
            liar.number("sketch.symbols.sum", sum);
            liar.number32("sketch.symbols.check", check);
        }
    }
}

impl Lie for Want {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let (symbols, tips) = (liar.rng.random(), vec![liar.rng.random()]);
        liar.other("want", self, &[Self::Symbols(symbols), Self::Tips(tips), Self::All]);
        match self {
            Self::Symbols(count) => liar.number("want.symbols", count),
            Self::Tips(fingerprints) => {
                liar.list("want.tips", fingerprints, SYMBOLS_MAX);
                for fingerprint in fingerprints.iter_mut().take(SHOWN_MAX) {
                    liar.number("want.tips.fingerprint", fingerprint);
                }
            }
            Self::All => {}
        }
    }
}

impl Lie for Locate {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { tip, probes } = self;
        liar.number("locate.tip", tip);
        liar.list("locate.probes", probes, PROBES_MAX);
        for probe in probes.iter_mut().take(SHOWN_MAX) {
            show_probe(liar, ["locate.probes.seq", "locate.probes.id"], probe);
        }
    }
}

impl Lie for Receipt {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { digest, signature } = self;
        liar.digest("receipt.digest", digest);
        show_signature(liar, "receipt.signature", signature);
    }
}

impl Lie for CloseReason {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let mut byte = self.to_byte();
        liar.byte("close.reason", &mut byte);
        *self = Self::from_byte(byte);
    }
}

pub(super) fn show_signature(liar: &mut Liar<'_>, field: &'static str, signature: &mut Signature) {
    let mut bytes = *signature.as_bytes();
    liar.digest(field, &mut bytes);
    *signature = Signature::from_bytes(bytes);
}

fn show_probe(liar: &mut Liar<'_>, [seq, id]: [&'static str; 2], probe: &mut Probe) {
    let Probe { seq: number, id: bytes } = probe;
    liar.number(seq, number);
    liar.digest(id, bytes);
}

fn places(liar: &mut Liar<'_>, [list, place]: [&'static str; 2], places: &mut Vec<u64>) {
    liar.list(list, places, FRONTIER_TIPS_MAX);
    places.iter_mut().take(SHOWN_MAX).for_each(|at| liar.number(place, at));
}

/// Names of a list of dots and of what is in it.
struct Dots {
    list: &'static str,
    dot: [&'static str; 3],
}

fn show_dots(liar: &mut Liar<'_>, names: &Dots, dots: &mut Vec<Dot>, limit: usize) {
    liar.list(names.list, dots, limit);
    dots.iter_mut().take(SHOWN_MAX).for_each(|dot| liar.dot(names.dot, dot));
}

/// What kind of message it is.
pub(crate) fn kind(message: &Message) -> &'static str {
    match message {
        Message::Hello(_) => "hello",
        Message::Frontier { .. } => "frontier",
        Message::Sketch(_) => "sketch",
        Message::Want(_) => "want",
        Message::Unknown(_) => "unknown",
        Message::Locate(_) => "locate",
        Message::Located { .. } => "located",
        Message::Settled { .. } => "settled",
        Message::Events(_) => "events",
        Message::Have(_) => "have",
        Message::Credit(_) => "credit",
        Message::Receipt(_) => "receipt",
        Message::Close(_) => "close",
    }
}

/// One of the next kind of message, made up from what is known. The kinds form a ring, which a new one must join.
pub(crate) fn make_up_after(message: &Message, rng: &mut ChaCha8Rng, known: &Known) -> Message {
    let mut dots: Vec<Dot> = known.dots().take(4).collect();
    dots.push(Dot {
        author: DeviceId::from_bytes(rng.random()),
        seq: 1,
        id: EventId::from_bytes(rng.random()),
    });
    dots.sort();
    let (place, probe) = (rng.random_range(0..4), Probe { seq: rng.random_range(1..9), id: rng.random() });
    match message {
        Message::Close(_) => {
            let (digest, base) = (rng.random(), Some(rng.random()));
            Message::Hello(Hello { version: 1, digest, events: 1, now_ms: rng.random(), base })
        }
        Message::Hello(_) => {
            let entry = |dot: &Dot| (dot.author, vec![Tip { seq: dot.seq, id: dot.id }]);
            let delta = Delta { gone: vec![place], new: dots.iter().map(entry).collect() };
            Message::Frontier { against: Against::Base(rng.random()), delta }
        }
        Message::Frontier { .. } => {
            let symbols = (0..4).map(|_| Symbol { sum: rng.random(), check: rng.random() }).collect();
            Message::Sketch(Sketch { nonce: rng.random(), tips: 9, symbols })
        }
        Message::Sketch(_) => Message::Want(match rng.random_range(0..3) {
            0 => Want::Symbols(rng.random_range(0..100)),
            1 => Want::All,
            _ => Want::Tips(vec![rng.random()]),
        }),
        Message::Want(_) => Message::Unknown(vec![place]),
        Message::Unknown(_) => Message::Locate(Locate { tip: place, probes: vec![probe] }),
        Message::Locate(_) => Message::Located { tip: place, unknown: rng.random_range(0..4) },
        Message::Located { .. } => Message::Settled { tip: place, shared: Some(probe) },
        Message::Settled { .. } => {
            Message::Events(known.frames.back().cloned().unwrap_or_else(|| Frame::from_bytes(vec![0x10; 9])))
        }
        Message::Events(_) => Message::Have(dots),
        Message::Have(_) => Message::Credit(rng.random()),
        Message::Credit(_) => {
            let signature = Signature::from_bytes([rng.random(); 64]);
            Message::Receipt(Receipt { digest: rng.random(), signature })
        }
        Message::Receipt(_) => Message::Close(CloseReason::from_byte(rng.random())),
    }
}

/// One message of every kind, made up.
pub(crate) fn make_up_all(rng: &mut ChaCha8Rng, known: &Known) -> Vec<Message> {
    let mut all = vec![Message::Close(CloseReason::Leaving)];
    loop {
        let last = all.last().expect("there is one from the start");
        let next = make_up_after(last, rng, known);
        if kind(&next) == "close" {
            return all;
        }
        all.push(next);
    }
}

const HAVE: Dots = Dots { list: "have", dot: ["have.author", "have.seq", "have.id"] };
const ANNOUNCE: Dots = Dots {
    list: "announce.heads",
    dot: ["announce.heads.author", "announce.heads.seq", "announce.heads.id"],
};
/// Elements of a list that are shown apart.
const SHOWN_MAX: usize = 8;
