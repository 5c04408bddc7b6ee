//! `Error`: what went wrong, what was expected, what was got, who was waited for.

use crate::fault::Fault;
use std::fmt;

/// What a process does in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Knows who is alive.
    Scheduler,
    /// Owns a share of the keys.
    Server,
    /// Computes, pushes and pulls.
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheduler => "scheduler",
            Self::Server => "server",
            Self::Worker => "worker",
        })
    }
}

/// A failure of the parameter server. Cloneable, since one loss ends every call of a process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A call's arguments do not fit each other or the table.
    #[error("{op}: expected {expected}, got {got}")]
    Argument {
        /// The call.
        op: &'static str,
        /// What would have fitted.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A peer understood the call and declined it.
    #[error("{op}: refused by {by}: {reason}")]
    Refused {
        /// The call.
        op: &'static str,
        /// Who declined.
        by: String,
        /// Why, in the peer's words.
        reason: String,
    },
    /// Nobody failed, but the answer did not come in time.
    #[error("{op}: expected an answer within {deadline_ms} ms, still waiting for {waiting_for}")]
    Deadline {
        /// The call.
        op: &'static str,
        /// The time allowed.
        deadline_ms: u64,
        /// Whose answer is missing.
        waiting_for: String,
    },
    /// A member of the job is gone; the job ends.
    #[error("lost {role} {rank} at {addr}: {how}")]
    NodeLost {
        /// Its role.
        role: Role,
        /// Its rank among its role.
        rank: usize,
        /// Where it was.
        addr: String,
        /// The evidence.
        how: String,
    },
    /// A port could not be opened.
    #[error("listen: cannot listen on {addr}: {how}")]
    Listen {
        /// The address asked for.
        addr: String,
        /// The system's answer.
        how: String,
    },
    /// A peer could not be reached.
    #[error("connect: cannot reach the {role} at {addr} within {deadline_ms} ms: {how}")]
    Connect {
        /// The peer's role.
        role: Role,
        /// Where it was expected.
        addr: String,
        /// The time allowed.
        deadline_ms: u64,
        /// The system's last answer.
        how: String,
    },
    /// A peer sent bytes that are no message.
    #[error("wire: from {from}: expected {expected}, got {got}")]
    Wire {
        /// The sender.
        from: String,
        /// What would have been valid.
        expected: String,
        /// What came.
        got: String,
    },
    /// A checkpoint could not be saved or restored; all workers hear of the first of them that failed.
    #[error("{op}: {by}: {reason}")]
    Checkpoint {
        /// The call.
        op: &'static str,
        /// Which worker failed.
        by: String,
        /// The kind of failure.
        fault: Fault,
        /// What was expected and got.
        reason: String,
    },
    /// The operating system refused something.
    #[error("{op}: {how}")]
    System {
        /// What was attempted.
        op: &'static str,
        /// The system's answer.
        how: String,
    },
}

/// A result of the parameter server.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn argument(op: &'static str, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Argument { op, expected: expected.into(), got: got.into() }
    }
}
