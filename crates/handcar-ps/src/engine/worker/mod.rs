//! `WorkerEngine`: a worker's tasks, their order, their split over servers and the joining of answers.

use crate::engine::plan::Plan;
use crate::engine::policy::Policy;
use crate::engine::task::{Record, State, Submission, Work};
use crate::engine::view::{Route, View};
use crate::error::{Error, Result};
use crate::filter::{FilterRegistry, TableFilters};
use crate::lru::Lru;
use crate::message::{Millis, Reply, Request, TableId, Task};
use crate::portion::Portion;
use crate::probation::Probation;
use crate::shard::Shape;
use crate::values::Values;
use handcar_base::Seed;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

mod answer;
mod filters;
mod records;
mod send;
mod start;

use filters::Ends;
use start::op_of;

/// Tasks whose results nobody took; each may hold a buffer.
pub const TASKS_MAX: usize = 4096;
/// Finished pushes remembered for a later `wait`; they hold buffers, and most pushes are never waited for.
const FINISHED_PUSHES_KEPT: usize = 64;
/// The server reports a missing worker at the deadline; the worker gives it this long to say so.
pub const DEADLINE_GRACE_MS: u64 = 250;

/// What a worker engine must know.
#[derive(Clone, Debug)]
pub struct WorkerParams {
    /// Number of workers.
    pub workers: usize,
    /// Milliseconds a task may take.
    pub deadline_ms: u64,
    /// After so long without an answer a request is sent again; never, if the driver loses nothing on a living
    /// connection and tells when there is a new one.
    pub resend_ms: Option<u64>,
    /// Whether servers share this process's memory, so that key lists need no name.
    pub shared_memory: bool,
    /// Bytes of split plans kept.
    pub plan_bytes_max: usize,
    /// Bytes of key lists that servers are believed to remember.
    pub key_cache_bytes_max: usize,
}

/// What happens to a worker.
#[derive(Debug)]
pub enum Input {
    /// A server answered.
    Reply {
        /// The server's number.
        server: usize,
        /// Its answer.
        reply: Reply,
    },
    /// A request was copied out by the driver; its buffers come back.
    Sent {
        /// The server's number.
        server: usize,
        /// The request, as given in [`Output`].
        request: Request,
    },
    /// The scheduler made a view.
    View(Arc<View>),
    /// The connection to a server is new: what was under way may be lost.
    Reconnected {
        /// The server's number.
        server: usize,
    },
    /// Time passed.
    Tick,
}

/// A request to send.
#[derive(Debug, PartialEq)]
pub struct Output {
    /// The server's number.
    pub server: usize,
    /// The request.
    pub request: Request,
}

/// Lists that a server was sent: those that were named since, and new ones.
#[derive(Debug)]
struct Known {
    lists: Lru<(u128, usize), ()>,
    new: Probation<(u128, usize), ()>,
}

#[derive(Debug, Default)]
struct Table {
    shape: Option<Shape>,
    /// Name, updater and its parameters.
    made: (String, String, Vec<u8>),
    filters: TableFilters,
    /// The worker's ends of their chains, once the table exists.
    ends: Option<Ends>,
    timestamps: u64,
    rounds: u64,
    /// Pushes made for the present portion.
    pushed: u32,
    /// Unfinished tasks in order of submission.
    unfinished: VecDeque<Task>,
}

/// One worker. Knows no socket, thread or clock.
pub struct WorkerEngine {
    params: WorkerParams,
    policy: Policy,
    tables: Vec<Table>,
    reductions: u64,
    /// The portion that the last push was made for.
    pushed_for: Option<Portion>,
    /// Number of the first record.
    base: u64,
    records: VecDeque<Record>,
    held: Vec<Task>,
    plans: Lru<(u128, usize), Arc<Plan>>,
    /// By server: lists it was sent.
    known: BTreeMap<usize, Known>,
    view: Arc<View>,
    /// To the heads.
    route: Route,
    /// All servers have answered all tasks below this one.
    answered: Task,
    now: Millis,
    pool: Vec<Values>,
    /// A task nobody waited for failed.
    failed: Option<Error>,
    progress: u64,
    /// By how many unfinished earlier tasks of their table tasks were submitted past.
    staleness: Vec<u64>,
    filters: Arc<FilterRegistry>,
    seed: Seed,
    plain_bytes: (u64, u64),
}

impl WorkerEngine {
    /// A worker without tasks in the first view.
    pub fn new(params: WorkerParams, view: Arc<View>) -> Self {
        Self {
            policy: Policy::Sequential,
            tables: Vec::new(),
            reductions: 0,
            pushed_for: None,
            base: 0,
            records: VecDeque::new(),
            held: Vec::new(),
            plans: Lru::new(params.plan_bytes_max),
            known: BTreeMap::new(),
            route: Route::new(&view, |s| s.chain.first().copied()),
            view,
            answered: Task(0),
            now: Millis(0),
            pool: Vec::new(),
            failed: None,
            progress: 0,
            staleness: Vec::new(),
            filters: Arc::new(FilterRegistry::new()),
            seed: Seed(0),
            plain_bytes: (0, 0),
            params,
        }
    }

