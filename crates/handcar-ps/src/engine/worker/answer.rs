//! From servers' answers to outcomes: joined, finished, or out of time.

use super::filters::{Arrived, Ends, unfit};
use super::{DEADLINE_GRACE_MS, Output, WorkerEngine};
use crate::carried::Carried;
use crate::engine::task::{Outcome, Record, Running, State, What};
use crate::entries::Entries;
use crate::error::{Error, Result};
use crate::message::{Answer, Ask, Millis, Reply, Request, TableId, Task};
use crate::values::{Dtype, Values};
use handcar_base::RangeSet;
use std::sync::Arc;

impl WorkerEngine {
    pub(super) fn sent(&mut self, server: usize, request: Request) {
        let Ask::Move { push, pull, .. } = request.ask else { return };
        if let Some(State::Running(running)) = self.record_mut(request.task).map(|r| &mut r.state)
            && let Some(part) = running.parts.get_mut(&server)
            && part.open
        {
            let push = push.and_then(Carried::into_plain);
            (part.push, part.pull) = (push.or(part.push.take()), pull);
        }
    }

    pub(super) fn reply(&mut self, server: usize, reply: Reply, out: &mut Vec<Output>) -> Result<()> {
        let (task, deadline_ms, servers) = (reply.task, self.params.deadline_ms, self.view.servers.len());
        if task.0 >= self.base + self.records.len() as u64 {
            return Err(wire(server, "an answer to a task", format!("one to unknown task {}", task.0)));
        }
        // What was asked in another view was asked again in this one.
        if reply.epoch != self.view.epoch {
            return Ok(());
        }
        // Answers to tasks that ran out of time come late and are ignored; so are second answers.
        let Some(record) = self.record(task) else { return Ok(()) };
        let op = record.op;
        let Some((mut running, table)) = self.lend(task) else { return Ok(()) };
        let done = if running.parts.get(&server).is_some_and(|p| p.open) {
            self.answer(server, table, op, &mut running, reply, deadline_ms, servers, out)
        } else {
            Ok(())
        };
        self.give_back(task, running);
        done
    }

