//! Trials of weights: what the objective is there.

use super::note::TrialNote;
use super::request::Function;
use super::{Lbfgs, Point, rows};
use crate::error::{Result, TrainError};
use crate::solver::batch::on_shards;
use handcar_base::ExactSum;
use handcar_ps::{Outcome, Values};
use std::sync::Mutex;

/// What a trial found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub point: Point,
    /// What the pseudo-gradient promises of the move.
    pub slope: f64,
    /// The largest move of a weight over its scale.
    pub reach: f64,
}

impl Lbfgs<'_> {
    /// Moves weights on trial and margins, from where the weights are, and measures the objective.
    pub(super) fn attempt(&mut self, function: &Function) -> Result<Trial> {
        let notes = self.worker.call(self.table, &function.to_bytes())?;
        let note = TrialNote::join(&notes, 1)?;
        self.pull()?;
        let loss = self.loss()?;
        let [absolute, squares, slope] = note.sums();
        let p = self.settings.penalty;
        let point =
            Point { objective: loss + p.l1 * absolute + 0.5 * p.l2 * squares, loss, nonzeros: note.counts[0] as u64 };
        Ok(Trial { point, slope, reach: note.maxima[0] })
    }

    /// Pulls the weights on trial, and finds how they differ from those that count.
    fn pull(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.trial);
        let outcome = self.worker.pull(self.table, &self.keys).into_buffer(buffer).wait()?;
        self.trial = pulled(outcome, self.keys.len())?;
        for (state, block) in self.states.iter_mut().zip(&self.problem.blocks) {
            let change = state.change.of_keys(block);
            let places = state.places.clone();
            for ((c, t), w) in change.iter_mut().zip(&self.trial[places.clone()]).zip(&self.weights[places]) {
                *c = t - w;
            }
        }
        Ok(())
    }

    /// The loss at the weights on trial, over the rows of all workers; margins are theirs afterwards.
    fn loss(&mut self) -> Result<f64> {
        let Self { problem, states, before, settings, .. } = self;
        let (data, blocks, before) = (&problem.data, &problem.blocks, &*before);
        let moves = |c: &[f64]| c.iter().any(|c| *c != 0.0);
        let changes: Vec<_> = blocks
            .iter()
            .zip(states.iter_mut())
            .filter_map(|(b, s)| moves(s.change.of_keys(b)).then_some((b, &s.change)))
            .collect();
        let sum = Mutex::new(ExactSum::new());
        on_shards(&problem.pool, &mut problem.shards, |s| {
            s.margins.copy_from_slice(&before[s.thread]);
            s.add_changes(&changes);
            let loss = rows::loss(settings.loss, data, s.rows.clone(), &s.margins);
            sum.lock().unwrap_or_else(|e| e.into_inner()).merge(&loss);
        });
        self.over_workers(sum)
    }

    /// The objective and its slope where a line passes that begins at the weights and reaches those on trial at 1. No
    /// orthant may bend it. `line`: what half of `l2` weighs of it at a given length, and the slope of that.
    pub(super) fn along(&mut self, a: f64, line: impl Fn(f64) -> [f64; 2]) -> Result<[f64; 2]> {
        let Self { problem, before, settings, .. } = self;
        let (data, before) = (&problem.data, &*before);
        let sums = Mutex::new([ExactSum::new(), ExactSum::new()]);
        on_shards(&problem.pool, &mut problem.shards, |s| {
            let found = rows::along(settings.loss, data, s.rows.clone(), (&before[s.thread], &s.margins, a));
            let mut sums = sums.lock().unwrap_or_else(|e| e.into_inner());
            sums.iter_mut().zip(&found).for_each(|(a, b)| a.merge(b));
        });
        let [loss, slope] = sums.into_inner().unwrap_or_else(|e| e.into_inner()).map(Mutex::new);
        let penalty = line(a);
        Ok([self.over_workers(loss)? + penalty[0], self.over_workers(slope)? + penalty[1]])
    }

    fn over_workers(&mut self, sum: Mutex<ExactSum>) -> Result<f64> {
        let mine = sum.into_inner().unwrap_or_else(|e| e.into_inner());
        Ok(ExactSum::from_words(&self.worker.reduce(&mine.to_words())?).value())
    }

    /// Makes the weights on trial, which margins show, those that the next trial goes from.
    pub(super) fn accept(&mut self) {
        self.weights.copy_from_slice(&self.trial);
        for (before, shard) in self.before.iter_mut().zip(&self.problem.shards) {
            before.copy_from_slice(&shard.margins);
        }
    }
}

/// The pulled values, as many as asked for.
fn pulled(outcome: Outcome, expected: usize) -> Result<Vec<f64>> {
    match outcome.pulled {
        Some(Values::F64(v)) if v.len() == expected => Ok(v),
        other => Err(TrainError::Answer {
            op: "lbfgs",
            expected: format!("{expected} f64 values"),
            got: other.map_or("none".into(), |v| format!("{} {}", v.len(), v.dtype())),
        }),
    }
}
