//! The server half: the same rules, on servers.

use super::fixed;
use super::rule::{AdaDelay, AdaGrad, AdaptiveRevision, AsyncAdaGrad, Average, Ftrl, Rates, Rule, Sgd};
use crate::penalty::{Bounds, ElasticNet};
use handcar_base::{Key, key};
use handcar_ps::{Registry, Updater};

/// What a server must know to run a rule; goes with the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Params {
    pub rates: Rates,
    pub slope_exponent: i32,
    pub weight_exponent: i32,
    /// First key of each block, ascending, and the exponent of its values.
    pub value_exponents: Vec<(Key, i32)>,
}

/// What to do with a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Update by the sums of gradients of a batch.
    Learn { batch: u64 },
    /// Begin with the f32 weight whose bits were pushed by one worker (the others push 0).
    Start,
}

impl Request {
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Learn { batch } => batch.to_le_bytes().to_vec(),
            Self::Start => Vec::new(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [] => Some(Self::Start),
            _ => Some(Self::Learn { batch: u64::from_le_bytes(bytes.try_into().ok()?) }),
        }
    }
}

impl Params {
    pub fn to_bytes(&self) -> Vec<u8> {
        let Rates { alpha, beta, penalty, batch_rows, batches, workers } = self.rates;
        let (lower, upper) = (penalty.bounds.lower() as f64, penalty.bounds.upper() as f64);
        let numbers = [alpha, beta, penalty.l1, penalty.l2, lower, upper];
        let mut out: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        out.extend(batch_rows.to_le_bytes());
        out.extend(batches.to_le_bytes());
        out.extend(workers.to_le_bytes());
        out.extend(self.slope_exponent.to_le_bytes());
        out.extend(self.weight_exponent.to_le_bytes());
        for (first, e) in &self.value_exponents {
            out.extend(first.to_le_bytes());
            out.extend(e.to_le_bytes());
        }
        out
    }

    /// What a key's sums of gradients must be multiplied by.
    pub fn scale_of(&self, key: Key) -> f32 {
        let blocks = &self.value_exponents;
        let values = match blocks.partition_point(|b| b.0 <= key) {
            0 => 0,
            _ if key == key::INTERCEPT => 0,
            n => blocks[n - 1].1,
        };
        fixed::gradient_scale(self.slope_exponent, values, self.weight_exponent)
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, blocks) = bytes.split_at_checked(80)?;
        let word = |i: usize| <[u8; 8]>::try_from(&head[8 * i..8 * i + 8]).ok();
        let number = |i: usize| word(i).map(f64::from_le_bytes);
        let float = |i: usize| number(i).filter(|x| x.is_finite() && *x >= 0.0);
        let (records, rest) = blocks.as_chunks::<12>();
        if !rest.is_empty() {
            return None;
        }
        let block = |r: &[u8; 12]| {
            let (first, e) = r.split_first_chunk()?;
            Some((Key::from_le_bytes(*first), i32::from_le_bytes(*e.first_chunk()?)))
        };
        Some(Self {
            rates: Rates {
                alpha: float(0).filter(|a| *a > 0.0)?,
                beta: float(1)?,
                penalty: ElasticNet { l1: float(2)?, l2: float(3)?, bounds: Bounds::new(number(4)?, number(5)?).ok()? },
                batch_rows: u64::from_le_bytes(word(6)?),
                batches: u64::from_le_bytes(word(7)?),
                workers: u64::from_le_bytes(word(8)?),
            },
            slope_exponent: i32::from_le_bytes(head[72..76].try_into().ok()?),
            weight_exponent: i32::from_le_bytes(head[76..].try_into().ok()?),
            value_exponents: records.iter().map(block).collect::<Option<_>>()?,
        })
    }
}

/// Adds the updaters of all rules.
pub fn register(registry: &mut Registry) {
    register_rule::<Sgd>(registry);
    register_rule::<AdaGrad>(registry);
    register_rule::<Ftrl>(registry);
    register_rule::<Average>(registry);
    register_rule::<AdaDelay>(registry);
    register_rule::<AsyncAdaGrad>(registry);
    register_rule::<AdaptiveRevision>(registry);
    super::late::register(registry);
}

/// The name of a rule's updater.
pub(super) fn name<R: Rule>() -> String {
    format!("minibatch.{}", R::NAME)
}

fn register_rule<R: Rule>(registry: &mut Registry) {
    registry.register(&name::<R>(), |bytes| match Params::from_bytes(bytes) {
        Some(params) => Ok(RuleUpdater::<R> {
            rule: R::new(params.rates),
            free: R::new(Rates { penalty: ElasticNet::NONE, ..params.rates }),
            params,
            request: Request::Start,
        }),
        None => Err(format!("expected the parameters of {}, got {} other bytes", R::NAME, bytes.len())),
    });
}

struct RuleUpdater<R> {
    rule: R,
    /// For the intercept, which is not penalised.
    free: R,
    params: Params,
    request: Request,
}

impl<R: Rule> Updater for RuleUpdater<R> {
    type Entry = R::State;
    type Push = i64;
    type Pull = f32;

    /// The state: what a weight is depends on the batch that asks, which a server that has just taken over does not know.
    fn pull_width(&self) -> usize {
        R::State::default().as_ref().len()
    }

    fn init(&self, _key: Key) -> R::State {
        R::State::default()
    }

    fn begin(&mut self, args: &[u8]) -> Result<(), String> {
        self.request =
            Request::from_bytes(args).ok_or_else(|| format!("expected a minibatch request, got {args:?}"))?;
        if let Request::Learn { batch } = self.request {
            self.rule.go_to(batch);
            self.free.go_to(batch);
        }
        Ok(())
    }

    fn apply(&mut self, key: Key, state: &mut R::State, pushed: &[i64]) {
        let rule = if key == key::INTERCEPT { &self.free } else { &self.rule };
        match self.request {
            Request::Start => *state = rule.start(f32::from_bits(pushed[0] as u32)),
            // As in one process: a sum of zero is no update.
            Request::Learn { .. } if pushed[0] == 0 => {}
            Request::Learn { .. } => {
                rule.update(state, pushed[0] as f32 * self.params.scale_of(key));
            }
        }
    }

    fn read(&self, _key: Key, state: &R::State, out: &mut [f32]) {
        out.copy_from_slice(state.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        let bounds = Bounds::new(-0.25, f64::INFINITY).unwrap();
        let penalty = ElasticNet { bounds, ..ElasticNet::new(1.0, 0.5) };
        Params {
            rates: Rates { alpha: 0.1, beta: 1.0, penalty, batch_rows: 512, batches: 9, workers: 1 },
            slope_exponent: 15,
            weight_exponent: -3,
            value_exponents: vec![(1, 4), (7, -2)],
        }
    }

    #[test]
    fn parameters_come_back_and_strange_ones_are_refused() {
        let bytes = params().to_bytes();
        assert_eq!(Params::from_bytes(&bytes), Some(params()));
        assert_eq!(Params::from_bytes(&bytes[..bytes.len() - 1]), None);
        let bad = Params { rates: Rates { alpha: f64::NAN, ..params().rates }, ..params() };
        assert_eq!(Params::from_bytes(&bad.to_bytes()), None);
        for request in [Request::Start, Request::Learn { batch: 77 }] {
            assert_eq!(Request::from_bytes(&request.to_bytes()), Some(request));
        }
        assert_eq!(Request::from_bytes(&[1, 2]), None);
    }
}
