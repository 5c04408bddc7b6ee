//! From a data set to a solve that can start.

use super::gradient::Measured;
use super::request::Request;
use super::two_loop::History;
use super::{BlockState, Lbfgs, Point, Settings, updater};
use crate::error::Result;
use crate::solver::batch::{Block, Change, Problem, Second, Task, key_list, merge, on_shards};
use crate::solver::table_name;
use handcar_base::Key;
use handcar_data::Dataset;
use handcar_kernels::logistic::{self, RowStatistics};
use handcar_ps::filter::TableFilters;
use handcar_ps::{Policy, Worker};
use std::ops::Range;
use std::sync::Mutex;

/// Which power of its curvature divides a weight: a half makes all curvatures equal. With L1, whose kinks it moves apart by as
/// much, a quarter was better.
const POWER: f64 = 0.5;
const POWER_L1: f64 = 0.25;

impl<'w> Lbfgs<'w> {
    /// Prepares a solve over `rows` of the data and measures where it begins. Collective.
    ///
    /// `weights`: example weights of these rows, if they are not all one. `start`: the weight to
    /// begin with of each key of the data, by its index, and of the intercept (`None`).
    pub fn new(
        worker: &'w mut Worker,
        data: &Dataset,
        rows: Range<usize>,
        weights: Option<Vec<f32>>,
        settings: Settings,
        filters: &TableFilters,
        start: &dyn Fn(Option<usize>) -> f32,
    ) -> Result<Self> {
        let Settings { loss, penalty, intercept, history, threads, stage } = settings;
        let task = Task { loss, l1: penalty.l1, intercept, by_field: false, threads, stage };
        let problem = Problem::new(worker, data, rows, weights, task, filters)?;
        worker.set_policy(Policy::BoundedDelay(0));
        let room = updater::ROOMS.into_iter().find(|&room| room >= history).unwrap_or(super::HISTORY_MAX);
        let (name, params) = (table_name("weights", stage), updater::params(penalty));
        let table = worker.create_table_with(&name, &updater::name(room), &params, filters)?;
        let all: Vec<Key> = problem.blocks.iter().flat_map(|b| b.keys.iter().copied()).collect();
        let keys = key_list(all)?;
        worker.insert(table, &keys).wait()?;
        let mut first = 0;
        let state = |block| BlockState::new(block, &mut first);
        let states = problem.blocks.iter().map(state).collect::<Result<_>>()?;
        let mut solve = Self {
            worker,
            settings,
            table,
            states,
            weights: vec![0.0; keys.len()],
            trial: Vec::new(),
            keys,
            before: problem.shards.iter().map(|s| vec![0.0; s.rows.len()]).collect(),
            statistics: problem.shards.iter().map(|_| Mutex::new(Vec::new())).collect(),
            history: History::new(room, history),
            exponents: vec![0; 2 * room + 1],
            at: Point::default(),
            measured: Measured::default(),
            dual: 0.0,
            bounded: f64::INFINITY,
            problem,
        };
        solve.push_start(start)?;
        solve.push_scales()?;
        let trial = solve.attempt(&super::request::Function::Try { a: 0.0 })?;
        solve.at = trial.point;
        solve.accept();
        solve.commit(None)?;
        Ok(solve)
    }

    /// Puts the weights to begin with on the servers.
    fn push_start(&mut self, start: &dyn Fn(Option<usize>) -> f32) -> Result<()> {
        let mine = self.worker.rank() == 0;
        for (block, state) in self.problem.blocks.iter().zip(&self.states) {
            let weight = |i: usize| match block.is_intercept() {
                true => start(None),
                false => start(Some(block.index[i] as usize)),
            };
            let weights: Vec<f32> = (0..block.keys.len()).map(weight).collect();
            // Equal on all workers, so all skip the same blocks.
            if weights.iter().all(|&w| w == 0.0) {
                continue;
            }
            let values: Vec<i64> =
                weights.iter().flat_map(|w| [if mine { w.to_bits() as i64 } else { 0 }, 0]).collect();
            let transfer = self.worker.push(self.table, &state.keys, values);
            transfer.args(&Request::Start.to_bytes()).lossless().wait()?;
        }
        Ok(())
    }

    /// Has the servers scale every weight by the curvature that its key has at most, `Σ_i c_i·x_ik²/4 + l2`.
    fn push_scales(&mut self) -> Result<()> {
        let power = if self.settings.penalty.l1 > 0.0 { POWER_L1 } else { POWER };
        for at in 0..self.states.len() {
            let Self { problem, worker, states, .. } = self;
            let (block, state, data) = (&problem.blocks[at], &mut states[at], &problem.data);
            on_shards(&problem.pool, &mut problem.shards, |s| {
                let weight = |row: usize| data.weights.get(row).copied().unwrap_or(1.0);
                let all: Vec<RowStatistics> =
                    s.rows.clone().map(|row| [0, (weight(row) * logistic::ONE) as i32]).collect();
                s.scatter(&all, block, Second::Curvature);
            });
            merge(&mut problem.shards, block);
            let push: Vec<i64> = problem.shards[0].sums(block).iter().flatten().copied().collect();
            let unit = 0.25 * 2f64.powi(2 * block.exponent + data.weight_exponent - 30);
            let request = Request::Scale { unit, power };
            worker.push(self.table, &state.keys, push).args(&request.to_bytes()).lossless().wait()?;
        }
        Ok(())
    }
}

impl BlockState {
    fn new(block: &Block, first: &mut usize) -> Result<Self> {
        let places = *first..*first + block.keys.len();
        *first = places.end;
        Ok(Self { keys: key_list(block.keys.clone())?, places, change: Change::for_block(block), pushed: Vec::new() })
    }
}