    #[expect(clippy::too_many_arguments, reason = "an answer, taken apart")]
    fn answer(
        &mut self,
        server: usize,
        table: TableId,
        op: &'static str,
        running: &mut Running,
        reply: Reply,
        deadline_ms: u64,
        servers: usize,
        out: &mut Vec<Output>,
    ) -> Result<()> {
        if !fits(&running.what, &reply.answer) {
            return Err(wire(server, format!("an answer to {op}"), reply.answer.kind()));
        }
        let Some(part) = running.parts.get_mut(&server) else { return Ok(()) };
        let mut spare = (None, None);
        match reply.answer {
            Answer::Behind => {
                if let Some(ends) = self.ends(table) {
                    ends.reset(Some(server));
                }
                self.recover(table, running, |s| s == server);
                self.send(reply.task, table, reply.epoch, running, server, Some((None, None)), out);
                return Ok(());
            }
            Answer::Miss { push, pull } => {
                let buffers = (push.or(part.push.take()), pull.or(part.pull.take()));
                self.send(reply.task, table, reply.epoch, running, server, Some(buffers), out);
                return Ok(());
            }
            Answer::Moved { pulled, spent, notes } => {
                // Asked again for its values, the server has no more to say about the push.
                if !part.whole {
                    part.notes = notes;
                }
                let spent = spent.or(part.push.take());
                let pulled = match pulled {
                    None => None,
                    Some(carried) => match self.received(table, server, running, carried) {
                        Ok(Arrived::Values(values)) => Some(values),
                        Ok(Arrived::Late) => {
                            if let Some(part) = running.parts.get_mut(&server) {
                                part.push = spent;
                            }
                            return Ok(());
                        }
                        Ok(Arrived::Behind) => {
                            self.send(reply.task, table, reply.epoch, running, server, Some((spent, None)), out);
                            return Ok(());
                        }
                        Err((expected, got)) => return Err(wire(server, expected, got)),
                    },
                };
                let Some((keys, plan)) = &running.keys else { return Ok(()) };
                let share = plan.as_ref().map(|plan| plan.shares.get(&server).map_or(0, |s| s.keys.len()));
                let asked = running.pulls.map(|dtype| (dtype, share.unwrap_or(keys.len())));
                self.check_pulled(server, table, asked, pulled.as_ref())?;
                let Some(part) = running.parts.get_mut(&server) else { return Ok(()) };
                match plan {
                    None => (part.push, part.pulled) = (spent, pulled),
                    Some(plan) => {
                        let Some(share) = plan.shares.get(&server) else { return Ok(()) };
                        if let (Some(whole), Some(pulled)) = (&mut running.whole_pull, &pulled) {
                            let width = pulled.len() / share.keys.len().max(1);
                            if !share.keys.is_empty() {
                                whole.scatter(pulled, &share.index, width, keys.len());
                            }
                        }
                        spare = (spent, pulled);
                    }
                }
            }
            Answer::Called(notes) => part.notes = notes,
            Answer::Reduced(words) => {
                if let What::Reduce { words: asked, .. } = &running.what
                    && asked.len() != words.len()
                {
                    return Err(wire(server, format!("{} integers", asked.len()), words.len().to_string()));
                }
                running.words = words;
            }
            Answer::Copied { count, entries } => running.copied.push((count, entries)),
            Answer::Installed => {}
            Answer::Given(given) => running.given = Some(given),
            Answer::Refused(reason) => {
                let by = format!("server {server}");
                running.failed.get_or_insert(Error::Refused { op, by, reason });
            }
            Answer::Late { missing } => {
                let names: Vec<_> = missing.iter().map(|w| format!("worker {w}")).collect();
                let waiting_for = format!("{} (told by server {server} of {servers})", names.join(", "));
                running.failed.get_or_insert(Error::Deadline { op, deadline_ms, waiting_for });
            }
            Answer::Created(shape) => {
                let Some(state) = self.tables.get_mut(table.0 as usize) else { return Ok(()) };
                if state.shape.is_some_and(|s| s != shape) {
                    let expected = format!("{:?} as on the other servers", state.shape);
                    return Err(wire(server, expected, format!("{shape:?}")));
                }
                state.shape = Some(shape);
                if state.ends.is_none() {
                    let filters = state.filters.clone();
                    match Ends::new(&self.filters, filters, shape, self.params.shared_memory) {
                        Ok(ends) => state.ends = Some(ends),
                        Err(error) => {
                            running.failed.get_or_insert(unfit(op, error));
                        }
                    }
                }
            }
        }
        if let Some(part) = running.parts.get_mut(&server) {
            part.open = false;
            running.open -= 1;
        }
        self.recycle(spare.0);
        self.recycle(spare.1);
        Ok(())
    }

    /// Whether the values of an answer are those that were asked for: their type, and how many keys have some.
    fn check_pulled(
        &self,
        server: usize,
        table: TableId,
        asked: Option<(Dtype, usize)>,
        pulled: Option<&Values>,
    ) -> Result<()> {
        let width = self.shape(table).map_or(1, |s| s.pull_width as usize);
        let expected = asked.map(|(dtype, keys)| (dtype, keys * width));
        let got = pulled.map(|values| (values.dtype(), values.len()));
        if expected == got {
            return Ok(());
        }
        let text = |v: Option<(Dtype, usize)>| v.map_or("no values".into(), |(dtype, n)| format!("{n} {dtype} values"));
        Err(wire(server, text(expected), text(got)))
    }

