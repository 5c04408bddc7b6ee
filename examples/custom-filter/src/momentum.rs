//! `momentum`: gradient steps with momentum, taken on the servers.

use handcar_base::Key;
use handcar_ps::{Entry, Updater};

/// `v_k <- beta·v_k + g_k`, `w_k <- w_k - eta·v_k`, for the keys that were pushed. Pushed: `g`; pulled: `w`.
#[derive(Debug)]
pub struct Momentum {
    eta: f32,
    beta: f32,
}

/// What a server keeps for a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    weight: f32,
    velocity: f32,
}

/// Its bytes for other servers and for checkpoints.
impl Entry for State {
    fn write(&self, out: &mut Vec<u8>) {
        (self.weight, self.velocity).write(out);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        <(f32, f32)>::read(from).map(|(weight, velocity)| Self { weight, velocity })
    }
}

impl Momentum {
    /// Reads the bytes given to `create_table`: `eta` and `beta` as text with a space between.
    pub fn new(params: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(params);
        let numbers: Vec<f32> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [eta, beta] if eta > 0.0 && (0.0..1.0).contains(&beta) => Ok(Self { eta, beta }),
            _ => Err(format!("expected `eta beta` with eta > 0 and 0 <= beta < 1, got {text:?}")),
        }
    }
}

impl Updater for Momentum {
    type Entry = State;
    type Push = f32;
    type Pull = f32;

    fn init(&self, _key: Key) -> State {
        State::default()
    }

    fn apply(&mut self, _key: Key, entry: &mut State, pushed: &[f32]) {
        entry.velocity = self.beta * entry.velocity + pushed[0];
        entry.weight -= self.eta * entry.velocity;
    }

    fn read(&self, _key: Key, entry: &State, out: &mut [f32]) {
        out[0] = entry.weight;
    }
}
