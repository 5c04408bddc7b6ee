//! How one weight follows its gradients; one rule a file.
//!
//! The same code runs where the table is in this process and on servers, so both give equal bits.

mod adadelay;
mod adagrad;
mod adaptive_revision;
mod async_adagrad;
mod average;
mod ftrl;
mod late;
mod sgd;
mod shrink;

pub use adadelay::AdaDelay;
pub use adagrad::AdaGrad;
pub use adaptive_revision::AdaptiveRevision;
pub use async_adagrad::AsyncAdaGrad;
pub use average::Average;
pub use ftrl::Ftrl;
pub(crate) use late::with_late;
pub use late::{Late, Lateness};
pub use sgd::Sgd;
pub use shrink::Shrink;

use crate::penalty::{Bounds, ElasticNet};
use handcar_ps::Entry;

/// What a rule is made with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Step size, above 0.
    pub alpha: f64,
    /// Added to what divides the step size, at least 0.
    pub beta: f64,
    /// The penalty of the whole objective.
    pub penalty: ElasticNet,
    /// Rows of a batch, of all workers; the last of a pass may have fewer.
    pub batch_rows: u64,
    /// Batches of a pass: each takes its share of the penalty, so that a pass adds up to the objective's.
    pub batches: u64,
    /// Workers that take part.
    pub workers: u64,
}

impl Rates {
    /// Those of a rule [of numbers](ByNumbers::of_numbers), which go by what they come to.
    const NONE: Self = Self { alpha: 0.0, beta: 0.0, penalty: ElasticNet::NONE, batch_rows: 0, batches: 0, workers: 0 };

    /// The penalty's share of a batch.
    pub fn share(&self) -> ElasticNet {
        let batches = self.batches.max(1) as f64;
        ElasticNet { l1: self.penalty.l1 / batches, l2: self.penalty.l2 / batches, ..self.penalty }
    }
}

/// How one weight follows its gradients, at some batch.
pub trait Rule: Clone + Send + Sync + 'static {
    /// Name in options, models and on servers.
    const NAME: &'static str;
    /// What is kept for a key. The default is that of weight 0, and of an absent key.
    type State: Copy + Default + Entry + Sync + AsRef<[f32]> + AsMut<[f32]>;

    /// The rule before the first batch.
    fn new(rates: Rates) -> Self;
    /// Goes to a batch; `batch` counts over all passes, from 0.
    fn go_to(&mut self, batch: u64);
    /// The weight as this batch finds it, between the bounds of the penalty.
    fn weight(&self, state: &Self::State) -> f32;
    /// Takes the sum of this batch's gradients.
    fn update(&self, state: &mut Self::State, gradient: f32);
    /// A state of a given weight, before the first batch.
    fn start(&self, weight: f32) -> Self::State;
    /// The state as this batch finds it, with nothing left to catch up on, so that a rule with other shares of the penalty may go on.
    fn settled(&self, state: &Self::State) -> Self::State {
        *state
    }
    /// Goes on after batches of a rule with other shares: before `batch` the penalty has been carried `passes` times.
    fn go_on_from(&mut self, _batch: u64, _passes: f64) {}
    /// The state with the changes of two: those that led from `base` to `mine`, and those that led from there to `all` meanwhile.
    fn join(base: &Self::State, mine: &Self::State, all: &Self::State) -> Self::State;
}

/// Numbers that a rule goes by, at most.
pub const NUMBERS: usize = 5;

/// A rule of states of `W` numbers that goes by a few numbers and its bounds alone, so that many can be computed side by side.
pub trait ByNumbers<const W: usize>: Rule<State = [f32; W]> {
    /// The numbers that [`weight`](Rule::weight) and [`update`](Rule::update) go by at this batch.
    fn numbers(&self) -> [f32; NUMBERS];
    /// The weights' bounds, which do not change.
    fn bounds(&self) -> Bounds;
    /// The rule at the batch of some numbers; it cannot go to another.
    fn of_numbers(numbers: [f32; NUMBERS], bounds: Bounds) -> Self;
    /// [`update`](Rule::update), given the [`weight`](Rule::weight) of the state.
    fn follow(&self, state: &mut [f32; W], weight: f32, gradient: f32);
}

/// The root of the sum of squares that three roots are of: those of `all`, and those by which `mine` goes beyond `base`.
fn joined_length(base: f32, mine: f32, all: f32) -> f32 {
    (all * all + (mine * mine - base * base)).max(0.0).sqrt()
}

/// Soft thresholding in f32: `sign(a)·max(|a| - t, 0)`, without branches.
#[inline(always)]
fn soft(a: f32, t: f32) -> f32 {
    let short = a.abs() - t;
    let short = if short > 0.0 { short } else { 0.0 };
    short.copysign(a)
}

/// Runs code that is generic over a rule on the one of a name.
macro_rules! with_rule {
    ($solver:expr, $rule:ident => $body:expr, else $other:expr) => {
        match $solver {
            $crate::solver::Solver::Sgd => {
                type $rule = $crate::solver::minibatch::rule::Sgd;
                $body
            }
            $crate::solver::Solver::AdaGrad => {
                type $rule = $crate::solver::minibatch::rule::AdaGrad;
                $body
            }
            $crate::solver::Solver::Ftrl => {
                type $rule = $crate::solver::minibatch::rule::Ftrl;
                $body
            }
            _ => $other,
        }
    };
}

pub(crate) use with_rule;