    /// Finishes a task that waits for nobody any more, and starts those that waited for it.
    pub(super) fn settle(&mut self, task: Task, out: &mut Vec<Output>) {
        let view = Arc::clone(&self.view);
        let Some(record) = self.record_mut(task) else { return };
        let State::Running(running) = &mut record.state else { return };
        if running.open > 0 || running.paused {
            return;
        }
        let result = match running.failed.take() {
            Some(error) => Err(error),
            None => {
                let split = running.keys.as_ref().is_some_and(|(_, plan)| plan.is_some());
                let mut parts = std::mem::take(&mut running.parts);
                let (spent, pulled) = match parts.values_mut().next() {
                    Some(only) if !split => (only.push.take().or(running.whole_push.take()), only.pulled.take()),
                    _ => (running.whole_push.take(), running.whole_pull.take()),
                };
                let copied = match running.what {
                    What::Copy { .. } => Some(joined(std::mem::take(&mut running.copied))),
                    _ => None,
                };
                let earlier = std::mem::take(&mut running.notes);
                let whole = earlier.is_empty() && parts.values().all(|p| p.notes.iter().all(|n| n.within.is_none()));
                let notes = if whole {
                    parts.into_values().flat_map(|p| p.notes).map(|n| n.bytes).collect()
                } else {
                    cover(earlier.into_iter().chain(parts.into_iter().flat_map(|(server, part)| {
                        let asked = part.within.unwrap_or_else(|| Arc::new(view.headed_by(server)));
                        part.notes
                            .into_iter()
                            .map(move |n| (n.within.as_ref().unwrap_or(&asked).as_ref().clone(), n.bytes))
                    })))
                };
                Ok(Outcome {
                    pulled,
                    spent,
                    notes,
                    words: std::mem::take(&mut running.words),
                    given: running.given.take(),
                    copied,
                })
            }
        };
        self.finish(task, result, out);
    }

    pub(super) fn finish(&mut self, task: Task, result: Result<Outcome>, out: &mut Vec<Output>) {
        let Some(record) = self.record_mut(task) else { return };
        let refused = matches!(result, Err(Error::Refused { .. })) && record.op == "create_table";
        record.state = match record.overdue.take() {
            None => State::Done(result),
            Some(Err(told)) => State::Done(Err(told)),
            Some(Ok(())) => State::Reaped,
        };
        let table = record.table;
        // No server made it, so its number is the next table's.
        if refused && table.0 as usize + 1 == self.tables.len() && self.shape(table).is_none() {
            self.tables.pop();
        }
        let answered = |r: &Record| matches!(r.state, State::Done(_) | State::Reaped);
        while self.answered.0 < self.base + self.records.len() as u64 && self.record(self.answered).is_none_or(answered)
        {
            self.answered.0 += 1;
        }
        self.heard(task, table, out);
    }

    /// A task's caller has its result, or is told that there is none in time: what waited for it starts.
    fn heard(&mut self, task: Task, table: TableId, out: &mut Vec<Output>) {
        if let Some(table) = self.tables.get_mut(table.0 as usize) {
            table.unfinished.retain(|&t| t != task);
        }
        if self.held.is_empty() {
            return;
        }
        let held = std::mem::take(&mut self.held);
        let (ready, held) = held.into_iter().partition(|&t| self.may_start(t));
        self.held = held;
        let ready: Vec<Task> = ready;
        for task in ready {
            self.start(task, out);
        }
    }

    pub(super) fn may_start(&self, task: Task) -> bool {
        match self.record(task).map(|r| &r.state) {
            Some(State::Held { submission, .. }) => submission.after.iter().all(|&t| self.finished(t)),
            _ => true,
        }
    }

    /// Asks again where no answer came for some time.
    pub(super) fn ask_again(&mut self, now: Millis, after_ms: u64, out: &mut Vec<Output>) {
        let running = |r: &Record| matches!(&r.state, State::Running(r) if r.open > 0);
        let tasks = (self.base..).map(Task).zip(&self.records).filter(|(_, r)| running(r)).map(|(t, _)| t);
        for task in tasks.collect::<Vec<_>>() {
            self.resend(task, |_, part| now.since(part.sent_at) >= after_ms, out);
        }
    }

