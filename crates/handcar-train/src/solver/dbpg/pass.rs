//! A pass over all blocks, and what happens between passes.

use super::answer::Answer;
use super::field_shift::field_shift;
use super::momentum::extrapolate;
use super::request::{Bound, Function, Request};
use super::shift::best_shifts;
use super::updater::shift;
use super::{Dbpg, PassEnd, RELAX, Settings};
use crate::error::{Result, TrainError};
use crate::penalty::Bounds;
use crate::solver::batch::{Curvature, key_list, merge, on_shards};
use handcar_base::{ExactSum, Rng};
use handcar_ps::{Outcome, Task, Values};
use std::collections::VecDeque;

/// Blocks with more keys take no part in the shared-direction step: many of their weights are zero, which hold them.
const SHIFT_KEYS_MAX: usize = 4096;

impl Dbpg<'_> {
    /// One pass over all blocks. `progress` hears the share done.
    pub fn pass(&mut self, pass: u64, progress: &mut dyn FnMut(f64)) -> Result<PassEnd> {
        let order = self.order(pass);
        let slack = self.slack(pass);
        self.violation = 0.0;
        let mut under_way: VecDeque<(usize, Task)> = VecDeque::new();
        for (done, &block) in order.iter().enumerate() {
            // A block is finished only when margins show it, so the delay bound holds for margins too.
            while under_way.len() > self.settings.delay as usize {
                self.finish_oldest(&mut under_way)?;
            }
            if block < self.groups.len() {
                self.step_field(block, slack)?;
            } else if let Some(task) = self.start(block, slack)? {
                under_way.push_back((block, task));
            }
            progress((done + 1) as f64 / order.len() as f64);
        }
        while !under_way.is_empty() {
            self.finish_oldest(&mut under_way)?;
        }
        let loss = self.loss()?;
        self.shift_along_shared_direction()?;
        self.end(loss)
    }

    /// The objective of the weights as they are, once margins show all of them.
    pub fn evaluate(&mut self) -> Result<PassEnd> {
        let loss = self.loss()?;
        self.end(loss)
    }

    pub(super) fn end(&mut self, loss: f64) -> Result<PassEnd> {
        let penalty = self.call(Function::Penalty)?;
        Ok(PassEnd {
            objective: self.objective(loss, &penalty),
            loss,
            nonzeros: penalty.nonzeros,
            active: if self.groups.is_empty() { penalty.active } else { self.active_here() },
            violation: self.violation,
        })
    }

    fn objective(&self, loss: f64, penalty: &Answer) -> f64 {
        let p = self.settings.penalty;
        let elastic = loss + p.l1 * penalty.absolute.value() + 0.5 * p.l2 * penalty.squares.value();
        if self.groups.is_empty() { elastic } else { elastic + self.field_norms() }
    }

    /// Extrapolates all weights, on the servers and here; margins follow with the next pass.
    pub fn extrapolate(&mut self, beta: f64) -> Result<()> {
        self.call(Function::Extrapolate { beta })?;
        for (i, (block, state)) in self.blocks.iter().zip(&mut self.states).enumerate() {
            let bounds = (!block.is_intercept()).then_some(self.settings.penalty.bounds);
            let waits = self.pending.contains(&i);
            let change = state.change.of_keys(block);
            if !waits {
                change.fill(0.0);
            }
            let mut moved = false;
            for (k, c) in change.iter_mut().enumerate() {
                let w = state.weights[k];
                let next = extrapolate(w, state.before[k], beta, bounds);
                *c += next as f64 - w as f64;
                moved |= next != w;
                state.before[k] = w;
                state.weights[k] = next;
            }
            if moved && !waits {
                self.pending.push(i);
            }
        }
        Ok(())
    }

    /// Small blocks first in the first pass (they carry most of the level), then random.
    fn order(&self, pass: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.blocks.len()).collect();
        order.sort_by_key(|&b| self.blocks[b].keys.len());
        if pass > 0 {
            Rng::new(self.settings.seed, pass).shuffle(&mut order);
        }
        order
    }

    /// How far below `l1` a gradient must be for a zero weight to stay at home: `10·V/n` after the first pass (Li et al.,
    /// NIPS 2014), where `V` is the largest violation of the last pass.
    pub(crate) fn slack(&self, pass: u64) -> f64 {
        match self.settings.filter && pass > 0 {
            true => 10.0 * self.violation / self.rows_total as f64,
            false => -1.0,
        }
    }

    /// Sums a block over this worker's rows and pushes; nothing to do when no key is active.
    fn start(&mut self, at: usize, slack: f64) -> Result<Option<Task>> {
        self.renew_active(at)?;
        self.step_keys.0 += self.states[at].all.len() as u64;
        self.step_keys.1 += self.states[at].places.len() as u64;
        if self.states[at].places.is_empty() {
            return Ok(None);
        }
        let one_hot = self.blocks[at].columns.one_hot();
        let (bound, curvature, relax) = match (self.settings.delay, one_hot) {
            (0, true) => (Bound::OneHot, Curvature::None, RELAX),
            (0, false) => (Bound::Within(self.states[at].trust), Curvature::Within(self.states[at].trust), RELAX),
            _ => (Bound::Always, Curvature::None, 1.0),
        };
        self.sweep(at, curvature);
        let state = &mut self.states[at];
        let sums = self.shards[0].sums(&self.blocks[at]);
        let mut push = std::mem::take(&mut state.pushed);
        push.clear();
        push.extend(state.places.iter().flat_map(|&p| sums[p as usize]));
        if bound == Bound::Always {
            // The curvature does not travel: zeros shrink to nothing on the wire.
            push.chunks_exact_mut(2).for_each(|p| p[1] = 0);
        }
        let pull = std::mem::take(&mut state.pulled);
        let keys = state.active.clone();
        let scales = self.scales(at);
        let request =
            Request::Step { gradient_scale: scales.gradient, curvature_scale: scales.curvature, bound, relax, slack };
        let transfer = self.worker.push_pull(self.table, &keys, push).args(&request.to_bytes()).into_buffer(pull);
        Ok(Some(transfer.submit()?))
    }

    /// Adds pending changes to the margins and sums a block's statistics into the first thread's table.
    pub(super) fn sweep(&mut self, at: usize, curvature: Curvature) {
        let Self { pool, shards, data, blocks, states, pending, .. } = self;
        let changes: Vec<_> = pending.drain(..).map(|i| (&blocks[i], &states[i].change)).collect();
        let block = &blocks[at];
        on_shards(pool, shards, |s| s.sweep(data, &changes, block, curvature));
        merge(shards, block);
    }

    fn finish_oldest(&mut self, under_way: &mut VecDeque<(usize, Task)>) -> Result<()> {
        let Some((at, task)) = under_way.pop_front() else { return Ok(()) };
        let outcome = self.worker.wait(task)?;
        let answer = answer(&outcome)?;
        self.violation = self.violation.max(answer.violation);
        let most = self.take_weights(at, outcome, false)?;
        self.states[at].trust = (2.0 * most + 0.1).min(5.0);
        self.pending.push(at);
        Ok(())
    }

    /// Takes over pulled weights and marks of the active keys (or of all); returns the largest move.
    pub(super) fn take_weights(&mut self, at: usize, mut outcome: Outcome, all: bool) -> Result<f64> {
        let (block, state) = (&self.blocks[at], &mut self.states[at]);
        let expected = 2 * if all { state.weights.len() } else { state.places.len() };
        let spent = outcome.spent.take();
        let pulled = pulled(outcome, expected)?;
        let change = state.change.of_keys(block);
        change.fill(0.0);
        let mut most = 0.0f64;
        for (i, pair) in pulled.chunks_exact(2).enumerate() {
            let place = if all { i } else { state.places[i] as usize };
            let moved = pair[0] as f64 - state.weights[place] as f64;
            change[place] = moved;
            most = most.max(moved.abs());
            state.weights[place] = pair[0];
            state.marks[place] = pair[1] != 0.0;
        }
        state.pulled = pulled;
        if let Some(Values::I64(v)) = spent {
            state.pushed = v;
        }
        Ok(most)
    }

    /// Makes the list of a block's active keys follow the marks.
    pub(super) fn renew_active(&mut self, at: usize) -> Result<()> {
        let (block, state) = (&self.blocks[at], &mut self.states[at]);
        let now = state.marks.iter().filter(|&&m| m).count();
        if now == state.places.len() && state.places.iter().all(|&p| state.marks[p as usize]) {
            return Ok(());
        }
        state.places = (0..state.marks.len() as u32).filter(|&p| state.marks[p as usize]).collect();
        state.active = if now == state.marks.len() {
            state.all.clone()
        } else {
            key_list(state.places.iter().map(|&p| block.keys[p as usize]).collect())?
        };
        Ok(())
    }

    /// Adds pending changes to the margins.
    pub(super) fn settle(&mut self) {
        let Self { pool, shards, blocks, states, pending, .. } = self;
        let changes: Vec<_> = pending.drain(..).map(|i| (&blocks[i], &states[i].change)).collect();
        on_shards(pool, shards, |s| s.add_changes(&changes));
    }

    /// The loss over the rows of all workers.
    pub(super) fn loss(&mut self) -> Result<f64> {
        let Self { pool, shards, data, blocks, states, pending, .. } = self;
        let changes: Vec<_> = pending.drain(..).map(|i| (&blocks[i], &states[i].change)).collect();
        let sums = std::sync::Mutex::new(ExactSum::new());
        on_shards(pool, shards, |s| {
            s.add_changes(&changes);
            let loss = s.loss(data);
            sums.lock().unwrap_or_else(|e| e.into_inner()).merge(&loss);
        });
        let mine = sums.into_inner().unwrap_or_else(|e| e.into_inner());
        Ok(ExactSum::from_words(&self.worker.reduce(&mine.to_words())?).value())
    }

    fn shift_along_shared_direction(&mut self) -> Result<()> {
        let Settings { penalty, intercept, .. } = self.settings;
        let nothing = if self.groups.is_empty() { penalty.is_free() } else { !intercept };
        if nothing {
            return Ok(());
        }
        // Where no L1 holds a field's zeros, many weights are shifted as well as few.
        let held = self.groups.is_empty() || penalty.l1 > 0.0;
        let may = |b: &usize| self.blocks[*b].complete && !(held && self.blocks[*b].keys.len() > SHIFT_KEYS_MAX);
        let mut parts: Vec<usize> = (0..self.blocks.len()).filter(may).collect();
        let views: Vec<&[f32]> = parts.iter().map(|&b| &self.states[b].weights[..]).collect();
        let (mut by, taken) = if self.groups.is_empty() {
            best_shifts(&views, intercept, penalty)
        } else {
            let of_field = |(&b, w): (&usize, &&[f32])| field_shift(w, self.groups[b].penalty);
            let by: Vec<f32> = parts.iter().zip(&views).map(of_field).collect();
            let taken = -by.iter().sum::<f32>();
            (by, taken)
        };
        if intercept {
            parts.push(self.blocks.len() - 1);
            by.push(taken);
        }
        let mut ranges = Vec::new();
        for (&at, &by) in parts.iter().zip(&by).filter(|(_, by)| **by != 0.0) {
            let (block, state) = (&self.blocks[at], &mut self.states[at]);
            let bounds = if block.is_intercept() { Bounds::NONE } else { self.settings.penalty.bounds };
            ranges.push((block.keys[0], block.keys[block.keys.len() - 1], by));
            for (k, change) in state.change.of_keys(block).iter_mut().enumerate() {
                let w = state.weights[k];
                shift(&mut state.weights[k], &mut state.before[k], &mut state.marks[k], by, bounds);
                *change = state.weights[k] as f64 - w as f64;
            }
            self.pending.push(at);
        }
        if !ranges.is_empty() {
            self.call(Function::Shift { ranges })?;
        }
        Ok(())
    }

    fn call(&mut self, function: Function) -> Result<Answer> {
        let notes = self.worker.call(self.table, &function.to_bytes())?;
        Answer::join(&notes).ok_or_else(|| strange(&notes))
    }
}

pub(super) fn answer(outcome: &Outcome) -> Result<Answer> {
    Answer::join(&outcome.notes).ok_or_else(|| strange(&outcome.notes))
}

/// The pulled values, as many as asked for.
pub(super) fn pulled(outcome: Outcome, expected: usize) -> Result<Vec<f32>> {
    match outcome.pulled {
        Some(Values::F32(v)) if v.len() == expected => Ok(v),
        other => Err(TrainError::Answer {
            op: "dbpg",
            expected: format!("{expected} f32 values"),
            got: other.map_or("none".into(), |v| format!("{} {}", v.len(), v.dtype())),
        }),
    }
}

fn strange(notes: &[Vec<u8>]) -> TrainError {
    let got = format!("{:?} bytes", notes.iter().map(Vec::len).collect::<Vec<_>>());
    TrainError::Answer { op: "dbpg", expected: "measurements from every server".into(), got }
}
