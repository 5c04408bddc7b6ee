//! Why a model cannot be evaluated.

use crate::metric::ScoredError;

/// An error of an evaluation.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The model's data have no such field.
    #[error("slice: expected a field among {known}, got {field:?}")]
    Field {
        /// What was asked for.
        field: String,
        /// The fields there are.
        known: String,
    },
    /// The model's data have no fields at all.
    #[error(
        "slice: expected a model of data with fields (csv, criteo, vw), got {format}, whose ids have none, for {field:?}"
    )]
    NoFields {
        /// What was asked for.
        field: String,
        /// The format of the model's data.
        format: String,
    },
    /// A field was asked for twice.
    #[error("slice: expected each field once, got {field:?} twice")]
    Twice {
        /// The field.
        field: String,
    },
    /// No row had a feature in a namespace.
    #[error("slice: expected a namespace that some row has, got {field:?}")]
    Namespace {
        /// The namespace.
        field: String,
    },
    /// The loss is of a later version.
    #[error("eval: expected a loss that this version knows, got {got}")]
    Loss {
        /// Its name.
        got: String,
    },
    /// Rows without labels say nothing about a model.
    #[error("eval: expected rows with labels, got rows without")]
    Unlabelled,
    /// A row cannot be measured.
    #[error(transparent)]
    Scored(#[from] ScoredError),
}
