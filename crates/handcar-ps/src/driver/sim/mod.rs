//! Simulated faults: the same engines, in virtual time, over a network and disks that do all they are allowed to.
//!
//! One seed is one story: a cluster, a program for its workers, and faults. After the faults comes a healing phase in
//! which everything must finish. What workers see is compared with a reference as they see it; every copy is compared with
//! every other whenever nothing is under way, and at the end. The same seed gives the same story, so a violation replays (FoundationDB, SIGMOD 2021, section 4).

mod disk;
mod fault;
mod network;
mod node;
mod oracle;
mod passes;
mod program;
mod story;
mod world;

pub use crate::engine::server::Broken;
pub use fault::{ENVIRONMENT, FAILPOINTS};

use std::collections::BTreeMap;
use tracing::subscriber::NoSubscriber;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// The seed of everything.
    pub seed: u64,
    /// Virtual milliseconds with faults; healing comes on top.
    pub virtual_ms: u64,
    /// Keep the story in words.
    pub story: bool,
    /// A deliberate mistake in every server or worker.
    pub broken: Option<Broken>,
    /// Servers at the beginning; drawn from the seed if `None`, like the next two.
    pub servers: Option<usize>,
    /// Workers.
    pub workers: Option<usize>,
    /// Copies of each key in all; at most as many as servers.
    pub copies: Option<usize>,
}

impl SimConfig {
    /// Three virtual minutes of one seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, virtual_ms: 180_000, story: false, broken: None, servers: None, workers: None, copies: None }
    }
}

/// How one seed went.
#[derive(Clone, Debug, PartialEq)]
pub struct SimReport {
    /// The seed.
    pub seed: u64,
    /// What was violated, if anything.
    pub violation: Option<String>,
    /// Hash of everything that happened, in order: equal seeds give equal hashes.
    pub trace_hash: u64,
    /// Virtual milliseconds, healing included.
    pub virtual_ms: u64,
    /// Processes that lived times virtual time, in hours.
    pub process_hours: f64,
    /// Faults by name, single messages lost, delayed or doubled included.
    pub faults: BTreeMap<&'static str, u64>,
    /// Tasks whose results were compared.
    pub tasks: u64,
    /// Views entered.
    pub views: u64,
    /// Moments at which nothing was under way and all copies were compared, byte by byte.
    pub rests: u64,
    /// Answers of an earlier view that reached a worker; none may have an effect.
    pub old_answers: u64,
    /// Records that one server kept for repetition, at most.
    pub kept_max: u64,
    /// Tasks that ended with a deadline, so that nobody knows whether they took effect.
    pub expired: u64,
    /// The longest time from the loss of a server to the next acknowledged push, in virtual milliseconds.
    pub failover_ms_max: u64,
    /// What happened, in words, if it was asked for.
    pub story: Vec<String>,
}

/// Simulates one seed. What simulated processes would log is kept quiet: the story tells it.
pub fn run(config: &SimConfig) -> SimReport {
    tracing::subscriber::with_default(NoSubscriber::new(), || world::World::new(config).run())
}
