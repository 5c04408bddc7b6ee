//! Updates on their way down the chain: applied where they were not yet, passed on, acknowledged.

use super::chain::Done;
use super::filters::Asking;
use super::name::Name;
use super::table::restrict;
use super::{Broken, Output, ServerEngine, Single, table};
use crate::engine::plan::Plan;
use crate::message::{Answer, Note, Reply, Task};
use crate::peer::{Change, Kept, PeerMessage, Say, Update};
use crate::shard::Contribution;
use crate::values::Values;
use handcar_base::RangeSet;
use std::sync::Arc;

/// Buffers kept for the driver to use again.
const SPARES_MAX: usize = 8;

/// The values of an update that nobody needs any more.
fn buffer(update: Arc<Update>) -> Option<Values> {
    match Arc::into_inner(update)?.change {
        Change::Round { pushed, .. } => pushed.map(|p| p.1),
        Change::Single { values, .. } => values,
        _ => None,
    }
}

impl ServerEngine {
    /// Whether updates at some positions go on to another server.
    pub(super) fn passes_on(&self, within: &RangeSet) -> bool {
        self.place.as_ref().is_some_and(|p| p.next.values().any(|ranges| ranges.meets(within)))
    }

    pub(super) fn update(&self, within: Arc<RangeSet>, change: Change) -> Arc<Update> {
        Arc::new(Update { within, answered: self.answered.clone(), change })
    }

    /// Passes an update on; what is due leaves once all chains have it.
    pub(super) fn launch(&mut self, update: Option<Arc<Update>>, done: Vec<Done>, out: &mut Vec<Output>) {
        let shares = update.as_ref().map_or_else(Vec::new, |u| self.shares(u));
        let (epoch, now) = (self.epoch(), self.now);
        let hasty = self.is(Broken::EarlyReply)
            || (self.is(Broken::EarlyAck) && done.iter().any(|d| matches!(d, Done::Ack { .. })));
        let (now_due, done) = if hasty { (done, Vec::new()) } else { (Vec::new(), done) };
        self.perform(now_due, out);
        let due = self.chain.launch(epoch, now, update, shares, done, out);
        self.perform(due, out);
        self.release(out);
    }

    /// Answers a pull once everything it shows is safe.
    pub(super) fn answer_read(&mut self, worker: usize, reply: Reply, out: &mut Vec<Output>) {
        let done = vec![Done::Reply { worker, reply }];
        if self.chain.idle() || self.is(Broken::DirtyRead) {
            self.perform(done, out);
        } else {
            self.launch(None, done, out);
        }
    }

    /// Says everything that is due now.
    pub(super) fn release(&mut self, out: &mut Vec<Output>) {
        while let Some((done, update)) = self.chain.release() {
            self.spares.extend(update.and_then(buffer));
            self.perform(done, out);
        }
        self.spares.truncate(SPARES_MAX);
    }

    fn perform(&mut self, done: Vec<Done>, out: &mut Vec<Output>) {
        let epoch = self.epoch();
        for due in done {
            match due {
                Done::Reply { worker, reply } => out.push(Output::Reply { worker, reply }),
                Done::Ack { to, seq } => self.chain.acknowledge(epoch, to, seq, out),
                Done::Filled => self.piece_filled(out),
            }
        }
    }

