//! One table of a server: its shard, the clock of its collectives, and those that wait for workers.

use super::filters::{Asking, Ends};
use super::{Broken, Output, ServerEngine, chain::Done, table};
use crate::carried::Form;
use crate::engine::rounds::Rounds;
use crate::message::{Answer, Millis, Note, Reply, TableId, Task};
use crate::peer::{Change, Kept};
use crate::shard::{Contribution, Shard};
use crate::values::Values;
use handcar_base::{Key, KeyList, RangeClock, RangeSet, key};
use std::collections::VecDeque;
use std::sync::Arc;

/// One worker's item in a round of a table.
#[derive(Debug)]
pub(super) struct Collective {
    pub worker: usize,
    pub task: Task,
    pub epoch: u64,
    pub args: Vec<u8>,
    /// The positions it speaks for.
    pub within: Arc<RangeSet>,
    /// Those of them where the round was not applied before; `None` until that is known.
    pub fresh: Option<Arc<RangeSet>>,
    /// `None` is a call of the server function.
    pub push: Option<Push>,
}

#[derive(Debug)]
pub(super) struct Push {
    /// The keys that were pushed.
    pub keys: KeyList,
    pub values: Values,
    /// All keys of the request, and how the values pulled are to come.
    pub list: KeyList,
    pub pull: Option<Values>,
    pub form: Form,
}

pub(super) struct Table {
    pub name: String,
    pub updater: String,
    pub params: Vec<u8>,
    pub ends: Ends,
    pub shard: Box<dyn Shard>,
    pub rounds: Rounds<Collective>,
    /// The next collective, by position.
    pub clock: RangeClock,
    /// Notes of collectives that a worker may ask for again.
    pub notes: VecDeque<Kept<Vec<u8>>>,
}

impl Table {
    pub fn new(
        name: String,
        updater: String,
        params: Vec<u8>,
        ends: Ends,
        shard: Box<dyn Shard>,
        workers: usize,
    ) -> Self {
        let (rounds, clock) = (Rounds::new(workers), RangeClock::new());
        Self { name, updater, params, ends, shard, rounds, clock, notes: VecDeque::new() }
    }

    pub fn read(&mut self, keys: &KeyList, buffer: Option<Values>) -> Option<Values> {
        let mut buffer = buffer?;
        self.shard.read(keys, &mut buffer);
        Some(buffer)
    }

    /// The notes of a round about some positions. After keys went to other servers a note may speak for more than is
    /// asked; the worker takes of what overlaps only what speaks for most.
    fn notes_of(&self, round: u64, within: &RangeSet) -> Result<Vec<Note>, String> {
        let here = |k: &&Kept<Vec<u8>>| k.round == round && k.within.meets(within);
        let note = |k: &Kept<Vec<u8>>| {
            let whole = *k.within == *within;
            k.result.clone().map(|bytes| Note { within: (!whole).then(|| Arc::clone(&k.within)), bytes })
        };
        self.notes.iter().filter(here).map(note).collect()
    }
}

/// Keys at some positions, with their values.
pub(super) fn restrict(keys: KeyList, values: Values, within: &RangeSet) -> (KeyList, Values) {
    let width = values.len() / keys.len().max(1);
    let inside = |&(_, k): &(u32, &Key)| within.contains(key::position(*k));
    let (index, list): (Vec<u32>, Vec<Key>) = (0..).zip(keys.keys()).filter(inside).map(|(i, &k)| (i, k)).unzip();
    if list.len() == keys.len() {
        return (keys, values);
    }
    let mut part = Values::empty(values.dtype());
    part.gather(&values, &index, width);
    match KeyList::new(list) {
        Ok(list) => (list, part),
        Err(_) => unreachable!("a subsequence of increasing keys increases"),
    }
}

impl ServerEngine {
    /// Takes one worker's item of a round; applies the rounds that are then complete.
    pub(super) fn collect(
        &mut self,
        due: Millis,
        id: TableId,
        round: u64,
        mut item: Collective,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let careless = self.is(Broken::NoRoundCheck);
        let t = table(&mut self.tables, id)?;
        let done = t.clock.past(&item.within, round);
        if !done.is_empty() && careless {
            t.clock.set_all(&item.within, round);
            item.fresh = Some(Arc::clone(&item.within));
        } else if done.is_empty() {
            item.fresh = Some(Arc::clone(&item.within));
        } else {
            let fresh = item.within.minus(&done);
            if fresh.is_empty() {
                // It comes again: the answer was lost, the effect was not.
                return self.repeat(id, round, item, out);
            }
            item.fresh = Some(Arc::new(fresh));
        }
        let next = item.within.first().map_or(0, |p| t.clock.get(p)).min(round);
        let worker = item.worker;
        t.rounds.arrive(next, round, worker, due, item, |a, b| a.task == b.task)?;
        self.complete(id, out);
        Ok(())
    }

    fn repeat(&mut self, id: TableId, round: u64, item: Collective, out: &mut Vec<Output>) -> Result<(), String> {
        let Collective { worker, task, epoch, within, push, .. } = item;
        let t = table(&mut self.tables, id)?;
        let notes = t.notes_of(round, &within);
        let answer = match (notes, push) {
            (Err(reason), _) => Answer::Refused(reason),
            (Ok(notes), None) => Answer::Called(notes),
            (Ok(notes), Some(Push { values, list, pull, form, .. })) => {
                let pulled = t.answer(Asking { id, worker, form }, &list, pull);
                Answer::Moved { pulled, spent: Some(values), notes }
            }
        };
        self.answer_read(worker, Reply { task, epoch, answer }, out);
        Ok(())
    }

