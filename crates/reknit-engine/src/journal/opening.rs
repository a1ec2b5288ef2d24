//! How the engine was opened that a journal is of.

use crate::engine::Config;
use crate::restart::Numbers;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use reknit_types::{DecodeError, DeviceId, DeviceKey, Reader, Writer};
use std::fmt;

/// How an engine was opened. **Secret**: it has the key of the device.
#[derive(Clone)]
pub struct Opening {
    pub(crate) device: DeviceKey,
    pub(crate) device_name: String,
    pub(crate) chance: Chance,
    pub(crate) numbers: Numbers,
}

/// A generator and where it stands.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Chance {
    seed: [u8; 32],
    stream: u64,
    at: u128,
}

impl Opening {
    /// How an engine is about to be opened: with `config`, after `numbers` were given out by others.
    pub fn new(config: &Config, numbers: Numbers) -> Self {
        let Config { device, device_name, rng } = config;
        let chance = Chance { seed: rng.get_seed(), stream: rng.get_stream(), at: rng.get_word_pos() };
        Self { device: device.clone(), device_name: device_name.clone(), chance, numbers }
    }

    /// To open an engine with.
    pub fn config(&self) -> Config {
        let mut rng = ChaCha20Rng::from_seed(self.chance.seed);
        rng.set_stream(self.chance.stream);
        rng.set_word_pos(self.chance.at);
        Config { device: self.device.clone(), device_name: self.device_name.clone(), rng }
    }

    /// The device.
    pub fn device(&self) -> DeviceId {
        self.device.id()
    }

    /// The numbers that were taken.
    pub fn numbers(&self) -> Numbers {
        self.numbers
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.device.seed()).str(&self.device_name);
        writer.raw(&self.chance.seed).varint(self.chance.stream).raw(&self.chance.at.to_be_bytes());
        writer.varint(self.numbers.links).varint(u64::from(self.numbers.spaces));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let device = DeviceKey::from_seed(&reader.array("device key")?);
        let device_name = reader.str(usize::MAX, "device name")?.to_owned();
        let seed = reader.array("seed")?;
        let stream = reader.varint("stream of a generator")?;
        let at = u128::from_be_bytes(reader.array("place of a generator")?);
        let links = reader.varint("name of a stream")?;
        let spaces = u32::try_from(reader.varint("number of a space")?);
        let spaces = spaces.map_err(|_| DecodeError::Invalid("number of a space"))?;
        let (chance, numbers) = (Chance { seed, stream, at }, Numbers { links, spaces });
        Ok(Self { device, device_name, chance, numbers })
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("device", &self.device.id())
            .field("numbers", &self.numbers)
            .finish_non_exhaustive()
    }
}
