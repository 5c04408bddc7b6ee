//! `Last`: the values that a receiver was told last.

use crate::filter::block::Block;
use crate::filter::error::FilterError;
use crate::filter::rows::Rows;
use crate::filter::slots::Slots;
use crate::message::Task;
use crate::values::{Dtype, Values};

/// The last values of every key, and the task that brought the newest. Holds `12` bytes and a row for every key pulled.
pub struct Last {
    slots: Slots,
    values: Values,
    task: Option<Task>,
    width: usize,
}

impl Last {
    pub fn new(dtype: Dtype, width: usize) -> Self {
        Self { slots: Slots::default(), values: Values::empty(dtype), task: None, width }
    }

    pub fn forget(&mut self) {
        *self = Self::new(self.values.dtype(), self.width);
    }

    /// Remembers the rows of a block and fills in those that did not come, as far as they are known. `after` is the task
    /// that the sender encoded before this one, `None` for its first.
    pub fn decode(&mut self, task: Task, after: Option<Task>, block: Block) -> Result<Block, FilterError> {
        block.numbers()?;
        // A message that came before, or an older one, teaches nothing: remembering it again would undo newer values.
        if self.task.is_none_or(|t| t < task) {
            match after {
                None => self.forget(),
                after if after == self.task => {}
                Some(after) => {
                    let got = self.task.map_or("nothing".into(), |t| format!("task {}", t.0));
                    return Err(FilterError::behind(format!("task {}", after.0), got));
                }
            }
            self.task = Some(task);
            let slots = self.slots.of(&block.selected());
            let index: Vec<u32> = slots.iter().map(|&s| s as u32).collect();
            self.values.scatter(block.numbers()?, &index, self.width, self.slots.len());
        }
        let found = self.slots.find(block.keys.keys());
        let known = Rows::from_fn(found.len(), |i| found[i].is_some() && !block.rows.contains(i));
        let index: Vec<u32> = known.iter().filter_map(|i| found[i]).map(|slot| slot as u32).collect();
        let mut values = Values::empty(block.dtype);
        values.gather(&self.values, &index, self.width);
        block.add(&known, &values)
    }
}