    /// A new connection to a server: what was asked or answered on the old one may be lost.
    pub(super) fn reconnected(&mut self, server: usize, out: &mut Vec<Output>) {
        self.known.remove(&server);
        let tasks = (self.base..).map(Task).take(self.records.len());
        for task in tasks.collect::<Vec<_>>() {
            self.resend(task, |s, _| s == server, out);
        }
    }

    /// Tells callers whose tasks are out of time. What changes servers is driven on until each of them has answered:
    /// were it given up, a server might still apply it after the next one in the chain has heard from this worker that
    /// nothing before a later task will come again, and their copies would part.
    pub(super) fn expire(&mut self, now: Millis, out: &mut Vec<Output>) {
        let deadline_ms = self.params.deadline_ms;
        let mut expired = Vec::new();
        for (task, record) in (self.base..).map(Task).zip(&self.records) {
            if record.overdue.is_some() || record.due.plus(DEADLINE_GRACE_MS) > now {
                continue;
            }
            let waiting_for = match &record.state {
                State::Running(running) => {
                    let open = running.parts.iter().filter(|(_, p)| p.open);
                    let names: Vec<_> = open.map(|(s, _)| format!("server {s}")).collect();
                    if running.paused { "keys to move between servers".into() } else { names.join(", ") }
                }
                State::Held { submission, .. } => {
                    let open = submission.after.iter().filter(|&&t| !self.finished(t));
                    open.map(|t| format!("task {}", t.0)).collect::<Vec<_>>().join(", ")
                }
                _ => continue,
            };
            expired.push((task, Error::Deadline { op: record.op, deadline_ms, waiting_for }));
        }
        for (task, error) in expired {
            match self.record_mut(task) {
                Some(Record { state: State::Running(running), overdue, table, .. }) if running.changes() => {
                    let table = *table;
                    *overdue = Some(Err(error));
                    self.heard(task, table, out);
                }
                _ => self.finish(task, Err(error), out),
            }
        }
    }
}

fn joined(parts: Vec<(u64, Entries)>) -> (u64, Entries) {
    let (counts, parts): (Vec<u64>, Vec<Entries>) = parts.into_iter().unzip();
    (counts.iter().sum(), Entries::merged(&parts))
}

/// Of notes that speak for the same positions those that speak for most. Every note comes from one server's update, or
/// from a follower's that repeated a part of it: two sets are disjoint, or one holds the other.
fn cover(notes: impl Iterator<Item = (RangeSet, Vec<u8>)>) -> Vec<Vec<u8>> {
    let mut notes: Vec<_> = notes.collect();
    notes.sort_by(|a, b| b.0.share().total_cmp(&a.0.share()).then(a.0.first().cmp(&b.0.first())));
    let mut covered = RangeSet::new();
    notes.retain(|(within, _)| {
        let new = !covered.meets(within);
        if new {
            covered = covered.or(within);
        }
        new
    });
    notes.into_iter().map(|n| n.1).collect()
}

/// Whether an answer is one to what was asked.
fn fits(what: &What, answer: &Answer) -> bool {
    match answer {
        Answer::Refused(_) => true,
        Answer::Late { .. } => matches!(what, What::Move { .. } | What::Call { .. } | What::Reduce { .. }),
        Answer::Behind | Answer::Miss { .. } | Answer::Moved { .. } => matches!(what, What::Move { .. }),
        Answer::Called(_) => matches!(what, What::Call { .. }),
        Answer::Reduced(_) => matches!(what, What::Reduce { .. }),
        Answer::Copied { .. } => matches!(what, What::Copy { .. }),
        Answer::Installed => matches!(what, What::Install { .. }),
        Answer::Given(_) => matches!(what, What::Portion { .. }),
        Answer::Created(_) => matches!(what, What::Create { .. }),
    }
}

fn wire(server: usize, expected: impl Into<String>, got: impl Into<String>) -> Error {
    Error::Wire { from: format!("server {server}"), expected: expected.into(), got: got.into() }
}
