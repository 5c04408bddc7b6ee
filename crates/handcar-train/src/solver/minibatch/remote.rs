//! The table on servers: each worker takes its part of every batch, pulls the keys it has there and pushes sums of
//! gradients, which the servers add up over workers and give to the rule.

use super::local::batches;
use super::part::exponent;
use super::rows::RowView;
use super::rule::{Rates, Rule};
use super::updater::{Params, Request, name};
use super::{Seen, Settings, fixed, slow};
use crate::error::{Result, TrainError};
use crate::loss::Loss;
use crate::penalty::ElasticNet;
use crate::solver::table_name;
use handcar_base::{Key, KeyList, key::INTERCEPT};
use handcar_data::{ColumnBlock, Dataset, Entries};
use handcar_ps::filter::Spec;
use handcar_ps::{Policy, TableId, Task, Values, Worker};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

/// Keys pulled at a time where all are wanted.
const CHUNK_KEYS: usize = 1 << 20;

/// A table on servers.
pub(super) struct RemoteTable<'a, R: Rule> {
    table: TableId,
    rule: R,
    /// For the intercept.
    free: R,
    keys: &'a [Key],
    blocks: Vec<(ColumnBlock<'a>, f64)>,
    intercept: bool,
    delay: u32,
    slow: f64,
    /// Whether filters may hold back a part of what is pushed.
    filtered: bool,
    /// Of each key of the data, and last the intercept: this batch's weight and sum, and whether a batch has it.
    weights: Vec<f32>,
    sums: Vec<i64>,
    marks: Vec<bool>,
}

/// A batch whose keys have been asked for.
pub(super) struct Asked {
    batch: u64,
    /// This worker's rows of it.
    pub(super) rows: Range<usize>,
    /// Its keys, as indices; the intercept is one past the last key of the data.
    ids: Vec<u32>,
    keys: KeyList,
    pull: Task,
}

impl<'a, R: Rule> RemoteTable<'a, R> {
    /// Makes the table and gives its keys their first weights. Collective.
    pub fn new(
        worker: &mut Worker,
        data: &'a Dataset,
        settings: &Settings,
        rates: Rates,
        weight_exponent: i32,
        start: (&dyn Fn(usize) -> f32, f32),
    ) -> Result<Self> {
        // A pull and a push a batch.
        worker.set_policy(Policy::BoundedDelay(2 * settings.delay as u64));
        let updater = (name::<R>(), 1);
        Self::with_updater(worker, data, settings, rates, weight_exponent, start, updater)
    }

