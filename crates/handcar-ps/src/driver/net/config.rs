//! Settings of the network driver.

use crate::error::Error;
use crate::filter::FilterRegistry;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Something to do at once when a member is lost, on the watching thread: a process whose own thread computes for long
/// would notice only at its next call.
#[derive(Clone)]
pub struct LossHook(pub Arc<dyn Fn(&Error) + Send + Sync>);

impl fmt::Debug for LossHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LossHook")
    }
}

/// Settings of a scheduler.
#[derive(Clone, Debug)]
pub struct SchedulerConfig {
    /// Workers in the job.
    pub workers: usize,
    /// Servers in the job.
    pub servers: usize,
    /// Copies of each key in all. With one the loss of a server ends the job; with k, up to k - 1 at a time are survived.
    pub copies: usize,
    /// Whether workers may join and leave the running job and be lost: others do their work. The job ends when the last
    /// worker has left. There are no collectives then but `create_table`: pushes are immediate, or made for a
    /// [portion](crate::portion::Portion) of a pass.
    pub elastic: bool,
    /// A folder for the scheduler's state: with it, another process started with the same folder takes over the job.
    pub state: Option<PathBuf>,
    /// How long members go on while the scheduler is away, if it has a folder for its state.
    pub patience_ms: u64,
    /// Silence after which a member counts as lost. 1 s with one copy: on a machine with fewer cores than busy processes
    /// a heartbeat thread may wait for hundreds of milliseconds, and a false alarm ends the job. 300 ms with more, where
    /// a server that was given up costs a new copy and nothing else.
    pub suspect_ms: u64,
    /// Time for all members to arrive.
    pub join_ms: u64,
}

impl SchedulerConfig {
    /// Defaults for a number of workers and servers.
    pub fn new(workers: usize, servers: usize) -> Self {
        let (copies, patience_ms) = (1, 30_000);
        Self { workers, servers, copies, elastic: false, state: None, patience_ms, suspect_ms: 1000, join_ms: 60_000 }
    }

    /// The same with workers that may join, leave and be lost.
    #[must_use]
    pub fn with_elastic_workers(self) -> Self {
        Self { elastic: true, ..self }
    }

    /// The same with some copies of each key, and a server counting as lost sooner.
    #[must_use]
    pub fn with_copies(self, copies: usize) -> Self {
        let suspect_ms = if copies > 1 { 300 } else { self.suspect_ms };
        Self { copies, suspect_ms, ..self }
    }
}

/// Settings of a server or worker.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// A name of its own in the job; role, host and process if `None`.
    pub name: Option<String>,
    /// The rank wanted; the scheduler gives one if `None`.
    pub rank: Option<usize>,
    /// The address under which workers reach a server, if not the one it listens on.
    pub advertise: Option<String>,
    /// Time between heartbeats.
    pub beat_ms: u64,
    /// Silence after which the scheduler counts as lost.
    pub suspect_ms: u64,
    /// Time for the scheduler to be reached and all members to arrive.
    pub join_ms: u64,
    /// Time a task may take; 10 minutes unless given, since a slow worker is no dead one.
    pub deadline_ms: u64,
    /// Bytes of key lists a server remembers and a worker believes to be remembered.
    pub key_cache_bytes_max: usize,
    /// Bytes of split plans a worker keeps.
    pub plan_bytes_max: usize,
    /// The filters a worker knows; servers have those of their registry.
    pub filters: FilterRegistry,
    /// Called when a member is lost for good.
    pub on_loss: Option<LossHook>,
    /// Set to true to make a server leave: its keys move to others first.
    pub leave: Option<Arc<AtomicBool>>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            name: None,
            rank: None,
            advertise: None,
            beat_ms: 50,
            suspect_ms: 1000,
            join_ms: 60_000,
            deadline_ms: 600_000,
            key_cache_bytes_max: 1 << 30,
            plan_bytes_max: 256 << 20,
            filters: FilterRegistry::new(),
            on_loss: None,
            leave: None,
        }
    }
}
