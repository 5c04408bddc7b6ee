//! `WorkerEngine`: a worker's tasks, their order, their split over servers and the joining of answers.

use crate::engine::plan::Plan;
use crate::engine::policy::Policy;
use crate::engine::task::{Outcome, Part, Record, Running, State, Submission, Work};
use crate::error::{Error, Result};
use crate::lru::Lru;
use crate::message::{Answer, Ask, Keys, Millis, Reply, Request, TableId, Task};
use crate::shard::Shape;
use crate::values::{Dtype, Values};
use handcar_base::KeyList;
use std::collections::VecDeque;
use std::sync::Arc;

/// Tasks whose results nobody took; each may hold a buffer.
pub const TASKS_MAX: usize = 4096;
/// Finished pushes remembered for a later `wait`; they hold buffers, and most pushes are never waited for.
const FINISHED_PUSHES_KEPT: usize = 64;
/// Buffers for split parts kept for reuse, a server.
const POOL_BUFFERS_PER_SERVER: usize = 4;
/// The server reports a missing worker at the deadline; the worker gives it this long to say so.
pub const DEADLINE_GRACE_MS: u64 = 250;

/// What a worker engine must know.
#[derive(Clone, Debug)]
pub struct WorkerParams {
    /// Number of workers.
    pub workers: usize,
    /// Number of servers.
    pub servers: usize,
    /// Milliseconds a task may take.
    pub deadline_ms: u64,
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
        /// The server's rank.
        server: usize,
        /// Its answer.
        reply: Reply,
    },
    /// A request was copied out by the driver; its buffers come back.
    Sent {
        /// The server's rank.
        server: usize,
        /// The request, as given in [`Output`].
        request: Request,
    },
    /// Time passed.
    Tick,
}

/// A request to send.
#[derive(Debug, PartialEq)]
pub struct Output {
    /// The server's rank.
    pub server: usize,
    /// The request.
    pub request: Request,
}

#[derive(Debug, Default)]
struct Table {
    shape: Option<Shape>,
    timestamps: u64,
    rounds: u64,
    /// Unfinished tasks in order of submission.
    unfinished: VecDeque<Task>,
}

/// One worker. Knows no socket, thread or clock.
pub struct WorkerEngine {
    params: WorkerParams,
    policy: Policy,
    tables: Vec<Table>,
    reductions: u64,
    /// Number of the first record.
    base: u64,
    records: VecDeque<Record>,
    held: Vec<Task>,
    plans: Lru<(u128, usize), Arc<Plan>>,
    /// By server: lists it was sent.
    known: Vec<Lru<(u128, usize), ()>>,
    pool: Vec<Values>,
    /// A task nobody waited for failed.
    failed: Option<Error>,
    progress: u64,
    staleness_max: u64,
}

impl WorkerEngine {
    /// A worker without tasks.
    pub fn new(params: WorkerParams) -> Self {
        Self {
            policy: Policy::Sequential,
            tables: Vec::new(),
            reductions: 0,
            base: 0,
            records: VecDeque::new(),
            held: Vec::new(),
            plans: Lru::new(params.plan_bytes_max),
            known: (0..params.servers).map(|_| Lru::new(params.key_cache_bytes_max)).collect(),
            pool: Vec::new(),
            failed: None,
            progress: 0,
            staleness_max: 0,
            params,
        }
    }

    /// What the engine was made with.
    pub fn params(&self) -> &WorkerParams {
        &self.params
    }

    /// Counts steps; heartbeats carry it.
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// The most unfinished earlier tasks of a table that a task was ever submitted past.
    pub fn staleness_max(&self) -> u64 {
        self.staleness_max
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
        self.record(task).is_none_or(|r| matches!(r.state, State::Done(_) | State::Reaped))
    }

    /// Whether any task is unfinished.
    pub fn busy(&self) -> bool {
        self.records.iter().any(|r| matches!(r.state, State::Held { .. } | State::Running(_)))
    }