    /// As [`new`](Self::new), with the name and push width of an updater that takes the same parameters, and under the worker's policy.
    pub fn with_updater(
        worker: &mut Worker,
        data: &'a Dataset,
        settings: &Settings,
        rates: Rates,
        weight_exponent: i32,
        start: (&dyn Fn(usize) -> f32, f32),
        (updater, push_width): (String, usize),
    ) -> Result<Self> {
        let of = |b: &ColumnBlock<'_>| match b.entries {
            Entries::Sparse { values: Some(v), .. } => exponent(v),
            _ => 0,
        };
        let blocks: Vec<_> = data.blocks().into_iter().filter(|b| !b.keys.is_empty()).map(|b| (of(&b), b)).collect();
        let value_exponents = blocks.iter().map(|(e, b)| (data.keys()[b.keys.start], *e)).collect();
        let slope_exponent = settings.loss.size(exponent(data.labels())).slope;
        let params = Params { rates, slope_exponent, weight_exponent, value_exponents };
        Self::with(worker, data, settings, params, blocks, start, (updater, push_width))
    }

    /// As [`new`](Self::new), for changes in place of gradients: see [`fixed::change`].
    pub fn of_changes(
        worker: &mut Worker,
        data: &'a Dataset,
        settings: &Settings,
        rates: Rates,
        start: (&dyn Fn(usize) -> f32, f32),
    ) -> Result<Self> {
        let (slope_exponent, value_exponents) = (fixed::CHANGE_SLOPE, Vec::new());
        let params = Params { rates, slope_exponent, weight_exponent: 0, value_exponents };
        // A pull and a push a batch.
        worker.set_policy(Policy::BoundedDelay(2 * settings.delay as u64));
        Self::with(worker, data, settings, params, Vec::new(), start, (name::<R>(), 1))
    }

    fn with(
        worker: &mut Worker,
        data: &'a Dataset,
        settings: &Settings,
        params: Params,
        blocks: Vec<(i32, ColumnBlock<'a>)>,
        start: (&dyn Fn(usize) -> f32, f32),
        (updater, push_width): (String, usize),
    ) -> Result<Self> {
        let rates = params.rates;
        let table = worker.create_table_with(
            &table_name(&updater, settings.stage),
            &updater,
            &params.to_bytes(),
            &settings.filters,
        )?;
        let n = data.keys().len();
        let this = Self {
            table,
            rule: R::new(rates),
            free: R::new(Rates { penalty: ElasticNet::NONE, ..rates }),
            keys: data.keys(),
            blocks: blocks.into_iter().map(|(e, b)| (b, 2f64.powi(-e))).collect(),
            intercept: settings.intercept,
            delay: settings.delay,
            slow: settings.slow,
            filtered: settings.filters.push != Spec::default(),
            weights: vec![0.0; n + 1],
            sums: vec![0; n + 1],
            marks: vec![false; n + 1],
        };
        this.push_start(worker, start, push_width)?;
        Ok(this)
    }

    fn push_start(&self, worker: &mut Worker, start: (&dyn Fn(usize) -> f32, f32), width: usize) -> Result<()> {
        let first = worker.rank() == 0;
        let all = self.keys.len() + self.intercept as usize;
        for begin in (0..all).step_by(CHUNK_KEYS) {
            let ids: Vec<u32> = (begin as u32..(begin + CHUNK_KEYS).min(all) as u32).collect();
            let weight = |&id: &u32| if id as usize == self.keys.len() { start.1 } else { start.0(id as usize) };
            let keys = self.key_list(&ids)?;
            worker.insert(self.table, &keys).wait()?;
            // Equal on all workers, so all skip the same.
            if ids.iter().map(weight).any(|w| w != 0.0) {
                let mut values = vec![0i64; width * ids.len()];
                if first {
                    values.iter_mut().step_by(width).zip(&ids).for_each(|(v, id)| *v = weight(id).to_bits() as i64);
                }
                let push = worker.push(self.table, &keys, values).args(&Request::Start.to_bytes());
                push.lossless().wait()?;
            }
        }
        Ok(())
    }

    fn key_list(&self, ids: &[u32]) -> Result<KeyList> {
        let key = |&id: &u32| self.keys.get(id as usize).copied().unwrap_or(INTERCEPT);
        KeyList::new(ids.iter().map(key).collect())
            .map_err(|e| TrainError::Data { expected: "ascending keys in the data set".into(), got: e.to_string() })
    }

    /// As [`LocalTable::pass`](super::local::LocalTable::pass); `hear` is told of this worker's part of each batch, and all
    /// workers must answer alike.
    pub fn pass<L: Loss>(
        &mut self,
        worker: &mut Worker,
        loss: L,
        view: &RowView<'_>,
        first: u64,
        batch_rows: usize,
        hear: &mut dyn FnMut(&mut Worker, &Seen<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let (rank, workers) = (worker.rank(), worker.workers());
        let mut ahead = batches(view.labels.len(), batch_rows, first);
        let mut asked: VecDeque<Asked> = VecDeque::new();
        let mut pushed: Option<Task> = None;
        let (mut margins, mut gradients, mut losses) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            while asked.len() <= self.delay as usize {
                let Some((batch, rows)) = ahead.next() else { break };
                let cut = |r: usize| rows.start + rows.len() * r / workers;
                asked.push_back(self.ask(worker, batch, cut(rank)..cut(rank + 1))?);
            }
            let Some(now) = asked.pop_front() else { break };
            let began = Instant::now();
            self.take_weights(worker, &now, None)?;
            for buffer in [&mut margins, &mut gradients, &mut losses] {
                buffer.clear();
                buffer.resize(now.rows.len(), 0);
            }
            self.add_margins(&now.rows, &mut margins);
            view.gradients(loss, &now.rows, &margins, &mut gradients, Some(&mut losses));
            let values = self.sums(&now, &gradients);
            slow::down(self.slow, began);
            let request = Request::Learn { batch: now.batch };
            pushed = Some(worker.push(self.table, &now.keys, values).args(&request.to_bytes()).submit()?);
            if hear(worker, &Seen { rows: now.rows.clone(), margins: &margins, losses: &losses, weights: None })? {
                for left in asked {
                    worker.wait(left.pull)?;
                }
                pushed.map_or(Ok(()), |task| worker.wait(task).map(|_| ()))?;
                self.settle(worker)?;
                return Ok(true);
            }
        }
        pushed.map_or(Ok(()), |task| worker.wait(task).map(|_| ()))?;
        self.settle(worker)?;
        Ok(false)
    }

    /// The weights of some keys as a batch finds them.
    pub fn read(&mut self, worker: &mut Worker, batch: u64, ids: &[u32]) -> Result<Vec<f64>> {
        let keys = self.key_list(ids)?;
        let pull = worker.pull(self.table, &keys).submit()?;
        let asked = Asked { batch, rows: 0..0, ids: ids.to_vec(), keys, pull };
        self.take_weights(worker, &asked, None)?;
        Ok(ids.iter().map(|&id| self.weights[id as usize] as f64).collect())
    }

    /// Pushes this worker's part of what a batch changes, and waits for that of all workers.
    pub fn write(&mut self, worker: &mut Worker, batch: u64, ids: &[u32], values: Vec<i64>) -> Result<()> {
        let keys = self.key_list(ids)?;
        let request = Request::Learn { batch };
        worker.push(self.table, &keys, values).args(&request.to_bytes()).wait()?;
        Ok(())
    }

    /// Sends what filters hold back, and waits for that of all workers.
    pub fn settle(&mut self, worker: &mut Worker) -> Result<()> {
        if self.filtered {
            worker.flush(self.table)?;
            worker.barrier()?;
        }
        Ok(())
    }

    /// Pushes by itself what came of a batch; applied on arrival.
    pub(super) fn push(&self, worker: &mut Worker, asked: &Asked, values: Vec<i64>, args: &[u8]) -> Result<Task> {
        Ok(worker.push(self.table, &asked.keys, values).args(args).immediate().submit()?)
    }

    /// Asks for the keys of some rows.
    pub(super) fn ask(&mut self, worker: &mut Worker, batch: u64, rows: Range<usize>) -> Result<Asked> {
        let mut ids = Vec::new();
        let Self { blocks, marks, .. } = self;
        for (block, _) in blocks.iter() {
            let begin = ids.len();
            for_each(block, &rows, |_, id, _| {
                if !std::mem::replace(&mut marks[id], true) {
                    ids.push(id as u32);
                }
            });
            ids[begin..].sort_unstable();
        }
        ids.iter().for_each(|&id| marks[id as usize] = false);
        if self.intercept {
            ids.push(self.keys.len() as u32);
        }
        let keys = self.key_list(&ids)?;
        let pull = worker.pull(self.table, &keys).submit()?;
        Ok(Asked { batch, rows, ids, keys, pull })
    }

    /// Waits for the weights of a batch; what else is to be remembered of each key's state.
    pub(super) fn take_weights(
        &mut self,
        worker: &mut Worker,
        asked: &Asked,
        remember: Option<fn(&R::State) -> f32>,
    ) -> Result<Vec<f32>> {
        let mut remembered = Vec::new();
        let pulled = worker.wait(asked.pull)?.pulled;
        self.rule.go_to(asked.batch);
        self.free.go_to(asked.batch);
        let states = states::<R>(pulled, asked.ids.len())?;
        for (&id, state) in asked.ids.iter().zip(states) {
            let rule = if id as usize == self.keys.len() { &self.free } else { &self.rule };
            self.weights[id as usize] = rule.weight(&state);
            remembered.extend(remember.map(|of| of(&state)));
        }
        Ok(remembered)
    }

    pub(super) fn add_margins(&self, rows: &Range<usize>, margins: &mut [i64]) {
        if self.intercept {
            margins.fill(fixed::margin(self.weights[self.keys.len()]));
        }
        for (block, _) in &self.blocks {
            for_each(block, rows, |row, id, x| margins[row] += fixed::margin(self.weights[id] * x));
        }
    }

    /// The sums of a batch's gradients by its keys.
    pub(super) fn sums(&mut self, asked: &Asked, gradients: &[i64]) -> Vec<i64> {
        self.add_gradients(&asked.rows, gradients);
        asked.ids.iter().map(|&id| std::mem::take(&mut self.sums[id as usize])).collect()
    }

    fn add_gradients(&mut self, rows: &Range<usize>, gradients: &[i64]) {
        let Self { blocks, sums, .. } = self;
        for (block, scale) in blocks.iter() {
            let valued = matches!(block.entries, Entries::Sparse { values: Some(_), .. });
            for_each(block, rows, |row, id, x| {
                let g = gradients[row];
                sums[id] += if valued { fixed::gradient_of_value(g, x, *scale) } else { g };
            });
        }
        if self.intercept {
            sums[self.keys.len()] += gradients.iter().sum::<i64>();
        }
    }

    /// As [`LocalTable::weights`](super::local::LocalTable::weights).
    pub fn weights(&mut self, worker: &mut Worker, batch: u64) -> Result<(Vec<f32>, f32)> {
        self.rule.go_to(batch);
        self.free.go_to(batch);
        let n = self.keys.len();
        let mut all = Vec::with_capacity(n);
        for begin in (0..n).step_by(CHUNK_KEYS) {
            let ids: Vec<u32> = (begin as u32..(begin + CHUNK_KEYS).min(n) as u32).collect();
            let pulled = worker.pull(self.table, &self.key_list(&ids)?).wait()?.pulled;
            all.extend(states::<R>(pulled, ids.len())?.map(|state| self.rule.weight(&state)));
        }
        if !self.intercept {
            return Ok((all, 0.0));
        }
        let pulled = worker.pull(self.table, &self.key_list(&[n as u32])?).wait()?.pulled;
        let intercept = states::<R>(pulled, 1)?.next().map_or(0.0, |state| self.free.weight(&state));
        Ok((all, intercept))
    }
}