    /// What the engine was made with.
    pub fn params(&self) -> &WorkerParams {
        &self.params
    }

    /// The present view.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Counts steps; heartbeats carry it.
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// How many tasks were submitted past how many unfinished earlier tasks of their table: entry n counts those past n.
    pub fn staleness(&self) -> &[u64] {
        &self.staleness
    }

    /// Bytes of all messages sent and received, had they been written with 8 bytes a key and 4 a number, and no key list
    /// named: what filters, names and narrow numbers save is measured against this.
    pub fn plain_bytes(&self) -> (u64, u64) {
        self.plain_bytes
    }

    /// Number of tables asked for.
    pub fn tables(&self) -> u32 {
        self.tables.len() as u32
    }

    /// Changes the policy of tasks to come.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The next table's number.
    pub fn next_table(&self) -> TableId {
        TableId(self.tables.len() as u32)
    }

    /// The types and widths of a created table.
    pub fn shape(&self, table: TableId) -> Option<Shape> {
        self.tables.get(table.0 as usize)?.shape
    }

    /// Name, updater and parameters of a table that was asked for.
    pub fn made(&self, table: TableId) -> Option<(&str, &str, &[u8])> {
        let (name, updater, params) = &self.tables.get(table.0 as usize)?.made;
        Some((name, updater, params))
    }

    /// The task that must finish before another task of the table may be submitted under the policy.
    pub fn blocker(&self, table: TableId) -> Option<Task> {
        let t = self.tables.get(table.0 as usize)?;
        let oldest = *t.unfinished.front()?;
        let timestamp = self.record(oldest)?.timestamp;
        // Task t may start once every task <= t - tau - 1 has finished.
        (t.timestamps.saturating_sub(timestamp) > self.policy.delay_max()).then_some(oldest)
    }

    /// Whether a task has an outcome (or had one that was taken).
    pub fn finished(&self, task: Task) -> bool {
        self.record(task).is_none_or(|r| !open(r))
    }

    /// Whether any task is unfinished.
    pub fn busy(&self) -> bool {
        self.records.iter().any(open)
    }

    /// When the next unfinished task runs out of time.
    pub fn next_due(&self) -> Option<Millis> {
        self.records.iter().filter(|r| open(r)).map(|r| r.due).min().map(|d| d.plus(DEADLINE_GRACE_MS))
    }

    /// Accepts a task. It starts now, or when the tasks it is `after` have finished.
    ///
    /// # Errors
    /// [`Error::Argument`] if it does not fit the table or too many results were left; the failure of an earlier task
    /// that nobody waited for.
    pub fn submit(&mut self, now: Millis, mut submission: Submission, out: &mut Vec<Output>) -> Result<Task> {
        self.progress += 1;
        self.now = now;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let op = op_of(&submission.work);
        self.trim();
        if self.records.len() >= TASKS_MAX {
            let expected = format!("at most {TASKS_MAX} tasks unfinished or with results not taken");
            return Err(Error::argument(op, expected, "one more"));
        }
        if let Work::Create { name, updater, params, filters } = &submission.work {
            self.check_filters(filters)?;
            submission.table = self.next_table();
            let made = (name.clone(), updater.clone(), params.clone());
            self.tables.push(Table { made, filters: filters.clone(), ..Table::default() });
        }
        let round = self.check(op, &mut submission)?;
        let task = Task(self.base + self.records.len() as u64);
        let mut timestamp = 0;
        if !matches!(submission.work, Work::Reduce { .. } | Work::Portion { .. })
            && let Some(table) = self.tables.get_mut(submission.table.0 as usize)
        {
            timestamp = table.timestamps;
            table.timestamps += 1;
            let past = table.unfinished.len();
            if past >= self.staleness.len() {
                self.staleness.resize(past + 1, 0);
            }
            self.staleness[past] += 1;
            table.unfinished.push_back(task);
        }
        let due = now.plus(self.params.deadline_ms);
        let table = submission.table;
        let ready = submission.after.iter().all(|&t| self.finished(t));
        let state = State::Held { submission: Box::new(submission), round };
        self.records.push_back(Record { op, table, timestamp, due, overdue: None, state });
        if ready {
            self.start(task, out)
        } else {
            self.held.push(task)
        }
        Ok(task)
    }

    /// Advances by one input. Reads no clock, socket or disk.
    ///
    /// # Errors
    /// [`Error::Wire`] if a server's answer does not fit what was asked.
    pub fn step(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<()> {
        self.progress += 1;
        self.now = now;
        match input {
            Input::Tick => {
                self.expire(now, out);
                if let Some(after) = self.params.resend_ms {
                    self.ask_again(now, after, out);
                }
            }
            Input::View(view) => self.enter(view, out),
            Input::Reconnected { server } => self.reconnected(server, out),
            Input::Sent { server, request } => self.sent(server, request),
            Input::Reply { server, reply } => {
                let task = reply.task;
                self.reply(server, reply, out)?;
                self.settle(task, out);
            }
        }
        Ok(())
    }
}

/// Whether a task's caller is still to hear of it.
fn open(record: &Record) -> bool {
    record.overdue.is_none() && matches!(record.state, State::Held { .. } | State::Running(_))
}
