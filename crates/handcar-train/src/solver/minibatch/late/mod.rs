//! Workers that do not wait for each other: each takes the next batch that is free, pulls its keys, and pushes gradients that are applied
//! on arrival.
//!
//! How late a gradient is, is counted and not assumed. Before each push a worker takes a number from a counter on the servers
//! (`turns.rs`): push `t`. With it comes the clock for the batch that the worker asks for next, right behind the push. When that batch is
//! pushed as number `t'`, there were `t' - 1 - t` pushes in between. Pushes that are under way at the time may be seen earlier or later than
//! their number says; there are no more of them than workers and batches ahead.
//!
//! A slow worker takes fewer batches, and its gradients are later than others'. One worker alone gives equal bits
//! each time.

mod counter;
mod turns;
mod updater;

pub(super) use updater::register;

use super::local::batches;
use super::remote::RemoteTable;
use super::rows::RowView;
use super::rule::{Late, Lateness, Rates};
use super::{Seen, Settings, slow};
use crate::error::Result;
use crate::loss::Loss;
use handcar_data::Dataset;
use handcar_ps::{Policy, Task, Worker};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;
use turns::Turns;
use updater::{Request, name};

/// A table on servers to which workers push without waiting for each other.
pub(super) struct LateTable<'a, R: Late> {
    table: RemoteTable<'a, R>,
    turns: Turns,
    /// Batches that a worker may have under way when it begins one.
    delay: usize,
    slow: f64,
}

impl<'a, R: Late> LateTable<'a, R> {
    /// Makes the tables and gives keys their first weights. Collective.
    pub fn new(
        worker: &mut Worker,
        data: &'a Dataset,
        settings: &Settings,
        rates: Rates,
        weight_exponent: i32,
        start: (&dyn Fn(usize) -> f32, f32),
    ) -> Result<Self> {
        // What is under way is bounded below, batch by batch.
        worker.set_policy(Policy::Eventual);
        let width = 1 + R::REMEMBERS as usize;
        let updater = (name::<R>(), width);
        let table = RemoteTable::with_updater(worker, data, settings, rates, weight_exponent, start, updater)?;
        let turns = Turns::new(worker, settings.stage)?;
        Ok(Self { table, turns, delay: settings.delay as usize, slow: settings.slow })
    }

    /// Learns from all rows together with the other workers; `hear` is told of the batches that this one took, and if it ends the pass it
    /// does so for all.
    pub fn pass<L: Loss>(
        &mut self,
        worker: &mut Worker,
        loss: L,
        view: &RowView<'_>,
        batch_rows: usize,
        hear: &mut dyn FnMut(&mut Worker, &Seen<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let all: Vec<(u64, Range<usize>)> = batches(view.labels.len(), batch_rows, 0).collect();
        let ahead = self.delay as u64 + 1;
        let first = self.turns.begin(worker, ahead)?;
        let mut asked = VecDeque::new();
        for batch in first.batch + 1 - ahead..=first.batch {
            if let Some((_, rows)) = all.get(batch as usize) {
                asked.push_back((first.clock, self.table.ask(worker, first.clock, rows.clone())?));
            }
        }
        let mut pushed: VecDeque<Task> = VecDeque::new();
        let (mut margins, mut gradients, mut losses) = (Vec::new(), Vec::new(), Vec::new());
        let (mut stopped, mut began) = (false, Instant::now());
        while let Some((pulled, now)) = asked.pop_front() {
            let remembered = self.table.take_weights(worker, &now, R::REMEMBERS.then_some(R::remembered))?;
            for buffer in [&mut margins, &mut gradients, &mut losses] {
                buffer.clear();
                buffer.resize(now.rows.len(), 0);
            }
            self.table.add_margins(&now.rows, &mut margins);
            view.gradients(loss, &now.rows, &margins, &mut gradients, Some(&mut losses));
            let sums = self.table.sums(&now, &gradients);
            slow::down(self.slow, began);
            began = Instant::now();
            let turn = self.turns.next(worker)?;
            let late = Lateness { push: turn.clock, delay: turn.clock - 1 - pulled };
            let values: Vec<i64> = match R::REMEMBERS {
                true => sums.iter().zip(&remembered).flat_map(|(&g, then)| [g, then.to_bits() as i64]).collect(),
                false => sums,
            };
            pushed.push_back(self.table.push(worker, &now, values, &Request::Learn(late).to_bytes())?);
            if pushed.len() > self.delay + 1
                && let Some(task) = pushed.pop_front()
            {
                worker.wait(task)?;
            }
            if let Some((_, rows)) = all.get(turn.batch as usize).filter(|_| !stopped) {
                asked.push_back((turn.clock, self.table.ask(worker, turn.clock, rows.clone())?));
            }
            let seen = Seen { rows: now.rows, margins: &margins, losses: &losses, weights: None };
            if !stopped && hear(worker, &seen)? {
                // Those that were asked for are still learned from; nobody takes another.
                self.turns.end(worker)?;
                stopped = true;
            }
        }
        for task in pushed {
            worker.wait(task)?;
        }
        worker.barrier()?;
        Ok(stopped)
    }

    /// The weights after all pushes so far, equal on all workers if nobody pushes. Collective in that sense.
    pub fn weights(&mut self, worker: &mut Worker) -> Result<(Vec<f32>, f32)> {
        let clock = self.turns.clock(worker)?;
        self.table.weights(worker, clock)
    }
}
