//! Ctrl-C while Rust is at work.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long a signal may wait to be noticed: below what a person feels, above what asking costs.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// Runs work that cannot be stopped half way on a thread of its own and waits for it with the lock released. A signal
/// ends the wait at once with Python's exception; the abandoned work ends by itself.
pub fn wait_for<T: Send + 'static>(py: Python<'_>, work: impl FnOnce() -> T + Send + 'static) -> PyResult<T> {
    let (done, wait) = channel();
    std::thread::Builder::new()
        .name("handcar-work".into())
        // An abandoned wait has dropped the receiver: then nobody wants the result.
        .spawn(move || drop(done.send(work())))
        .map_err(|e| PyRuntimeError::new_err(format!("start a thread: {e}")))?;
    // `Receiver` is no `Sync`, so it moves into the closure that waits and back out.
    let mut wait = wait;
    loop {
        let (outcome, back) = py.detach(move || (wait.recv_timeout(PATIENCE), wait));
        wait = back;
        match outcome {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("expected a result, got none: the thread at work panicked"));
            }
        }
    }
}
