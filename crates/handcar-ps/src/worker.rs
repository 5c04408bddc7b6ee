//! `Worker`: the handle a training thread holds.

mod carry;
mod portions;

use crate::carried::Through;
use crate::engine::policy::Policy;
use crate::engine::task::{Outcome, Submission, Work};
use crate::engine::view::View;
use crate::engine::worker::{Input, Output, WorkerEngine};
use crate::error::{Error, Result};
use crate::filter::{FilterRegistry, TableFilters};
use crate::link::{Link, Stats};
use crate::message::{ReduceOp, TableId, Task};
use crate::portion::Portion;
use crate::shard::Shape;
use crate::transfer::Transfer;
use crate::values::Values;
use handcar_base::KeyList;
use std::fmt;

/// One worker's way to the servers. Blocking; every call ends in a value or an error that says who was waited for.
///
/// All workers of a job make the same collective calls (`create_table`, aggregated pushes, `call`, `reduce`,
/// `barrier`) in the same order. A worker that is dropped without [`finish`](Self::finish) counts as lost.
///
/// ```
/// use handcar_base::KeyList;
/// use handcar_ps::{Registry, driver::local};
/// let mut worker = local::cluster(1, 2, &Registry::new()).remove(0);
/// let table = worker.create_table("w", "sum.f32", &[])?;
/// let keys = KeyList::new(vec![3, 8, 9]).unwrap();
/// let pushed = worker.push(table, &keys, vec![1.0f32, 2.0, 3.0]).submit()?;
/// let pulled = worker.pull(table, &keys).after(&[pushed]).wait()?;
/// assert_eq!(pulled.pulled, Some(vec![1.0f32, 2.0, 3.0].into()));
/// worker.finish()?;
/// # Ok::<(), handcar_ps::Error>(())
/// ```
pub struct Worker {
    engine: WorkerEngine,
    link: Box<dyn Link>,
    rank: usize,
    /// The portion that this worker does.
    portion: Option<Portion>,
    /// The task that asks for the next one, of which pass and how many portions.
    asked: Option<(Task, (u64, u32))>,
    /// What ended the job for this worker; every later call repeats it.
    failed: Option<Error>,
    inbox: Vec<Input>,
    outbox: Vec<Output>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("rank", &self.rank).field("workers", &self.workers()).finish_non_exhaustive()
    }
}

impl Worker {
    pub(crate) fn new(rank: usize, engine: WorkerEngine, link: Box<dyn Link>) -> Self {
        Self { engine, link, rank, portion: None, asked: None, failed: None, inbox: Vec::new(), outbox: Vec::new() }
    }

    /// This worker's rank, in `0..workers()`.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of workers; of an elastic job, that it began with. [`View::workers`] has those there are.
    pub fn workers(&self) -> usize {
        self.engine.params().workers
    }

    /// Number of servers.
    pub fn servers(&self) -> usize {
        self.engine.view().servers.len()
    }

    /// Whether this worker is the only one and its servers live in this process: then nobody else can see a table, and a
    /// program may as well keep it itself.
    pub fn embedded(&self) -> bool {
        self.link.embedded()
    }

    /// Who keeps which keys, as far as this worker has heard: news arrive during its calls.
    pub fn view(&self) -> &View {
        self.engine.view()
    }

    /// Creates a table run by a registered updater. Collective: all workers create the same tables in the same order.
    ///
    /// # Errors
    /// [`Error::Refused`] if the updater is unknown, refuses `params`, or another worker said otherwise.
    pub fn create_table(&mut self, name: &str, updater: &str, params: &[u8]) -> Result<TableId> {
        self.create_table_with(name, updater, params, &TableFilters::default())
    }

    /// As [`create_table`](Self::create_table), with filters that pushes and pulls of the table go through. A server that
    /// lacks one refuses the table. In the local driver, where nothing is written to a wire, chains that only save bytes
    /// are left out; all others do what they do everywhere.
    ///
    /// ```
    /// use handcar_base::KeyList;
    /// use handcar_ps::{Registry, driver::local, filter::TableFilters};
    /// let mut worker = local::cluster(1, 2, &Registry::new()).remove(0);
    /// let filters = TableFilters::parse("significant:10,zstd:1", "zstd:1")?;
    /// let table = worker.create_table_with("w", "sum.f32", &[], &filters)?;
    /// let keys = KeyList::new(vec![3, 8]).unwrap();
    /// worker.push(table, &keys, vec![1.0f32, 20.0]).wait()?;
    /// assert_eq!(worker.pull(table, &keys).wait()?.pulled, Some(vec![0.0f32, 20.0].into()));
    /// worker.flush(table)?;
    /// assert_eq!(worker.pull(table, &keys).wait()?.pulled, Some(vec![1.0f32, 20.0].into()));
    /// # worker.finish()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`create_table`](Self::create_table); [`Error::Argument`] if a filter is unknown here, [`Error::Refused`] if it
    /// is unknown on a server or refuses its parameters.
    pub fn create_table_with(
        &mut self,
        name: &str,
        updater: &str,
        params: &[u8],
        filters: &TableFilters,
    ) -> Result<TableId> {
        let (table, task) = self.submit_table_with(name, updater, params, filters)?;
        self.wait(task)?;
        Ok(table)
    }

