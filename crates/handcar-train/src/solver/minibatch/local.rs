//! The table in this process: threads own its parts and go through the batches in step, without copies or messages.

use super::part::{Exponents, Part, exponent};
use super::resume::{OptimizerState, Words};
use super::rows::RowView;
use super::rule::{Rates, Rule};
use super::slot::{add_four, add_one};
use super::team::Meeting;
use super::{Hear, Seen, Settings};
use crate::error::{Result, TrainError};
use crate::loss::Loss;
use crate::penalty::ElasticNet;
use handcar_base::Key;
use handcar_data::{ColumnBlock, Dataset, Entries};
use std::ops::Range;

/// A table in this process.
pub(super) struct LocalTable<'a, R: Rule> {
    /// Parts by the thread that owns them.
    members: Vec<Vec<Part<'a, R>>>,
    keys: usize,
}

impl<'a, R: Rule> LocalTable<'a, R> {
    /// Places the keys of the data on `threads` threads. `start`: the weight of a key of the data, and the intercept's.
    pub fn new(
        data: &'a Dataset,
        settings: &Settings,
        rates: Rates,
        weight_exponent: i32,
        start: (&dyn Fn(usize) -> f32, f32),
    ) -> Result<Self> {
        let threads = settings.threads.max(1);
        let (rule, slope) = (R::new(rates), settings.size(data.labels()).slope);
        let mut parts: Vec<(f64, Part<'a, R>)> = Vec::new();
        for block in data.blocks() {
            let values = match block.entries {
                Entries::Sparse { values: Some(v), .. } => exponent(v),
                _ => 0,
            };
            for (cost, ids) in shares(&block, threads) {
                let exponents = Exponents { slope, values, weights: weight_exponent };
                parts.push((cost, Part::of_block(&block, ids, rule.clone(), exponents, start.0)?));
            }
        }
        if settings.intercept {
            let free = R::new(Rates { penalty: ElasticNet::NONE, ..rates });
            parts.push((
                0.2 * data.rows() as f64,
                Part::intercept(free, Exponents { slope, values: 0, weights: weight_exponent }, start.1),
            ));
        }
        // The costliest first, each to the thread with the least so far.
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut members: Vec<(f64, Vec<Part<'a, R>>)> = (0..threads).map(|_| (0.0, Vec::new())).collect();
        for (cost, part) in parts {
            let least = members.iter_mut().min_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((load, parts)) = least {
                *load += cost;
                parts.push(part);
            }
        }
        // A thread that owns nothing has nothing to do.
        members.retain(|m| !m.1.is_empty());
        if members.is_empty() {
            members.push((0.0, Vec::new()));
        }
        Ok(Self { members: members.into_iter().map(|m| m.1).collect(), keys: data.keys().len() })
    }

    /// Learns from all rows, batch by batch, the first of which is number `batch` of the job. `hear` is told of each batch
    /// before it is learned from, and may end the pass after it; whether it did.
    ///
    /// # Errors
    /// [`TrainError::Option`] if the system has no threads to give.
    pub fn pass<L: Loss>(
        &mut self,
        loss: L,
        rows: &RowView<'_>,
        batch: u64,
        batch_rows: usize,
        hear: &mut Hear<'_>,
    ) -> Result<bool> {
        let total = rows.labels.len();
        let meeting = Meeting::new(self.members.len(), batch_rows);
        let members = self.members.len();
        let mut stopped = false;
        std::thread::scope(|scope| {
            // Before any other: if not all can be started, those that were are told.
            let here = meeting.present();
            let (first, others) = self.members.split_at_mut(1);
            for (i, parts) in others.iter_mut().enumerate() {
                let meeting = &meeting;
                let work = move || {
                    let _here = meeting.present();
                    let mut member = Member::new(i + 1, parts, meeting, batch_rows, total);
                    for (at, of) in batches(total, batch_rows, batch) {
                        if !member.margins(at, &of) {
                            break;
                        }
                        member.learn(loss, rows, &of, None);
                    }
                };
                if let Err(e) = std::thread::Builder::new().spawn_scoped(scope, work) {
                    here.give_up();
                    let (expected, got) = ("that the system grants", format!("{members} ({e})"));
                    return Err(TrainError::Option { what: "threads", expected, got });
                }
            }
            let mut lead = Member::new(0, &mut first[0], &meeting, batch_rows, total);
            let mut losses = vec![0; batch_rows];
            for (at, of) in batches(total, batch_rows, batch) {
                if !lead.margins(at, &of) {
                    break;
                }
                let losses = &mut losses[..of.len()];
                lead.learn(loss, rows, &of, Some(losses));
                let seen = Seen { rows: of.clone(), margins: &lead.sums[..of.len()], losses, weights: None };
                if !stopped && hear(&seen) {
                    meeting.stop_at(at + 1);
                    stopped = true;
                }
            }
            Ok(stopped)
        })
    }

    /// All parts.
    pub fn parts(&mut self) -> impl Iterator<Item = &mut Part<'a, R>> {
        self.members.iter_mut().flatten()
    }

    /// Goes on from a state. `keys`: those of the data.
    pub fn restore(&mut self, state: &OptimizerState, keys: &[Key]) {
        for part in self.parts() {
            part.restore(state.since(), &|key| match key {
                Some(i) => state.of_key::<R>(keys[i]),
                None => state.of_intercept::<R>(),
            });
        }
    }

    /// What the rule keeps for all keys of the data, and for the intercept.
    pub fn words(&mut self) -> Words {
        let width = R::State::default().as_ref().len();
        let (mut of_keys, mut free) = (vec![0.0; self.keys * width], Vec::new());
        for part in self.parts() {
            let words = part.states().flat_map(|state| state.as_ref().to_vec());
            match part.is_intercept() {
                true => free = words.collect(),
                false => {
                    let range = part.keys.start * width..part.keys.end * width;
                    of_keys[range].iter_mut().zip(words).for_each(|(to, w)| *to = w);
                }
            }
        }
        Words { of_keys, free }
    }

    /// The weights of all keys of the data as batch `batch` finds them, and the intercept.
    pub fn weights(&mut self, batch: u64) -> (Vec<f32>, f32) {
        let (mut all, mut intercept) = (vec![0.0; self.keys], 0.0);
        for part in self.members.iter_mut().flatten() {
            part.go_to(batch, &(0..0));
            match part.is_intercept() {
                true => intercept = part.weights().next().unwrap_or(0.0),
                false => {
                    let keys = part.keys.clone();
                    all[keys].iter_mut().zip(part.weights()).for_each(|(to, w)| *to = w);
                }
            }
        }
        (all, intercept)
    }
}

/// Number and rows of each batch of a pass.
pub(super) fn batches(rows: usize, batch_rows: usize, first: u64) -> impl Iterator<Item = (u64, Range<usize>)> {
    (0..rows.div_ceil(batch_rows)).map(move |i| (first + i as u64, i * batch_rows..((i + 1) * batch_rows).min(rows)))
}

/// How a block's keys are shared out, and what a pass over each share costs, about: a dense block is one share, a sparse
/// one has a share for each thread with about as many entries.
pub(super) fn shares(block: &ColumnBlock<'_>, threads: usize) -> Vec<(f64, Range<usize>)> {
    let keys = block.keys.len();
    match block.entries {
        Entries::Dense8(d) => vec![(d.len() as f64, 0..keys)],
        Entries::Dense16(d) => vec![(d.len() as f64 * if keys > 1 << 12 { 2.0 } else { 1.3 }, 0..keys)],
        Entries::Dense32(d) => vec![(d.len() as f64 * 3.0, 0..keys)],
        Entries::Sparse { ids, .. } if threads == 1 => vec![(ids.len() as f64, 0..keys)],
        Entries::Sparse { ids, .. } => {
            let mut counts = vec![0u32; keys];
            ids.iter().for_each(|&id| counts[id as usize] += 1);
            let (mut out, mut begin, mut sum) = (Vec::new(), 0, 0u64);
            for (id, &n) in counts.iter().enumerate() {
                sum += n as u64;
                if sum as f64 >= ids.len() as f64 * (out.len() + 1) as f64 / threads as f64 || id + 1 == keys {
                    out.push((ids.len() as f64 / threads as f64, begin..id + 1));
                    begin = id + 1;
                }
            }
            out
        }
    }
}

/// A thread of the team and what it owns.
struct Member<'m, 'a, R: Rule> {
    number: usize,
    parts: &'m mut [Part<'a, R>],
    meeting: &'m Meeting,
    /// Margins of the batch's rows, all parts.
    sums: Vec<i64>,
    gradients: Vec<i64>,
    /// How many of the parts are small; they come first.
    small: usize,
    ahead: Ahead,
    /// Rows of the data.
    total: usize,
}

