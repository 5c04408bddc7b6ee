//! `Context`: what a filter may know about the message it works on.

use super::rows::Rows;
use crate::message::{TableId, Task};
use handcar_base::{Rng, Seed, hash};
use std::fmt;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From a worker to a server.
    Push,
    /// From a server to a worker, as the answer to a pull.
    Pull,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Push => "push",
            Self::Pull => "pull",
        })
    }
}

/// One message: whose, which, and what the caller wants of its filters.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The table.
    pub table: TableId,
    /// The worker's task; increases from message to message of one chain.
    pub task: Task,
    /// Which way the message goes.
    pub direction: Direction,
    /// Rank of the other end: the server of a push, the worker of a reply.
    pub peer: u32,
    /// Seed of everything random; equal seed and message give equal bytes.
    pub seed: Seed,
    /// Encoding only: keys that the caller wants held back, by position in the key list (see the filter `kkt`).
    pub marked: Option<&'a Rows>,
    /// Encoding only: the key list itself travels as a name (counted by the filter `key-cache`).
    pub keys_named: bool,
    /// Encoding only: hold nothing back.
    pub flush: bool,
    /// Encoding only: the chain leaves out filters that are not [exact](super::Filter::exact).
    pub exact: bool,
    /// The filter's place in its chain; set by the chain.
    pub place: u32,
}

impl Context<'_> {
    /// A message of a task, nothing marked.
    pub fn new(table: TableId, task: Task, direction: Direction, peer: u32, seed: Seed) -> Self {
        Self {
            table,
            task,
            direction,
            peer,
            seed,
            marked: None,
            keys_named: false,
            flush: false,
            exact: false,
            place: 0,
        }
    }

    /// Random numbers of this message for the filter at [`place`](Self::place): a function of seed, table, task,
    /// direction, peer and place.
    pub fn rng(&self) -> Rng {
        let mut stream = [0; 21];
        stream[..4].copy_from_slice(&self.table.0.to_le_bytes());
        stream[4..12].copy_from_slice(&self.task.0.to_le_bytes());
        stream[12..16].copy_from_slice(&self.peer.to_le_bytes());
        stream[16..20].copy_from_slice(&self.place.to_le_bytes());
        stream[20] = self.direction as u8;
        Rng::new(self.seed, hash::bytes(&stream, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_message_changes_its_random_numbers() {
        let base = Context::new(TableId(1), Task(2), Direction::Push, 3, Seed(4));
        let others = [
            Context { table: TableId(9), ..base.clone() },
            Context { task: Task(9), ..base.clone() },
            Context { direction: Direction::Pull, ..base.clone() },
            Context { peer: 9, ..base.clone() },
            Context { seed: Seed(9), ..base.clone() },
            Context { place: 9, ..base.clone() },
        ];
        let first = |c: &Context<'_>| c.rng().next_u64();
        assert_eq!(first(&base), first(&base.clone()));
        assert!(others.iter().all(|c| first(c) != first(&base)));
    }
}
