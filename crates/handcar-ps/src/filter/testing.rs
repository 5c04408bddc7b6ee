//! What the tests of filters share.

use super::chain::Chain;
use super::context::{Context, Direction};
use super::error::FilterError;
use super::received::Received;
use super::registry::FilterRegistry;
use crate::message::{TableId, Task};
use crate::values::{Dtype, Values};
use handcar_base::{Key, KeyList, Rng, Seed};

/// Both ends of a chain.
pub struct Ends {
    pub sender: Chain,
    pub receiver: Chain,
    pub direction: Direction,
}

pub fn ends(spec: &str, direction: Direction, dtype: Dtype, width: usize) -> Ends {
    let chain = || FilterRegistry::new().chain(&spec.parse().unwrap(), direction, dtype, width).unwrap();
    Ends { sender: chain(), receiver: chain(), direction }
}

pub fn pushes(spec: &str, dtype: Dtype, width: usize) -> Ends {
    ends(spec, Direction::Push, dtype, width)
}

pub fn cx(task: u64, direction: Direction) -> Context<'static> {
    Context::new(TableId(0), Task(task), direction, 0, Seed(7))
}

impl Ends {
    pub fn encode(&mut self, task: u64, keys: &KeyList, values: impl Into<Values>) -> Result<Vec<u8>, FilterError> {
        self.sender.encode(&cx(task, self.direction), keys, values.into())
    }

    pub fn decode(&mut self, task: u64, keys: &KeyList, bytes: &[u8]) -> Result<Received, FilterError> {
        self.receiver.decode(&cx(task, self.direction), keys, bytes)
    }

    /// What the receiver gets, asked twice for the same bytes.
    pub fn send(&mut self, task: u64, keys: &KeyList, values: impl Into<Values>) -> Received {
        let bytes = self.encode(task, keys, values).unwrap();
        let once = self.decode(task, keys, &bytes).unwrap();
        let twice = self.decode(task, keys, &bytes).unwrap();
        // As text, since not-a-number differs from itself.
        assert_eq!(format!("{twice:?}"), format!("{once:?}"), "decoding twice gives the same");
        once
    }

    /// What the receiver gets when everything held back is sent.
    pub fn flush(&mut self, task: u64) -> Option<(KeyList, Received)> {
        let (keys, bytes) = self.sender.flush(&cx(task, self.direction)).unwrap()?;
        let received = self.decode(task, &keys, &bytes).unwrap();
        Some((keys, received))
    }
}

pub fn list(keys: impl IntoIterator<Item = Key>) -> KeyList {
    KeyList::new(keys.into_iter().collect()).unwrap()
}

/// Numbers like gradients: many zeros, most small, a few large.
pub fn gradients(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = Rng::new(Seed(seed), 1);
    let mut draw = || {
        let size = 10f64.powf(6.0 * rng.uniform() - 4.0);
        if rng.uniform() < 0.3 { 0.0 } else { size * (2.0 * rng.uniform() - 1.0) }
    };
    (0..len).map(|_| draw()).collect()
}

pub fn values(dtype: Dtype, len: usize, seed: u64) -> Values {
    let g = gradients(len, seed);
    match dtype {
        Dtype::F32 => Values::F32(g.iter().map(|&x| x as f32).collect()),
        Dtype::F64 => Values::F64(g),
        Dtype::I64 => Values::I64(g.iter().map(|&x| (x * 1e12) as i64).collect()),
    }
}

pub const DTYPES: [Dtype; 3] = [Dtype::F32, Dtype::F64, Dtype::I64];
