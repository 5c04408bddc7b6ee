//! Requests of a task's parts: written, named, sent again.

use super::{Known, Output, WorkerEngine};
use crate::carried::{Carried, Form};
use crate::engine::task::{Part, Running, What};
use crate::lru::Lru;
use crate::message::{Ask, Keys, Request, TableId, Task};
use crate::probation::{PROBATION_BYTES_MAX, Probation};
use crate::values::Values;
use handcar_base::KeyList;
use std::sync::Arc;

impl WorkerEngine {
    /// Writes the request of one part; `buffers` are those of its last attempt.
    #[expect(clippy::too_many_arguments, reason = "a part of a task, taken apart")]
    pub(super) fn send(
        &mut self,
        task: Task,
        table: TableId,
        epoch: u64,
        running: &mut Running,
        server: usize,
        buffers: Option<(Option<Values>, Option<Values>)>,
        out: &mut Vec<Output>,
    ) {
        let push_width = self.shape(table).map_or(1, |s| s.push_width as usize);
        let again = buffers.is_some();
        let (mut push, mut pull) = buffers.unwrap_or_default();
        let round = running.round;
        let ask = match &running.what {
            What::Create { name, updater, params, filters } => Ask::Create {
                name: name.clone(),
                updater: updater.clone(),
                params: params.clone(),
                filters: filters.clone(),
            },
            What::Call { args } => Ask::Call { round: round.unwrap_or(0), args: args.clone() },
            What::Reduce { op, words } => {
                if !again {
                    self.plain_bytes.0 += 8 * words.len() as u64;
                    self.plain_bytes.1 += 8 * words.len() as u64;
                }
                Ask::Reduce { round: round.unwrap_or(0), op: *op, words: words.clone() }
            }
            &What::Copy { entries } => Ask::Copy { entries },
            What::Install { entries } => Ask::Install { entries: Arc::clone(entries) },
            &What::Portion { pass, portions, finished } => Ask::Portion { pass, portions, finished },
            What::Move { args, tag } => {
                let tag = *tag;
                let Some((keys, plan)) = &running.keys else { return };
                let (args, list) = match plan {
                    None => (args.clone(), keys.clone()),
                    Some(plan) => match plan.shares.get(&server) {
                        Some(share) => (args.clone(), share.keys.clone()),
                        None => return,
                    },
                };
                if plan.is_none() {
                    pull = pull.or_else(|| running.whole_pull.take());
                }
                let keys = if again { self.name_keys_again(server, &list) } else { self.name_keys(server, &list) };
                let form = self.form(table, running, server);
                if !again {
                    self.count(running, list.len(), push_width, table);
                }
                let pull_only = form == Form::Whole;
                let carried = if pull_only || !running.pushes {
                    None
                } else {
                    let named = matches!(keys, Keys::Named { .. });
                    self.carried(task, table, running, server, &list, named)
                        .or_else(|| self.plain(running, server, push.take(), push_width).map(Carried::Plain))
                };
                // Its values are still with the driver: it will be sent.
                if running.pushes && !pull_only && carried.is_none() {
                    return;
                }
                if let (None, Some(dtype)) = (&pull, running.pulls) {
                    pull = Some(self.buffer(dtype));
                }
                if pull_only {
                    // The push is done; only its values are asked for again.
                    if let Some(part) = running.parts.get_mut(&server) {
                        part.push = push;
                    }
                    Ask::Move { keys, round: None, args: Vec::new(), push: None, pull, form, tag: None }
                } else {
                    Ask::Move { keys, round, args, push: carried, pull, form, tag }
                }
            }
        };
        let within = running.parts.get_mut(&server).and_then(|part| {
            part.sent_at = self.now;
            part.within.clone()
        });
        let (answered, deadline_ms) = (self.answered, self.params.deadline_ms);
        let request = Request { task, table, epoch, within, answered, deadline_ms, ask };
        out.push(Output { server, request });
    }

    /// Sends again what a server has not answered.
    pub(super) fn resend(&mut self, task: Task, to: impl Fn(usize, &Part) -> bool, out: &mut Vec<Output>) {
        let epoch = self.view.epoch;
        let Some((mut running, table)) = self.lend(task) else { return };
        let due: Vec<usize> = running.parts.iter().filter(|&(&s, p)| p.open && to(s, p)).map(|(&s, _)| s).collect();
        for server in due {
            let Some(part) = running.parts.get_mut(&server) else { continue };
            let buffers = (part.push.take(), part.pull.take());
            self.send(task, table, epoch, &mut running, server, Some(buffers), out);
        }
        self.give_back(task, running);
    }

    /// The push of one part as it is: what came back from an earlier attempt, or what is gathered now.
    fn plain(
        &mut self,
        running: &mut Running,
        server: usize,
        push: Option<Values>,
        push_width: usize,
    ) -> Option<Values> {
        let Some((_, plan)) = &running.keys else { return None };
        match (push, plan) {
            (Some(push), _) => Some(push),
            (None, None) => running.whole_push.take(),
            (None, Some(plan)) => {
                let (whole, share) = (running.whole_push.as_ref()?, plan.shares.get(&server)?);
                let mut part = self.buffer(whole.dtype());
                part.gather(whole, &share.index, push_width);
                Some(part)
            }
        }
    }

    /// Counts what a message would take without any saving.
    fn count(&mut self, running: &Running, keys: usize, push_width: usize, table: TableId) {
        let pull_width = self.shape(table).map_or(1, |s| s.pull_width as usize);
        let pushed = if running.pushes { 4 * push_width } else { 0 };
        let pulled = if running.pulls.is_some() { 4 * pull_width } else { 0 };
        self.plain_bytes.0 += (keys * (8 + pushed)) as u64;
        self.plain_bytes.1 += (keys * pulled) as u64;
    }

    pub(super) fn name_keys(&mut self, server: usize, keys: &KeyList) -> Keys {
        if self.params.shared_memory {
            return Keys::Shared(keys.clone());
        }
        let name = (keys.signature(), keys.len());
        let known = self.known(server);
        if let Some((_, bytes)) = known.new.take(&name) {
            known.lists.put(name, (), bytes);
        }
        if known.lists.get(&name).is_some() {
            return Keys::Named { signature: name.0, len: name.1 as u64 };
        }
        known.new.put(name, (), 8 * keys.len() + 64, drop);
        Keys::Sent(keys.clone())
    }

    /// The list itself: the message that brought it may have been lost.
    pub(super) fn name_keys_again(&mut self, server: usize, keys: &KeyList) -> Keys {
        if self.params.shared_memory {
            return Keys::Shared(keys.clone());
        }
        let (known, name) = (self.known(server), (keys.signature(), keys.len()));
        // The server forgot it, or never had it: to both it is new.
        known.lists.remove(&name);
        if !known.new.has(&name) {
            known.new.put(name, (), 8 * keys.len() + 64, drop);
        }
        Keys::Sent(keys.clone())
    }

    /// The lists that a server is believed to remember.
    fn known(&mut self, server: usize) -> &mut Known {
        let bytes_max = self.params.key_cache_bytes_max;
        let new = || Probation::new(PROBATION_BYTES_MAX.min(bytes_max));
        self.known.entry(server).or_insert_with(|| Known { lists: Lru::new(bytes_max), new: new() })
    }
}
