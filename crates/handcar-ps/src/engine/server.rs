//! `ServerEngine`: one server's tables, and the order in which pushes, pulls and calls reach them.

use crate::engine::rounds::Rounds;
use crate::lru::Lru;
use crate::message::{Answer, Ask, Keys, Millis, ReduceOp, Reply, Request, TableId, Task};
use crate::registry::Registry;
use crate::shard::{Contribution, Shape, Shard};
use crate::values::Values;
use handcar_base::KeyList;

/// Tables a server will hold; each is a name somebody chose, so more is a mistake.
pub const TABLES_MAX: usize = 1024;

/// What happens to a server.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "requests are the common case and are moved, not stored")]
pub enum Input {
    /// A worker asks.
    Request {
        /// The worker's rank.
        worker: usize,
        /// What it asks.
        request: Request,
    },
    /// Time passed.
    Tick,
}

/// An answer to send.
#[derive(Debug, PartialEq)]
pub struct Output {
    /// The worker's rank.
    pub worker: usize,
    /// The answer.
    pub reply: Reply,
}

/// One worker's item in a round of a table.
#[derive(Debug)]
struct Collective {
    worker: usize,
    task: Task,
    args: Vec<u8>,
    /// `None` is a call of the server function.
    push: Option<Push>,
}

#[derive(Debug)]
struct Push {
    keys: KeyList,
    values: Values,
    pull: Option<Values>,
}

struct Table {
    name: String,
    updater: String,
    params: Vec<u8>,
    shard: Box<dyn Shard>,
    rounds: Rounds<Collective>,
}

#[derive(Debug)]
struct Words {
    worker: usize,
    task: Task,
    op: ReduceOp,
    words: Vec<i64>,
}

/// One server. Owns its tables; knows no socket, thread or clock.
pub struct ServerEngine {
    workers: usize,
    registry: Registry,
    tables: Vec<Table>,
    lists: Lru<(u128, u64), KeyList>,
    reductions: Rounds<Words>,
    progress: u64,
}

impl ServerEngine {
    /// A server without tables that remembers up to `key_cache_bytes_max` bytes of key lists.
    pub fn new(workers: usize, registry: Registry, key_cache_bytes_max: usize) -> Self {
        Self {
            workers,
            registry,
            tables: Vec::new(),
            lists: Lru::new(key_cache_bytes_max),
            reductions: Rounds::new(workers),
            progress: 0,
        }
    }

    /// Counts steps; heartbeats carry it.
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// Whether some collective waits for a worker, so that ticks matter.
    pub fn waiting(&self) -> bool {
        self.reductions.waiting() || self.tables.iter().any(|t| t.rounds.waiting())
    }

    /// Keys held over all tables.
    pub fn keys(&self) -> usize {
        self.tables.iter().map(|t| t.shard.keys()).sum()
    }

    /// Advances by one input. Reads no clock, socket or disk.
    pub fn step(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) {
        self.progress += 1;
        match input {
            Input::Tick => self.late(now, out),
            Input::Request { worker, request } => {
                let task = request.task;
                if worker >= self.workers {
                    let reason = format!("expected a worker below {}, got {worker}", self.workers);
                    return out.push(refuse(worker, task, reason));
                }
                match self.request(now, worker, request, out) {
                    Ok(()) => {}
                    Err(reason) => out.push(refuse(worker, task, reason)),
                }
            }
        }
    }

