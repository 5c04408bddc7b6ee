//! `Table`: pushes, pulls and calls.

use super::keys;
use super::portion::Portion;
use super::shared::Shared;
use super::task::Task;
use super::values::{Form, descr};
use crate::error::value;
use handcar_base::KeyList;
use handcar_ps as ps;
use handcar_ps::{Shape, TableId, Values};
use numpy::PyArrayDescr;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::Arc;

/// Values by key on the servers, run by a server function. Made by `Worker.table`.
///
/// Arrays have shape (n,) for n keys, or (n, width) where the table holds several numbers a key. `keys` is a
/// `handcar.ps.Keys`; a uint64 array is taken too, and then checked and hashed anew by each call.
#[pyclass(frozen, module = "handcar.ps")]
pub struct Table {
    pub shared: Arc<Shared>,
    pub id: TableId,
    pub shape: Shape,
    /// The name under which it was created.
    #[pyo3(get)]
    pub name: String,
    /// The server function that runs it.
    #[pyo3(get)]
    pub updater: String,
}

/// What an updater is told unless there is more to say.
pub const NOTHING: &[u8] = &[];

/// What the calls have in common.
struct Call<'a, 'py> {
    op: &'static str,
    keys: KeyList,
    push: Option<&'a Bound<'py, PyAny>>,
    pull: bool,
    args: &'a [u8],
    after: Vec<PyRef<'py, Task>>,
    immediate: bool,
    portion: Option<ps::Portion>,
    out: Option<Bound<'py, PyAny>>,
}

impl Table {
    fn pushed(&self, keys: &KeyList) -> Form {
        Form { dtype: self.shape.push, rows: keys.len(), width: self.shape.push_width as usize }
    }

    fn pulled(&self, keys: &KeyList) -> Form {
        Form { dtype: self.shape.pull, rows: keys.len(), width: self.shape.pull_width as usize }
    }

    /// Starts a task as soon as the policy lets it.
    fn start(&self, py: Python<'_>, call: Call<'_, '_>) -> PyResult<Task> {
        let Call { op, keys, push, pull, args, after, immediate, portion, out } = call;
        let (id, form) = (self.id, pull.then(|| self.pulled(&keys)));
        if let Some(stranger) = after.iter().find(|task| !Arc::ptr_eq(&task.shared, &self.shared)) {
            let got = format!("one of worker {}", stranger.shared.rank);
            return Err(value(op, format!("after: tasks of this worker ({})", self.shared.rank), got));
        }
        if let (Some(form), Some(out)) = (&form, &out) {
            form.check(op, out)?;
            if !out.getattr("flags")?.getattr("writeable")?.extract::<bool>()? {
                return Err(value(op, "an array that can be written as out=", "a read-only one"));
            }
        }
        let after: Vec<_> = after.iter().map(|task| task.id).collect();
        let mut worker = self.shared.enter(op)?;
        worker.worker()?;
        worker.clear(py)?;
        let push = match push {
            None => None,
            Some(array) => {
                let buffer = worker.inner().pool.take(self.shape.push);
                Some(self.pushed(&keys).copy(op, array, buffer)?)
            }
        };
        worker.wait_on(py, |worker, millis| worker.ready_for(id, millis).map(|ready| ready.then_some(())))?;
        // A new array takes the buffer over, so it gets fresh memory.
        let buffer = match &out {
            Some(_) => worker.inner().pool.take(self.shape.pull),
            None => Values::empty(self.shape.pull),
        };
        let task = worker.run(py, |worker| {
            let transfer = match (push, pull) {
                (Some(values), true) => worker.push_pull(id, &keys, values),
                (Some(values), false) => worker.push(id, &keys, values),
                (None, true) => worker.pull(id, &keys),
                (None, false) => worker.insert(id, &keys),
            };
            let transfer = if immediate { transfer.immediate() } else { transfer };
            let transfer = if let Some(of) = portion { transfer.portion(of) } else { transfer };
            transfer.after(&after).args(args).into_buffer(buffer).submit()
        })?;
        drop(worker);
        Ok(Task::new(Arc::clone(&self.shared), task, op, form, out.map(Bound::unbind)))
    }
}

