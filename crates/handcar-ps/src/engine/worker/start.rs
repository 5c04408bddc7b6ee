//! From a submission to requests: checked, numbered, split over servers.

use super::{Output, WorkerEngine};
use crate::engine::plan::Plan;
use crate::engine::task::{Part, Running, State, Submission, Work};
use crate::error::{Error, Result};
use crate::message::{Ask, Keys, Request, Task};
use crate::values::{Dtype, Values};
use handcar_base::KeyList;
use std::sync::Arc;

/// Buffers for split parts kept for reuse, a server.
const POOL_BUFFERS_PER_SERVER: usize = 4;

impl WorkerEngine {
    /// Checks a submission against its table and numbers it among the table's collectives.
    pub(super) fn check(&mut self, op: &'static str, submission: &mut Submission) -> Result<Option<u64>> {
        if matches!(submission.work, Work::Reduce { .. }) {
            self.reductions += 1;
            return Ok(Some(self.reductions - 1));
        }
        let tables = self.tables.len();
        let Some(table) = self.tables.get_mut(submission.table.0 as usize) else {
            let got = submission.table.0.to_string();
            return Err(Error::argument(op, format!("a table below {tables}"), got));
        };
        let aggregate = match &mut submission.work {
            Work::Create { .. } | Work::Reduce { .. } => return Ok(None),
            Work::Call { .. } => true,
            Work::Move { keys, push, pull, aggregate, .. } => {
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
                *aggregate && push.is_some()
            }
        };
        Ok(aggregate.then(|| {
            table.rounds += 1;
            table.rounds - 1
        }))
    }

    pub(super) fn start(&mut self, task: Task, out: &mut Vec<Output>) {
        let servers = self.params.servers;
        let Some(record) = self.record_mut(task) else { return };
        let State::Held { submission, round } = std::mem::replace(&mut record.state, State::Reaped) else { return };
        let Submission { table, work, .. } = *submission;
        let mut running = Running {
            parts: (0..servers).map(|_| Part::default()).collect(),
            open: 0,
            keys: None,
            round,
            args: Vec::new(),
            whole_push: None,
            whole_pull: None,
            words: Vec::new(),
            failed: None,
        };
        let deadline_ms = self.params.deadline_ms;
        let mut ask = |running: &mut Running, server: usize, ask: Ask| {
            running.parts[server].open = true;
            running.open += 1;
            out.push(Output { server, request: Request { task, table, deadline_ms, ask } });
        };
        match work {
            Work::Create { name, updater, params } => {
                for server in 0..servers {
                    let (name, updater, params) = (name.clone(), updater.clone(), params.clone());
                    ask(&mut running, server, Ask::Create { name, updater, params });
                }
            }
            Work::Call { args } => {
                for server in 0..servers {
                    ask(&mut running, server, Ask::Call { round: round.unwrap_or(0), args: args.clone() });
                }
            }
            Work::Reduce { op, words } => ask(&mut running, 0, Ask::Reduce { round: round.unwrap_or(0), op, words }),
            Work::Move { keys, args, push, pull, .. } if servers == 1 => {
                let named = self.name_keys(0, &keys);
                running.args = args.clone();
                running.keys = Some((keys, None));
                ask(&mut running, 0, Ask::Move { keys: named, round, args, push, pull });
            }
            Work::Move { keys, args, push, pull, .. } => {
                let plan = self.plan(&keys);
                let push_width = self.shape(table).map_or(1, |s| s.push_width as usize);
                for (server, share) in plan.shares.iter().enumerate() {
                    // Collectives wait for every worker, so even an empty share must say "here I am".
                    if share.keys.is_empty() && round.is_none() {
                        continue;
                    }
                    let part_push = push.as_ref().map(|whole| {
                        let mut part = self.buffer(whole.dtype());
                        part.gather(whole, &share.index, push_width);
                        part
                    });
                    let part_pull = pull.as_ref().map(|whole| self.buffer(whole.dtype()));
                    let named = self.name_keys(server, &share.keys);
                    let args = args.clone();
                    let part = Ask::Move { keys: named, round, args, push: part_push, pull: part_pull };
                    ask(&mut running, server, part);
                }
                running.args = args;
                running.keys = Some((keys, Some(plan)));
                running.whole_push = push;
                running.whole_pull = pull;
            }
        }
        if let Some(record) = self.record_mut(task) {
            record.state = State::Running(Box::new(running));
        }
        self.settle(task, out);
    }

    pub(super) fn name_keys(&mut self, server: usize, keys: &KeyList) -> Keys {
        if self.params.shared_memory {
            return Keys::Shared(keys.clone());
        }
        let name = (keys.signature(), keys.len());
        if self.known[server].get(&name).is_some() {
            return Keys::Named { signature: name.0, len: name.1 as u64 };
        }
        self.known[server].put(name, (), 8 * keys.len() + 64);
        Keys::Sent(keys.clone())
    }

    pub(super) fn plan(&mut self, keys: &KeyList) -> Arc<Plan> {
        let name = (keys.signature(), keys.len());
        if let Some(plan) = self.plans.get(&name) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(Plan::of(keys, self.params.servers));
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
            && self.pool.len() < POOL_BUFFERS_PER_SERVER * self.params.servers
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
    }
}