    fn request(&mut self, now: Millis, worker: usize, request: Request, out: &mut Vec<Output>) -> Result<(), String> {
        let Request { task, table: id, deadline_ms, ask } = request;
        let due = now.plus(deadline_ms);
        match ask {
            Ask::Create { name, updater, params } => {
                let shape = self.create(id, name, updater, params)?;
                out.push(Output { worker, reply: Reply { task, answer: Answer::Created(shape) } });
            }
            Ask::Reduce { round, op, words } => {
                let item = Words { worker, task, op, words };
                self.reductions.arrive(round, worker, due, item).map_err(|(_, reason)| reason)?;
                while let Some(items) = self.reductions.complete() {
                    reduce(items, out);
                }
            }
            Ask::Call { round, args } => {
                let table = table(&mut self.tables, id)?;
                let item = Collective { worker, task, args, push: None };
                table.rounds.arrive(round, worker, due, item).map_err(|(_, reason)| reason)?;
                table.complete(out);
            }
            Ask::Move { keys, round, args, push, pull } => {
                let table = table(&mut self.tables, id)?;
                let shape = table.shard.shape();
                if let Some(values) = &push {
                    let numbers = keys.len().saturating_mul(shape.push_width as usize);
                    if (values.dtype(), values.len()) != (shape.push, numbers) {
                        let (got, dtype) = (values.len(), values.dtype());
                        return Err(format!("expected {numbers} {} values, got {got} {dtype}", shape.push));
                    }
                }
                let keys = match keys {
                    Keys::Shared(list) => list,
                    Keys::Sent(list) => {
                        let name = (list.signature(), list.len() as u64);
                        self.lists.put(name, list.clone(), 8 * list.len() + 64);
                        list
                    }
                    Keys::Named { signature, len } => match self.lists.get(&(signature, len)) {
                        Some(list) => list.clone(),
                        None => {
                            out.push(Output { worker, reply: Reply { task, answer: Answer::Miss { push, pull } } });
                            return Ok(());
                        }
                    },
                };
                match (round, push) {
                    (Some(round), Some(values)) => {
                        let item = Collective { worker, task, args, push: Some(Push { keys, values, pull }) };
                        table.rounds.arrive(round, worker, due, item).map_err(|(_, reason)| reason)?;
                        table.complete(out);
                    }
                    (Some(_), None) => return Err("expected values in an aggregated push, got none".into()),
                    (None, Some(values)) => {
                        let pushed = [Contribution { keys, values }];
                        let note = table.shard.apply(&args, &pushed)?;
                        let [Contribution { keys, values }] = pushed;
                        let pulled = table.read(&keys, pull);
                        let answer = Answer::Moved { pulled, spent: Some(values), note };
                        out.push(Output { worker, reply: Reply { task, answer } });
                    }
                    (None, None) => {
                        if pull.is_none() {
                            table.shard.insert(&keys);
                        }
                        let answer = Answer::Moved { pulled: table.read(&keys, pull), spent: None, note: Vec::new() };
                        out.push(Output { worker, reply: Reply { task, answer } });
                    }
                }
            }
        }
        Ok(())
    }

    fn create(&mut self, id: TableId, name: String, updater: String, params: Vec<u8>) -> Result<Shape, String> {
        let at = id.0 as usize;
        if let Some(t) = self.tables.get(at) {
            if (&t.name, &t.updater, &t.params) != (&name, &updater, &params) {
                return Err(format!(
                    "expected table {at} to be {:?} with updater {:?} as another worker said, got {name:?} with \
                     {updater:?} (or other parameters)",
                    t.name, t.updater
                ));
            }
            return Ok(t.shard.shape());
        }
        if at != self.tables.len() || at >= TABLES_MAX {
            return Err(format!("expected the next table to have number {}, got {at}", self.tables.len()));
        }
        if let Some(other) = self.tables.iter().position(|t| t.name == name) {
            return Err(format!("expected a new table name, got {name:?}, which is table {other}"));
        }
        let shard = self.registry.make(&updater, &params)?;
        let shape = shard.shape();
        self.tables.push(Table { name, updater, params, shard, rounds: Rounds::new(self.workers) });
        Ok(shape)
    }

    fn late(&mut self, now: Millis, out: &mut Vec<Output>) {
        fn tell(worker: usize, task: Task, missing: &[u32]) -> Output {
            Output { worker, reply: Reply { task, answer: Answer::Late { missing: missing.to_vec() } } }
        }
        for (came, missing) in self.reductions.late(now) {
            out.extend(came.into_iter().map(|c| tell(c.worker, c.task, &missing)));
        }
        for table in &mut self.tables {
            for (came, missing) in table.rounds.late(now) {
                out.extend(came.into_iter().map(|c| tell(c.worker, c.task, &missing)));
            }
        }
    }
}

