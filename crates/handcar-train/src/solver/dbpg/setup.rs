//! From prepared rows to a solve that can start: tables on the servers, curvature bounds, weights to begin with.

use super::group::Group;
use super::request::Request;
use super::{BlockState, Dbpg, Settings, updater};
use crate::error::Result;
use crate::loss::LossKind;
use crate::penalty::GroupLasso;
use crate::solver::batch::{Block, Change, Columns, Loss, Problem, Sums, Task, field_ranges, key_list};
use crate::solver::table_name;
use handcar_base::Key;
use handcar_data::Dataset;
use handcar_ps::filter::TableFilters;
use handcar_ps::{Policy, Worker};
use std::ops::Range;

/// One in the fixed-point form of curvature bounds.
const CAP_ONE: f64 = (1u64 << 20) as f64;

impl<'w> Dbpg<'w> {
    /// Prepares a solve over `rows` of the data. Collective.
    ///
    /// `weights`: example weights of these rows, if they are not all one. `start`: the weight to
    /// begin with of each key of the data, by its index, and of the intercept (`None`).
    #[expect(clippy::too_many_arguments, reason = "a job's parts, each of another kind")]
    pub fn new(
        worker: &'w mut Worker,
        data: &Dataset,
        rows: Range<usize>,
        weights: Option<Vec<f32>>,
        threads: usize,
        settings: Settings,
        filters: &TableFilters,
        start: &dyn Fn(Option<usize>) -> f32,
    ) -> Result<Self> {
        let task = Task {
            loss: LossKind::Logistic,
            l1: settings.penalty.l1,
            intercept: settings.intercept,
            by_field: settings.group_lasso > 0.0,
            threads,
            stage: settings.stage,
        };
        let keys = data.keys();
        let problem = Problem::new(worker, data, rows, weights, task, filters)?;
        let Problem { data, blocks, mass, shards, pool, sums, rows_total } = problem;
        worker.set_policy(Policy::BoundedDelay(settings.delay as u64));
        let params = updater::params(settings.penalty);
        let table =
            worker.create_table_with(&table_name("weights", settings.stage), updater::NAME, &params, filters)?;
        let all: Vec<Key> = blocks.iter().flat_map(|b| b.keys.iter().copied()).collect();
        worker.insert(table, &key_list(all)?).wait()?;
        let counts = key_rows(worker, sums, &blocks, &mass)?;
        let states = blocks.iter().zip(counts).map(|(b, rows)| BlockState::new(b, rows)).collect::<Result<_>>()?;
        let groups = if settings.group_lasso > 0.0 { groups(keys, &blocks, settings) } else { Vec::new() };
        let mut solve = Self {
            worker,
            settings,
            table,
            sums,
            data,
            blocks,
            states,
            groups,
            shards,
            pool,
            pending: Vec::new(),
            rows_total,
            violation: f64::INFINITY,
            dual: 0.0,
            work: 0.0,
            step_keys: (0, 0),
        };
        solve.push_caps(&mass)?;
        solve.push_start(start)?;
        Ok(solve)
    }

    /// Tells the servers each key's curvature bound that always holds: `Σ_i m_i·c_i·x_ik²/4`, where `m_i` is the number
    /// of entries of row `i` that may move together: those in the block at τ = 0, else those in any τ+1 blocks, at most
    /// τ+1 times the most in one.
    fn push_caps(&mut self, mass: &[Vec<f64>]) -> Result<()> {
        let together = self.settings.delay as f64 + 1.0;
        let mixed = self.blocks.iter().any(|b| !b.columns.one_hot());
        let row_most = (mixed && self.settings.delay > 0).then(|| self.row_most());
        for (i, mass) in mass.iter().enumerate() {
            let block = &self.blocks[i];
            let exponent = 2 * block.exponent + self.data.weight_exponent;
            let mut values = vec![0i64; 2 * block.keys.len()];
            if block.columns.one_hot() && row_most.is_none() {
                // The mass is joined over workers already: one of them tells it.
                if self.worker.rank() == 0 {
                    let scale = together * 0.25 * CAP_ONE * 2f64.powi(-exponent);
                    values.chunks_exact_mut(2).zip(mass).for_each(|(v, m)| v[0] = (m * scale).ceil() as i64);
                }
            } else {
                for (v, cap) in values.chunks_exact_mut(2).zip(self.caps_here(block, row_most.as_deref(), together)) {
                    v[0] = (cap * 0.25 * CAP_ONE).ceil() as i64;
                }
            }
            let scale = 2f64.powi(exponent) / CAP_ONE;
            if let Some(group) = self.groups.get_mut(i) {
                let mine = values.chunks_exact(2).map(|v| v[0]).collect();
                let all = self.sums.over_workers(self.worker, mine, Loss::Nothing)?;
                group.caps = all.into_iter().map(|cap| cap as f64 * scale).collect();
                continue;
            }
            let request = Request::Cap { scale };
            let keys = self.states[i].all.clone();
            self.exactly(&keys, values, request, false).wait()?;
        }
        Ok(())
    }