    /// The types and widths of a table.
    pub fn shape(&self, table: TableId) -> Option<Shape> {
        self.engine.shape(table)
    }

    /// Name, updater and parameters of a table that this worker made.
    pub fn made(&self, table: TableId) -> Option<(&str, &str, &[u8])> {
        self.engine.made(table)
    }

    /// The table of a name, if this worker made it.
    pub fn table_named(&self, name: &str) -> Option<TableId> {
        (0..self.engine.tables()).map(TableId).find(|&t| self.made(t).is_some_and(|made| made.0 == name))
    }

    pub(crate) fn known_tables(&self) -> usize {
        self.engine.tables() as usize
    }

    /// A failure of a task that nobody waited for.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.engine.take_failure()
    }

    /// Pushes `[keys * push_width]` values.
    pub fn push(&mut self, table: TableId, keys: &KeyList, values: impl Into<Values>) -> Transfer<'_> {
        self.transfer(table, keys, Some(values.into()), false)
    }

    /// Pulls `[keys * pull_width]` values; a key nobody pushed reads as freshly made.
    pub fn pull(&mut self, table: TableId, keys: &KeyList) -> Transfer<'_> {
        self.transfer(table, keys, None, true)
    }

    /// Pushes, and pulls the same keys as they are right after the update.
    pub fn push_pull(&mut self, table: TableId, keys: &KeyList, values: impl Into<Values>) -> Transfer<'_> {
        self.transfer(table, keys, Some(values.into()), true)
    }

    /// Gives keys entries without changing any, and makes the list known to the servers. Inserting the keys of a job
    /// once, together, is much cheaper than meeting them a few at a time.
    pub fn insert(&mut self, table: TableId, keys: &KeyList) -> Transfer<'_> {
        self.transfer(table, keys, None, false)
    }

    fn transfer(&mut self, table: TableId, keys: &KeyList, push: Option<Values>, pull: bool) -> Transfer<'_> {
        let pull = pull.then(|| Values::F32(Vec::new()));
        let work = Work::Move {
            keys: keys.clone(),
            aggregate: push.is_some(),
            args: Vec::new(),
            push,
            pull,
            through: Through::All,
            tag: None,
        };
        Transfer::new(self, Submission { table, after: Vec::new(), work })
    }

    /// Waits until a task has finished and takes its outcome; taken a second time it is empty.
    ///
    /// # Errors
    /// What made the task fail.
    pub fn wait(&mut self, task: Task) -> Result<Outcome> {
        self.pump_until(|engine| engine.finished(task))?;
        self.engine.take(task)
    }

    /// Waits at most `millis` for a task; `None` if it is still under way, and may be waited for again.
    ///
    /// Zero looks at what has come and does not wait. For callers that must look up now and then, as an interpreter
    /// does for signals.
    ///
    /// ```
    /// use handcar_ps::{Registry, driver::local, message::ReduceOp};
    /// let mut workers = local::cluster(2, 1, &Registry::new());
    /// let (mut b, mut a) = (workers.pop().unwrap(), workers.pop().unwrap());
    /// let sum = a.submit_reduce(ReduceOp::Sum, &[1])?;
    /// assert_eq!(a.wait_for(sum, 0)?, None); // The other worker has not come yet.
    /// b.submit_reduce(ReduceOp::Sum, &[2])?;
    /// assert_eq!(a.wait_for(sum, 0)?.unwrap().words, [3]);
    /// # a.finish()?;
    /// # b.finish()?;
    /// # Ok::<(), handcar_ps::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_for(&mut self, task: Task, millis: u64) -> Result<Option<Outcome>> {
        match self.pump(Some(millis), |engine| engine.finished(task))? {
            true => self.engine.take(task).map(Some),
            false => Ok(None),
        }
    }

    /// Waits at most `millis` for the tasks that the policy demands before the next one of a table; whether that may
    /// be submitted now without a wait.
    ///
    /// # Errors
    /// What ended the job.
    pub fn ready_for(&mut self, table: TableId, millis: u64) -> Result<bool> {
        self.pump(Some(millis), |engine| engine.blocker(table).is_none())
    }

    /// Waits at most `millis` for all tasks; whether they have finished.
    ///
    /// # Errors
    /// What ended the job.
    pub fn idle_within(&mut self, millis: u64) -> Result<bool> {
        self.pump(Some(millis), |engine| !engine.busy())
    }

    /// Starts a [`create_table`](Self::create_table); the table can be used when the task has finished.
    ///
    /// # Errors
    /// What ended the job.
    pub fn submit_table(&mut self, name: &str, updater: &str, params: &[u8]) -> Result<(TableId, Task)> {
        self.submit_table_with(name, updater, params, &TableFilters::default())
    }

    /// Starts a [`create_table_with`](Self::create_table_with).
    ///
    /// # Errors
    /// [`Error::Argument`] if a filter is unknown here; what ended the job.
    pub fn submit_table_with(
        &mut self,
        name: &str,
        updater: &str,
        params: &[u8],
        filters: &TableFilters,
    ) -> Result<(TableId, Task)> {
        let table = self.engine.next_table();
        let (name, updater, params, filters) = (name.into(), updater.into(), params.into(), filters.clone());
        let work = Work::Create { name, updater, params, filters };
        Ok((table, self.submit(Submission { table, after: Vec::new(), work })?))
    }

    /// Starts a [`call`](Self::call); the replies are the outcome's notes.
    ///
    /// # Errors
    /// [`Error::Argument`] for a table that was not created; whatever ended the job.
    pub fn submit_call(&mut self, table: TableId, args: &[u8]) -> Result<Task> {
        self.submit(Submission { table, after: Vec::new(), work: Work::Call { args: args.into() } })
    }

    /// Starts a [`reduce`](Self::reduce) or [`reduce_max`](Self::reduce_max); the outcome has the words.
    ///
    /// # Errors
    /// What ended the job.
    pub fn submit_reduce(&mut self, op: ReduceOp, words: &[i64]) -> Result<Task> {
        let work = Work::Reduce { op, words: words.to_vec() };
        self.submit(Submission { table: TableId(0), after: Vec::new(), work })
    }

    /// Whether a task has finished, without waiting.
    pub fn finished(&self, task: Task) -> bool {
        self.engine.finished(task)
    }

    /// Calls the updater's server function on every server, once, after all workers called it with equal arguments.
    /// The replies come in server order and are the same for all workers.
    ///
    /// # Errors
    /// [`Error::Refused`] with the updater's text.
    pub fn call(&mut self, table: TableId, args: &[u8]) -> Result<Vec<Vec<u8>>> {
        let task = self.submit_call(table, args)?;
        Ok(self.wait(task)?.notes)
    }

    /// The wrapping sum of integers over all workers, the same on all.
    ///
    /// # Errors
    /// [`Error::Refused`] if the workers gave different numbers of integers.
    pub fn reduce(&mut self, words: &[i64]) -> Result<Vec<i64>> {
        self.join(ReduceOp::Sum, words)
    }

    /// The greatest integer over all workers, for each position.
    ///
    /// # Errors
    /// As [`reduce`](Self::reduce).
    pub fn reduce_max(&mut self, words: &[i64]) -> Result<Vec<i64>> {
        self.join(ReduceOp::Max, words)
    }

    /// Waits until all workers are here.
    ///
    /// # Errors
    /// [`Error::Deadline`] names the workers that did not come.
    pub fn barrier(&mut self) -> Result<()> {
        self.join(ReduceOp::Sum, &[]).map(|_| ())
    }

    fn join(&mut self, op: ReduceOp, words: &[i64]) -> Result<Vec<i64>> {
        if self.workers() == 1 && self.view().workers.is_none() {
            return self.failed.clone().map_or_else(|| Ok(words.to_vec()), Err);
        }
        let task = self.submit_reduce(op, words)?;
        Ok(self.wait(task)?.words)
    }

    /// Sets which earlier tasks of a table must be finished before a task is submitted. Default: sequential.
    pub fn set_policy(&mut self, policy: Policy) {
        self.engine.set_policy(policy);
    }

    /// The filters that this worker knows.
    pub fn filters(&self) -> &FilterRegistry {
        self.engine.filters()
    }

    /// Counters so far.
    pub fn stats(&self) -> Stats {
        let (plain_sent, plain_received) = self.engine.plain_bytes();
        let (staleness, filters) = (self.engine.staleness().to_vec(), self.engine.saved());
        Stats { staleness, filters, plain_sent, plain_received, ..self.link.stats() }
    }

    /// Sends what the filters of a table's pushes hold back, and waits for it. It is applied on arrival, without waiting
    /// for other workers, with the argument bytes of the table's last filtered push. [`finish`](Self::finish) does it for
    /// all tables.
    ///
    /// # Errors
    /// What made the push fail; whatever ended the job.
    pub fn flush(&mut self, table: TableId) -> Result<()> {
        for work in self.engine.flush(table)? {
            let task = self.submit(Submission { table, after: Vec::new(), work })?;
            self.wait(task)?;
        }
        Ok(())
    }

    /// Waits for all tasks, sends what filters hold back, and leaves. The job ends when all workers have left.
    ///
    /// # Errors
    /// What ended the job, or a task's failure that nobody took.
    pub fn finish(mut self) -> Result<()> {
        self.pump_until(|engine| !engine.busy())?;
        // The failed task ends here, the job does not: leave in order, then tell.
        let failure = self.engine.take_failure();
        let flushed = (0..self.engine.tables()).try_for_each(|table| self.flush(TableId(table)));
        let failure = failure.or(flushed.err());
        self.failed.clone().map_or(Ok(()), Err)?;
        self.link.finish()?;
        failure.map_or(Ok(()), Err)
    }
}
