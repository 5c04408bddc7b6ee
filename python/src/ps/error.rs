//! Errors of the parameter server as the exceptions of `handcar.ps`: the message is the library's.

use handcar_ps::Error;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

mod python {
    pyo3::import_exception!(handcar.ps, Error);
    pyo3::import_exception!(handcar.ps, RefusedError);
    pyo3::import_exception!(handcar.ps, DeadlineError);
    pyo3::import_exception!(handcar.ps, LostError);
    pyo3::import_exception!(handcar.ps, BusyError);
    pyo3::import_exception!(handcar.ps, FinishedError);
    pyo3::import_exception!(handcar.ps, CheckpointError);
}

/// Of a call: `ValueError` for its arguments, otherwise a subclass of `handcar.ps.Error`.
pub fn ps(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Argument { .. } => PyValueError::new_err(message),
        Error::Refused { .. } => python::RefusedError::new_err(message),
        Error::Checkpoint { .. } => python::CheckpointError::new_err(message),
        Error::Deadline { .. } => python::DeadlineError::new_err(message),
        Error::NodeLost { .. } | Error::Connect { .. } => python::LostError::new_err(message),
        Error::Listen { .. } | Error::Wire { .. } | Error::System { .. } => python::Error::new_err(message),
    }
}

/// A `timeout=` that ran out while the task goes on.
pub fn timeout(op: &str, seconds: f64) -> PyErr {
    let got = "it is still under way and may be waited for again";
    python::DeadlineError::new_err(format!("{op}: expected an answer within timeout={seconds} s, got none: {got}"))
}

/// A worker in the hands of another thread.
pub fn busy(op: &str, rank: usize) -> PyErr {
    let expected = "one Python thread at a time to use a worker";
    python::BusyError::new_err(format!("{op}: expected {expected}, got a call while worker {rank} is in another one"))
}

/// A worker that is no more.
pub fn finished(op: &str, rank: usize) -> PyErr {
    let got = format!("worker {rank} after finish() or abandon()");
    python::FinishedError::new_err(format!("{op}: expected a worker that takes part, got {got}"))
}
