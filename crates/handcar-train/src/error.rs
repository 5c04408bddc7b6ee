//! What can go wrong while training.

/// An error of training; the parameter server's and the data's errors come through unchanged.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The parameter server failed or lost somebody.
    #[error(transparent)]
    Ps(#[from] handcar_ps::Error),
    /// An option is outside its range.
    #[error("fit: expected {what} {expected}, got {got}")]
    Option {
        /// Name of the option.
        what: &'static str,
        /// Its range.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// The data cannot be trained on.
    #[error("fit: expected {expected}, got {got}")]
    Data {
        /// What was needed.
        expected: String,
        /// What was there.
        got: String,
    },
    /// A server answered something that this solver did not ask for.
    #[error("{op}: expected {expected}, got {got}")]
    Answer {
        /// The step.
        op: &'static str,
        /// What was needed.
        expected: String,
        /// What came.
        got: String,
    },
    /// The objective stopped being a number.
    #[error("fit: objective became {objective} in pass {pass}; expected a finite number")]
    Diverged {
        /// The pass, from 1.
        pass: u64,
        /// The value.
        objective: f64,
    },
}

/// A result of training.
pub type Result<T> = std::result::Result<T, TrainError>;
