//! What will happen when, in virtual time.

use crate::driver::sim::network::{NodeId, Packet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub(super) enum Event {
    Arrive {
        from: NodeId,
        to: NodeId,
        /// Elsewhere, since events move about in the queue.
        packet: Box<Packet>,
    },
    /// A connection of the scheduler broke.
    Gone {
        node: NodeId,
    },
    /// The scheduler closed a connection.
    Closed {
        node: NodeId,
    },
    Timer {
        node: NodeId,
    },
    Resume {
        node: NodeId,
    },
    RestartScheduler,
    Fault,
    /// A server that was cut off from the others dies.
    Kill {
        node: NodeId,
    },
}

struct Queued {
    at: u64,
    seq: u64,
    event: Event,
}

/// Events by time; those of the same time in the order in which they were put down.
#[derive(Default)]
pub(super) struct Agenda {
    seq: u64,
    queue: BinaryHeap<Reverse<Queued>>,
}

impl Agenda {
    pub fn put(&mut self, at: u64, event: Event) {
        self.seq += 1;
        self.queue.push(Reverse(Queued { at, seq: self.seq, event }));
    }

    /// The next event and its time.
    pub fn next(&mut self) -> Option<(u64, Event)> {
        self.queue.pop().map(|Reverse(q)| (q.at, q.event))
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.seq) == (other.at, other.seq)
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}
