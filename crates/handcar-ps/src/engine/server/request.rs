//! A worker's request, from its fields to what the table does with it.

use super::chain::Done;
use super::filters::{Asking, Ends};
use super::portions::Wish;
use super::reduction::Words;
use super::table::{Collective, Push, Table};
use super::{Broken, Output, ServerEngine, TABLES_MAX, table};
use crate::carried::{Carried, Form};
use crate::filter::TableFilters;
use crate::message::{Answer, Ask, Keys, Millis, Reply, Request, TableId, Task};
use crate::peer::Change;
use crate::portion::Tag;
use crate::probation::{PROBATION_BYTES_MAX, Probation};
use crate::shard::{Shape, Shard};
use crate::values::Values;
use handcar_base::{KeyList, RangeSet};
use std::sync::Arc;

/// One worker's own push or insertion of keys.
pub(super) struct Single {
    pub task: Task,
    pub epoch: u64,
    pub id: TableId,
    pub within: Arc<RangeSet>,
    pub args: Vec<u8>,
    /// The keys pushed, or given entries.
    pub keys: KeyList,
    pub values: Option<Values>,
    /// All keys of the request.
    pub list: KeyList,
    pub pull: Option<Values>,
    pub form: Form,
    pub tag: Option<Tag>,
}

impl ServerEngine {
    pub(super) fn request(
        &mut self,
        now: Millis,
        worker: usize,
        request: Request,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let Request { task, table: id, epoch, within, answered, deadline_ms, ask } = request;
        let due = now.plus(deadline_ms);
        // It was delayed on the way; the worker has its answer already.
        if task < self.answered[worker] && !self.is(Broken::NoDuplicateCheck) {
            return Ok(());
        }
        self.learn_answered(worker, answered, out);
        let Some(place) = &self.place else { return Ok(()) };
        let headed = Arc::clone(&place.headed);
        let within = match within {
            Some(set) if !headed.covers(&set) && !self.is(Broken::NoEpochCheck) => {
                return Err(format!("expected positions that server {} heads in epoch {epoch}", self.params.id));
            }
            Some(set) => set,
            None => headed,
        };
        match ask {
            Ask::Create { name, updater, params, filters } => {
                let known = self.tables.len();
                let shape = self.create(id, name.clone(), updater.clone(), params.clone(), filters.clone())?;
                let change = Change::Create { table: id, name, updater, params, filters };
                // If it was there, it is on its way down the chain already.
                let new = self.tables.len() > known && self.passes_on(&within);
                let update = new.then(|| self.update(within, change));
                let reply = Reply { task, epoch, answer: Answer::Created(shape) };
                self.launch(update, vec![Done::Reply { worker, reply }], out);
                Ok(())
            }
            Ask::Reduce { round, op, words } => self.reduce(due, round, Words { worker, task, epoch, op, words }, out),
            Ask::Copy { entries } => self.copy_out(worker, (task, epoch), id, &within, entries, out),
            Ask::Install { entries } => self.copy_in((worker, task, epoch), id, within, entries, out),
            Ask::Portion { pass, portions, finished } => {
                self.give(Wish { worker, task, epoch, pass, portions, finished }, out)
            }
            Ask::Call { round, args } => {
                let item = Collective { worker, task, epoch, args, within, fresh: None, push: None };
                self.collect(due, id, round, item, out)
            }
            Ask::Move { keys, round, args, push, pull, form, tag } => {
                table(&mut self.tables, id)?;
                let list = match self.list(worker, keys) {
                    Some(list) => list,
                    None => {
                        let push = push.and_then(Carried::into_plain);
                        let reply = Reply { task, epoch, answer: Answer::Miss { push, pull } };
                        out.push(Output::Reply { worker, reply });
                        return Ok(());
                    }
                };
                let asking = Asking { id, worker, form };
                let pushed = match push {
                    None => None,
                    Some(carried) => match self.tables[id.0 as usize].pushed(id, worker, &list, carried) {
                        Ok(pushed) => Some(pushed),
                        Err(answer) => {
                            out.push(Output::Reply { worker, reply: Reply { task, epoch, answer: *answer } });
                            return Ok(());
                        }
                    },
                };
                match (round, pushed) {
                    (Some(round), Some((keys, values))) => {
                        let push = Some(Push { keys, values, list, pull, form });
                        let item = Collective { worker, task, epoch, args, within, fresh: None, push };
                        self.collect(due, id, round, item, out)
                    }
                    (Some(_), None) => Err("expected values in an aggregated push, got none".into()),
                    (None, None) if pull.is_some() => {
                        let pulled = self.tables[id.0 as usize].answer(asking, &list, pull);
                        let answer = Answer::Moved { pulled, spent: None, notes: Vec::new() };
                        self.answer_read(worker, Reply { task, epoch, answer }, out);
                        Ok(())
                    }
                    (None, pushed) => {
                        let (keys, values) = match pushed {
                            Some((keys, values)) => (keys, Some(values)),
                            None => (list.clone(), None),
                        };
                        let single = Single { task, epoch, id, within, args, keys, values, list, pull, form, tag };
                        self.single(worker, single, out)
                    }
                }
            }
        }
    }

