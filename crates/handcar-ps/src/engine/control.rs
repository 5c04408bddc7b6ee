//! `Control`: what is said about the job itself - who takes part, who is alive, who is lost.

use crate::error::Role;

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
    },
    /// The job is complete and begins.
    Welcome {
        /// The receiver's rank.
        rank: usize,
        /// Number of workers.
        workers: usize,
        /// The job's number: connections of another job are refused.
        job: u64,
        /// Addresses of the servers, by rank.
        servers: Vec<String>,
    },
    /// The process cannot take part.
    Refuse {
        /// Why.
        reason: String,
    },
    /// Sender is alive; the scheduler answers each.
    Beat {
        /// Steps of the sender's engine.
        progress: u64,
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
    /// A worker is done.
    Leave,
    /// The receiver may go: it left, or all workers have.
    End,
    /// A worker opens a connection to a server.
    Join {
        /// The job's number.
        job: u64,
        /// The worker's rank.
        rank: usize,
    },
    /// The server takes the worker's requests from now on.
    Admit,
}