    /// Takes the outcome of a finished task; a second time it is empty.
    ///
    /// # Errors
    /// What made the task fail.
    pub fn take(&mut self, task: Task) -> Result<Outcome> {
        let Some(record) = self.record_mut(task) else { return Ok(Outcome::default()) };
        if !matches!(record.state, State::Done(_)) {
            return Ok(Outcome::default());
        }
        let state = std::mem::replace(&mut record.state, State::Reaped);
        self.trim();
        if let State::Done(result) = state { result } else { Ok(Outcome::default()) }
    }

    /// When the next unfinished task runs out of time.
    pub fn next_due(&self) -> Option<Millis> {
        let open = self.records.iter().filter(|r| matches!(r.state, State::Held { .. } | State::Running(_)));
        open.map(|r| r.due).min().map(|d| d.plus(DEADLINE_GRACE_MS))
    }

    /// Accepts a task. It starts now, or when the tasks it is `after` have finished.
    ///
    /// # Errors
    /// [`Error::Argument`] if it does not fit the table or too many results were left; the failure of an earlier task
    /// that nobody waited for.
    pub fn submit(&mut self, now: Millis, mut submission: Submission, out: &mut Vec<Output>) -> Result<Task> {
        self.progress += 1;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let op = op_of(&submission.work);
        self.trim();
        if self.records.len() >= TASKS_MAX {
            let expected = format!("at most {TASKS_MAX} tasks unfinished or with results not taken");
            return Err(Error::argument(op, expected, "one more"));
        }
        if matches!(submission.work, Work::Create { .. }) {
            submission.table = self.next_table();
            self.tables.push(Table::default());
        }
        let round = self.check(op, &mut submission)?;
        let task = Task(self.base + self.records.len() as u64);
        let mut timestamp = 0;
        if !matches!(submission.work, Work::Reduce { .. })
            && let Some(table) = self.tables.get_mut(submission.table.0 as usize)
        {
            timestamp = table.timestamps;
            table.timestamps += 1;
            self.staleness_max = self.staleness_max.max(table.unfinished.len() as u64);
            table.unfinished.push_back(task);
        }
        let due = now.plus(self.params.deadline_ms);
        let table = submission.table;
        let ready = submission.after.iter().all(|&t| self.finished(t));
        let state = State::Held { submission: Box::new(submission), round };
        self.records.push_back(Record { op, table, timestamp, due, state });
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
        match input {
            Input::Tick => self.expire(now, out),
            Input::Sent { server, request } => self.sent(server, request),
            Input::Reply { server, reply } => {
                let task = reply.task;
                self.reply(server, reply, out)?;
                self.settle(task, out);
            }
        }
        Ok(())
    }

    /// Checks a submission against its table and numbers it among the table's collectives.
    fn check(&mut self, op: &'static str, submission: &mut Submission) -> Result<Option<u64>> {
        if matches!(submission.work, Work::Reduce { .. }) {
            self.reductions += 1;
            return Ok(Some(self.reductions - 1));
        }
        let tables = self.tables.len();
        let Some(table) = self.tables.get_mut(submission.table.0 as usize) else {
            let got = submission.table.0.to_string();
            return Err(Error::argument(op, format!("a table below {tables}"), got));
        };
        let aggregate = match &mut submission.work {
            Work::Create { .. } | Work::Reduce { .. } => return Ok(None),
            Work::Call { .. } => true,
            Work::Move { keys, push, pull, aggregate, .. } => {
                let Some(shape) = table.shape else {
                    return Err(Error::argument(op, "a table that was created", "one that is not yet"));
                };
                if keys.len() > u32::MAX as usize {
                    return Err(Error::argument(op, "at most 2^32 - 1 keys", keys.len().to_string()));
                }
                if let Some(values) = push {
                    let (n, width) = (keys.len(), shape.push_width as usize);
                    if (values.dtype(), values.len()) != (shape.push, n * width) {
                        let expected = format!("{} {} values ({n} keys × {width})", n * width, shape.push);
                        return Err(Error::argument(op, expected, format!("{} {}", values.len(), values.dtype())));
                    }
                }
                if let Some(buffer) = pull
                    && buffer.dtype() != shape.pull
                {
                    *buffer = Values::empty(shape.pull);
                }
                *aggregate && push.is_some()
            }
        };
        Ok(aggregate.then(|| {
            table.rounds += 1;
            table.rounds - 1
        }))
    }