#[pymethods]
impl Table {
    /// Sends values to the servers; returns the task at once, after those that the policy demands.
    ///
    /// values: C-contiguous array of `push_dtype`. It is copied once (a third to a half of what a push costs in one
    /// process), into a buffer that serves again, so it may be changed as soon as this returns. args: bytes for the
    /// updater, equal on all workers. after: tasks of this worker that must end before. immediate: applied on arrival by
    /// itself; otherwise the servers wait for the push of every worker, add them in worker order and apply the sum once.
    /// portion: what the push is made for (see `Worker.portions`); applied on arrival, and once, whoever makes it.
    ///
    /// Raises `TypeError` for another dtype, `ValueError` for another shape or layout, with expected and got.
    #[pyo3(
        signature = (keys, values, *, args=NOTHING, after=Vec::new(), immediate=false, portion=None),
        text_signature = "($self, keys, values, *, args=b'', after=(), immediate=False, portion=None)"
    )]
    #[allow(clippy::too_many_arguments)] // All but two have names in Python.
    fn push<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
        args: &[u8],
        after: Vec<PyRef<'py, Task>>,
        immediate: bool,
        portion: Option<PyRef<'py, Portion>>,
    ) -> PyResult<Task> {
        let (keys, push) = (keys::of(keys)?, Some(values));
        let portion = portion.map(|p| p.0);
        self.start(py, Call { op: "push", keys, push, pull: false, args, after, immediate, portion, out: None })
    }

    /// Asks for values; `wait()` of the task gives them. A key nobody pushed reads as freshly made.
    ///
    /// Without `out` the memory that the values arrive in becomes a new array, without a copy. out: C-contiguous array
    /// of `pull_dtype` into which `wait()` copies; about twice as slow, for values that must lie in a place of yours.
    ///
    /// Raises as `push`.
    #[pyo3(
        signature = (keys, *, after=Vec::new(), out=None),
        text_signature = "($self, keys, *, after=(), out=None)"
    )]
    fn pull<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        after: Vec<PyRef<'py, Task>>,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Task> {
        let keys = keys::of(keys)?;
        let (push, args, immediate, portion) = (None, NOTHING, false, None);
        self.start(py, Call { op: "pull", keys, push, pull: true, args, after, immediate, portion, out })
    }

    /// Pushes, and pulls the same keys as they are right after the update. Parameters as of `push` and `pull`.
    #[pyo3(
        signature = (keys, values, *, args=NOTHING, after=Vec::new(), immediate=false, portion=None, out=None),
        text_signature = "($self, keys, values, *, args=b'', after=(), immediate=False, portion=None, out=None)"
    )]
    #[allow(clippy::too_many_arguments)] // All but two have names in Python.
    fn push_pull<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
        args: &[u8],
        after: Vec<PyRef<'py, Task>>,
        immediate: bool,
        portion: Option<PyRef<'py, Portion>>,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Task> {
        let (keys, push) = (keys::of(keys)?, Some(values));
        let portion = portion.map(|p| p.0);
        self.start(py, Call { op: "push_pull", keys, push, pull: true, args, after, immediate, portion, out })
    }

    /// Gives keys entries without changing any, and makes the list known to the servers. Inserting the keys of a job
    /// once, together, is much cheaper than meeting them a few at a time.
    #[pyo3(signature = (keys, *, after=Vec::new()), text_signature = "($self, keys, *, after=())")]
    fn insert<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>, after: Vec<PyRef<'py, Task>>) -> PyResult<Task> {
        let keys = keys::of(keys)?;
        let (push, args, immediate, portion, out) = (None, NOTHING, false, None, None);
        self.start(py, Call { op: "insert", keys, push, pull: false, args, after, immediate, portion, out })
    }

    /// Calls the updater's server function on every server, once, after all workers called it with equal arguments;
    /// the replies in server order, the same for all workers.
    ///
    /// Raises `RefusedError` with the updater's words.
    #[pyo3(signature = (args=NOTHING), text_signature = "($self, args=b'')")]
    fn call<'py>(&self, py: Python<'py>, args: &[u8]) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let mut worker = self.shared.enter("call")?;
        worker.worker()?;
        worker.clear(py)?;
        let id = self.id;
        worker.wait_on(py, |worker, millis| worker.ready_for(id, millis).map(|ready| ready.then_some(())))?;
        let task = worker.run(py, |worker| worker.submit_call(id, args))?;
        let outcome = worker.wait_on(py, |worker, millis| worker.wait_for(task, millis))?;
        Ok(outcome.notes.iter().map(|note| PyBytes::new(py, note)).collect())
    }

    /// Type of the numbers pushed.
    #[getter]
    fn push_dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyArrayDescr> {
        descr(py, self.shape.push)
    }

    /// Type of the numbers pulled.
    #[getter]
    fn pull_dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyArrayDescr> {
        descr(py, self.shape.pull)
    }

    /// Numbers pushed for each key.
    #[getter]
    fn push_width(&self) -> u32 {
        self.shape.push_width
    }

    /// Numbers pulled for each key.
    #[getter]
    fn pull_width(&self) -> u32 {
        self.shape.pull_width
    }

    fn __repr__(&self) -> String {
        format!("<handcar.ps.Table {:?}: {} of worker {}>", self.name, self.updater, self.shared.rank)
    }
}