/// What is asked for while other things are computed: the slots that the next batch will look up in large tables.
struct Ahead {
    /// Which of the parts that are not small have large tables.
    large: Vec<usize>,
    rows: Range<usize>,
    /// Slots asked for, of all rows of the first large table, then of the second, ...
    asked: usize,
    /// Slots to ask for after each part.
    stride: usize,
    parts: usize,
}

impl Ahead {
    fn begin(&mut self, now: &Range<usize>, total: usize) {
        self.rows = now.end..(now.end + now.len()).min(total);
        self.asked = 0;
        // Each part is gone through twice, for margins and to learn.
        self.stride = (self.large.len() * self.rows.len()).div_ceil(2 * self.parts.max(1));
    }

    /// Asks for as many as `parts` parts' work hides.
    fn go_on<R: Rule>(&mut self, others: &[Part<'_, R>], parts: usize) {
        let (n, mut left) = (self.rows.len(), parts * self.stride);
        while left > 0 && self.asked < n * self.large.len() {
            let first = self.asked % n;
            let count = left.min(n - first);
            let part = &others[self.large[self.asked / n]];
            part.prefetch(self.rows.start + first..self.rows.start + first + count);
            self.asked += count;
            left -= count;
        }
    }
}

impl<'m, 'a, R: Rule> Member<'m, 'a, R> {
    fn new(number: usize, parts: &'m mut [Part<'a, R>], meeting: &'m Meeting, batch_rows: usize, total: usize) -> Self {
        parts.sort_by_key(|part| !part.is_small());
        let small = parts.iter().filter(|part| part.is_small()).count();
        let large = (0..parts.len() - small).filter(|&i| parts[small + i].is_large()).collect();
        let ahead = Ahead { large, rows: 0..0, asked: 0, stride: 0, parts: parts.len() };
        Self { number, parts, meeting, sums: vec![0; batch_rows], gradients: vec![0; batch_rows], small, ahead, total }
    }

