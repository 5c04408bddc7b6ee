//! What can go wrong while training.

/// An error of training; the parameter server's and the data's errors come through unchanged.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The parameter server failed or lost somebody.
    #[error(transparent)]
    Ps(#[from] handcar_ps::Error),
    /// Rows that are learned from as they are read could not be read.
    #[error(transparent)]
    Read(#[from] handcar_data::DataError),
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
    #[error("{solver}: objective became {objective} in pass {pass}{}; expected a finite number", told(rate))]
    Diverged {
        /// The solver.
        solver: &'static str,
        /// The pass, from 1.
        pass: u64,
        /// The value.
        objective: f64,
        /// The step size that was asked for, of solvers that are asked for one.
        rate: Option<f64>,
    },
}

fn told(rate: &Option<f64>) -> String {
    rate.map_or(String::new(), |rate| format!(" with rate {rate:e}; a smaller one may do"))
}

/// A result of training.
pub type Result<T> = std::result::Result<T, TrainError>;