    fn start(&mut self, task: Task, out: &mut Vec<Output>) {
        let servers = self.params.servers;
        let Some(record) = self.record_mut(task) else { return };
        let State::Held { submission, round } = std::mem::replace(&mut record.state, State::Reaped) else { return };
        let Submission { table, work, .. } = *submission;
        let mut running = Running {
            parts: (0..servers).map(|_| Part::default()).collect(),
            open: 0,
            keys: None,
            round,
            args: Vec::new(),
            whole_push: None,
            whole_pull: None,
            words: Vec::new(),
            failed: None,
        };
        let deadline_ms = self.params.deadline_ms;
        let mut ask = |running: &mut Running, server: usize, ask: Ask| {
            running.parts[server].open = true;
            running.open += 1;
            out.push(Output { server, request: Request { task, table, deadline_ms, ask } });
        };
        match work {
            Work::Create { name, updater, params } => {
                for server in 0..servers {
                    let (name, updater, params) = (name.clone(), updater.clone(), params.clone());
                    ask(&mut running, server, Ask::Create { name, updater, params });
                }
            }
            Work::Call { args } => {
                for server in 0..servers {
                    ask(&mut running, server, Ask::Call { round: round.unwrap_or(0), args: args.clone() });
                }
            }
            Work::Reduce { op, words } => ask(&mut running, 0, Ask::Reduce { round: round.unwrap_or(0), op, words }),
            Work::Move { keys, args, push, pull, .. } if servers == 1 => {
                let named = self.name_keys(0, &keys);
                running.args = args.clone();
                running.keys = Some((keys, None));
                ask(&mut running, 0, Ask::Move { keys: named, round, args, push, pull });
            }
            Work::Move { keys, args, push, pull, .. } => {
                let plan = self.plan(&keys);
                let push_width = self.shape(table).map_or(1, |s| s.push_width as usize);
                for (server, share) in plan.shares.iter().enumerate() {
                    // Collectives wait for every worker, so even an empty share must say "here I am".
                    if share.keys.is_empty() && round.is_none() {
                        continue;
                    }
                    let part_push = push.as_ref().map(|whole| {
                        let mut part = self.buffer(whole.dtype());
                        part.gather(whole, &share.index, push_width);
                        part
                    });
                    let part_pull = pull.as_ref().map(|whole| self.buffer(whole.dtype()));
                    let named = self.name_keys(server, &share.keys);
                    let args = args.clone();
                    let part = Ask::Move { keys: named, round, args, push: part_push, pull: part_pull };
                    ask(&mut running, server, part);
                }
                running.args = args;
                running.keys = Some((keys, Some(plan)));
                running.whole_push = push;
                running.whole_pull = pull;
            }
        }
        if let Some(record) = self.record_mut(task) {
            record.state = State::Running(Box::new(running));
        }
        self.settle(task, out);
    }

    fn name_keys(&mut self, server: usize, keys: &KeyList) -> Keys {
        if self.params.shared_memory {
            return Keys::Shared(keys.clone());
        }
        let name = (keys.signature(), keys.len());
        if self.known[server].get(&name).is_some() {
            return Keys::Named { signature: name.0, len: name.1 as u64 };
        }
        self.known[server].put(name, (), 8 * keys.len() + 64);
        Keys::Sent(keys.clone())
    }

    fn plan(&mut self, keys: &KeyList) -> Arc<Plan> {
        let name = (keys.signature(), keys.len());
        if let Some(plan) = self.plans.get(&name) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(Plan::of(keys, self.params.servers));
        self.plans.put(name, Arc::clone(&plan), plan.bytes());
        plan
    }

    fn buffer(&mut self, dtype: Dtype) -> Values {
        match self.pool.iter().position(|v| v.dtype() == dtype) {
            Some(at) => self.pool.swap_remove(at),
            None => Values::empty(dtype),
        }
    }

    fn recycle(&mut self, buffer: Option<Values>) {
        if let Some(mut buffer) = buffer
            && self.pool.len() < POOL_BUFFERS_PER_SERVER * self.params.servers
        {
            buffer.clear();
            self.pool.push(buffer);
        }
    }