    /// `Σ_i m_i·c_i·x_ik²` over this worker's rows, values and weights scaled into `[-1, 1]`.
    fn caps_here(&self, block: &Block, row_most: Option<&[u32]>, together: f64) -> Vec<f64> {
        let mut caps = vec![0.0; block.keys.len()];
        let weight = |row: usize| if self.data.weights.is_empty() { 1.0 } else { self.data.weights[row] as f64 };
        let multiple =
            |row: usize, here: usize| row_most.map_or(here as f64, |most| together * most[row].max(1) as f64);
        match &block.columns {
            Columns::OneHot8(d) => one_hot_caps(d.iter().map(|&i| i as usize), &weight, &multiple, &mut caps),
            Columns::OneHot16(d) => one_hot_caps(d.iter().map(|&i| i as usize), &weight, &multiple, &mut caps),
            Columns::OneHot32(d) => one_hot_caps(d.iter().map(|&i| i as usize), &weight, &multiple, &mut caps),
            Columns::Ones => {
                caps[0] = (0..self.data.labels.len()).map(|row| weight(row) * multiple(row, 1)).sum();
            }
            Columns::Entries { rows, ids, values } => {
                let scale = 2f64.powi(-block.exponent);
                for run in runs(rows) {
                    let row = rows[run.start] as usize;
                    let m = weight(row) * multiple(row, run.len());
                    for e in run {
                        let x = values.as_ref().map_or(1.0, |v| v[e] as f64 * scale);
                        caps[ids[e] as usize] += m * x * x;
                    }
                }
            }
        }
        caps
    }

    /// The most entries that each row has in one block.
    fn row_most(&self) -> Vec<u32> {
        let mut most = vec![1u32; self.data.labels.len()];
        for block in &self.blocks {
            if let Columns::Entries { rows, .. } = &block.columns {
                for run in runs(rows) {
                    let m = &mut most[rows[run.start] as usize];
                    *m = (*m).max(run.len() as u32);
                }
            }
        }
        most
    }

    /// Puts the weights to begin with on the servers and into the margins.
    fn push_start(&mut self, start: &dyn Fn(Option<usize>) -> f32) -> Result<()> {
        for i in 0..self.blocks.len() {
            let block = &self.blocks[i];
            let weights: Vec<f32> = match block.is_intercept() {
                true => vec![start(None)],
                false => block.index.iter().map(|&k| start(Some(k as usize))).collect(),
            };
            // Equal on all workers, so all skip the same blocks.
            if weights.iter().all(|&w| w == 0.0) {
                continue;
            }
            let mine = self.worker.rank() == 0;
            // Others begin at zero as they are.
            let begun = || block.keys.iter().zip(&weights).filter(|(_, w)| **w != 0.0);
            let keys = key_list(begun().map(|(&key, _)| key).collect())?;
            let values = begun().flat_map(|(_, w)| [if mine { w.to_bits() as i64 } else { 0 }, 0]).collect();
            self.exactly(&keys, values, Request::Start, false).wait()?;
            let (block, state) = (&self.blocks[i], &mut self.states[i]);
            for (c, &w) in state.change.of_keys(block).iter_mut().zip(&weights) {
                *c = w as f64;
            }
            state.before.clone_from(&weights);
            state.weights = weights;
            self.pending.push(i);
        }
        Ok(())
    }
}

impl BlockState {
    fn new(block: &Block, rows: Vec<f64>) -> Result<Self> {
        let n = block.keys.len();
        let all = key_list(block.keys.clone())?;
        Ok(Self {
            active: all.clone(),
            all,
            places: (0..n as u32).collect(),
            weights: vec![0.0; n],
            before: vec![0.0; n],
            marks: vec![true; n],
            rows,
            trust: 1.0,
            change: Change::for_block(block),
            pushed: Vec::new(),
            pulled: Vec::new(),
        })
    }
}

/// The penalties of the blocks, each a field; its strength goes by the keys that the data have of it, also of those that screening found
/// to be zero.
fn groups(keys: &[Key], blocks: &[Block], settings: Settings) -> Vec<Group> {
    let fields = field_ranges(keys);
    let group = |block: &Block| {
        let field = &fields[fields.partition_point(|f| f.end <= block.index[0] as usize)];
        Group::new(GroupLasso::of_field(settings.penalty, settings.group_lasso, field.len()), block.keys.len())
    };
    blocks.iter().filter(|b| !b.is_intercept()).map(group).collect()
}

/// Positions of each row's entries.
fn runs(rows: &[u32]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let row = *rows.get(at)?;
        let start = at;
        at += rows[at..].iter().take_while(|&&r| r == row).count();
        Some(start..at)
    })
}

fn one_hot_caps(
    ids: impl Iterator<Item = usize>,
    weight: &dyn Fn(usize) -> f64,
    multiple: &dyn Fn(usize, usize) -> f64,
    caps: &mut [f64],
) {
    for (row, id) in ids.enumerate().filter(|(_, id)| *id > 0) {
        caps[id - 1] += weight(row) * multiple(row, 1);
    }
}

/// How many rows of all workers have each key; for one-hot blocks their mass says so, if rows weigh one on average.
fn key_rows(worker: &mut Worker, sums: Sums, blocks: &[Block], mass: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
    let mut counts = Vec::with_capacity(blocks.len());
    for (block, mass) in blocks.iter().zip(mass) {
        let Columns::Entries { ids, .. } = &block.columns else {
            counts.push(mass.clone());
            continue;
        };
        let mut here = vec![0i64; block.keys.len()];
        ids.iter().for_each(|&id| here[id as usize] += 1);
        counts.push(sums.over_workers(worker, here, Loss::Nothing)?.into_iter().map(|n| n as f64).collect());
    }
    Ok(counts)
}