    /// Brings about the margins of a batch, together with the others; whether the pass goes on.
    fn margins(&mut self, batch: u64, rows: &Range<usize>) -> bool {
        let Self { number, parts, small, meeting, sums, ahead, .. } = self;
        ahead.begin(rows, self.total);
        meeting.write(*number, batch, |margins| {
            let margins = &mut margins[..rows.len()];
            margins.fill(0);
            parts.iter_mut().for_each(|part| part.go_to(batch, rows));
            let (small, others) = parts.split_at_mut(*small);
            let mut quads = small.chunks_exact_mut(4);
            for quad in &mut quads {
                let mut columns = quad.iter_mut().map(|part| part.small(rows));
                if let [Some(a), Some(b), Some(c), Some(d)] = std::array::from_fn(|_| columns.next().flatten()) {
                    add_four([a, b, c, d], margins);
                }
                ahead.go_on(others, 4);
            }
            for column in quads.into_remainder().iter_mut().filter_map(|part| part.small(rows)) {
                add_one(column, margins);
                ahead.go_on(others, 1);
            }
            for i in 0..others.len() {
                others[i].add_margins(rows, margins);
                ahead.go_on(others, 1);
            }
        });
        let goes_on = meeting.wait(batch);
        if goes_on {
            meeting.sum(batch, &mut sums[..rows.len()]);
        }
        goes_on
    }

