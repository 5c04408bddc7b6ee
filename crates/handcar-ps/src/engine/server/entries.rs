//! Entries read and written as they are: what checkpoints are made of.

use super::chain::Done;
use super::name::Name;
use super::{Output, ServerEngine, table};
use crate::entries::Entries;
use crate::message::{Answer, Reply, TableId, Task};
use crate::peer::Change;
use handcar_base::RangeSet;
use std::sync::Arc;

impl ServerEngine {
    /// Answers with the entries at some positions, or only with about how many there are.
    pub(super) fn copy_out(
        &mut self,
        worker: usize,
        (task, epoch): (Task, u64),
        id: TableId,
        within: &RangeSet,
        entries: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let shard = &table(&mut self.tables, id)?.shard;
        let count = shard.keys() as u64;
        let entries = if entries { shard.entries(within) } else { Entries::default() };
        self.answer_read(worker, Reply { task, epoch, answer: Answer::Copied { count, entries } }, out);
        Ok(())
    }

    /// Puts entries in the place of all that is at some positions.
    pub(super) fn copy_in(
        &mut self,
        (worker, task, epoch): (usize, Task, u64),
        id: TableId,
        within: Arc<RangeSet>,
        entries: Arc<Entries>,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let name = Name { table: id, worker, task, tag: None };
        let fresh = Arc::new(within.minus(&self.done(&name, &within)));
        let mut update = None;
        if !fresh.is_empty() {
            self.put_entries(&name, &fresh, &entries)?;
            let change = Change::Install { table: id, worker, task, entries };
            update = self.passes_on(&fresh).then(|| self.update(fresh, change));
        }
        let reply = Reply { task, epoch, answer: Answer::Installed };
        self.launch(update, vec![Done::Reply { worker, reply }], out);
        Ok(())
    }

    pub(super) fn put_entries(&mut self, name: &Name, fresh: &Arc<RangeSet>, entries: &Entries) -> Result<(), String> {
        let part = entries.within(fresh);
        table(&mut self.tables, name.table)?.shard.install(fresh, part.keys(), part.bytes())?;
        self.note_done(name, fresh);
        Ok(())
    }
}
