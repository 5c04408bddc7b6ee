//! `Task`: a push, pull or insert under way.

use super::error;
use super::shared::Shared;
use super::values::Form;
use handcar_ps as ps;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A push, pull or insert under way. It goes on whether or not anybody waits; what a task without a name gives is
/// thrown away, and its failure is raised by a later call of the worker.
///
/// >>> import numpy as np, handcar.ps as ps
/// >>> with ps.embed() as worker:
/// ...     table = worker.table("w", "sum.f32")
/// ...     task = table.pull(ps.Keys(np.array([3], dtype=np.uint64)))
/// ...     task.wait(timeout=10), task.done()
/// (array([0.], dtype=float32), True)
#[pyclass(frozen, module = "handcar.ps")]
pub struct Task {
    pub shared: Arc<Shared>,
    pub id: ps::Task,
    op: &'static str,
    /// The form of what is pulled, if anything is.
    form: Option<Form>,
    out: Option<Py<PyAny>>,
    end: Mutex<Option<End>>,
}

/// A task's result as often as it is asked for.
enum End {
    Gave(Option<Py<PyAny>>, Vec<Vec<u8>>),
    Failed(ps::Error),
}

impl Task {
    pub fn new(
        shared: Arc<Shared>,
        id: ps::Task,
        op: &'static str,
        form: Option<Form>,
        out: Option<Py<PyAny>>,
    ) -> Self {
        Self { shared, id, op, form, out, end: Mutex::new(None) }
    }

    fn end(&self) -> MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the task has ended; whether it has within `limit`.
    fn settle(&self, py: Python<'_>, limit: Option<Duration>) -> PyResult<bool> {
        if self.end().is_some() {
            return Ok(true);
        }
        let mut worker = self.shared.enter(self.op)?;
        // Another thread may have waited while this one came here.
        if self.end().is_some() {
            return Ok(true);
        }
        let id = self.id;
        // The task's own failure is kept; what ends the job is too, since the worker repeats it.
        let ended = worker.wait(py, limit, |worker, millis| match worker.wait_for(id, millis) {
            Ok(outcome) => Ok(outcome.map(Ok)),
            Err(error) => Ok(Some(Err(error))),
        })?;
        let end = match ended {
            None => return Ok(false),
            Some(Err(error)) => End::Failed(error),
            Some(Ok(outcome)) => {
                let inner = worker.inner();
                inner.pool.give(outcome.spent);
                let out = self.out.as_ref().map(|out| out.bind(py));
                let array = match (outcome.pulled, &self.form) {
                    (Some(pulled), Some(form)) => Some(form.give(py, self.op, pulled, out, &mut inner.pool)?.unbind()),
                    _ => None,
                };
                End::Gave(array, outcome.notes)
            }
        };
        *self.end() = Some(end);
        Ok(true)
    }
}

#[pymethods]
impl Task {
    /// Waits for the task: the pulled array, shape (n,) or (n, width) in the order of the keys; None for a push or
    /// insert. A second call gives the same again.
    ///
    /// The new array takes over the memory that the values arrived in; with `out=` they are copied into the caller's.
    /// Other Python threads go on meanwhile, and Ctrl-C ends the wait, not the task.
    ///
    /// timeout: seconds to wait at most; afterwards the task is still under way.
    ///
    /// Raises `DeadlineError` (a `TimeoutError`) after `timeout`, or after the worker's `deadline_ms` with the name of
    /// who was waited for; `RefusedError` with the server's words; `LostError` if a member of the job is gone.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Py<PyAny>>> {
        let limit = timeout.map(|seconds| {
            let expected = "a finite timeout in seconds of at least 0";
            Duration::try_from_secs_f64(seconds).map_err(|_| crate::error::value("wait", expected, seconds))
        });
        if !self.settle(py, limit.transpose()?)? {
            return Err(error::timeout(self.op, timeout.unwrap_or_default()));
        }
        match &*self.end() {
            Some(End::Failed(error)) => Err(error::ps(error.clone())),
            Some(End::Gave(array, _)) => Ok(array.as_ref().map(|a| a.clone_ref(py))),
            None => Ok(None),
        }
    }

    /// Whether the task has ended, well or not. Looks at what has come; waits for nothing.
    fn done(&self, py: Python<'_>) -> PyResult<bool> {
        self.settle(py, Some(Duration::ZERO))
    }

    /// The updater's note of each server, in server order; waits like `wait()`. Empty where it has none.
    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        self.wait(py, None)?;
        let end = self.end();
        let Some(End::Gave(_, notes)) = &*end else { return Ok(Vec::new()) };
        Ok(notes.iter().map(|n| PyBytes::new(py, n)).collect())
    }

    fn __repr__(&self) -> String {
        let state = match &*self.end() {
            None => "under way",
            Some(End::Gave(..)) => "done",
            Some(End::Failed(_)) => "failed",
        };
        format!("<handcar.ps.Task {}: {} of worker {}, {state}>", self.id.0, self.op, self.shared.rank)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.end.get_mut().unwrap_or_else(PoisonError::into_inner).is_none() {
            self.shared.drop_task(self.id);
        }
    }
}
