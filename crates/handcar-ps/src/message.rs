//! What workers ask and servers answer. Drivers carry these values in memory or as frames.

use crate::carried::{Carried, Form};
use crate::entries::Entries;
use crate::filter::TableFilters;
use crate::portion::{Given, Tag};
use crate::shard::Shape;
use crate::values::Values;
use handcar_base::{KeyList, RangeSet};
use std::sync::Arc;

/// Milliseconds since some fixed moment of the driver's choosing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// This time plus some milliseconds.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since an earlier time, 0 if it is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A table, by order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableId(pub u32);

/// A task, by order of submission on one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task(pub u64);

/// How a list of keys is given to a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// All keys, in memory both share: nothing to cache.
    Shared(KeyList),
    /// All keys; the server should remember them.
    Sent(KeyList),
    /// The name of a list sent before; the server answers [`Answer::Miss`] if it has forgotten it.
    Named {
        /// Hash of all keys.
        signature: u128,
        /// Number of keys.
        len: u64,
    },
}

impl Keys {
    /// Number of keys.
    pub fn len(&self) -> usize {
        match self {
            Self::Shared(k) | Self::Sent(k) => k.len(),
            Self::Named { len, .. } => *len as usize,
        }
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How numbers of all workers are joined in a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceOp {
    /// Wrapping sum.
    Sum,
    /// Maximum.
    Max,
}

/// A request to one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The asking worker's task.
    pub task: Task,
    /// The table; ignored by [`Ask::Reduce`].
    pub table: TableId,
    /// The view in which the request was cut; servers in another one do not act on it.
    pub epoch: u64,
    /// The positions the request speaks for; all that the receiver heads if `None`.
    pub within: Option<Arc<RangeSet>>,
    /// All the worker's tasks below this one have their answers: nobody will ask for them again.
    pub answered: Task,
    /// Milliseconds the worker is ready to wait.
    pub deadline_ms: u64,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Create the table, or find it equal.
    Create {
        /// Its name.
        name: String,
        /// The registered updater.
        updater: String,
        /// Parameters for the updater.
        params: Vec<u8>,
        /// What its messages go through.
        filters: TableFilters,
    },
    /// Push, pull or both. With neither, the keys are only given entries.
    Move {
        /// The keys of this server's share.
        keys: Keys,
        /// `Some(n)`: the n-th collective of the table, applied once all workers have sent theirs, in order of n.
        /// `None`: at once.
        round: Option<u64>,
        /// Bytes for [`Updater::begin`](crate::updater::Updater::begin).
        args: Vec<u8>,
        /// Values pushed.
        push: Option<Carried>,
        /// A buffer for the values pulled.
        pull: Option<Values>,
        /// How the values pulled are to come.
        form: Form,
        /// The portion that the push is made for: it counts once, whoever makes it.
        tag: Option<Tag>,
    },
    /// Run the updater's server function once all workers have asked for it.
    Call {
        /// Place in the table's order of collectives.
        round: u64,
        /// Arguments, equal on all workers.
        args: Vec<u8>,
    },
    /// Join integers of all workers.
    Reduce {
        /// Place in the order of reductions.
        round: u64,
        /// How to join.
        op: ReduceOp,
        /// The integers, equally many from all workers.
        words: Vec<i64>,
    },
    /// The entries at the positions of the request as they are, or only about how many there are.
    Copy {
        /// Whether the entries are wanted.
        entries: bool,
    },
    /// Entries in the place of all that is at the positions of the request.
    Install {
        /// The entries; others than those at these positions are ignored.
        entries: Arc<Entries>,
    },
    /// Give me a portion of a pass.
    Portion {
        /// The pass; one begins when the one before is over.
        pass: u64,
        /// How many portions it has, equal on all workers.
        portions: u32,
        /// The portion that the worker has finished.
        finished: Option<u32>,
    },
}

impl Ask {
    /// The word for this request in messages to people.
    pub fn op(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create_table",
            Self::Move { push: Some(_), pull: None, .. } => "push",
            Self::Move { push: None, pull: Some(_), .. } => "pull",
            Self::Move { push: Some(_), pull: Some(_), .. } => "push_pull",
            Self::Move { push: None, pull: None, .. } => "insert",
            Self::Call { .. } => "call",
            Self::Reduce { .. } => "reduce",
            Self::Portion { .. } => "next_portion",
            Self::Copy { .. } => "save",
            Self::Install { .. } => "restore",
        }
    }
}

/// One server's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The task answered.
    pub task: Task,
    /// The epoch of the request.
    pub epoch: u64,
    /// The answer.
    pub answer: Answer,
}

/// What an updater said at the end of an update or call.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The positions it speaks for; those of the request if `None`. After servers came or went a note may speak for more
    /// than was asked, and another server's for a part of the same.
    pub within: Option<Arc<RangeSet>>,
    /// What was said.
    pub bytes: Vec<u8>,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The table exists.
    Created(Shape),
    /// A push or pull is done.
    Moved {
        /// Values pulled, in the order of the keys.
        pulled: Option<Carried>,
        /// The push buffer, given back for reuse (in memory only; it does not travel).
        spent: Option<Values>,
        /// The updater's notes: one, or several when parts of the keys were updated one by one.
        notes: Vec<Note>,
    },
    /// The server function's results, likewise.
    Called(Vec<Note>),
    /// The joined integers.
    Reduced(Vec<i64>),
    /// Work, or none.
    Given(Given),
    /// Entries as they are.
    Copied {
        /// Keys the server holds of this table, others' copies among them.
        count: u64,
        /// The entries, if they were wanted.
        entries: Entries,
    },
    /// The entries are in their place.
    Installed,
    /// The push builds on an earlier one that the server has not seen: its filters must begin anew.
    Behind,
    /// The named list of keys is not known: send it again. Both buffers come back (in memory only).
    Miss {
        /// The push buffer.
        push: Option<Values>,
        /// The pull buffer.
        pull: Option<Values>,
    },
    /// The request does not fit.
    Refused(String),
    /// Some workers did not join a collective in time.
    Late {
        /// Ranks of the workers that are missing.
        missing: Vec<u32>,
    },
}

impl Answer {
    /// The word for this answer in messages to people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Created(_) => "a table's shape",
            Self::Moved { .. } => "values or notes",
            Self::Called(_) => "a server function's results",
            Self::Reduced(_) => "joined integers",
            Self::Given(_) => "a portion",
            Self::Copied { .. } => "entries",
            Self::Installed => "word that entries are in their place",
            Self::Behind => "word that filters must begin anew",
            Self::Miss { .. } => "a missing key list",
            Self::Refused(_) => "a refusal",
            Self::Late { .. } => "word that workers are late",
        }
    }
}
