//! DBPG: delayed block proximal gradient (Li et al., NIPS 2014), with an accelerator.
//!
//! A pass visits every block of features once, in random order. For a block each worker sums gradient and curvature
//! over its rows and pushes them; the servers add the workers' sums, take a proximal step and answer with the new
//! weights; the workers then move their margins. With delay τ a block may start before the last τ have finished.
//! Between passes two cheap steps remove what block steps are slow at: `shift` moves along the direction that all
//! complete one-hot blocks share, and `momentum` extrapolates. `certificate` bounds how far the objective can be from
//! the optimum. All sums over rows are integers, so equal seeds give equal bits for any number of threads, workers
//! and servers. `docs/decisions/0003-accelerator.md` tells how the parts were chosen.

mod answer;
mod certificate;
mod cholesky;
mod correction;
mod field_shift;
mod group;
mod head;
mod momentum;
mod newton;
mod norms;
mod pass;
mod quadratic;
mod request;
mod selection;
mod setup;
mod shift;
mod tail;
mod updater;

pub(crate) use certificate::Certificate;
pub(crate) use momentum::Momentum;

use super::batch::{Block, Change, RowData, RowShard, Sums};
use crate::penalty::ElasticNet;
use group::Group;
use handcar_base::{KeyList, Seed};
use handcar_ps::filter::{Direction, Saved};
use handcar_ps::{Registry, TableId, Transfer, Worker};
use request::Request;

/// Over-relaxation of block steps at τ = 0. Any factor in (0, 2) descends; 1.2 was the best of 1, 1.2, 1.5 on click data.
const RELAX: f64 = 1.2;

/// Makes servers know what the solver asks of them.
pub fn register(registry: &mut Registry) {
    updater::register(registry);
}

/// What the solver is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub penalty: ElasticNet,
    /// What the norm of each field weighs, beside the root of the number of its keys; 0: fields have none.
    pub group_lasso: f64,
    pub intercept: bool,
    /// τ.
    pub delay: u32,
    /// Whether keys at zero with a small gradient stay at home.
    pub filter: bool,
    pub seed: Seed,
    /// Which of the job's solvers this is: tables of several must not share a name.
    pub stage: usize,
}

/// Scales that turn fixed-point sums of a block into numbers.
#[derive(Clone, Copy, Debug)]
struct Scales {
    gradient: f64,
    curvature: f64,
}

/// A worker's view of a block: a copy of its weights and what is under way.
struct BlockState {
    /// All keys that survived screening.
    all: KeyList,
    /// Those in the active set, and their places in the block.
    active: KeyList,
    places: Vec<u32>,
    weights: Vec<f32>,
    /// Weights at the end of the last pass.
    before: Vec<f32>,
    marks: Vec<bool>,
    /// Rows of all workers that have each key, about.
    rows: Vec<f64>,
    /// Trust region of all weights of a block with several entries a row.
    trust: f64,
    /// Change of the weights that margins do not show yet.
    change: Change,
    /// Memory of the last push and pull.
    pushed: Vec<i64>,
    pulled: Vec<f32>,
}

/// A running solve on one worker.
pub(crate) struct Dbpg<'w> {
    pub worker: &'w mut Worker,
    settings: Settings,
    table: TableId,
    sums: Sums,
    data: RowData,
    blocks: Vec<Block>,
    states: Vec<BlockState>,
    /// With a group lasso one for each block but the intercept's; else none.
    groups: Vec<Group>,
    shards: Vec<RowShard>,
    pool: Option<rayon::ThreadPool>,
    /// Blocks whose change the margins do not show yet.
    pending: Vec<usize>,
    /// Rows of all workers that count.
    rows_total: u64,
    /// Largest violation met in the last pass.
    violation: f64,
    /// Best lower bound on the optimum so far.
    dual: f64,
    /// What measurements and accelerations have cost, in entries of rows visited; equal on all workers.
    work: f64,
    /// Keys of blocks that steps were taken for, and those of them that were active and travelled.
    step_keys: (u64, u64),
}

/// What a pass came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassEnd {
    pub objective: f64,
    pub loss: f64,
    pub nonzeros: u64,
    pub active: u64,
    /// Largest violation met, each at its block's own time.
    pub violation: f64,
}

impl Dbpg<'_> {
    /// Entries of all rows of all workers: what a pass costs.
    pub fn entries(&self) -> f64 {
        self.states.iter().flat_map(|s| &s.rows).sum()
    }

    /// What measurements and accelerations have cost so far, in entries.
    pub fn work(&self) -> f64 {
        self.work
    }

    /// Bytes of all steps before and after inactive keys stayed at home: a key, and two integers out or two weights back.
    pub fn kkt_saved(&self) -> [Saved; 2] {
        let saved = |direction, bytes| {
            let (before, after) = (bytes * self.step_keys.0, bytes * self.step_keys.1);
            Saved { name: "kkt".into(), direction, before, after }
        };
        [saved(Direction::Push, 24), saved(Direction::Pull, 8)]
    }

    /// Rows of all workers with nonzero weight.
    pub fn rows_total(&self) -> u64 {
        self.rows_total
    }

    /// Calls `visit(index in the data set, weight)` for every key that survived screening.
    pub fn for_each_weight(&self, mut visit: impl FnMut(usize, f32)) {
        for (block, state) in self.blocks.iter().zip(&self.states) {
            for (&i, &w) in block.index.iter().zip(&state.weights) {
                visit(i as usize, w);
            }
        }
    }

    /// The intercept; 0 without one.
    pub fn intercept(&self) -> f64 {
        match self.blocks.last() {
            Some(b) if b.is_intercept() => self.states.last().map_or(0.0, |s| s.weights[0] as f64),
            _ => 0.0,
        }
    }

    /// Margins of this worker's rows, in order.
    pub fn each_margin(&self) -> impl Iterator<Item = f64> {
        self.shards.iter().flat_map(|s| s.margins.iter().copied())
    }

    /// Whether any worker says so.
    pub fn any(&mut self, here: bool) -> crate::error::Result<bool> {
        Ok(self.worker.reduce_max(&[here as i64])?[0] != 0)
    }

    /// A push that must arrive as it is: filters that change numbers see steps only, not certificates and places.
    fn exactly(&mut self, keys: &KeyList, push: Vec<i64>, request: Request, pull: bool) -> Transfer<'_> {
        let table = self.table;
        let transfer = match pull {
            true => self.worker.push_pull(table, keys, push),
            false => self.worker.push(table, keys, push),
        };
        transfer.args(&request.to_bytes()).lossless()
    }

    fn scales(&self, block: usize) -> Scales {
        let (e, c) = (self.blocks[block].exponent, self.data.weight_exponent);
        Scales { gradient: 2f64.powi(e + c - 30), curvature: 2f64.powi(2 * e + c - 30) }
    }
}