    /// Updates what this thread owns. Every thread computes the rows' gradients itself: that is less than another meeting.
    fn learn<L: Loss>(&mut self, loss: L, view: &RowView<'_>, rows: &Range<usize>, losses: Option<&mut [i64]>) {
        let gradients = &mut self.gradients[..rows.len()];
        view.gradients(loss, rows, &self.sums[..rows.len()], gradients, losses);
        for i in 0..self.parts.len() {
            self.parts[i].learn(rows, gradients);
            self.ahead.go_on(&self.parts[self.small..], 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Inner;
    use super::super::rule::Ftrl;
    use super::*;
    use crate::loss::{Logistic, LossKind};
    use crate::solver::Solver;
    use handcar_base::{Rng, Seed};
    use handcar_ps::filter::TableFilters;

    fn settings(penalty: ElasticNet, batch_rows: usize, threads: usize) -> Settings {
        Settings {
            solver: Solver::Ftrl,
            loss: LossKind::Logistic,
            penalty,
            intercept: true,
            alpha: 0.1,
            beta: 1.0,
            batch_rows,
            threads,
            hogwild: false,
            delay: 0,
            slow: 1.0,
            filters: TableFilters::default(),
            inner: Inner::default(),
            resumed: false,
            rows_total: None,
            stage: 0,
        }
    }

    /// Weights after a pass on some threads.
    fn learnt(data: &Dataset, threads: usize) -> (Vec<f32>, f32) {
        let penalty = ElasticNet::new(0.5, 0.1);
        let settings = settings(penalty, 32, threads);
        let rates = Rates {
            alpha: 0.1,
            beta: 1.0,
            penalty,
            batch_rows: 32,
            batches: data.rows().div_ceil(32) as u64,
            workers: 1,
        };
        let mut table = LocalTable::<Ftrl>::new(data, &settings, rates, 0, (&|_| 0.0, 0.0)).unwrap();
        let view = RowView { labels: data.labels(), weights: &[], size: LossKind::Logistic.size(0) };
        assert!(!table.pass(Logistic, &view, 0, 32, &mut |_| false).unwrap());
        table.weights(rates.batches)
    }

    #[test]
    fn more_threads_than_cores_or_columns_change_no_bit() {
        let mut r = Rng::new(Seed(3), 0);
        for valued in [false, true] {
            let (mut offsets, mut ids, mut values) = (vec![0u64], Vec::new(), Vec::new());
            for _ in 0..300 {
                for id in (0..60u32).filter(|_| r.below(6) == 0).collect::<Vec<_>>() {
                    ids.push(id);
                    values.push((r.uniform() * 4.0 - 2.0) as f32);
                }
                offsets.push(ids.len() as u64);
            }
            let labels: Vec<f32> = (0..300).map(|_| if r.below(2) == 0 { 1.0 } else { -1.0 }).collect();
            let data = Dataset::from_csr(&labels, &offsets, &ids, valued.then_some(&values[..]), None).unwrap();
            let one = learnt(&data, 1);
            for threads in [2, 3, 5, 100] {
                assert_eq!(one, learnt(&data, threads), "{threads}");
            }
        }
    }

    #[test]
    fn a_pass_ends_where_it_is_told_to() {
        let labels = [1.0; 200];
        let data = Dataset::from_csr(&labels, &(0..=200).collect::<Vec<u64>>(), &[7u32; 200], None, None).unwrap();
        let penalty = ElasticNet::NONE;
        let rates = Rates { alpha: 0.1, beta: 1.0, penalty, batch_rows: 10, batches: 20, workers: 1 };
        let settings = settings(penalty, 10, 2);
        let mut table = LocalTable::<Ftrl>::new(&data, &settings, rates, 0, (&|_| 0.0, 0.0)).unwrap();
        let view = RowView { labels: data.labels(), weights: &[], size: LossKind::Logistic.size(0) };
        let mut batches = 0;
        let stopped = table.pass(Logistic, &view, 0, 10, &mut |_| {
            batches += 1;
            batches == 7
        });
        let stopped = stopped.unwrap();
        assert!(stopped && batches == 7);
    }
}
