//! Tasks as a worker submits, holds and finishes them.

use crate::carried::{Coded, Through};
use crate::entries::Entries;
use crate::error::Error;
use crate::filter::{Rows, TableFilters};
use crate::message::{Millis, Note, ReduceOp, TableId, Task};
use crate::portion::{Given, Tag};
use crate::values::{Dtype, Values};
use handcar_base::{KeyList, RangeSet};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::plan::Plan;

/// What a worker wants done.
#[derive(Debug)]
pub struct Submission {
    /// The table; ignored by reductions.
    pub table: TableId,
    /// Tasks that must be finished first.
    pub after: Vec<Task>,
    /// The work.
    pub work: Work,
}

/// The work of a task.
#[derive(Debug)]
pub enum Work {
    /// Create a table.
    Create {
        /// Its name.
        name: String,
        /// The registered updater.
        updater: String,
        /// Its parameters.
        params: Vec<u8>,
        /// What its messages go through.
        filters: TableFilters,
    },
    /// Push, pull, both, or neither (which gives the keys entries).
    Move {
        /// The keys.
        keys: KeyList,
        /// Whether the push waits for and is summed with those of all workers.
        aggregate: bool,
        /// Bytes for the updater.
        args: Vec<u8>,
        /// Values to push.
        push: Option<Values>,
        /// Buffer for values to pull.
        pull: Option<Values>,
        /// Which of the table's filters the values go through.
        through: Through,
        /// The portion that the push is made for.
        tag: Option<Tag>,
    },
    /// Call the updater's server function on all servers.
    Call {
        /// Its arguments.
        args: Vec<u8>,
    },
    /// Join integers over workers.
    Reduce {
        /// How.
        op: ReduceOp,
        /// The integers.
        words: Vec<i64>,
    },
    /// Read entries at some positions as they are, or only count them.
    Copy {
        /// The positions.
        positions: RangeSet,
        /// Whether the entries are wanted.
        entries: bool,
    },
    /// Put entries in the place of all that is at some positions.
    Install {
        /// The positions.
        positions: RangeSet,
        /// The entries.
        entries: Arc<Entries>,
    },
    /// Ask for a portion of a pass.
    Portion {
        /// The pass.
        pass: u64,
        /// How many portions it has.
        portions: u32,
        /// The portion that is finished.
        finished: Option<u32>,
    },
}

impl Work {
    /// The call, and the bytes of it that travel as they are: with everything but keys and values.
    pub fn small_bytes(&self) -> (&'static str, usize) {
        match self {
            Self::Create { name, updater, params, .. } => ("create_table", name.len() + updater.len() + params.len()),
            Self::Move { args, .. } => ("push", args.len()),
            Self::Call { args } => ("call", args.len()),
            Self::Reduce { words, .. } => ("reduce", 8 * words.len()),
            Self::Install { entries, .. } => ("restore", 12 + 12 * entries.keys().len() + entries.bytes().len()),
            Self::Copy { .. } => ("save", 0),
            Self::Portion { .. } => ("next_portion", 0),
        }
    }
}

/// What a finished push or pull gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The values pulled, in the order of the keys.
    pub pulled: Option<Values>,
    /// The pushed buffer, given back for the next push.
    pub spent: Option<Values>,
    /// The updater's notes, the server function's results: one a server, more after servers were lost or came.
    pub notes: Vec<Vec<u8>>,
    /// The result of a reduction.
    pub words: Vec<i64>,
    /// Entries as they are, and how many keys the servers hold, copies among them.
    pub copied: Option<(u64, Entries)>,
    /// What a worker that asked for work was given.
    pub given: Option<Given>,
}

/// One server's part of a running task.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Whether this server still owes an answer.
    pub open: bool,
    /// The positions it speaks for; all that the server heads if `None`.
    pub within: Option<Arc<RangeSet>>,
    pub sent_at: Millis,
    /// The request's push values, if the driver gave them back after copying them out.
    pub push: Option<Values>,
    /// The push as filters made it, kept to be sent again.
    pub coded: Option<Coded>,
    /// The push is done and its answer was read but for the values, which built on an answer that is missing: these
    /// are asked for once more, whole.
    pub whole: bool,
    /// The filters could not carry the push.
    pub plain: bool,
    /// The request's pull buffer, likewise.
    pub pull: Option<Values>,
    pub pulled: Option<Values>,
    pub notes: Vec<Note>,
}

/// What servers are asked to do, without keys and values.
#[derive(Clone, Debug)]
pub(super) enum What {
    Create { name: String, updater: String, params: Vec<u8>, filters: TableFilters },
    Move { args: Vec<u8>, tag: Option<Tag> },
    Call { args: Vec<u8> },
    Reduce { op: ReduceOp, words: Vec<i64> },
    Portion { pass: u64, portions: u32, finished: Option<u32> },
    Copy { entries: bool },
    Install { entries: Arc<Entries> },
}

/// What stays of a task while servers work on it.
#[derive(Debug)]
pub(super) struct Running {
    pub what: What,
    pub round: Option<u64>,
    /// By server.
    pub parts: BTreeMap<usize, Part>,
    pub open: usize,
    /// The positions that no server of an earlier view has answered for; all if `None`.
    pub left: Option<RangeSet>,
    /// Waits for a view that is not frozen.
    pub paused: bool,
    /// The keys with their split, to send a forgotten list again and to join the parts.
    pub keys: Option<(KeyList, Option<Arc<Plan>>)>,
    pub pushes: bool,
    pub pulls: Option<Dtype>,
    /// Which of the table's filters values go through.
    pub through: Through,
    /// Which rows of `whole_push` are pushed, once filters of an earlier view have dropped the others.
    pub rows: Option<Rows>,
    /// The whole push buffer while its split parts travel.
    pub whole_push: Option<Values>,
    /// The caller's pull buffer while parts are gathered.
    pub whole_pull: Option<Values>,
    /// Notes that servers of earlier views gave, and the positions they speak for.
    pub notes: Vec<(RangeSet, Vec<u8>)>,
    pub words: Vec<i64>,
    pub given: Option<Given>,
    /// Answers of servers, of earlier views too.
    pub copied: Vec<(u64, Entries)>,
    pub failed: Option<Error>,
}

impl Running {
    /// Whether it changes what servers hold, or is waited for by other workers.
    pub fn changes(&self) -> bool {
        let reads = matches!(self.what, What::Move { .. }) && !self.pushes && self.pulls.is_some();
        !reads && !matches!(self.what, What::Copy { .. })
    }
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a result is moved out as soon as it is there")]
pub(super) enum State {
    Held {
        submission: Box<Submission>,
        round: Option<u64>,
    },
    Running(Box<Running>),
    Done(Result<Outcome, Error>),
    /// Its result was taken, or nobody can want it.
    Reaped,
}

#[derive(Debug)]
pub(super) struct Record {
    pub op: &'static str,
    pub table: TableId,
    pub timestamp: u64,
    pub due: Millis,
    /// Out of time: the error that its caller is given, and `Ok` once that has it. Servers that have not answered are
    /// asked on, see [`WorkerEngine::expire`](super::worker::WorkerEngine).
    pub overdue: Option<Result<(), Error>>,
    pub state: State,
}
