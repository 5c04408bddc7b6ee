//! `Transfer`: a push or pull being described.

use crate::carried::Through;
use crate::engine::task::{Outcome, Submission, Work};
use crate::error::Result;
use crate::message::Task;
use crate::portion::{Portion, Tag};
use crate::values::Values;
use crate::worker::Worker;

/// A push or pull being described; [`submit`](Self::submit) starts it.
#[must_use = "nothing travels before submit() or wait()"]
#[derive(Debug)]
pub struct Transfer<'a> {
    worker: &'a mut Worker,
    submission: Submission,
}

impl<'a> Transfer<'a> {
    pub(crate) fn new(worker: &'a mut Worker, submission: Submission) -> Self {
        Self { worker, submission }
    }

    /// Starts only after these tasks have finished.
    pub fn after(mut self, tasks: &[Task]) -> Self {
        self.submission.after.extend_from_slice(tasks);
        self
    }

    /// Bytes for the updater's `begin`; equal on all workers when the push is aggregated.
    pub fn args(mut self, bytes: &[u8]) -> Self {
        if let Work::Move { args, .. } = &mut self.submission.work {
            *args = bytes.into();
        }
        self
    }

    /// Applies the push on arrival, by itself. Without this the servers wait for the pushes of all workers, add them
    /// in worker order and apply the sum once.
    pub fn immediate(mut self) -> Self {
        if let Work::Move { aggregate, .. } = &mut self.submission.work {
            *aggregate = false;
        }
        self
    }

    /// Makes the push for a portion: it is applied on arrival, and once, even if another worker makes it too because this
    /// one was lost or slow. Whoever does a portion must make the same pushes in the same order.
    pub fn portion(mut self, of: Portion) -> Self {
        if let Work::Move { aggregate, tag, .. } = &mut self.submission.work {
            (*aggregate, *tag) = (false, Some(Tag { portion: of, number: 0 }));
        }
        self
    }

    /// Passes by the table's filters, in both directions: for values that must arrive as they are.
    pub fn unfiltered(self) -> Self {
        self.through(Through::None)
    }

    /// Goes through those of the table's filters only that change nothing, such as `zstd`: for values that must arrive as
    /// they are, and may be made shorter. What other filters remember stays as it is.
    ///
    /// ```
    /// use handcar_base::KeyList;
    /// use handcar_ps::{Registry, driver::local, filter::TableFilters};
    /// let mut worker = local::cluster(1, 1, &Registry::new()).remove(0);
    /// let filters = TableFilters::parse("significant:10,zstd:1", "")?;
    /// let table = worker.create_table_with("w", "sum.f32", &[], &filters)?;
    /// let keys = KeyList::new(vec![3]).unwrap();
    /// worker.push(table, &keys, vec![1.0f32]).lossless().wait()?;
    /// assert_eq!(worker.pull(table, &keys).wait()?.pulled, Some(vec![1.0f32].into()));
    /// # worker.finish()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lossless(self) -> Self {
        self.through(Through::Exact)
    }

    fn through(mut self, which: Through) -> Self {
        if let Work::Move { through, .. } = &mut self.submission.work {
            *through = which;
        }
        self
    }

    /// Receives the pulled values into the memory of an old buffer.
    pub fn into_buffer(mut self, buffer: impl Into<Values>) -> Self {
        if let Work::Move { pull: Some(pull), .. } = &mut self.submission.work {
            *pull = buffer.into();
        }
        self
    }

    /// Starts the task, after waiting for those tasks of the table that the policy demands.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if keys and values do not fit the table; whatever ended the job.
    pub fn submit(self) -> Result<Task> {
        self.worker.submit(self.submission)
    }

    /// Starts the task and waits for its outcome.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and what made the task fail.
    pub fn wait(self) -> Result<Outcome> {
        let task = self.worker.submit(self.submission)?;
        self.worker.wait(task)
    }
}
