//! What a minibatch solver knows beside the weights, kept so that another fit can go on where one ended.

use super::Settings;
use super::rule::{Rates, Rule, with_late, with_rule};
use crate::error::{Result, TrainError};
use crate::model::Model;
use crate::penalty::{Bounds, ElasticNet};
use crate::solver::Solver;
use handcar_base::Key;

/// First bytes of a state, with its version.
const MAGIC: &[u8; 8] = b"hcstate1";

/// Runs code that is generic over a rule on that of a solver which has one.
macro_rules! with_any_rule {
    ($solver:expr, $rule:ident => $body:expr) => {
        with_rule!($solver, $rule => $body, else with_late!($solver, $rule => $body, else unreachable!("it has a rule")))
    };
}

/// The state of a minibatch solver between two fits: for every key that any of them has seen what the rule keeps for it, and the
/// batches so far.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState {
    solver: Solver,
    rates: Rates,
    /// Batches so far.
    batch: u64,
    /// From which batch on the penalty's shares have been those of `rates`, and how many times it had been carried before.
    since: (u64, f64),
    keys: Vec<Key>,
    /// What the rule keeps for each key, one after the other.
    words: Vec<f32>,
    /// What it keeps for the intercept; empty without one.
    free: Vec<f32>,
}

impl OptimizerState {
    /// Whether a solver has such a state: those that have a rule for each key.
    pub fn is_of(solver: Solver) -> bool {
        solver.is_minibatch() && solver != Solver::Emso
    }

    /// Keys that have been seen, strictly increasing.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Batches learned from.
    pub fn batches(&self) -> u64 {
        self.batch
    }

    /// The same state of keys under other names.
    ///
    /// # Panics
    /// Unless there is one name for each key, strictly increasing.
    pub fn with_keys(self, keys: Vec<Key>) -> Self {
        assert!(keys.len() == self.keys.len() && keys.is_sorted_by(|a, b| a < b), "a name for each key, in order");
        Self { keys, ..self }
    }

    /// The state of a model's weights, brought between the bounds, before any batch.
    pub(crate) fn begin(settings: &Settings, rates: Rates, model: &Model) -> Self {
        let bounds = rates.penalty.bounds;
        with_any_rule!(settings.solver, R => {
            let (rule, free) = (R::new(rates), R::new(Rates { penalty: ElasticNet::NONE, ..rates }));
            let words = model.weights.iter().flat_map(|&w| rule.start(bounds.clip_f32(w)).as_ref().to_vec()).collect();
            let free = if settings.intercept { free.start(model.intercept as f32).as_ref().to_vec() } else { Vec::new() };
            Self { solver: settings.solver, rates, batch: 0, since: (0, 0.0), keys: model.keys.clone(), words, free }
        })
    }

    /// The state under the shares that the penalty has now; whatever else a rule goes by must be as it was.
    pub(crate) fn under(self, settings: &Settings, rates: Rates) -> Result<Self> {
        let refuse = |expected: &'static str, got: String| Err(TrainError::Option { what: "resume", expected, got });
        if settings.solver != self.solver {
            return refuse("the solver that the state is of", format!("{} after {}", settings.solver, self.solver));
        }
        if settings.intercept == self.free.is_empty() {
            return refuse("an intercept if and only if there was one", settings.intercept.to_string());
        }
        if (Rates { batches: self.rates.batches, ..rates }) != self.rates {
            let expected = "rate, beta, penalty and batch size as they were";
            return refuse(expected, format!("{rates:?} after {:?}", self.rates));
        }
        if rates.batches == self.rates.batches {
            return Ok(self);
        }
        let words = with_any_rule!(self.solver, R => {
            let rule = self.rule::<R>(self.rates);
            self.states::<R>().flat_map(|state| rule.settled(&state).as_ref().to_vec()).collect()
        });
        let passes = self.since.1 + (self.batch - self.since.0) as f64 / self.rates.batches.max(1) as f64;
        Ok(Self { rates, since: (self.batch, passes), words, ..self })
    }

