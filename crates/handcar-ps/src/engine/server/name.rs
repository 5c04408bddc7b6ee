//! By what name a single push is known when it comes again.

use super::{Broken, ServerEngine};
use crate::message::{TableId, Task};
use crate::portion::Tag;
use handcar_base::RangeSet;
use std::sync::Arc;

/// A single push: the worker's task, or what it was made for, if that may be made twice.
pub(super) struct Name {
    pub table: TableId,
    pub worker: usize,
    pub task: Task,
    pub tag: Option<Tag>,
}

impl ServerEngine {
    /// The positions among some where a push was applied already.
    pub(super) fn done(&self, name: &Name, within: &RangeSet) -> RangeSet {
        let set = match name.tag {
            None => self.applied.get(name.worker).and_then(|tasks| tasks.get(&name.task)),
            Some(_) if self.is(Broken::NoPortionCheck) => None,
            // Another pass has begun, so each portion of this one is finished, with all that was pushed for it.
            Some(tag) if self.pushed.last_key_value().is_some_and(|(last, _)| tag.portion.pass < last.0) => {
                return within.clone();
            }
            Some(tag) => self.pushed.get(&(tag.portion.pass, name.table, tag)),
        };
        set.map(|done| done.and(within)).unwrap_or_default()
    }

    pub(super) fn note_done(&mut self, name: &Name, fresh: &Arc<RangeSet>) {
        match name.tag {
            Some(tag) => self.note_pushed(name.table, tag, fresh),
            None => {
                let Some(applied) = self.applied.get_mut(name.worker) else { return };
                let all = applied.get(&name.task).map_or_else(|| Arc::clone(fresh), |old| Arc::new(old.or(fresh)));
                applied.insert(name.task, all);
            }
        }
    }

    /// Remembers a push made for a portion, and forgets those of earlier passes.
    pub(super) fn note_pushed(&mut self, table: TableId, tag: Tag, fresh: &Arc<RangeSet>) {
        let name = (tag.portion.pass, table, tag);
        let all = self.pushed.get(&name).map_or_else(|| Arc::clone(fresh), |old| Arc::new(old.or(fresh)));
        self.pushed.insert(name, all);
        while let Some(first) = self.pushed.first_entry()
            && first.key().0 < tag.portion.pass
        {
            first.remove();
        }
    }
}
