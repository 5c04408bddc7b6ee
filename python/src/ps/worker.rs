//! `Worker`: one member of a job, as Python holds it.

use super::policy;
use super::portion::Portions;
use super::saved;
use super::shared::Shared;
use super::table::{NOTHING, Table};
use crate::error::value;
use crate::interrupt;
use handcar_ps as ps;
use handcar_ps::checkpoint::Choice;
use handcar_ps::filter::TableFilters;
use handcar_ps::message::ReduceOp;
use numpy::ndarray::{ArrayD, IxDyn};
use numpy::{IntoPyArray, PyArrayDyn, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::Arc;

/// One worker of a job: makes tables, joins collectives, leaves. Comes from `embed`, `local` or `connect`.
///
/// All workers of a job make the same collective calls (`table`, pushes that are not `immediate`, `Table.call`,
/// `reduce`, `barrier`) in the same order. One Python thread at a time may use a worker with its tables and tasks: a
/// call from a second one while the first is in a call raises `BusyError`. Different workers may be used by different
/// threads at the same time; waiting lets other threads go on.
///
/// As a context manager it finishes at the end, or gives up (`abandon`) if an exception leaves the block.
#[pyclass(frozen, module = "handcar.ps")]
pub struct Worker {
    pub shared: Arc<Shared>,
}

/// A table that was asked for. Asked again after an interrupt, it is not created twice.
pub struct Known {
    name: String,
    updater: String,
    params: Vec<u8>,
    filters: TableFilters,
    id: ps::TableId,
    /// What asked for it, unless it came out of a checkpoint.
    task: Option<ps::Task>,
}

impl Worker {
    pub fn new(worker: ps::Worker) -> Self {
        Self { shared: Arc::new(Shared::new(worker)) }
    }

    fn join<'py>(
        &self,
        py: Python<'py>,
        op: ReduceOp,
        name: &'static str,
        words: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArrayDyn<i64>>> {
        let Ok(array) = words.extract::<PyReadonlyArrayDyn<'py, i64>>() else {
            let got = match words.cast::<PyUntypedArray>() {
                Ok(array) => array.dtype().to_string(),
                Err(_) => words.get_type().name()?.to_string(),
            };
            return Err(PyTypeError::new_err(format!("{name}: expected an array of int64, got {got}")));
        };
        let shape = IxDyn(array.shape());
        let words: Vec<i64> = array.as_array().iter().copied().collect();
        drop(array);
        let joined = self.reduced(py, op, name, &words)?;
        let joined = ArrayD::from_shape_vec(shape, joined);
        Ok(joined.map_err(|e| PyValueError::new_err(format!("{name}: {e}")))?.into_pyarray(py))
    }

    fn reduced(&self, py: Python<'_>, op: ReduceOp, name: &'static str, words: &[i64]) -> PyResult<Vec<i64>> {
        let mut worker = self.shared.enter(name)?;
        if self.shared.workers == 1 {
            // Nobody to ask; the call repeats what ended the job, if something has.
            return worker.run(py, |worker| worker.reduce(words));
        }
        let task = worker.run(py, |worker| worker.submit_reduce(op, words))?;
        Ok(worker.wait_on(py, |worker, millis| worker.wait_for(task, millis))?.words)
    }
}

