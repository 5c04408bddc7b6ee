//! `Error`: why a checkpoint could not be written, or is refused.

use crate::fault::Fault;

/// A failure of the checkpoint store. `file` is the place and the name within it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What was given does not make a checkpoint.
    #[error("{op}: expected {expected}, got {got}")]
    Argument {
        /// The call.
        op: &'static str,
        /// What would have fitted.
        expected: String,
        /// What was given.
        got: String,
    },
    /// Nothing has that name.
    #[error("{op}: expected {file} to exist, got nothing of that name")]
    Missing {
        /// The call.
        op: &'static str,
        /// What was looked for.
        file: String,
    },
    /// Somebody else wrote a different checkpoint under this sequence number: a second coordinator is at work.
    #[error("commit: expected {file} to be free, got another checkpoint of that number")]
    Taken {
        /// The manifest.
        file: String,
    },
    /// The disk, the quota or the file size limit is exhausted; nothing of the file is visible.
    #[error("{op}: expected room for {bytes} bytes at {file}, got: {how}")]
    Full {
        /// The call.
        op: &'static str,
        /// What was being written.
        file: String,
        /// Its length.
        bytes: u64,
        /// The system's answer.
        how: String,
    },
    /// The disk or the object store refused something else.
    #[error("{op}: {file}: {how}")]
    Storage {
        /// The call.
        op: &'static str,
        /// What was worked on.
        file: String,
        /// The system's answer.
        how: String,
    },
    /// An earlier `fsync` failed. The system may have dropped what it could not write, so asking again proves nothing:
    /// this store writes no more.
    #[error("{op}: expected {place} to keep what it is given, got a failed fsync earlier: {how}")]
    Unreliable {
        /// The call.
        op: &'static str,
        /// The store.
        place: String,
        /// What the first failure said.
        how: String,
    },
    /// The object store did not answer in time; whether it acted is unknown.
    #[error("{op}: expected an answer about {file} within {deadline_ms} ms, got none")]
    Deadline {
        /// The call.
        op: &'static str,
        /// What was asked for.
        file: String,
        /// The time allowed.
        deadline_ms: u64,
    },
    /// A manifest or piece is torn or altered: its checkpoint is refused whole.
    #[error("{file}: expected {expected}, got {got}; the checkpoint is refused")]
    Damaged {
        /// The manifest or piece.
        file: String,
        /// What was recorded or would be valid.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A newer handcar wrote the manifest.
    #[error("{file}: expected a format of at most {known}, got {got}: written by a newer handcar")]
    Newer {
        /// The manifest.
        file: String,
        /// The newest format this program reads.
        known: u32,
        /// The format of the manifest.
        got: u32,
    },
    /// There is no checkpoint that could be opened.
    #[error("open: expected a checkpoint at {place}, got {}", none(passed_over))]
    NoCheckpoint {
        /// The store.
        place: String,
        /// What was there, and why each was refused.
        passed_over: Vec<String>,
    },
}

fn none(passed_over: &[String]) -> String {
    if passed_over.is_empty() { "none".into() } else { format!("only refused ones: {}", passed_over.join("; ")) }
}

/// A result of the checkpoint store.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(super) fn argument(op: &'static str, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Argument { op, expected: expected.into(), got: got.into() }
    }

    pub(super) fn damaged(file: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Damaged { file: file.into(), expected: expected.into(), got: got.into() }
    }

    /// Whether the checkpoint itself is at fault, so that an older one is the answer; otherwise the storage is, and
    /// trying again may help.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Newer { .. } | Self::NoCheckpoint { .. })
    }
}

impl From<&Error> for Fault {
    fn from(e: &Error) -> Self {
        match e {
            Error::Argument { .. } | Error::Newer { .. } => Self::Unfit,
            Error::Missing { .. } | Error::NoCheckpoint { .. } => Self::None,
            Error::Damaged { .. } => Self::Damaged,
            Error::Full { .. } => Self::Full,
            Error::Taken { .. } | Error::Storage { .. } | Error::Unreliable { .. } | Error::Deadline { .. } => {
                Self::Storage
            }
        }
    }
}

impl From<Error> for crate::Error {
    fn from(e: Error) -> Self {
        match e {
            Error::Argument { op, expected, got } => Self::Argument { op, expected, got },
            // The collective that fails knows the call and the worker.
            other => Self::Checkpoint {
                op: "checkpoint",
                by: "this worker".into(),
                fault: Fault::from(&other),
                reason: other.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_was_expected_and_got() {
        let e = Error::NoCheckpoint { place: "/d".into(), passed_over: vec![] };
        assert_eq!(e.to_string(), "open: expected a checkpoint at /d, got none");
        let folded = crate::Error::from(Error::damaged("/d/pieces/a", "9 bytes", "7"));
        assert_eq!(
            folded.to_string(),
            "checkpoint: this worker: /d/pieces/a: expected 9 bytes, got 7; the checkpoint is refused"
        );
    }
}
