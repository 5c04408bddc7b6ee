//! The processes of a simulated job.

use super::network::Packet;
use super::oracle::Expect;
use crate::engine::policy::Policy;
use crate::engine::scheduler::SchedulerEngine;
use crate::engine::server::ServerEngine;
use crate::engine::worker::WorkerEngine;
use crate::message::{Millis, TableId, Task};
use handcar_base::Rng;
use std::collections::VecDeque;

use super::network::NodeId;
use super::program::TABLES;

pub(super) struct Node {
    pub kind: Kind,
    pub state: Life,
    /// What came while it was paused.
    pub waiting: Vec<(NodeId, Packet)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Up,
    /// Stopped until then.
    Paused(u64),
    Dead,
}

#[expect(clippy::large_enum_variant, reason = "a handful of nodes")]
pub(super) enum Kind {
    Scheduler(Option<SchedulerEngine>),
    Server(Server),
    Worker(WorkerNode),
}

#[derive(Default)]
pub(super) struct Server {
    /// Its number, once it was welcomed.
    pub id: Option<usize>,
    pub engine: Option<ServerEngine>,
    pub leaving: bool,
    pub ended: bool,
}

/// A task that has not finished.
pub(super) struct Open {
    pub task: Task,
    /// `None` is a reduction, which belongs to no table.
    pub table: Option<TableId>,
    /// Its place among the worker's tasks of the table.
    pub timestamp: u64,
    pub since: Millis,
    pub expect: Expect,
}

pub(super) struct WorkerNode {
    pub rank: usize,
    pub engine: Option<WorkerEngine>,
    pub rng: Rng,
    /// Tables asked for so far.
    pub tables: usize,
    pub step: usize,
    pub round: usize,
    /// Own pushes and pulls to do before the next step.
    pub extras: u64,
    pub open: VecDeque<Open>,
    /// Tasks submitted to each table.
    pub submitted: [u64; TABLES.len()],
    pub policy: Policy,
    pub think_until_us: u64,
    pub watch_until_us: u64,
    /// A push ran out of time, and that was the end of its program.
    pub given_up: bool,
    pub leaving: bool,
    pub ended: bool,
}

impl WorkerNode {
    pub fn new(rank: usize, rng: Rng) -> Self {
        Self {
            rank,
            engine: None,
            rng,
            tables: 0,
            step: 0,
            round: 0,
            extras: 0,
            open: VecDeque::new(),
            submitted: [0; TABLES.len()],
            policy: Policy::default(),
            think_until_us: 0,
            watch_until_us: 0,
            given_up: false,
            leaving: false,
            ended: false,
        }
    }
}