    fn sent(&mut self, server: usize, request: Request) {
        let Ask::Move { push, pull, .. } = request.ask else { return };
        if let Some(State::Running(running)) = self.record_mut(request.task).map(|r| &mut r.state)
            && running.parts[server].open
        {
            running.parts[server].push = push;
            running.parts[server].pull = pull;
        }
    }

    fn reply(&mut self, server: usize, reply: Reply, out: &mut Vec<Output>) -> Result<()> {
        let (task, deadline_ms, servers) = (reply.task, self.params.deadline_ms, self.params.servers);
        if task.0 >= self.base + self.records.len() as u64 {
            return Err(wire(server, "an answer to a task", format!("one to unknown task {}", task.0)));
        }
        // Answers to tasks that ran out of time come late and are ignored.
        let Some(record) = self.record_mut(task) else { return Ok(()) };
        let (op, table) = (record.op, record.table);
        let State::Running(running) = &mut record.state else { return Ok(()) };
        let Some(part) = running.parts.get_mut(server).filter(|p| p.open) else {
            return Err(wire(server, "one answer to each request", format!("a second one to {op}")));
        };
        let mut spare = (None, None);
        match reply.answer {
            Answer::Miss { push, pull } => {
                let Some((keys, plan)) = &running.keys else {
                    return Err(wire(server, "an answer", format!("a missing key list for {op}")));
                };
                let keys = plan.as_ref().map_or(keys, |p| &p.shares[server].keys).clone();
                let ask = Ask::Move {
                    keys: Keys::Sent(keys.clone()),
                    round: running.round,
                    args: running.args.clone(),
                    push: push.or(part.push.take()),
                    pull: pull.or(part.pull.take()),
                };
                out.push(Output { server, request: Request { task, table, deadline_ms, ask } });
                self.known[server].put((keys.signature(), keys.len()), (), 8 * keys.len() + 64);
                return Ok(());
            }
            Answer::Moved { pulled, spent, note } => {
                let Some((keys, plan)) = &running.keys else {
                    return Err(wire(server, format!("an answer to {op}"), "values"));
                };
                part.note = note;
                let spent = spent.or(part.push.take());
                match plan {
                    None => (part.push, part.pulled) = (spent, pulled),
                    Some(plan) => {
                        let share = &plan.shares[server];
                        if let (Some(whole), Some(pulled)) = (&mut running.whole_pull, &pulled) {
                            let width = pulled.len() / share.keys.len().max(1);
                            if pulled.dtype() != whole.dtype() || pulled.len() != width * share.keys.len() {
                                let got = format!("{} {}", pulled.len(), pulled.dtype());
                                return Err(wire(server, format!("{} a key", whole.dtype()), got));
                            }
                            if !share.keys.is_empty() {
                                whole.scatter(pulled, &share.index, width, keys.len());
                            }
                        }
                        spare = (spent, pulled);
                    }
                }
            }
            Answer::Called(bytes) => part.note = bytes,
            Answer::Reduced(words) => running.words = words,
            Answer::Refused(reason) => {
                let by = format!("server {server}");
                running.failed.get_or_insert(Error::Refused { op, by, reason });
            }
            Answer::Late { missing } => {
                let names: Vec<_> = missing.iter().map(|w| format!("worker {w}")).collect();
                let waiting_for = format!("{} (told by server {server} of {servers})", names.join(", "));
                running.failed.get_or_insert(Error::Deadline { op, deadline_ms, waiting_for });
            }
            Answer::Created(shape) => {
                let state = &mut self.tables[table.0 as usize];
                if state.shape.is_some_and(|s| s != shape) {
                    let expected = format!("{:?} as on the other servers", state.shape);
                    return Err(wire(server, expected, format!("{shape:?}")));
                }
                state.shape = Some(shape);
            }
        }
        if let Some(State::Running(running)) = self.record_mut(task).map(|r| &mut r.state) {
            running.parts[server].open = false;
            running.open -= 1;
        }
        self.recycle(spare.0);
        self.recycle(spare.1);
        Ok(())
    }

