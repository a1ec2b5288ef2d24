//! Every decoder still stands on every input that was ever worth keeping, with the stable toolchain.
//!
//! The corpora in `fuzz/corpus` begin with real encodings, made here: `cargo test -p reknit-tests -- --ignored seed` writes them anew
//! after a format has changed.

#[expect(
    unreachable_pub,
    dead_code,
    reason = "a library of its own, whose public part is for the fuzz targets"
)]
#[path = "../../fuzz/decoders/lib.rs"]
mod decoders;

mod access;
mod crdt;
mod inputs;
mod store;
mod sync;
mod types;

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::shape::root;

/// A real encoding: the decoder it is for, a name for the file, and its bytes.
pub(crate) struct Seed {
    pub(crate) decoder: &'static str,
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn seed(decoder: &'static str, name: &'static str, bytes: impl Into<Vec<u8>>) -> Seed {
    Seed { decoder, name, bytes: bytes.into() }
}

fn seeds() -> Vec<Seed> {
    [access::seeds(), crdt::seeds(), inputs::seeds(), store::seeds(), sync::seeds(), types::seeds()]
        .into_iter()
        .flatten()
        .collect()
}

fn folder(decoder: &str) -> PathBuf {
    root().join("fuzz/corpus").join(decoder)
}

fn decoder(name: &str) -> decoders::Decoder {
    let found = decoders::DECODERS.iter().find(|(listed, _)| *listed == name);
    found.unwrap_or_else(|| panic!("no decoder {name}")).1
}

#[test]
fn every_decoder_stands_on_its_corpus() {
    for (name, decoder) in decoders::DECODERS {
        let entries = std::fs::read_dir(folder(name)).unwrap_or_else(|_| panic!("{name} has no corpus"));
        let taken = entries.filter(|entry| {
            let path = entry.as_ref().expect("a folder entry").path();
            decoder(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        });
        assert!(taken.count() > 0, "{name} takes nothing in its corpus: seed it anew");
    }
}

#[test]
fn every_decoder_takes_the_real_encodings_and_stands_on_damaged_ones() {
    for Seed { decoder: name, name: file, bytes } in seeds() {
        let decoder = decoder(name);
        assert!(decoder(&bytes), "{name} refuses the real encoding {file}");
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 256) {
            decoder(&bytes[..at]);
            for flip in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                decoder(&damaged);
            }
        }
    }
}

#[test]
fn every_decoder_has_a_fuzz_target_and_a_seed() {
    let seeded: BTreeSet<_> = seeds().iter().map(|seed| seed.decoder).collect();
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("fuzz has a manifest");
    for (name, _) in decoders::DECODERS {
        assert!(seeded.contains(name), "{name} has no seed");
        assert!(manifest.contains(&format!("\nname = \"{name}\"\n")), "{name} has no fuzz target");
        let target = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
        let text = std::fs::read_to_string(target).unwrap_or_else(|_| panic!("{name} has no fuzz target"));
        assert!(text.contains(&format!("feed(\"{name}\"")), "the target {name} feeds another decoder");
    }
}

#[test]
#[ignore = "writes into the checkout: run it after a format has changed"]
fn seed_the_corpora() {
    for Seed { decoder, name, bytes } in seeds() {
        std::fs::create_dir_all(folder(decoder)).expect("the checkout can be written");
        std::fs::write(folder(decoder).join(name), bytes).expect("the checkout can be written");
    }
}
