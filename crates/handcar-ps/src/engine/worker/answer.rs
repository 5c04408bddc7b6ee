//! From servers' answers to outcomes: joined, finished, or out of time.

use super::{DEADLINE_GRACE_MS, Output, WorkerEngine};
use crate::engine::task::{Outcome, State};
use crate::error::{Error, Result};
use crate::message::{Answer, Ask, Keys, Millis, Reply, Request, Task};

impl WorkerEngine {
    pub(super) fn sent(&mut self, server: usize, request: Request) {
        let Ask::Move { push, pull, .. } = request.ask else { return };
        if let Some(State::Running(running)) = self.record_mut(request.task).map(|r| &mut r.state)
            && running.parts[server].open
        {
            running.parts[server].push = push;
            running.parts[server].pull = pull;
        }
    }

    pub(super) fn reply(&mut self, server: usize, reply: Reply, out: &mut Vec<Output>) -> Result<()> {
        let (task, deadline_ms, servers) = (reply.task, self.params.deadline_ms, self.params.servers);
        if task.0 >= self.base + self.records.len() as u64 {
            return Err(wire(server, "an answer to a task", format!("one to unknown task {}", task.0)));
        }
        // Answers to tasks that ran out of time come late and are ignored.
        let Some(record) = self.record_mut(task) else { return Ok(()) };
        let (op, table) = (record.op, record.table);
        let State::Running(running) = &mut record.state else { return Ok(()) };
        let Some(part) = running.parts.get_mut(server).filter(|p| p.open) else {
            return Err(wire(server, "one answer to each request", format!("a second one to {op}")));
        };
        let mut spare = (None, None);
        match reply.answer {
            Answer::Miss { push, pull } => {
                let Some((keys, plan)) = &running.keys else {
                    return Err(wire(server, "an answer", format!("a missing key list for {op}")));
                };
                let keys = plan.as_ref().map_or(keys, |p| &p.shares[server].keys).clone();
                let ask = Ask::Move {
                    keys: Keys::Sent(keys.clone()),
                    round: running.round,
                    args: running.args.clone(),
                    push: push.or(part.push.take()),
                    pull: pull.or(part.pull.take()),
                };
                out.push(Output { server, request: Request { task, table, deadline_ms, ask } });
                self.known[server].put((keys.signature(), keys.len()), (), 8 * keys.len() + 64);
                return Ok(());
            }
            Answer::Moved { pulled, spent, note } => {
                let Some((keys, plan)) = &running.keys else {
                    return Err(wire(server, format!("an answer to {op}"), "values"));
                };
                part.note = note;
                let spent = spent.or(part.push.take());
                match plan {
                    None => (part.push, part.pulled) = (spent, pulled),
                    Some(plan) => {
                        let share = &plan.shares[server];
                        if let (Some(whole), Some(pulled)) = (&mut running.whole_pull, &pulled) {
                            let width = pulled.len() / share.keys.len().max(1);
                            if pulled.dtype() != whole.dtype() || pulled.len() != width * share.keys.len() {
                                let got = format!("{} {}", pulled.len(), pulled.dtype());
                                return Err(wire(server, format!("{} a key", whole.dtype()), got));
                            }
                            if !share.keys.is_empty() {
                                whole.scatter(pulled, &share.index, width, keys.len());
                            }
                        }
                        spare = (spent, pulled);
                    }
                }
            }
            Answer::Called(bytes) => part.note = bytes,
            Answer::Reduced(words) => running.words = words,
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
                let state = &mut self.tables[table.0 as usize];
                if state.shape.is_some_and(|s| s != shape) {
                    let expected = format!("{:?} as on the other servers", state.shape);
                    return Err(wire(server, expected, format!("{shape:?}")));
                }
                state.shape = Some(shape);
            }
        }
        if let Some(State::Running(running)) = self.record_mut(task).map(|r| &mut r.state) {
            running.parts[server].open = false;
            running.open -= 1;
        }
        self.recycle(spare.0);
        self.recycle(spare.1);
        Ok(())
    }

    /// Finishes a task that waits for nobody any more, and starts those that waited for it.
    pub(super) fn settle(&mut self, task: Task, out: &mut Vec<Output>) {
        let Some(record) = self.record_mut(task) else { return };
        let State::Running(running) = &mut record.state else { return };
        if running.open > 0 {
            return;
        }
        let result = match running.failed.take() {
            Some(error) => Err(error),
            None => {
                let split = running.keys.as_ref().is_some_and(|(_, plan)| plan.is_some());
                let (spent, pulled) = if split {
                    (running.whole_push.take(), running.whole_pull.take())
                } else {
                    (running.parts[0].push.take(), running.parts[0].pulled.take())
                };
                let notes = running.parts.iter_mut().map(|p| std::mem::take(&mut p.note)).collect();
                Ok(Outcome { pulled, spent, notes, words: std::mem::take(&mut running.words) })
            }
        };
        self.finish(task, result, out);
    }

    pub(super) fn finish(&mut self, task: Task, result: Result<Outcome>, out: &mut Vec<Output>) {
        let Some(record) = self.record_mut(task) else { return };
        let refused = matches!(result, Err(Error::Refused { .. })) && record.op == "create_table";
        record.state = State::Done(result);
        let table = record.table;
        // No server made it, so its number is the next table's.
        if refused && table.0 as usize + 1 == self.tables.len() && self.shape(table).is_none() {
            self.tables.pop();
        }
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

    pub(super) fn expire(&mut self, now: Millis, out: &mut Vec<Output>) {
        let deadline_ms = self.params.deadline_ms;
        let mut expired = Vec::new();
        for (task, record) in (self.base..).map(Task).zip(&self.records) {
            if record.due.plus(DEADLINE_GRACE_MS) > now {
                continue;
            }
            let waiting_for = match &record.state {
                State::Running(running) => {
                    let open = running.parts.iter().enumerate().filter(|(_, p)| p.open);
                    open.map(|(s, _)| format!("server {s}")).collect::<Vec<_>>().join(", ")
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
            self.finish(task, Err(error), out);
        }
    }
}

fn wire(server: usize, expected: impl Into<String>, got: impl Into<String>) -> Error {
    Error::Wire { from: format!("server {server}"), expected: expected.into(), got: got.into() }
}
