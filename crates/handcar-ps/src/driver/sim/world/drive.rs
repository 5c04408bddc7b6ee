//! A worker's program: what it submits next, and what it checks.

use super::World;
use super::harm::Watch;
use crate::carried::Through;
use crate::driver::sim::network::NodeId;
use crate::driver::sim::node::{Kind, Open, WorkerNode};
use crate::driver::sim::oracle::Expect;
use crate::driver::sim::program::{Step, TABLES, mixed_keys, own_keys, uneven};
use crate::engine::server::Broken;
use crate::engine::task::{Submission, Work};
use crate::engine::worker::DEADLINE_GRACE_MS;
use crate::error::Error;
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
        let (now, deadline_ms) = (self.millis(), self.oracle.program.deadline_ms);
        loop {
            let Kind::Worker(WorkerNode { rank, engine: Some(engine), open, .. }) = &mut self.nodes[node].kind else {
                return;
            };
            let rank = *rank;
            let Some(first) = open.get(at) else { return };
            if !engine.finished(first.task) {
                at += 1;
                continue;
            }
            let Some(Open { task, since, expect, .. }) = open.remove(at) else { return };
            let result = engine.take(task);
            if result.is_err() && self.dismissed(rank) {
                self.oracle.abandoned(rank, &expect);
                return self.end_worker(node);
            }
            if let (Expect::Given, Ok(outcome)) = (&expect, &result) {
                self.given(node, outcome.given.clone());
            }
            if matches!(result, Err(Error::Deadline { .. })) && now.since(since) < deadline_ms {
                let what = format!("worker {rank}, task {}: out of time after {} ms", task.0, now.since(since));
                return self.violate(what);
            }
            let pushed =
                matches!(expect, Expect::Own { .. } | Expect::Round { .. } | Expect::Portion) && result.is_ok();
            if pushed && let Some(lost) = self.lost_at.take() {
                self.failover_us_max = self.failover_us_max.max(self.now - lost);
            }
            let lost = matches!((&expect, &result), (Expect::Own { .. } | Expect::Mixed, Err(Error::Deadline { .. })));
            if let Err(what) = self.oracle.check(rank, &expect, result) {
                return self.violate(format!("worker {rank}, task {}: {what}", task.0));
            }
            // After a push that ran out of time some programs end, others go on.
            if lost && self.config.seed.is_multiple_of(2) {
                return self.give_up(node);
            }
        }
    }

    /// The end of a worker's program: what it has under way may take effect or not.
    fn give_up(&mut self, node: NodeId) {
        self.tell(|w| format!("{} gives up", w.name(node)));
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return };
        w.given_up = true;
        for open in std::mem::take(&mut w.open) {
            self.oracle.abandoned(w.rank, &open.expect);
        }
    }

    fn submit_next(&mut self, node: NodeId) -> bool {
        let (now, healing) = (self.now, self.healing);
        let careless = self.config.broken == Some(Broken::NoWait);
        let watch = self.watch();
        let program = Arc::clone(&self.oracle.program);
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return false };
        let Some(engine) = &mut w.engine else { return false };
        if w.leaving || w.ended || w.wants_out {
            return false;
        }
        if w.given_up {
            w.leaving = healing;
            return false;
        }
        if w.tables < TABLES.len() {
            if !w.open.is_empty() {
                return false;
            }
            let (name, updater) = TABLES[w.tables];
            let filters = program.filters.get(w.tables).cloned().unwrap_or_default();
            w.tables += 1;
            let work = Work::Create { name: name.into(), updater: updater.into(), params: Vec::new(), filters };
            let table = engine.next_table();
            return self.submit(node, table, work, Expect::Created);
        }
        if engine.shape(TableId(2)).is_none() || w.open.len() >= OPEN_MAX {
            return false;
        }
        let waits = |table: u32| engine.blocker(TableId(table)).is_some() && !careless;
        if let Some(watch) = watch {
            if waits(1) || waits(2) || now < w.watch_until_us {
                return false;
            }
            w.watch_until_us = now + 1_000 + w.rng.below(5_000);
            return self.submit_watch(node, watch);
        }
        if now < w.think_until_us {
            return false;
        }
        if w.extras > 0 {
            if waits(0) || waits(1) || waits(2) {
                return false;
            }
            w.extras -= 1;
            return self.submit_extra(node);
        }
        if program.elastic {
            return self.submit_portion(node);
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
        if !matches!(step, Step::Policy(_) | Step::Reduce { .. }) && waits(0) {
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
                w.policy = *policy;
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
                    through: Through::All,
                    tag: None,
                };
                self.oracle.begun(round + 1);
                self.submit(node, TableId(0), work, Expect::Round { step: at, round })
            }
        }
    }

    /// A push of one's own, or a look at what is there.
    fn submit_extra(&mut self, node: NodeId) -> bool {
        let workers = self.oracle.workers();
        let alone = self.oracle.program.alone;
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return false };
        let rank = w.rank;
        match w.rng.below(if alone { 5 } else { 6 }) {
            0..=2 => self.submit_own(node),
            3 => self.submit_mixed(node),
            4 => {
                let mut keys: Vec<Key> = (0..workers).flat_map(own_keys).filter(|_| w.rng.below(3) > 0).collect();
                keys.sort_unstable();
                self.submit_look(node, keys)
            }
            _ => {
                let list = KeyList::new(self.oracle.program.shared.clone()).unwrap_or_default();
                let pull = Some(Values::empty(Dtype::F64));
                let work = Work::Move {
                    keys: list,
                    aggregate: false,
                    args: Vec::new(),
                    push: None,
                    pull,
                    through: Through::All,
                    tag: None,
                };
                let rounds_known = self.oracle.rounds_acked(rank);
                self.submit(node, TableId(0), work, Expect::Shared { rounds_known })
            }
        }
    }

    /// A push to one's own keys.
    fn submit_own(&mut self, node: NodeId) -> bool {
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return false };
        let rank = w.rank;
        let keys: Vec<Key> = own_keys(rank).into_iter().filter(|_| w.rng.below(2) == 0).collect();
        let add: Vec<(Key, i64)> = keys.iter().map(|&k| (k, 1 + w.rng.below(1 << 20) as i64)).collect();
        let values: Vec<i64> = add.iter().map(|a| a.1).collect();
        let list = KeyList::new(keys).unwrap_or_default();
        let push = Some(values.into());
        let work = Work::Move {
            keys: list,
            aggregate: false,
            args: Vec::new(),
            push,
            pull: None,
            through: Through::All,
            tag: None,
        };
        self.oracle.submitted(rank, &add);
        self.submit(node, TableId(1), work, Expect::Own { add })
    }

    /// A push to keys that all push to: every copy must take these in one order, and nobody else knows which.
    fn submit_mixed(&mut self, node: NodeId) -> bool {
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return false };
        let keys: Vec<Key> = mixed_keys().into_iter().filter(|_| w.rng.below(2) == 0).collect();
        let values: Vec<f64> = keys.iter().map(|_| uneven(&mut w.rng)).collect();
        let list = KeyList::new(keys).unwrap_or_default();
        let push = Some(values.into());
        let work = Work::Move {
            keys: list,
            aggregate: false,
            args: Vec::new(),
            push,
            pull: None,
            through: Through::All,
            tag: None,
        };
        self.submit(node, TableId(2), work, Expect::Mixed)
    }

    /// A pull of anybody's keys.
    fn submit_look(&mut self, node: NodeId, keys: Vec<Key>) -> bool {
        let Kind::Worker(w) = &self.nodes[node].kind else { return false };
        let at_least = self.oracle.at_least(w.rank, &keys);
        let list = KeyList::new(keys.clone()).unwrap_or_default();
        let pull = Some(Values::empty(Dtype::I64));
        let work = Work::Move {
            keys: list,
            aggregate: false,
            args: Vec::new(),
            push: None,
            pull,
            through: Through::All,
            tag: None,
        };
        self.submit(node, TableId(1), work, Expect::Look { keys, at_least })
    }

    /// Around a failover: one worker pushes, the others look at what it pushes, again and again.
    fn submit_watch(&mut self, node: NodeId, watch: Watch) -> bool {
        let Watch { pusher, mixed, .. } = watch;
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return false };
        if (w.rng.below(4) == 0) != mixed {
            return self.submit_mixed(node);
        }
        if w.rank == pusher { self.submit_own(node) } else { self.submit_look(node, own_keys(pusher)) }
    }

    pub(super) fn submit(&mut self, node: NodeId, table: TableId, work: Work, expect: Expect) -> bool {
        let now = self.millis();
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return false };
        let Some(engine) = &mut w.engine else { return false };
        let reduces = matches!(work, Work::Reduce { .. } | Work::Portion { .. });
        let (delay_max, timestamp) = (w.policy.delay_max(), w.submitted[table.0 as usize]);
        if !reduces {
            w.submitted[table.0 as usize] += 1;
            let before = w.open.iter().filter(|o| o.table == Some(table)).map(|o| o.timestamp).min();
            let early = before.filter(|b| timestamp - b > delay_max).map(|b| {
                let rank = w.rank;
                format!(
                    "worker {rank} must not start task {timestamp} of a table before task {b} under tau = {delay_max}"
                )
            });
            if let Some(what) = early.or_else(|| self.oracle.stale(w.rank, &expect, delay_max)) {
                self.violate(what);
                return false;
            }
        }
        let mut out = Vec::new();
        match engine.submit(now, Submission { table, after: Vec::new(), work }, &mut out) {
            Ok(task) => {
                let table = (!reduces).then_some(table);
                w.open.push_back(Open { task, table, timestamp, since: now, expect });
                self.ask(node, out);
                true
            }
            Err(error) => {
                self.violate(format!("a submission failed: {error}"));
                false
            }
        }
    }

    /// No task may be open past its deadline once its worker has seen what time it is.
    pub(super) fn check_deadlines(&mut self, node: NodeId) {
        let now = self.millis();
        let deadline_ms = self.oracle.program.deadline_ms + DEADLINE_GRACE_MS;
        let Kind::Worker(w) = &self.nodes[node].kind else { return };
        if let Some(open) = w.open.iter().find(|o| now.since(o.since) >= deadline_ms) {
            let what = format!("worker {} waits for task {} since {} ms", w.rank, open.task.0, now.since(open.since));
            self.violate(what);
        }
    }
}