    /// What each next server gets of an update.
    fn shares(&mut self, update: &Arc<Update>) -> Vec<(usize, Arc<Update>)> {
        let blind = self.is(Broken::FillMissesUpdates) && !matches!(update.change, Change::Copy(_));
        let Some(place) = &self.place else { return Vec::new() };
        let mut shares: Vec<(usize, Arc<RangeSet>)> = Vec::new();
        for (&to, ranges) in &place.next {
            let mut within = update.within.and(ranges);
            if blind {
                within = within.minus(&place.view.filling(to));
            }
            if !within.is_empty() {
                shares.push((to, Arc::new(within)));
            }
        }
        if shares.is_empty() {
            return Vec::new();
        }
        let whole = |within: &Arc<RangeSet>| **within == *update.within;
        if let [(to, within)] = &shares[..]
            && whole(within)
        {
            return vec![(*to, Arc::clone(update))];
        }
        let keys = match &update.change {
            Change::Round { pushed, .. } => pushed.as_ref().map(|p| &p.0),
            Change::Single { keys, .. } => Some(keys),
            _ => None,
        };
        let plan = keys.map(|keys| {
            let name = (keys.signature(), keys.len());
            if self.plans.get(&name).is_none() {
                let plan = Plan::of(keys, &place.route);
                let bytes = plan.bytes();
                self.plans.put(name, plan, bytes);
            }
            name
        });
        let plan = plan.and_then(|name| self.plans.get(&name));
        let part = |to: usize, within: Arc<RangeSet>| {
            let share = plan.as_ref().and_then(|p| p.shares.get(&to));
            let gather = |values: &crate::values::Values, whole: usize| {
                let mut part = crate::values::Values::empty(values.dtype());
                if let Some(share) = share {
                    part.gather(values, &share.index, values.len() / whole.max(1));
                }
                part
            };
            let list = || share.map(|s| s.keys.clone()).unwrap_or_default();
            let change = match &update.change {
                Change::Round { table, round, args, pushed, tasks, refused } => Change::Round {
                    table: *table,
                    round: *round,
                    args: args.clone(),
                    pushed: pushed.as_ref().map(|(keys, values)| (list(), gather(values, keys.len()))),
                    tasks: tasks.clone(),
                    refused: refused.clone(),
                },
                Change::Single { table, worker, task, args, keys, values, tag } => Change::Single {
                    table: *table,
                    worker: *worker,
                    task: *task,
                    args: args.clone(),
                    keys: list(),
                    values: values.as_ref().map(|v| gather(v, keys.len())),
                    tag: *tag,
                },
                // Pieces of copies are cut so that they never part.
                other => other.clone(),
            };
            (to, Arc::new(Update { within, answered: update.answered.clone(), change }))
        };
        shares.into_iter().map(|(to, within)| part(to, within)).collect()
    }

    /// One worker's own push, or insertion of keys.
    pub(super) fn single(&mut self, worker: usize, single: Single, out: &mut Vec<Output>) -> Result<(), String> {
        let Single { task, epoch, id, within, args, keys, values, list, pull, form, tag } = single;
        table(&mut self.tables, id)?;
        let name = Name { table: id, worker, task, tag };
        let before = self.done(&name, &within);
        let careless = self.is(Broken::NoDuplicateCheck);
        let fresh = if before.is_empty() || careless { Arc::clone(&within) } else { Arc::new(within.minus(&before)) };
        let mut answer = Answer::Moved { pulled: None, spent: None, notes: Vec::new() };
        let mut update = None;
        if !fresh.is_empty() {
            let passes_on = self.passes_on(&fresh);
            let kept = passes_on.then(|| values.clone());
            match self.run_single(&name, &args, &keys, values, &fresh, &within) {
                Err(reason) => answer = Answer::Refused(reason),
                Ok((note, spent)) => {
                    let notes = note.into_iter().map(|bytes| Note { within: None, bytes }).collect();
                    answer = Answer::Moved { pulled: None, spent, notes };
                    if let Some(values) = kept {
                        let (keys, values) = match values {
                            Some(v) if fresh != within => {
                                let (keys, v) = restrict(keys.clone(), v, &fresh);
                                (keys, Some(v))
                            }
                            other => (keys.clone(), other),
                        };
                        let change = Change::Single { table: id, worker, task, args, keys, values, tag };
                        update = Some(self.update(fresh, change));
                    }
                }
            }
        }
        if let Answer::Moved { pulled, .. } = &mut answer {
            *pulled = self.tables[id.0 as usize].answer(Asking { id, worker, form }, &list, pull);
        }
        self.launch(update, vec![Done::Reply { worker, reply: Reply { task, epoch, answer } }], out);
        Ok(())
    }

    fn run_single(
        &mut self,
        name: &Name,
        args: &[u8],
        keys: &handcar_base::KeyList,
        values: Option<crate::values::Values>,
        fresh: &Arc<RangeSet>,
        within: &Arc<RangeSet>,
    ) -> Result<(Option<Vec<u8>>, Option<crate::values::Values>), String> {
        let result = match values {
            None => {
                table(&mut self.tables, name.table)?.shard.insert(keys);
                (None, None)
            }
            Some(values) => {
                let (keys, values) =
                    if fresh == within { (keys.clone(), values) } else { restrict(keys.clone(), values, fresh) };
                let pushed = [Contribution { keys: &keys, values: &values }];
                let note = self.run_round(name.table, args, Some(&pushed), fresh)?;
                (Some(note), Some(values))
            }
        };
        self.note_done(name, fresh);
        Ok(result)
    }