    /// From which batch on the penalty's shares are what they are, and how many times it had been carried before.
    pub(super) fn since(&self) -> (u64, f64) {
        self.since
    }

    /// What the rule keeps for a key, if it has been seen.
    pub(super) fn of_key<R: Rule>(&self, key: Key) -> Option<R::State> {
        let width = width::<R>();
        self.keys.binary_search(&key).ok().map(|i| state_of::<R>(&self.words[i * width..(i + 1) * width]))
    }

    /// What the rule keeps for the intercept.
    pub(super) fn of_intercept<R: Rule>(&self) -> Option<R::State> {
        (!self.free.is_empty()).then(|| state_of::<R>(&self.free))
    }

    /// The state after more batches. `words`: what the rule keeps for `keys`, and `free` for the intercept; other keys are as they
    /// were.
    pub(super) fn after(
        before: Option<&Self>,
        solver: Solver,
        rates: Rates,
        batch: u64,
        keys: &[Key],
        Words { of_keys, free }: Words,
    ) -> Self {
        let since = before.map_or((0, 0.0), |b| b.since);
        let width = of_keys.len() / keys.len().max(1);
        let (old_keys, old_words) = before.map_or((&[][..], &[][..]), |b| (&b.keys[..], &b.words[..]));
        let width = if keys.is_empty() { old_words.len() / old_keys.len().max(1) } else { width };
        let room = keys.len() + old_keys.len();
        let (mut all, mut words) = (Vec::with_capacity(room), Vec::with_capacity(room * width));
        let (mut i, mut j) = (0, 0);
        while i < keys.len() || j < old_keys.len() {
            let take_new = j == old_keys.len() || (i < keys.len() && keys[i] <= old_keys[j]);
            if take_new {
                j += (old_keys.get(j) == Some(&keys[i])) as usize;
                all.push(keys[i]);
                words.extend_from_slice(&of_keys[i * width..(i + 1) * width]);
                i += 1;
            } else {
                all.push(old_keys[j]);
                words.extend_from_slice(&old_words[j * width..(j + 1) * width]);
                j += 1;
            }
        }
        Self { solver, rates, batch, since, keys: all, words, free }
    }

    /// The weight of every key as the next batch finds it.
    pub fn weights(&self) -> Vec<f32> {
        with_any_rule!(self.solver, R => {
            let rule = self.rule::<R>(self.rates);
            self.states::<R>().map(|state| rule.weight(&state)).collect()
        })
    }

