//! `Link`: how a worker's engine reaches its servers.

use crate::engine::worker::Input;
use crate::error::Result;
use crate::filter::Saved;
use crate::message::{Millis, Request};
use std::time::Duration;

/// Counters of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes written to servers (none in the local driver: values are handed over).
    pub bytes_sent: u64,
    /// Bytes read from servers.
    pub bytes_received: u64,
    /// Staleness as it was: entry n counts the tasks that were submitted past n unfinished earlier tasks of their table.
    pub staleness: Vec<u64>,
    /// Bytes before and after each filter, both directions as this worker sees them.
    pub filters: Vec<Saved>,
    /// Bytes of this worker's messages, had every key been written with 8 bytes and every number pushed with 4.
    pub plain_sent: u64,
    /// Bytes of the answers, had every number pulled been written with 4.
    pub plain_received: u64,
    /// Time that this worker's thread lay idle, waiting for servers and, through them, for other workers.
    pub waited: Duration,
}

impl Stats {
    /// The most unfinished earlier tasks of a table that a task was submitted past.
    pub fn staleness_max(&self) -> u64 {
        self.staleness.len().saturating_sub(1) as u64
    }
}

/// A driver's half of a worker. Called by the worker's own thread only.
pub(crate) trait Link: Send {
    /// The driver's clock.
    fn now(&self) -> Millis;

    /// Bytes that the arguments, parameters or entries of one call may have.
    fn small_bytes_max(&self) -> usize {
        usize::MAX
    }

    /// Sends a request. If it was copied out, its buffers come back.
    fn send(&mut self, server: usize, request: Request) -> Result<Option<Request>>;

    /// Appends answers and news to `inbox`; waits for at least one, but not past `until`.
    fn receive(&mut self, until: Millis, inbox: &mut Vec<Input>) -> Result<()>;

    /// Whether this worker is the only one, and its servers are in its process.
    fn embedded(&self) -> bool {
        false
    }

    /// Tells a watching scheduler that the engine moves.
    fn report_progress(&mut self, _progress: u64) {}

    /// Leaves the job in good order.
    fn finish(&mut self) -> Result<()>;

    /// Bytes so far.
    fn stats(&self) -> Stats;
}