    /// A message of another server of this view.
    pub(super) fn peer(&mut self, from: usize, message: PeerMessage, out: &mut Vec<Output>) {
        match message.say {
            Say::Ack { seq } => {
                let due = self.chain.acked(self.now, from, seq);
                self.perform(due, out);
                self.release(out);
            }
            Say::Update { seq, update } => {
                let epoch = self.epoch();
                let ready = if self.is(Broken::NoSequence) {
                    self.chain.arrive(epoch, from, seq, Arc::clone(&update), out);
                    vec![(seq, update)]
                } else {
                    self.chain.arrive(epoch, from, seq, update, out)
                };
                for (seq, update) in ready {
                    // Without an acknowledgement nobody counts on this copy.
                    if let Err(reason) = self.apply_update(&update) {
                        return self.become_unfit(reason, out);
                    }
                    let answered = update.answered.clone();
                    self.launch(Some(update), vec![Done::Ack { to: from, seq }], out);
                    for (worker, task) in answered.into_iter().enumerate() {
                        self.learn_answered(worker, task, out);
                    }
                }
            }
        }
    }

    /// Does what an update says, where it was not done before.
    ///
    /// # Errors
    /// Why this server cannot do what the one before it did.
    fn apply_update(&mut self, update: &Update) -> Result<(), String> {
        let mine = update.within.and(&self.held);
        match &update.change {
            Change::Nothing => {}
            Change::Create { table, name, updater, params, filters } => {
                // A server that is being filled and lacks earlier tables gets this one with a piece that is to come.
                if table.0 as usize <= self.tables.len() {
                    self.create(*table, name.clone(), updater.clone(), params.clone(), filters.clone())?;
                }
            }
            Change::Copy(copied) => self.install(&update.within, copied)?,
            Change::Reduced { round, words, tasks } => {
                if *round >= self.reduced_next && mine.contains(0) {
                    self.keep_reduced(*round, tasks.clone(), words.clone());
                }
            }
            Change::Install { table, worker, task, entries } => {
                if self.answered.get(*worker).is_none_or(|low| task < low) {
                    return Ok(());
                }
                let name = Name { table: *table, worker: *worker, task: *task, tag: None };
                let fresh = Arc::new(mine.minus(&self.done(&name, &mine)));
                if !fresh.is_empty() {
                    self.put_entries(&name, &fresh, entries)?;
                }
            }
            Change::Progress(progress) => {
                if mine.contains(0) {
                    self.portions.apply(self.now, progress);
                }
            }
            Change::Single { table, worker, task, args, keys, values, tag } => {
                if tag.is_none() && self.answered.get(*worker).is_none_or(|low| task < low) {
                    return Ok(());
                }
                let name = Name { table: *table, worker: *worker, task: *task, tag: *tag };
                let fresh = mine.minus(&self.done(&name, &mine));
                if fresh.is_empty() {
                    return Ok(());
                }
                let (fresh, within) = (Arc::new(fresh), Arc::clone(&update.within));
                // The head accepted it, so this server does, unless their code differs.
                self.run_single(&name, args, keys, values.clone(), &fresh, &within)?;
            }
            Change::Round { table: id, round, args, pushed, tasks, refused } => {
                let Some(t) = self.tables.get(id.0 as usize) else { return Ok(()) };
                let fresh = mine.minus(&t.clock.past(&mine, *round));
                if fresh.is_empty() {
                    return Ok(());
                }
                let fresh = Arc::new(fresh);
                let result = match (refused, pushed) {
                    (Some(reason), _) => Err(reason.clone()),
                    (None, None) => self.run_round(*id, args, None, &fresh),
                    (None, Some((keys, values))) if fresh == update.within => {
                        self.run_round(*id, args, Some(&[Contribution { keys, values }]), &fresh)
                    }
                    (None, Some((keys, values))) => {
                        let (keys, values) = restrict(keys.clone(), values.clone(), &fresh);
                        self.run_round(*id, args, Some(&[Contribution { keys: &keys, values: &values }]), &fresh)
                    }
                };
                if !self.is(Broken::ClockNotReplicated) {
                    self.record_round(*id, *round, &fresh, tasks, result);
                }
            }
        }
        Ok(())
    }

    /// A worker has its answers to all tasks below one: what was kept for their repetition can go.
    pub(super) fn learn_answered(&mut self, worker: usize, task: Task, out: &mut Vec<Output>) {
        let Some(low) = self.answered.get_mut(worker) else { return };
        if *low >= task {
            return;
        }
        *low = task;
        if self.params.broken == Some(Broken::NoForgetting) {
            return;
        }
        let applied = &mut self.applied[worker];
        *applied = applied.split_off(&task);
        let answered = &self.answered;
        for t in &mut self.tables {
            t.notes.retain(|k| !k.answered(answered));
        }
        self.reduced.retain(|k| !k.answered(answered));
        self.notes_went(out);
    }

    pub(super) fn keep_reduced(&mut self, round: u64, tasks: Vec<Task>, result: Result<Vec<i64>, String>) {
        self.reduced_next = round + 1;
        self.reduced.push_back(Kept { round, within: Arc::new(super::origin()), tasks, result });
    }
}
