//! `Carried`: the values of a message on their way, as they are or as filters made them.

use crate::filter::Rows;
use crate::values::Values;
use std::sync::Arc;

/// Values between a worker and a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Carried {
    /// As they are: one row for every key of the message.
    Plain(Values),
    /// As the table's filters made them.
    Coded(Coded),
    /// A push that filters made in an earlier view, decoded again by its sender: keys outside `rows` were not pushed.
    /// Filters never see it again, so a push that may have been applied already is the same push.
    Part {
        /// Which keys of the message have values.
        rows: Rows,
        /// `[rows.count() * push_width]` numbers.
        values: Values,
    },
}

/// A message as a chain of filters made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Coded {
    /// Of a push the task; of a reply its number among those that the server's chain made for this worker in this view.
    /// The task would not do: a reply that is asked for twice is made twice, and the second may be ignored.
    pub number: u64,
    /// The bytes; shared with whoever keeps them to send them again.
    pub bytes: Arc<Vec<u8>>,
}

/// Which of its table's filters the values of a task go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Through {
    /// All of them.
    #[default]
    All,
    /// Those that change nothing.
    Exact,
    /// None.
    None,
}

/// How a worker wants the values it pulls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    #[default]
    Plain,
    /// Through the table's filters.
    Coded,
    /// Through the table's filters, which first forget what the worker knows: it misses an earlier reply.
    Whole,
}

impl Carried {
    /// The values, if nothing was done to them: a buffer to use again.
    pub fn into_plain(self) -> Option<Values> {
        match self {
            Self::Plain(values) => Some(values),
            Self::Coded(_) | Self::Part { .. } => None,
        }
    }
}
