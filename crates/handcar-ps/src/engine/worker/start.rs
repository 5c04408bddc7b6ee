//! From a submission to requests: checked, numbered, split over servers.

use super::{Output, WorkerEngine};
use crate::carried::Through;
use crate::engine::plan::Plan;
use crate::engine::task::{Part, Running, State, Submission, What, Work};
use crate::engine::view::{Route, View};
use crate::error::{Error, Result};
use crate::lru::Lru;
use crate::message::{Note, TableId, Task};
use crate::values::{Dtype, Values};
use handcar_base::{KeyList, RangeSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Buffers for split parts kept for reuse, a server.
const POOL_BUFFERS_PER_SERVER: usize = 4;

impl WorkerEngine {
    /// Checks a submission against its table and numbers it among the table's collectives.
    pub(super) fn check(&mut self, op: &'static str, submission: &mut Submission) -> Result<Option<u64>> {
        self.check_elastic(op, &submission.work)?;
        if matches!(submission.work, Work::Portion { .. }) {
            return Ok(None);
        }
        if matches!(submission.work, Work::Reduce { .. }) {
            self.reductions += 1;
            return Ok(Some(self.reductions - 1));
        }
        let tables = self.tables.len();
        let at = submission.table.0 as usize;
        let Some(table) = self.tables.get_mut(at) else {
            let got = submission.table.0.to_string();
            return Err(Error::argument(op, format!("a table below {tables}"), got));
        };
        let aggregate = match &mut submission.work {
            Work::Create { .. } | Work::Reduce { .. } | Work::Portion { .. } => return Ok(None),
            Work::Copy { .. } | Work::Install { .. } => return Ok(None),
            Work::Call { .. } => true,
            Work::Move { keys, push, pull, aggregate, tag, .. } => {
                let Some(shape) = table.shape else {
                    return Err(Error::argument(op, "a table that was created", "one that is not yet"));
                };
                if keys.len() > u32::MAX as usize {
                    return Err(Error::argument(op, "at most 2^32 - 1 keys", keys.len().to_string()));
                }
                if let Some(values) = push {
                    let (n, width) = (keys.len(), shape.push_width as usize);
                    if (values.dtype(), values.len()) != (shape.push, n * width) {
                        let expected = format!("{} {} values ({n} keys × {width})", n * width, shape.push);
                        return Err(Error::argument(op, expected, format!("{} {}", values.len(), values.dtype())));
                    }
                }
                if let Some(buffer) = pull
                    && buffer.dtype() != shape.pull
                {
                    *buffer = Values::empty(shape.pull);
                }
                match (&push, &mut *tag) {
                    (Some(_), Some(tag)) => {
                        if self.pushed_for != Some(tag.portion) {
                            self.pushed_for = Some(tag.portion);
                            self.tables.iter_mut().for_each(|t| t.pushed = 0);
                        }
                        tag.number = self.tables[at].pushed;
                        self.tables[at].pushed += 1;
                    }
                    _ => *tag = None,
                }
                *aggregate && push.is_some()
            }
        };
        Ok(aggregate.then(|| {
            let table = &mut self.tables[at];
            table.rounds += 1;
            table.rounds - 1
        }))
    }

    /// Refuses what waits for all workers if these come and go.
    fn check_elastic(&self, op: &'static str, work: &Work) -> Result<()> {
        let collective = match work {
            Work::Call { .. } | Work::Reduce { .. } => true,
            Work::Move { aggregate, push, .. } => *aggregate && push.is_some(),
            Work::Create { .. } | Work::Portion { .. } | Work::Copy { .. } | Work::Install { .. } => false,
        };
        if !collective || self.view.workers.is_none() {
            return Ok(());
        }
        let expected = "pushes for a portion or immediate ones, since workers come and go";
        Err(Error::argument(op, expected, "one that waits for all workers"))
    }

    /// Begins a task: cuts it for the servers of the present view, or waits for a view that is not frozen.
    pub(super) fn start(&mut self, task: Task, out: &mut Vec<Output>) {
        let Some(record) = self.record_mut(task) else { return };
        let State::Held { submission, round } = std::mem::replace(&mut record.state, State::Reaped) else { return };
        let mut running = Running {
            what: What::Call { args: Vec::new() },
            round,
            parts: BTreeMap::new(),
            open: 0,
            left: None,
            paused: false,
            keys: None,
            pushes: false,
            pulls: None,
            through: Through::All,
            rows: None,
            whole_push: None,
            whole_pull: None,
            notes: Vec::new(),
            words: Vec::new(),
            given: None,
            copied: Vec::new(),
            failed: None,
        };
        running.what = match submission.work {
            Work::Create { name, updater, params, filters } => What::Create { name, updater, params, filters },
            Work::Call { args } => What::Call { args },
            Work::Reduce { op, words } => What::Reduce { op, words },
            Work::Portion { pass, portions, finished } => What::Portion { pass, portions, finished },
            Work::Copy { positions, entries } => {
                running.left = Some(positions);
                What::Copy { entries }
            }
            Work::Install { positions, entries } => {
                running.left = Some(positions);
                What::Install { entries }
            }
            Work::Move { keys, args, push, pull, through, tag, .. } => {
                running.keys = Some((keys, None));
                running.through = through;
                (running.pushes, running.pulls) = (push.is_some(), pull.as_ref().map(Values::dtype));
                (running.whole_push, running.whole_pull) = (push, pull);
                What::Move { args, tag }
            }
        };
        let table = record.table;
        let filtered = running.pushes && running.through == Through::All;
        let kept_args = match &running.what {
            What::Move { args, .. } if filtered => Some(args.clone()),
            _ => None,
        };
        record.state = State::Running(Box::new(running));
        if let Some((args, ends)) = kept_args.zip(self.ends(table)) {
            ends.args = args;
        }
        self.cut(task, out);
        self.settle(task, out);
    }

    /// Cuts what is left of a task for the servers of the present view.
    pub(super) fn cut(&mut self, task: Task, out: &mut Vec<Output>) {
        let frozen = self.view.frozen;
        let Some((mut running, table)) = self.lend(task) else { return };
        running.paused = frozen;
        if !frozen {
            self.cut_running(task, table, &mut running, out);
        }
        self.give_back(task, running);
    }

    fn cut_running(&mut self, task: Task, table: TableId, running: &mut Running, out: &mut Vec<Output>) {
        let epoch = self.view.epoch;
        let left = running.left.clone();
        let heads = self.route.all();
        // Which servers, for which positions.
        let mut parts: Vec<(usize, Option<Arc<RangeSet>>)> = Vec::new();
        match &running.what {
            // Every server that heads anything takes part; the others learn of it from these.
            What::Create { .. } => parts.extend(heads.iter().map(|&s| (s, None))),
            What::Reduce { .. } | What::Portion { .. } => parts.extend(self.route.of(0).map(|s| (s, None))),
            What::Call { .. } | What::Move { .. } | What::Copy { .. } | What::Install { .. } => {
                for &server in &heads {
                    match &left {
                        None => parts.push((server, None)),
                        Some(left) => {
                            let within = left.and(&self.view.headed_by(server));
                            if !within.is_empty() {
                                parts.push((server, Some(Arc::new(within))));
                            }
                        }
                    }
                }
            }
        }
        if let Some((keys, plan)) = &mut running.keys {
            *plan = match (&left, self.route.only()) {
                (None, Some(_)) => None,
                (None, None) => Some(self.plan(keys)),
                (Some(left), _) => Some(Arc::new(Plan::within(keys, &self.route, left))),
            };
            // Collectives wait for every worker, so even an empty share must say "here I am".
            if let Some(plan) = plan
                && running.round.is_none()
            {
                parts.retain(|(server, _)| plan.shares.get(server).is_some_and(|s| !s.keys.is_empty()));
            }
        }
        for (server, within) in parts {
            running.parts.insert(server, Part { open: true, within, ..Part::default() });
            running.open += 1;
            self.send(task, table, epoch, running, server, None, out);
        }
    }

    /// In another view the servers have forgotten what waits, so what is left of each task is cut anew.
    pub(super) fn enter(&mut self, view: Arc<View>, out: &mut Vec<Output>) {
        if view.epoch <= self.view.epoch {
            return;
        }
        let old = std::mem::replace(&mut self.view, view);
        self.route = Route::new(&self.view, |s| s.chain.first().copied());
        self.plans = Lru::new(self.params.plan_bytes_max);
        self.known.retain(|server, _| self.view.servers.contains_key(server));
        // The heads of the new view begin with chains that know nothing.
        self.tables.iter_mut().filter_map(|t| t.ends.as_mut()).for_each(|ends| ends.reset(None));
        let tasks: Vec<Task> = (self.base..).map(Task).take(self.records.len()).collect();
        for task in tasks {
            let Some((mut running, table)) = self.lend(task) else { continue };
            self.recover(table, &mut running, |_| true);
            self.undo(&mut running, &old);
            self.give_back(task, running);
            self.cut(task, out);
            self.settle(task, out);
        }
    }

    /// Takes a task's parts together again, except those that were answered.
    fn undo(&mut self, running: &mut Running, old: &View) {
        let mut left = running.left.take().unwrap_or_else(RangeSet::all);
        let single = running.keys.as_ref().is_some_and(|(_, plan)| plan.is_none());
        for (server, part) in std::mem::take(&mut running.parts) {
            if part.open {
                if single {
                    running.whole_push = part.push.or(running.whole_push.take());
                    running.whole_pull = part.pull.or(running.whole_pull.take());
                } else {
                    self.recycle(part.push);
                    self.recycle(part.pull);
                }
                continue;
            }
            // Creation concerns servers, not positions: the new ones are told again, the old ones find it done.
            if !matches!(running.what, What::Create { .. }) {
                let asked = match &part.within {
                    Some(within) => within.as_ref().clone(),
                    None => old.headed_by(server),
                };
                left = left.minus(&asked);
                let explicit = |n: Note| (n.within.map_or_else(|| asked.clone(), |w| w.as_ref().clone()), n.bytes);
                running.notes.extend(part.notes.into_iter().map(explicit));
            }
        }
        running.open = 0;
        if let (None, Some(dtype)) = (&running.whole_pull, running.pulls) {
            running.whole_pull = Some(Values::empty(dtype));
        }
        running.left = (left != RangeSet::all()).then_some(left);
    }

    /// A running task, taken out of its record while the engine's other parts work on it.
    pub(super) fn lend(&mut self, task: Task) -> Option<(Box<Running>, TableId)> {
        let record = self.record_mut(task)?;
        if !matches!(record.state, State::Running(_)) {
            return None;
        }
        match std::mem::replace(&mut record.state, State::Reaped) {
            State::Running(running) => Some((running, record.table)),
            _ => None,
        }
    }

    pub(super) fn give_back(&mut self, task: Task, running: Box<Running>) {
        if let Some(record) = self.record_mut(task) {
            record.state = State::Running(running);
        }
    }

    pub(super) fn plan(&mut self, keys: &KeyList) -> Arc<Plan> {
        let name = (keys.signature(), keys.len());
        if let Some(plan) = self.plans.get(&name) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(Plan::of(keys, &self.route));
        self.plans.put(name, Arc::clone(&plan), plan.bytes());
        plan
    }

    pub(super) fn buffer(&mut self, dtype: Dtype) -> Values {
        match self.pool.iter().position(|v| v.dtype() == dtype) {
            Some(at) => self.pool.swap_remove(at),
            None => Values::empty(dtype),
        }
    }

    pub(super) fn recycle(&mut self, buffer: Option<Values>) {
        if let Some(mut buffer) = buffer
            && self.pool.len() < POOL_BUFFERS_PER_SERVER * self.view.servers.len()
        {
            buffer.clear();
            self.pool.push(buffer);
        }
    }
}

pub(super) fn op_of(work: &Work) -> &'static str {
    match work {
        Work::Create { .. } => "create_table",
        Work::Move { push: Some(_), pull: None, .. } => "push",
        Work::Move { push: None, pull: Some(_), .. } => "pull",
        Work::Move { push: Some(_), pull: Some(_), .. } => "push_pull",
        Work::Move { push: None, pull: None, .. } => "insert",
        Work::Call { .. } => "call",
        Work::Reduce { .. } => "reduce",
        Work::Portion { .. } => "next_portion",
        Work::Copy { .. } => "save",
        Work::Install { .. } => "restore",
    }
}