impl Table {
    fn read(&mut self, keys: &KeyList, buffer: Option<Values>) -> Option<Values> {
        let mut buffer = buffer?;
        self.shard.read(keys, &mut buffer);
        Some(buffer)
    }

    fn complete(&mut self, out: &mut Vec<Output>) {
        while let Some(items) = self.rounds.complete() {
            let whom: Vec<(usize, Task)> = items.iter().map(|c| (c.worker, c.task)).collect();
            if let Err(reason) = self.collective(items, out) {
                out.extend(whom.into_iter().map(|(worker, task)| refuse(worker, task, reason.clone())));
            }
        }
    }

    fn collective(&mut self, items: Vec<Collective>, out: &mut Vec<Output>) -> Result<(), String> {
        let word = |c: &Collective| if c.push.is_some() { "push" } else { "call" };
        let Some(first) = items.first() else { return Ok(()) };
        for c in &items {
            if (c.push.is_some(), &c.args) != (first.push.is_some(), &first.args) {
                return Err(format!(
                    "expected all workers to make the same call: worker {} made a {} with {} argument bytes, \
                     worker {} a {} with {} (or other) bytes",
                    first.worker,
                    word(first),
                    first.args.len(),
                    c.worker,
                    word(c),
                    c.args.len()
                ));
            }
        }
        let mut args = Vec::new();
        let mut whom = Vec::with_capacity(items.len());
        let mut pushed = Vec::with_capacity(items.len());
        for c in items {
            args = c.args;
            whom.push((c.worker, c.task));
            pushed.extend(c.push.map(|p| (Contribution { keys: p.keys, values: p.values }, p.pull)));
        }
        if pushed.is_empty() {
            let result = self.shard.call(&args)?;
            let answer =
                |(worker, task)| Output { worker, reply: Reply { task, answer: Answer::Called(result.clone()) } };
            out.extend(whom.into_iter().map(answer));
            return Ok(());
        }
        let (pushed, pulls): (Vec<_>, Vec<_>) = pushed.into_iter().unzip();
        let note = self.shard.apply(&args, &pushed)?;
        for (((worker, task), Contribution { keys, values }), pull) in whom.into_iter().zip(pushed).zip(pulls) {
            let answer = Answer::Moved { pulled: self.read(&keys, pull), spent: Some(values), note: note.clone() };
            out.push(Output { worker, reply: Reply { task, answer } });
        }
        Ok(())
    }
}

fn table(tables: &mut [Table], id: TableId) -> Result<&mut Table, String> {
    let count = tables.len();
    tables.get_mut(id.0 as usize).ok_or_else(|| format!("expected a table below {count}, got {}", id.0))
}

fn reduce(items: Vec<Words>, out: &mut Vec<Output>) {
    let mut items_iter = items.iter();
    let Some(first) = items_iter.next() else { return };
    let mut words = first.words.clone();
    for item in items_iter {
        if (item.op, item.words.len()) != (first.op, words.len()) {
            let reason = format!(
                "expected all workers to reduce alike: worker {} gave {} words ({:?}), worker {} {} ({:?})",
                first.worker,
                words.len(),
                first.op,
                item.worker,
                item.words.len(),
                item.op
            );
            return out.extend(items.iter().map(|i| refuse(i.worker, i.task, reason.clone())));
        }
        for (a, &b) in words.iter_mut().zip(&item.words) {
            *a = match item.op {
                ReduceOp::Sum => a.wrapping_add(b),
                ReduceOp::Max => (*a).max(b),
            };
        }
    }
    let answer = |i: &Words| Reply { task: i.task, answer: Answer::Reduced(words.clone()) };
    out.extend(items.iter().map(|i| Output { worker: i.worker, reply: answer(i) }));
}

fn refuse(worker: usize, task: Task, reason: String) -> Output {
    Output { worker, reply: Reply { task, answer: Answer::Refused(reason) } }
}