/// Calls `visit(row in the range, index of the key, value)` for every entry of some rows.
#[inline]
pub(super) fn for_each(block: &ColumnBlock<'_>, rows: &Range<usize>, mut visit: impl FnMut(usize, usize, f32)) {
    let first = block.keys.start;
    match block.entries {
        Entries::Dense8(d) => one_hot(d[rows.clone()].iter().map(|&i| i as usize), first, visit),
        Entries::Dense16(d) => one_hot(d[rows.clone()].iter().map(|&i| i as usize), first, visit),
        Entries::Dense32(d) => one_hot(d[rows.clone()].iter().map(|&i| i as usize), first, visit),
        Entries::Sparse { rows: at, ids, values } => {
            let begin = at.partition_point(|&r| (r as usize) < rows.start);
            for e in (begin..at.len()).take_while(|&e| (at[e] as usize) < rows.end) {
                visit(at[e] as usize - rows.start, first + ids[e] as usize, values.map_or(1.0, |v| v[e]));
            }
        }
    }
}

fn one_hot(ids: impl Iterator<Item = usize>, first: usize, mut visit: impl FnMut(usize, usize, f32)) {
    ids.enumerate().filter(|(_, id)| *id > 0).for_each(|(row, id)| visit(row, first + id - 1, 1.0));
}

/// The states of an answer.
fn states<R: Rule>(pulled: Option<Values>, keys: usize) -> Result<impl Iterator<Item = R::State>> {
    let width = R::State::default().as_ref().len();
    match pulled {
        Some(Values::F32(numbers)) if numbers.len() == keys * width => Ok((0..keys).map(move |i| {
            let mut state = R::State::default();
            state.as_mut().copy_from_slice(&numbers[i * width..(i + 1) * width]);
            state
        })),
        other => {
            let got = other.map_or("none".into(), |v| format!("{} {}", v.len(), v.dtype()));
            Err(TrainError::Answer { op: R::NAME, expected: format!("{} f32", keys * width), got })
        }
    }
}
