//! Errors of the libraries as the exceptions that Python programs catch: the message is the library's.

use handcar_data::DataError;
use handcar_train::TrainError;
use handcar_train::model::ModelError;
use pyo3::exceptions::{PyFileNotFoundError, PyOSError, PyPermissionError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::io;

/// `op: expected …, got …` as a `ValueError`.
pub fn value(op: &str, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(format!("{op}: expected {expected}, got {got}"))
}

/// `OSError` or the subclass that Python has for the reason.
fn os(source: &io::Error, message: String) -> PyErr {
    match source.kind() {
        io::ErrorKind::NotFound => PyFileNotFoundError::new_err(message),
        io::ErrorKind::PermissionDenied => PyPermissionError::new_err(message),
        _ => PyOSError::new_err(message),
    }
}

/// Of reading and packing.
pub fn data(error: DataError) -> PyErr {
    let message = error.to_string();
    match &error {
        DataError::Io { source, .. } => os(source, message),
        DataError::NoInput { .. } => PyFileNotFoundError::new_err(message),
        _ => PyValueError::new_err(message),
    }
}

/// Of training.
pub fn train(error: TrainError) -> PyErr {
    let message = error.to_string();
    match error {
        TrainError::Option { .. } | TrainError::Data { .. } => PyValueError::new_err(message),
        _ => PyRuntimeError::new_err(message),
    }
}

/// Of model files.
pub fn model(error: ModelError) -> PyErr {
    match &error {
        ModelError::Read { source, .. } | ModelError::Write { source, .. } => os(source, format!("{error}: {source}")),
        _ => PyValueError::new_err(error.to_string()),
    }
}