    fn list(&mut self, worker: usize, keys: Keys) -> Option<KeyList> {
        match keys {
            Keys::Shared(list) => Some(list),
            Keys::Sent(list) => {
                let name = (list.signature(), list.len() as u64);
                let bytes_max = PROBATION_BYTES_MAX.min(self.params.key_cache_bytes_max);
                let new = self.new_lists.entry(worker).or_insert_with(|| Probation::new(bytes_max));
                if self.lists.get(&name).is_none() && !new.has(&name) {
                    let spare = |old: KeyList| old.into_vec().map(|keys| Values::I64(bytemuck::cast_vec(keys)));
                    new.put(name, list.clone(), 8 * list.len() + 64, |old| self.spares.extend(spare(old)));
                }
                Some(list)
            }
            Keys::Named { signature, len } => {
                let name = (signature, len);
                if let Some((list, bytes)) = self.new_lists.get_mut(&worker).and_then(|new| new.take(&name)) {
                    self.lists.put(name, list, bytes);
                }
                self.lists.get(&name).cloned()
            }
        }
    }

    pub(super) fn create(
        &mut self,
        id: TableId,
        name: String,
        updater: String,
        params: Vec<u8>,
        filters: TableFilters,
    ) -> Result<Shape, String> {
        let at = id.0 as usize;
        if let Some(t) = self.tables.get(at) {
            if (&t.name, &t.updater, &t.params, &t.ends.filters) != (&name, &updater, &params, &filters) {
                return Err(format!(
                    "expected table {at} to be {:?} with updater {:?} as another worker said, got {name:?} with \
                     {updater:?} (or other parameters or filters)",
                    t.name, t.updater
                ));
            }
            return Ok(t.shard.shape());
        }
        if at != self.tables.len() || at >= TABLES_MAX {
            return Err(format!("expected the next table to have number {}, got {at}", self.tables.len()));
        }
        if let Some(other) = self.tables.iter().position(|t| t.name == name) {
            return Err(format!("expected a new table name, got {name:?}, which is table {other}"));
        }
        let shard = self.registry.make(&updater, &params)?;
        let shape = shard.shape();
        filters.check(&self.filters, shape).map_err(|e| e.to_string())?;
        self.add_table(name, updater, params, filters, shard);
        Ok(shape)
    }

    pub(super) fn add_table(
        &mut self,
        name: String,
        updater: String,
        params: Vec<u8>,
        filters: TableFilters,
        shard: Box<dyn Shard>,
    ) {
        // Those that joined are known by now, and the view will not name them again.
        let workers = self.applied.len();
        let ends = Ends::new(&self.filters, filters, shard.shape(), self.params.id, workers);
        self.tables.push(Table::new(name, updater, params, ends, shard, workers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::server::{Input, ServerParams};
    use crate::engine::view::{View, unplaced};
    use crate::registry::Registry;

    /// What a server with one table of f32 sums answers to a push, whoever made it.
    fn told(table: u32, keys: Keys, push: Values) -> Answer {
        let mut engine = ServerEngine::new(ServerParams::new(0, 1), Registry::new());
        let mut out = Vec::new();
        engine.step(Millis(0), Input::View(Arc::new(View::first(unplaced(0..1), 1))), &mut out);
        let (name, updater, params) = ("t".to_string(), "sum.f32".to_string(), Vec::new());
        let create = Ask::Create { name, updater, params, filters: TableFilters::default() };
        let (pull, form, tag) = (None, Form::Plain, None);
        let push = Some(Carried::Plain(push));
        let push = Ask::Move { keys, round: None, args: Vec::new(), push, pull, form, tag };
        for (task, table, ask) in [(0, 0, create), (1, table, push)] {
            out.clear();
            let (task, answered, within) = (Task(task), Task(0), None);
            let request = Request { task, table: TableId(table), epoch: 1, within, answered, deadline_ms: 9, ask };
            engine.step(Millis(0), Input::Request { worker: 0, request }, &mut out);
        }
        let [Output::Reply { worker: 0, reply }] = &out[..] else { panic!("{out:?}") };
        reply.answer.clone()
    }

    #[test]
    fn what_a_worker_should_have_checked_is_refused_with_expected_and_got() {
        let keys = || Keys::Sent(KeyList::new(vec![3, 8]).unwrap());
        let refused = |reason: &str| Answer::Refused(reason.into());
        assert!(matches!(told(0, keys(), vec![1f32; 2].into()), Answer::Moved { .. }));
        assert_eq!(told(9, keys(), vec![1f32; 2].into()), refused("expected a table below 1, got 9"));
        let got = told(0, keys(), vec![1f32; 3].into());
        assert!(matches!(&got, Answer::Refused(r) if r.contains("expected 2 f32") && r.contains("got 3")), "{got:?}");
        let got = told(0, keys(), vec![1i64; 2].into());
        assert!(matches!(&got, Answer::Refused(r) if r.contains("f32") && r.contains("i64")), "{got:?}");
        let unknown = Keys::Named { signature: 1, len: 2 };
        assert!(matches!(told(0, unknown, vec![1f32; 2].into()), Answer::Miss { .. }));
    }
}
