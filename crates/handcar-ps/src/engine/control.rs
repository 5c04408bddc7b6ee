//! `Control`: what is said about the job itself - who takes part, who is alive, who is lost.

use super::server::Report;
use super::view::View;
use crate::error::Role;
use std::sync::Arc;

/// A message between the scheduler and a member (the last two: between a worker and a server).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// A process wants to take part.
    Hello {
        /// As what.
        role: Role,
        /// The rank it wants; any if `None`.
        rank: Option<usize>,
        /// Its name, unique in the job.
        name: String,
        /// Where workers reach it (servers) or where it is (workers).
        addr: String,
        /// The job it belongs to already, if it only lost its connection: then `rank` is its own.
        job: Option<u64>,
    },
    /// The job is complete and begins, or the process was taken into a running one.
    Welcome {
        /// The receiver's rank.
        rank: usize,
        /// Number of workers.
        workers: usize,
        /// The job's number: connections of another job are refused.
        job: u64,
        /// Milliseconds a member goes on without the scheduler before it counts as lost.
        patience_ms: u64,
        /// Who keeps what.
        view: Arc<View>,
    },
    /// Who keeps what from now on.
    View(Arc<View>),
    /// The scheduler still waits for a server's report on the view of this epoch.
    Remind {
        /// The epoch.
        epoch: u64,
    },
    /// A server's news.
    Report(Report),
    /// The process cannot take part.
    Refuse {
        /// Why.
        reason: String,
    },
    /// Sender is alive; the scheduler answers each.
    Beat {
        /// Steps of the sender's engine.
        progress: u64,
        /// The view it lives in.
        epoch: u64,
    },
    /// A member is gone and the job ends.
    Lost {
        /// Its role.
        role: Role,
        /// Its rank.
        rank: usize,
        /// Where it was.
        addr: String,
        /// The evidence.
        how: String,
    },
    /// A worker is done; a server wants to go once others have what it keeps.
    Leave,
    /// The receiver may go: it left, or all workers have.
    End,
    /// A worker or server opens a connection to a server.
    Join {
        /// The job's number.
        job: u64,
        /// What opens it.
        role: Role,
        /// Its rank.
        rank: usize,
    },
    /// The server takes the worker's requests from now on.
    Admit,
}