    /// Bytes that [`from_bytes`](Self::from_bytes) reads, for a program that keeps its state between processes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Rates { alpha, beta, penalty, batch_rows, batches, workers } = self.rates;
        let place = Solver::ALL.iter().position(|s| *s == self.solver).unwrap_or_default() as u64;
        let counts = [place, batch_rows, batches, workers, self.batch, self.since.0, self.keys.len() as u64];
        let mut out = MAGIC.to_vec();
        out.extend(counts.iter().flat_map(|x| x.to_le_bytes()));
        out.extend((self.free.len() as u64).to_le_bytes());
        let (lower, upper) = (penalty.bounds.lower() as f64, penalty.bounds.upper() as f64);
        let numbers = [alpha, beta, penalty.l1, penalty.l2, self.since.1, lower, upper];
        out.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        out.extend(self.keys.iter().flat_map(|k| k.to_le_bytes()));
        out.extend(self.words.iter().chain(&self.free).flat_map(|w| w.to_le_bytes()));
        out
    }

    /// The state of bytes; `None` if they are not those of one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.strip_prefix(MAGIC)?.split_at_checked(15 * 8)?;
        let (head, _) = head.as_chunks::<8>();
        let (count, float) = (|i: usize| u64::from_le_bytes(head[i]), |i: usize| f64::from_le_bytes(head[i]));
        let solver = *Solver::ALL.get(count(0) as usize).filter(|s| Self::is_of(**s))?;
        let width = with_any_rule!(solver, R => width::<R>());
        let (n, free) = (usize::try_from(count(6)).ok()?, count(7) as usize);
        let (keys, words) = rest.split_at_checked(n.checked_mul(8)?)?;
        let (keys, (words, more)) = (keys.as_chunks::<8>().0, words.as_chunks::<4>());
        let keys: Vec<Key> = keys.iter().map(|k| Key::from_le_bytes(*k)).collect();
        let mut words: Vec<f32> = words.iter().map(|w| f32::from_le_bytes(*w)).collect();
        let whole = more.is_empty() && words.len() == n.checked_mul(width)?.checked_add(free)?;
        if !whole || (free != 0 && free != width) || !keys.is_sorted_by(|a, b| a < b) {
            return None;
        }
        let free = words.split_off(n * width);
        let penalty = ElasticNet { l1: float(10), l2: float(11), bounds: Bounds::new(float(13), float(14)).ok()? };
        let (alpha, beta) = (float(8), float(9));
        let rates = Rates { alpha, beta, penalty, batch_rows: count(1), batches: count(2), workers: count(3) };
        let (batch, since) = (count(4), (count(5), float(12)));
        (since.0 <= batch).then_some(Self { solver, rates, batch, since, keys, words, free })
    }

    fn rule<R: Rule>(&self, rates: Rates) -> R {
        let mut rule = R::new(rates);
        rule.go_on_from(self.since.0, self.since.1);
        rule.go_to(self.batch);
        rule
    }

    fn states<R: Rule>(&self) -> impl Iterator<Item = R::State> + '_ {
        self.words.chunks_exact(width::<R>()).map(state_of::<R>)
    }
}

/// What a rule keeps for keys, one after the other, and for the intercept.
pub(super) struct Words {
    pub of_keys: Vec<f32>,
    pub free: Vec<f32>,
}

fn width<R: Rule>() -> usize {
    R::State::default().as_ref().len()
}

fn state_of<R: Rule>(words: &[f32]) -> R::State {
    let mut state = R::State::default();
    state.as_mut().copy_from_slice(words);
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> OptimizerState {
        let penalty = ElasticNet { bounds: Bounds::new(-8.0, f64::INFINITY).unwrap(), ..ElasticNet::new(0.5, 0.25) };
        let rates = Rates { alpha: 0.1, beta: 1.0, penalty, batch_rows: 32, batches: 7, workers: 1 };
        let words = vec![0.5, 2.0, -1.5, 3.0];
        OptimizerState {
            solver: Solver::Ftrl,
            rates,
            batch: 9,
            since: (7, 1.0),
            keys: vec![3, u64::MAX],
            words,
            free: vec![0.25, 1.0],
        }
    }

    #[test]
    fn bytes_come_back_and_damaged_ones_are_refused() {
        let bytes = state().to_bytes();
        assert_eq!(OptimizerState::from_bytes(&bytes), Some(state()));
        for cut in [0, 7, 8, 50, bytes.len() - 1] {
            assert_eq!(OptimizerState::from_bytes(&bytes[..cut]), None, "{cut}");
        }
        for (at, byte) in [(0, b'x'), (8, 0), (8, 5), (8, 99), (56, 3), (63, 255), (64, 1), (48, 10)] {
            let mut damaged = bytes.clone();
            damaged[at] = byte;
            assert_eq!(OptimizerState::from_bytes(&damaged), None, "{at}");
        }
    }

    #[test]
    fn keys_that_no_batch_has_stay() {
        let settled = state().weights();
        let words = Words { of_keys: vec![1.0, 1.0, 9.0, 9.0], free: vec![0.0, 0.0] };
        let all = OptimizerState::after(Some(&state()), Solver::Ftrl, state().rates, 9, &[1, 3], words);
        assert_eq!(all.keys(), [1, 3, u64::MAX]);
        assert_eq!(all.weights()[2], settled[1]);
        assert_eq!(all.words[..4], [1.0, 1.0, 9.0, 9.0]);
    }
}
