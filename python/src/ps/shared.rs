//! `Shared`: a worker as its tables and tasks hold it, used by one thread at a time.

use super::error;
use super::values::Pool;
use crate::interrupt::PATIENCE;
use handcar_ps::{Error, Task, Worker};
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Tasks under way that Python holds no name of any more. Past these a call waits for the oldest: answers that nobody
/// reads would pile up, and the worker's engine keeps 4096 tasks.
const DROPPED_MAX: usize = 2048;

/// One worker and what is kept beside it.
pub struct Shared {
    pub rank: usize,
    pub workers: usize,
    pub servers: usize,
    inner: Mutex<Inner>,
    /// Tasks whose Python objects are gone.
    dropped: Mutex<Vec<Task>>,
    abandoned: AtomicBool,
}

/// What one thread at a time may touch.
pub struct Inner {
    /// `None` after it has finished or was abandoned.
    worker: Option<Worker>,
    pub pool: Pool,
    pub tables: Vec<super::worker::Known>,
    unclaimed: VecDeque<Task>,
}

/// The right to use a worker, for the length of one call.
pub struct Use<'a> {
    shared: &'a Shared,
    op: &'static str,
    inner: MutexGuard<'a, Inner>,
}

impl Shared {
    pub fn new(worker: Worker) -> Self {
        let (rank, workers, servers) = (worker.rank(), worker.workers(), worker.servers());
        let inner =
            Inner { worker: Some(worker), pool: Pool::default(), tables: Vec::new(), unclaimed: VecDeque::new() };
        let (inner, dropped) = (Mutex::new(inner), Mutex::default());
        Self { rank, workers, servers, inner, dropped, abandoned: AtomicBool::new(false) }
    }

    /// Begins a call.
    ///
    /// # Errors
    /// `BusyError` if another thread is in a call.
    pub fn enter(&self, op: &'static str) -> PyResult<Use<'_>> {
        let inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(inner)) => inner.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(error::busy(op, self.rank)),
        };
        Ok(Use { shared: self, op, inner })
    }

    /// Leaves a task to be cleared away by a later call.
    pub fn drop_task(&self, task: Task) {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    /// Gives the worker up: now, or when the call that is under way looks up.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        // Whoever ends a call last, here or there, drops the worker.
        drop(self.enter("abandon"));
    }

    /// Whether the worker was given up.
    pub fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

impl Use<'_> {
    /// The worker.
    ///
    /// # Errors
    /// `FinishedError` if it is no more.
    pub fn worker(&mut self) -> PyResult<&mut Worker> {
        let (op, rank) = (self.op, self.shared.rank);
        self.inner.worker.as_mut().ok_or_else(|| error::finished(op, rank))
    }

    /// Takes the worker out, for good.
    pub fn take(&mut self) -> Option<Worker> {
        self.inner.worker.take()
    }

    /// What is kept beside the worker.
    pub fn inner(&mut self) -> &mut Inner {
        &mut self.inner
    }

    /// Runs something that does not wait for others, with the lock released.
    pub fn run<T: Send>(
        &mut self,
        py: Python<'_>,
        f: impl FnOnce(&mut Worker) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let worker = self.worker()?;
        py.detach(|| f(worker)).map_err(error::ps)
    }

    /// Repeats a wait of some milliseconds until it gives something; `None` when `limit` has passed.
    ///
    /// # Errors
    /// The wait's error; what a signal raised; `FinishedError` if the worker was abandoned meanwhile.
    pub fn wait<T: Send>(
        &mut self,
        py: Python<'_>,
        limit: Option<Duration>,
        mut step: impl FnMut(&mut Worker, u64) -> Result<Option<T>, Error> + Send,
    ) -> PyResult<Option<T>> {
        let begun = Instant::now();
        loop {
            let left = limit.map_or(PATIENCE, |l| l.saturating_sub(begun.elapsed()).min(PATIENCE));
            // Up, so that what is left of a millisecond is no busy loop.
            let millis = left.as_micros().div_ceil(1000) as u64;
            if let Some(found) = self.run(py, |worker| step(worker, millis))? {
                return Ok(Some(found));
            }
            py.check_signals()?;
            if self.shared.abandoned() {
                return Err(error::finished(self.op, self.shared.rank));
            }
            if limit.is_some_and(|l| begun.elapsed() >= l) {
                return Ok(None);
            }
        }
    }

    /// Repeats a wait until it gives something.
    pub fn wait_on<T: Send>(
        &mut self,
        py: Python<'_>,
        mut step: impl FnMut(&mut Worker, u64) -> Result<Option<T>, Error> + Send,
    ) -> PyResult<T> {
        loop {
            if let Some(found) = self.wait(py, None, &mut step)? {
                return Ok(found);
            }
        }
    }

    /// Takes what has come for tasks that Python forgot, and keeps their buffers.
    ///
    /// # Errors
    /// Why such a task failed: nobody else would tell.
    pub fn clear(&mut self, py: Python<'_>) -> PyResult<()> {
        let dropped = std::mem::take(&mut *self.shared.dropped.lock().unwrap_or_else(PoisonError::into_inner));
        self.inner.unclaimed.extend(dropped);
        while let Some(&task) = self.inner.unclaimed.front() {
            let full = self.inner.unclaimed.len() > DROPPED_MAX;
            if !full && !self.worker()?.finished(task) {
                return Ok(());
            }
            let outcome = self.wait_on(py, |worker, millis| match worker.wait_for(task, millis) {
                Ok(outcome) => Ok(outcome.map(Ok)),
                Err(error) => Ok(Some(Err(error))),
            })?;
            self.inner.unclaimed.pop_front();
            let outcome = outcome.map_err(error::ps)?;
            self.inner.pool.give(outcome.spent);
            self.inner.pool.give(outcome.pulled);
        }
        Ok(())
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        // The interpreter lock is held here and in `abandon`, so that one of the two sees the other.
        if self.shared.abandoned() {
            self.inner.worker = None;
        }
    }
}