    /// Finishes a task that waits for nobody any more, and starts those that waited for it.
    fn settle(&mut self, task: Task, out: &mut Vec<Output>) {
        let Some(record) = self.record_mut(task) else { return };
        let State::Running(running) = &mut record.state else { return };
        if running.open > 0 {
            return;
        }
        let result = match running.failed.take() {
            Some(error) => Err(error),
            None => {
                let split = running.keys.as_ref().is_some_and(|(_, plan)| plan.is_some());
                let (spent, pulled) = if split {
                    (running.whole_push.take(), running.whole_pull.take())
                } else {
                    (running.parts[0].push.take(), running.parts[0].pulled.take())
                };
                let notes = running.parts.iter_mut().map(|p| std::mem::take(&mut p.note)).collect();
                Ok(Outcome { pulled, spent, notes, words: std::mem::take(&mut running.words) })
            }
        };
        self.finish(task, result, out);
    }

    fn finish(&mut self, task: Task, result: Result<Outcome>, out: &mut Vec<Output>) {
        let Some(record) = self.record_mut(task) else { return };
        record.state = State::Done(result);
        let table = record.table;
        if let Some(table) = self.tables.get_mut(table.0 as usize) {
            table.unfinished.retain(|&t| t != task);
        }
        if self.held.is_empty() {
            return;
        }
        let held = std::mem::take(&mut self.held);
        let (ready, held) = held.into_iter().partition(|&t| self.may_start(t));
        self.held = held;
        let ready: Vec<Task> = ready;
        for task in ready {
            self.start(task, out);
        }
    }

    fn may_start(&self, task: Task) -> bool {
        match self.record(task).map(|r| &r.state) {
            Some(State::Held { submission, .. }) => submission.after.iter().all(|&t| self.finished(t)),
            _ => true,
        }
    }

    fn expire(&mut self, now: Millis, out: &mut Vec<Output>) {
        let deadline_ms = self.params.deadline_ms;
        let mut expired = Vec::new();
        for (task, record) in (self.base..).map(Task).zip(&self.records) {
            if record.due.plus(DEADLINE_GRACE_MS) > now {
                continue;
            }
            let waiting_for = match &record.state {
                State::Running(running) => {
                    let open = running.parts.iter().enumerate().filter(|(_, p)| p.open);
                    open.map(|(s, _)| format!("server {s}")).collect::<Vec<_>>().join(", ")
                }
                State::Held { submission, .. } => {
                    let open = submission.after.iter().filter(|&&t| !self.finished(t));
                    open.map(|t| format!("task {}", t.0)).collect::<Vec<_>>().join(", ")
                }
                _ => continue,
            };
            expired.push((task, Error::Deadline { op: record.op, deadline_ms, waiting_for }));
        }
        for (task, error) in expired {
            self.finish(task, Err(error), out);
        }
    }

    /// Forgets finished tasks nobody can want.
    fn trim(&mut self) {
        loop {
            let old = self.records.len() > FINISHED_PUSHES_KEPT;
            let Some(front) = self.records.front_mut() else { return };
            match &front.state {
                State::Reaped => {}
                State::Done(Ok(outcome)) if old && outcome.pulled.is_none() => {}
                State::Done(Err(_)) if old => {
                    if let State::Done(Err(error)) = std::mem::replace(&mut front.state, State::Reaped) {
                        self.failed.get_or_insert(error);
                    }
                }
                _ => return,
            }
            self.records.pop_front();
            self.base += 1;
        }
    }

    fn record(&self, task: Task) -> Option<&Record> {
        self.records.get(task.0.checked_sub(self.base)? as usize)
    }

    fn record_mut(&mut self, task: Task) -> Option<&mut Record> {
        self.records.get_mut(task.0.checked_sub(self.base)? as usize)
    }
}

fn op_of(work: &Work) -> &'static str {
    match work {
        Work::Create { .. } => "create_table",
        Work::Move { push: Some(_), pull: None, .. } => "push",
        Work::Move { push: None, pull: Some(_), .. } => "pull",
        Work::Move { push: Some(_), pull: Some(_), .. } => "push_pull",
        Work::Move { push: None, pull: None, .. } => "insert",
        Work::Call { .. } => "call",
        Work::Reduce { .. } => "reduce",
    }
}

fn wire(server: usize, expected: impl Into<String>, got: impl Into<String>) -> Error {
    Error::Wire { from: format!("server {server}"), expected: expected.into(), got: got.into() }
}