    /// Applies every round whose time has come.
    fn complete(&mut self, id: TableId, out: &mut Vec<Output>) {
        loop {
            let Some(t) = self.tables.get_mut(id.0 as usize) else { return };
            let clock = &t.clock;
            let ready = |round, c: &Collective| c.fresh.as_ref().is_some_and(|f| clock.is(f, round));
            let Some((round, items)) = t.rounds.take(ready) else { return };
            self.apply_round(id, round, items, out);
        }
    }

    fn apply_round(&mut self, id: TableId, round: u64, mut items: Vec<Collective>, out: &mut Vec<Output>) {
        if self.is(Broken::ArrivalOrder) {
            let first = self.progress as usize % items.len().max(1);
            items.rotate_left(first);
        }
        let mut refused = alike(&items).err();
        let Some(first) = items.first() else { return };
        let Some(fresh) = first.fresh.clone() else { return };
        let (args, tasks) = (first.args.clone(), items.iter().map(|c| c.task).collect::<Vec<_>>());
        let mut asking = Vec::with_capacity(items.len());
        let mut pushed = Vec::with_capacity(items.len());
        for c in items {
            let mut wanted = None;
            if let Some(p) = c.push {
                let whole = c.within == fresh;
                let (list, values) = if whole { (p.keys, p.values) } else { restrict(p.keys, p.values, &fresh) };
                pushed.push((list, values));
                wanted = Some((p.list, p.pull, p.form));
            }
            asking.push((c.worker, c.task, c.epoch, c.within, wanted));
        }
        let call = pushed.is_empty();
        // The chain gets the sum, not what each worker sent.
        let passes_on = self.passes_on(&fresh);
        let t = &mut self.tables[id.0 as usize];
        if passes_on && pushed.len() > 1 && refused.is_none() {
            match t.shard.sum(&contributions(&pushed)) {
                Ok(sum) => {
                    let parts = std::mem::replace(&mut pushed, vec![sum]);
                    self.spares.extend(parts.into_iter().map(|p| p.1));
                }
                Err(reason) => refused = Some(reason),
            }
        }
        let result = match &refused {
            Some(reason) => Err(reason.clone()),
            None => self.run_round(id, &args, (!call).then(|| contributions(&pushed)).as_deref(), &fresh),
        };
        let refused = refused.or_else(|| result.as_ref().err().cloned());
        self.record_round(id, round, &fresh, &tasks, result);
        let mut spent = Vec::new();
        let update = if passes_on {
            let pushed = pushed.pop().filter(|_| refused.is_none());
            let change = Change::Round { table: id, round, args, pushed, tasks, refused };
            Some(self.update(Arc::clone(&fresh), change))
        } else {
            spent.extend(pushed.into_iter().map(|c| c.1));
            None
        };
        let mut spent = spent.into_iter();
        let mut done = Vec::with_capacity(asking.len());
        for (worker, task, epoch, within, wanted) in asking {
            let t = &mut self.tables[id.0 as usize];
            let answer = match (t.notes_of(round, &within), wanted) {
                (Err(reason), _) => Answer::Refused(reason),
                (Ok(notes), None) => Answer::Called(notes),
                (Ok(notes), Some((list, pull, form))) => {
                    let pulled = t.answer(Asking { id, worker, form }, &list, pull);
                    Answer::Moved { pulled, spent: spent.next(), notes }
                }
            };
            done.push(Done::Reply { worker, reply: Reply { task, epoch, answer } });
        }
        self.launch(update, done, out);
    }

    /// Runs a round on the keys at some positions: `None` is a call.
    pub(super) fn run_round(
        &mut self,
        id: TableId,
        args: &[u8],
        pushed: Option<&[Contribution<'_>]>,
        fresh: &RangeSet,
    ) -> Result<Vec<u8>, String> {
        let everything = fresh.covers(&self.held);
        let shard = &mut table(&mut self.tables, id)?.shard;
        match pushed {
            Some(pushed) => shard.apply(args, pushed),
            None if everything => shard.call(args),
            None => shard.call_within(fresh, args),
        }
    }

    /// Moves the clock on and keeps the result for workers that ask again.
    pub(super) fn record_round(
        &mut self,
        id: TableId,
        round: u64,
        fresh: &Arc<RangeSet>,
        tasks: &[Task],
        result: Result<Vec<u8>, String>,
    ) {
        let Some(t) = self.tables.get_mut(id.0 as usize) else { return };
        t.clock.set_all(fresh, round + 1);
        t.notes.push_back(Kept { round, within: Arc::clone(fresh), tasks: tasks.to_vec(), result });
    }
}

pub(super) fn contributions(pushed: &[(KeyList, Values)]) -> Vec<Contribution<'_>> {
    pushed.iter().map(|(keys, values)| Contribution { keys, values }).collect()
}

/// Whether all workers made the same call.
fn alike(items: &[Collective]) -> Result<(), String> {
    let word = |c: &Collective| if c.push.is_some() { "push" } else { "call" };
    let Some(first) = items.first() else { return Ok(()) };
    for c in items {
        if (c.push.is_some(), &c.args) != (first.push.is_some(), &first.args) {
            return Err(format!(
                "expected all workers to make the same call: worker {} made a {} with {} argument bytes, \
                 worker {} a {} with {} (or other) bytes",
                first.worker,
                word(first),
                first.args.len(),
                c.worker,
                word(c),
                c.args.len()
            ));
        }
        if c.fresh != first.fresh {
            return Err(format!(
                "expected workers {} and {} to speak for the same positions in epoch {}",
                first.worker, c.worker, c.epoch
            ));
        }
    }
    Ok(())
}