#[pymethods]
impl Worker {
    /// The table of that name, made at the first call. Collective: all workers make the same tables in the same order.
    ///
    /// updater: name of the server function, such as "sum.f32", "assign.f64", "sum.i64". params: its parameters.
    /// push_filters, pull_filters: what values go through on their way to the servers and back, such as
    /// "zero,fixed-point:2,zstd:1"; the guide's chapter on filters has the names. `stats` says what they saved.
    ///
    /// Raises `RefusedError` (a `ValueError`) with the known names if the servers have no such updater or it refuses
    /// its parameters; `ValueError` for a filter that is unknown or does not fit, and if this worker made the table
    /// with others.
    #[pyo3(
        signature = (name, updater, params=NOTHING, *, push_filters="", pull_filters=""),
        text_signature = "($self, name, updater, params=b'', *, push_filters='', pull_filters='')"
    )]
    fn table(
        &self,
        py: Python<'_>,
        name: &str,
        updater: &str,
        params: &[u8],
        push_filters: &str,
        pull_filters: &str,
    ) -> PyResult<Table> {
        let filters = TableFilters::parse(push_filters, pull_filters)
            .map_err(|e| PyValueError::new_err(format!("table: {e}")))?;
        let mut worker = self.shared.enter("table")?;
        worker.worker()?;
        let known = worker.inner().tables.iter().position(|t| t.name == name);
        let at = match known {
            Some(at) => at,
            None => {
                let (id, task) = worker.run(py, |worker| worker.submit_table_with(name, updater, params, &filters))?;
                let tables = &mut worker.inner().tables;
                let (updater, params, filters) = (updater.into(), params.into(), filters.clone());
                tables.push(Known { name: name.into(), updater, params, filters, id, task: Some(task) });
                tables.len() - 1
            }
        };
        let Known { id, task, .. } = worker.inner().tables[at];
        let made = worker.wait_on(py, |worker, millis| {
            match task.map_or(Ok(Some(ps::Outcome::default())), |task| worker.wait_for(task, millis)) {
                Ok(outcome) => Ok(outcome.map(|_| Ok(worker.shape(id)))),
                Err(error) => Ok(Some(Err(error))),
            }
        })?;
        let shape = match made {
            Ok(shape) => shape,
            Err(error) => {
                worker.inner().tables.remove(at);
                return Err(super::error::ps(error));
            }
        };
        let t = &worker.inner().tables[at];
        if (t.updater.as_str(), &t.params[..]) != (updater, params) {
            let expected =
                format!("table {name:?} with updater {:?} and {} bytes of params as before", t.updater, t.params.len());
            return Err(value("table", expected, format!("{updater:?} and {} bytes", params.len())));
        }
        if t.filters != filters {
            let told = |f: &TableFilters| {
                format!("push_filters={:?} and pull_filters={:?}", f.push.to_string(), f.pull.to_string())
            };
            return Err(value("table", format!("table {name:?} with {} as before", told(&t.filters)), told(&filters)));
        }
        let Some(shape) = shape else {
            return Err(value("table", format!("the servers to have made {name:?}"), "no answer"));
        };
        drop(worker);
        let shared = Arc::clone(&self.shared);
        Ok(Table { shared, id, shape, name: name.into(), updater: updater.into() })
    }

    /// The sum over all workers of each element, the same on all; integers wrap around. Collective.
    ///
    /// words: array of int64 of any shape, equal on all workers; the result has it too. Interrupted by Ctrl-C the call
    /// counts as made, its result is lost.
    fn reduce<'py>(&self, py: Python<'py>, words: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArrayDyn<i64>>> {
        self.join(py, ReduceOp::Sum, "reduce", words)
    }

    /// The greatest over all workers of each element. Otherwise as `reduce`.
    fn reduce_max<'py>(&self, py: Python<'py>, words: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArrayDyn<i64>>> {
        self.join(py, ReduceOp::Max, "reduce_max", words)
    }

    /// Waits until all workers are here. Collective. Says nothing of pushes under way: wait for those themselves.
    ///
    /// Raises `DeadlineError` that names the workers that did not come within `deadline_ms`.
    fn barrier(&self, py: Python<'_>) -> PyResult<()> {
        self.reduced(py, ReduceOp::Sum, "barrier", &[]).map(|_| ())
    }

    /// The portions of a pass that this worker is given, one after the other: an iterator that ends when all workers
    /// together have finished all of them. Asking for the next one says that the last one is finished.
    ///
    /// pass_number: passes are counted by the program. count: portions of the pass, equal on all workers. Pushes made
    /// with `portion=` count once, even if a portion is done twice because its worker was lost or slow; whoever does a
    /// portion must make the same pushes in the same order. In a job whose scheduler was started with `--elastic`
    /// workers may join, leave and be lost.
    ///
    /// Raises `RefusedError` if other workers named another count or are at an earlier pass.
    fn portions(&self, pass_number: u64, count: u32) -> Portions {
        Portions { shared: Arc::clone(&self.shared), pass: pass_number, count }
    }

    /// Writes all tables into a checkpoint and returns its number. Collective: every worker calls it.
    ///
    /// place: a folder, or `s3://bucket/prefix` (settings from the environment, `AWS_...`), that leads every worker to the
    /// same storage. What is under way is waited for first, and nobody goes on before the checkpoint is complete. A piece
    /// that has not changed since an earlier checkpoint there is not written again. job: a name kept with it. Ctrl-C is
    /// noticed when it is done.
    ///
    /// Raises what kept this worker from writing its share (`handcar.ps.Error` for a full disk), or `RefusedError` with
    /// the worker that could not; then there is no new checkpoint and earlier ones stay as they are.
    #[pyo3(signature = (place, *, job="job"))]
    fn save(&self, py: Python<'_>, place: PathBuf, job: &str) -> PyResult<u64> {
        let place = saved::place(&place.to_string_lossy(), true)?;
        let mut worker = self.shared.enter("save")?;
        worker.clear(py)?;
        worker.wait_on(py, |worker, millis| worker.idle_within(millis).map(|idle| idle.then_some(())))?;
        Ok(worker.run(py, |worker| worker.save(&*place, job))?.sequence)
    }

    /// Gives the tables of a checkpoint the values they had, on however many servers and workers there are now, and
    /// returns its number. Collective. Tables that are not there are made: `table` with the same arguments gives them.
    ///
    /// place: as of `save`. number: of the checkpoint, the latest if None. Every byte is checked first: a checkpoint that
    /// is torn or altered is refused whole, and nothing has changed.
    ///
    /// Raises `handcar.ps.Error` with the file and what was expected and found; `ValueError` if a table of that name has
    /// another updater; `RefusedError` with the worker that could not do its share.
    #[pyo3(signature = (place, *, number=None))]
    fn restore(&self, py: Python<'_>, place: PathBuf, number: Option<u64>) -> PyResult<u64> {
        let place = saved::place(&place.to_string_lossy(), false)?;
        let mut worker = self.shared.enter("restore")?;
        worker.clear(py)?;
        worker.wait_on(py, |worker, millis| worker.idle_within(millis).map(|idle| idle.then_some(())))?;
        let choice = number.map_or(Choice::Latest, Choice::Sequence);
        let restored = worker.run(py, |worker| worker.restore(&*place, choice))?;
        let tables = &mut worker.inner().tables;
        for (t, &id) in restored.manifest.tables.iter().zip(&restored.tables) {
            if tables.iter().all(|known| known.id != id) {
                let (name, updater, params) = (t.name.clone(), t.updater.clone(), t.params.clone());
                tables.push(Known { name, updater, params, filters: TableFilters::default(), id, task: None });
            }
        }
        Ok(restored.manifest.sequence)
    }

    /// Says which earlier tasks of a table must have ended before a task is sent: "sequential" all of them (the
    /// default), ("bounded", tau) all but the last tau, "eventual" none.
    fn set_policy(&self, policy: &Bound<'_, PyAny>) -> PyResult<()> {
        let policy = policy::of(policy)?;
        self.shared.enter("set_policy")?.worker()?.set_policy(policy);
        Ok(())
    }

    /// Counters so far: `bytes_sent` and `bytes_received` (0 where servers are in this process), `staleness_max` (the
    /// most unfinished tasks of a table that a task was sent past), `staleness` (a list: entry n counts the tasks sent past n
    /// of them), `waited` (seconds that this worker lay idle, waiting for servers and, through them, for others), `filters` (a list of dictionaries: name, direction,
    /// and the bytes before and after each filter; within one process those that only save bytes are left out).
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.shared.enter("stats")?.worker()?.stats();
        let all = PyDict::new(py);
        all.set_item("bytes_sent", stats.bytes_sent)?;
        all.set_item("bytes_received", stats.bytes_received)?;
        all.set_item("staleness_max", stats.staleness_max())?;
        all.set_item("staleness", &stats.staleness)?;
        all.set_item("waited", stats.waited.as_secs_f64())?;
        all.set_item("filters", crate::fit::savings(py, &stats.filters)?)?;
        Ok(all)
    }

    /// Waits for all tasks and leaves the job, which ends when all workers have left. Does nothing a second time,
    /// or after `abandon`.
    ///
    /// Raises what made a task fail that nobody waited for; the worker has left all the same.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        if self.shared.abandoned() {
            return Ok(());
        }
        let mut worker = self.shared.enter("finish")?;
        if worker.worker().is_err() {
            return Ok(());
        }
        worker.wait_on(py, |worker, millis| worker.idle_within(millis).map(|idle| idle.then_some(())))?;
        let failed = worker.clear(py);
        let left = worker.take();
        drop(worker);
        if let Some(left) = left {
            interrupt::wait_for(py, move || left.finish())?.map_err(super::error::ps)?;
        }
        failed
    }

    /// Leaves without a word: the other workers' calls end with `LostError`. What this worker has under way in another
    /// thread ends too. Does nothing after `finish`.
    fn abandon(&self) {
        self.shared.abandon();
    }

    /// This worker's rank, from 0.
    #[getter]
    fn rank(&self) -> usize {
        self.shared.rank
    }

    /// Number of workers.
    #[getter]
    fn workers(&self) -> usize {
        self.shared.workers
    }

    /// Number of servers.
    #[getter]
    fn servers(&self) -> usize {
        self.shared.servers
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind, error, traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (error, traceback);
        if kind.is_none() {
            return self.finish(py);
        }
        self.abandon();
        Ok(())
    }

    fn __repr__(&self) -> String {
        let Shared { rank, workers, servers, .. } = &*self.shared;
        format!("<handcar.ps.Worker {rank} of {workers}, servers: {servers}>")
    }
}
