//! The processes of a simulated job.

use super::network::Packet;
use super::oracle::Expect;
use crate::engine::policy::Policy;
use crate::engine::scheduler::SchedulerEngine;
use crate::engine::server::ServerEngine;
use crate::engine::worker::WorkerEngine;
use crate::message::{Millis, TableId, Task};
use handcar_base::{Key, Rng};
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

#[allow(clippy::large_enum_variant, reason = "a handful of nodes, and engines grow")]
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
    /// `usize::MAX` until one that joined is welcomed.
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
    /// Its program is done.
    pub leaving: bool,
    /// It leaves the running job.
    pub wants_out: bool,
    pub ended: bool,
    /// The pass it takes part in, the portion it does, and what is left to push for that.
    pub pass: u64,
    pub portion: Option<u32>,
    pub pushes: VecDeque<Vec<(Key, i64)>>,
    /// A pass that it saw the end of, and did not look at yet.
    pub over: Option<u64>,
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
            wants_out: false,
            ended: false,
            pass: 0,
            portion: None,
            pushes: VecDeque::new(),
            over: None,
        }
    }
}
