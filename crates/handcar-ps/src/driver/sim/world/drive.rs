//! A worker's program: what it submits next, and what it checks.

use super::World;
use crate::driver::sim::network::NodeId;
use crate::driver::sim::node::{Kind, WorkerNode};
use crate::driver::sim::oracle::Expect;
use crate::driver::sim::program::{Step, own_keys};
use crate::engine::task::{Submission, Work};
use crate::message::{ReduceOp, TableId};
use crate::values::{Dtype, Values};
use handcar_base::{Key, KeyList};
use std::sync::Arc;

/// Tasks a worker has open at most.
const OPEN_MAX: usize = 12;

impl World {
    /// Takes what has finished, and submits what may be.
    pub(super) fn drive(&mut self, node: NodeId) {
        self.take_finished(node);
        while self.violation.is_none() && self.submit_next(node) {
            self.take_finished(node);
        }
    }

    fn take_finished(&mut self, node: NodeId) {
        let mut at = 0;
        loop {
            let Kind::Worker(WorkerNode { rank, engine: Some(engine), open, .. }) = &mut self.nodes[node].kind else {
                return;
            };
            let rank = *rank;
            let Some((task, _, _)) = open.get(at) else { return };
            if !engine.finished(*task) {
                at += 1;
                continue;
            }
            let Some((task, _, expect)) = open.remove(at) else { return };
            let result = engine.take(task);
            let pushed = matches!(expect, Expect::Own { .. } | Expect::Round { .. });
            if pushed && let Some(lost) = self.lost_at.take() {
                self.failover_us_max = self.failover_us_max.max(self.now - lost);
            }
            if let Err(what) = self.oracle.check(rank, &expect, result) {
                return self.violate(format!("worker {rank}, task {}: {what}", task.0));
            }
        }
    }

    fn submit_next(&mut self, node: NodeId) -> bool {
        let (now, healing) = (self.now, self.healing);
        let program = Arc::clone(&self.oracle.program);
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return false };
        let Some(engine) = &mut w.engine else { return false };
        if w.leaving || w.ended {
            return false;
        }
        if w.tables < 2 {
            if !w.open.is_empty() {
                return false;
            }
            let (name, updater) = [("shared", "decay"), ("own", "sum.i64")][w.tables];
            let filters = program.filters[w.tables].clone();
            w.tables += 1;
            let work = Work::Create { name: name.into(), updater: updater.into(), params: Vec::new(), filters };
            let table = engine.next_table();
            return self.submit(node, table, work, Expect::Created);
        }
        if engine.shape(TableId(1)).is_none() || w.open.len() >= OPEN_MAX || now < w.think_until_us {
            return false;
        }
        if w.extras > 0 {
            if engine.blocker(TableId(1)).is_some() || engine.blocker(TableId(0)).is_some() {
                return false;
            }
            w.extras -= 1;
            return self.submit_extra(node);
        }
        let Some(step) = program.steps.get(w.step) else {
            if healing {
                // All done: it leaves once its last task is.
                w.leaving = w.open.is_empty();
                return false;
            }
            w.extras = 1 + w.rng.below(3);
            w.think_until_us = now + 1000 * w.rng.below(program.think_ms);
            return false;
        };
        let (at, round) = (w.step, w.round);
        if !matches!(step, Step::Policy(_) | Step::Reduce { .. }) && engine.blocker(TableId(0)).is_some() {
            return false;
        }
        w.step += 1;
        w.extras = w.rng.below(4);
        w.think_until_us = now + 1000 * w.rng.below(program.think_ms);
        if healing {
            w.think_until_us = now;
        }
        let rank = w.rank;
        match step {
            Step::Policy(policy) => {
                engine.set_policy(*policy);
                true
            }
            Step::Call { args } => {
                w.round += 1;
                self.oracle.begun(round + 1);
                self.submit(node, TableId(0), Work::Call { args: args.clone() }, Expect::Round { step: at, round })
            }
            Step::Reduce { of, max } => {
                let op = if *max { ReduceOp::Max } else { ReduceOp::Sum };
                let work = Work::Reduce { op, words: of[rank].clone() };
                self.submit(node, TableId(0), work, Expect::Reduce { step: at })
            }
            Step::Push { of, pull, args } => {
                w.round += 1;
                let (keys, values) = of[rank].clone();
                let pull = pull.then(|| Values::empty(Dtype::F64));
                let work = Work::Move {
                    keys,
                    aggregate: true,
                    args: args.clone(),
                    push: Some(values.into()),
                    pull,
                    exact: false,
                };
                self.oracle.begun(round + 1);
                self.submit(node, TableId(0), work, Expect::Round { step: at, round })
            }
        }
    }

    /// A push of one's own, or a look at what is there.
    fn submit_extra(&mut self, node: NodeId) -> bool {
        let workers = self.workers;
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return false };
        let rank = w.rank;
        match w.rng.below(5) {
            0..=2 => {
                let keys: Vec<Key> = own_keys(rank).into_iter().filter(|_| w.rng.below(2) == 0).collect();
                let add: Vec<(Key, i64)> = keys.iter().map(|&k| (k, 1 + w.rng.below(1 << 20) as i64)).collect();
                let values: Vec<i64> = add.iter().map(|a| a.1).collect();
                let list = KeyList::new(keys).unwrap_or_default();
                let push = Some(values.into());
                let work =
                    Work::Move { keys: list, aggregate: false, args: Vec::new(), push, pull: None, exact: false };
                self.oracle.submitted(rank, &add);
                self.submit(node, TableId(1), work, Expect::Own { add })
            }
            3 => {
                let mut keys: Vec<Key> = (0..workers).flat_map(own_keys).filter(|_| w.rng.below(3) > 0).collect();
                keys.sort_unstable();
                let at_least = self.oracle.at_least(rank, &keys);
                let list = KeyList::new(keys.clone()).unwrap_or_default();
                let pull = Some(Values::empty(Dtype::I64));
                let work =
                    Work::Move { keys: list, aggregate: false, args: Vec::new(), push: None, pull, exact: false };
                self.submit(node, TableId(1), work, Expect::Look { keys, at_least })
            }
            _ => {
                let list = KeyList::new(self.oracle.program.shared.clone()).unwrap_or_default();
                let pull = Some(Values::empty(Dtype::F64));
                let work =
                    Work::Move { keys: list, aggregate: false, args: Vec::new(), push: None, pull, exact: false };
                let rounds_known = self.oracle.rounds_acked(rank);
                self.submit(node, TableId(0), work, Expect::Shared { rounds_known })
            }
        }
    }

    fn submit(&mut self, node: NodeId, table: TableId, work: Work, expect: Expect) -> bool {
        let now = self.millis();
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return false };
        let Some(engine) = &mut w.engine else { return false };
        let mut out = Vec::new();
        match engine.submit(now, Submission { table, after: Vec::new(), work }, &mut out) {
            Ok(task) => {
                w.open.push_back((task, table, expect));
                self.ask(node, out);
                true
            }
            Err(error) => {
                self.violate(format!("a submission failed: {error}"));
                false
            }
        }
    }
}
