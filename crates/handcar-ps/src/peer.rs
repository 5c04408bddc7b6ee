//! What servers tell each other: updates on their way down a chain, and copies for those being filled.

use crate::entries::Entries;
use crate::filter::TableFilters;
use crate::message::{TableId, Task};
use crate::portion::{Progress, Pushed, Tag, Work};
use crate::values::Values;
use handcar_base::{KeyList, KeyRange, RangeSet};
use std::sync::Arc;

/// A message between two servers of one view.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerMessage {
    /// The sender's view; a receiver in another one does not act on it.
    pub epoch: u64,
    /// What is said.
    pub say: Say,
}

/// What a server says to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Say {
    /// The `seq`-th update on this link in this epoch.
    Update {
        /// Its number, from 0.
        seq: u64,
        /// The update.
        update: Arc<Update>,
    },
    /// The update `seq` has reached the end of its chains.
    Ack {
        /// The number.
        seq: u64,
    },
}

/// Something that changed the first server of a chain and must change the others alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The positions it speaks for.
    pub within: Arc<RangeSet>,
    /// By worker: its tasks below this one have their answers, so that what was kept for a repeated one can go.
    pub answered: Vec<Task>,
    /// What to do.
    pub change: Change,
}

/// A change of a server's tables.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A table, for those that do not have it.
    Create {
        /// Its number.
        table: TableId,
        /// Its name.
        name: String,
        /// The registered updater.
        updater: String,
        /// The updater's parameters.
        params: Vec<u8>,
        /// What its messages go through.
        filters: TableFilters,
    },
    /// A collective of all workers: an aggregated push, or a call if there are no keys.
    Round {
        /// The table.
        table: TableId,
        /// Its place in the table's order of collectives.
        round: u64,
        /// Bytes for the updater.
        args: Vec<u8>,
        /// Keys with the sum of all workers' values.
        pushed: Option<(KeyList, Values)>,
        /// By worker, the task.
        tasks: Vec<Task>,
        /// Why it changes nothing but the clock, if so.
        refused: Option<String>,
    },
    /// One worker's own push, or insertion of keys if there are no values.
    Single {
        /// The table.
        table: TableId,
        /// The worker.
        worker: usize,
        /// Its task.
        task: Task,
        /// Bytes for the updater.
        args: Vec<u8>,
        /// The keys.
        keys: KeyList,
        /// Their values.
        values: Option<Values>,
        /// The portion that it was made for.
        tag: Option<Tag>,
    },
    /// A reduction's result.
    Reduced {
        /// Its number.
        round: u64,
        /// The joined integers, or why there are none.
        words: Result<Vec<i64>, String>,
        /// By worker, the task.
        tasks: Vec<Task>,
    },
    /// Entries in the place of all that is at these positions.
    Install {
        /// The table.
        table: TableId,
        /// The worker.
        worker: usize,
        /// Its task.
        task: Task,
        /// The entries; some may be of other positions.
        entries: Arc<Entries>,
    },
    /// A step of the work on a pass.
    Progress(Progress),
    /// Nothing but the news which tasks have their answers.
    Nothing,
    /// Everything known about some positions, for a server that has nothing yet.
    Copy(Box<Copied>),
}

/// Everything a server knows about some positions: what a new copy needs, and what a checkpoint keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Copied {
    /// The tables, in order.
    pub tables: Vec<CopiedTable>,
    /// By worker: tasks of single pushes that may come again, with the positions where they were applied.
    pub applied: Vec<Vec<(Task, Arc<RangeSet>)>>,
    /// Reductions done, and the results that may be asked for again; only with position 0.
    pub reduced: Option<(u64, Vec<Kept<Vec<i64>>>)>,
    /// The work on the latest pass; only with position 0.
    pub work: Option<Work>,
    /// Pushes made for portions, with the positions where they were applied.
    pub pushed: Pushed,
}

/// One table's part of [`Copied`].
#[derive(Clone, Debug, PartialEq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// The registered updater.
    pub updater: String,
    /// The updater's parameters.
    pub params: Vec<u8>,
    /// What its messages go through.
    pub filters: TableFilters,
    /// The keys at these positions.
    pub keys: KeyList,
    /// Their entries, one after the other, as the updater writes them.
    pub entries: Vec<u8>,
    /// The next collective, by positions.
    pub clock: Vec<(KeyRange, u64)>,
}

/// The result of a collective, kept while some worker may ask for it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept<T> {
    /// Its place in the order of collectives.
    pub round: u64,
    /// The positions it speaks for.
    pub within: Arc<RangeSet>,
    /// By worker, the task.
    pub tasks: Vec<Task>,
    /// The result, or why there is none.
    pub result: Result<T, String>,
}

impl<T> Kept<T> {
    /// Whether every worker has its answer.
    pub fn answered(&self, answered: &[Task]) -> bool {
        self.tasks.iter().zip(answered).all(|(task, low)| task < low)
    }
}
