//! `ServerEngine`: one server's tables, the order in which pushes, pulls and calls reach them, and its place in chains.
//!
//! ```text
//! request ─epoch─→ round complete? ─not applied before?─→ table ─→ log ─→ next in chain … ack ─→ reply
//! update from the one before ──────not applied before?─→ table ─→ log ─→ next in chain … ack ─→ ack
//! ```

use crate::engine::plan::Plan;
use crate::engine::rounds::Rounds;
use crate::engine::view::{Route, View};
use crate::filter::FilterRegistry;
use crate::lru::Lru;
use crate::message::{Answer, Millis, Reply, Request, TableId, Task};
use crate::peer::{Kept, PeerMessage};
use crate::portion::Tag;
use crate::probation::Probation;
use crate::registry::Registry;
use crate::values::Values;
use handcar_base::{KeyList, KeyRange, RangeSet};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

mod chain;
mod early;
mod entries;
mod fill;
mod filters;
mod name;
mod portions;
mod reduction;
mod replay;
mod request;
mod sabotage;
mod table;
mod update;
mod view;

pub use sabotage::Broken;

use chain::Chain;
use early::Early;
use fill::Fill;
use portions::Portions;
use reduction::Words;
use request::Single;
use table::Table;

/// Tables a server will hold; each is a name somebody chose, so more is a mistake.
pub const TABLES_MAX: usize = 1024;
/// Bytes of split plans kept.
const PLAN_BYTES_MAX: usize = 256 << 20;

/// After so long without a word from the next server in a chain it is accused of being cut off or stuck, though it may
/// send heartbeats: a thousand times what an acknowledgement takes.
const SILENT_MS: u64 = 10_000;
/// A server that itself did nothing for so long was not running, or had nothing to wait for.
const ASLEEP_MS: u64 = 1_000;

/// What a server engine must know.
#[derive(Clone, Debug)]
pub struct ServerParams {
    /// Its number, never given twice in a job.
    pub id: usize,
    /// Number of workers.
    pub workers: usize,
    /// Bytes of key lists remembered.
    pub key_cache_bytes_max: usize,
    /// After so long without an acknowledgement an update is sent again; never, if the driver loses nothing on a
    /// living connection and tells when there is a new one.
    pub resend_ms: Option<u64>,
    /// Keys in one piece of a copy for another server: as long as one is written, requests wait.
    pub fill_keys: usize,
    /// A deliberate mistake, to prove that checks find it.
    #[doc(hidden)]
    pub broken: Option<Broken>,
}

impl ServerParams {
    /// Defaults for a server of a job with a number of workers.
    pub fn new(id: usize, workers: usize) -> Self {
        let key_cache_bytes_max = 1 << 30;
        Self { id, workers, key_cache_bytes_max, resend_ms: None, fill_keys: 1 << 16, broken: None }
    }
}

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
    /// Another server speaks.
    Peer {
        /// Its number.
        from: usize,
        /// What it says.
        message: PeerMessage,
    },
    /// The scheduler made a view.
    View(Arc<View>),
    /// The scheduler still waits for a report on the view of this epoch.
    Remind {
        /// The epoch.
        epoch: u64,
    },
    /// The connection to another server is new: what was under way may be lost.
    Reconnected {
        /// Its number.
        peer: usize,
    },
    /// Time passed.
    Tick,
}

/// What a server wants sent.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// An answer.
    Reply {
        /// To the worker of this rank.
        worker: usize,
        /// The answer.
        reply: Reply,
    },
    /// A message to another server.
    Peer {
        /// Its number.
        to: usize,
        /// The message.
        message: PeerMessage,
    },
    /// News for the scheduler.
    Report(Report),
    /// A member sent more for a view to come than is kept: its connection must be cut, so that it sends all again.
    Overrun(Member),
    /// The server before it in a chain did what this one cannot, for want of an updater say. Its copies are worth nothing
    /// and it does nothing more: it must end, so that another takes its place.
    Unfit(String),
}

/// Who sends to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// The worker of a rank.
    Worker(usize),
    /// The server of a number.
    Server(usize),
}

/// What a server tells the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Everything that this server had to copy in the view of this epoch is copied.
    Filled {
        /// The epoch.
        epoch: u64,
    },
    /// Nothing is under way any more in the frozen view of this epoch.
    Drained {
        /// The epoch.
        epoch: u64,
    },
    /// In the view of this epoch another server acknowledges nothing: the two may be cut off from each other.
    Silent {
        /// The epoch.
        epoch: u64,
        /// The other server.
        server: usize,
    },
}

/// What a server is in the present view.
struct Place {
    view: Arc<View>,
    /// Positions it heads.
    headed: Arc<RangeSet>,
    /// Positions it keeps: heads, follows or is being filled with.
    kept: RangeSet,
    /// To whom it passes updates on, and for which positions.
    next: BTreeMap<usize, RangeSet>,
    route: Route,
    reported_drained: bool,
}

/// One server. Owns its tables; knows no socket, thread or clock.
pub struct ServerEngine {
    params: ServerParams,
    registry: Registry,
    filters: Arc<FilterRegistry>,
    place: Option<Place>,
    /// Positions whose content is here: less than what is kept while this server is being filled.
    held: RangeSet,
    tables: Vec<Table>,
    lists: Lru<(u128, u64), KeyList>,
    /// By worker: lists that it sent and has not named yet.
    new_lists: BTreeMap<usize, Probation<(u128, u64), KeyList>>,
    reductions: Rounds<Words>,
    reduced_next: u64,
    reduced: VecDeque<Kept<Vec<i64>>>,
    /// By worker: its tasks below this one have their answers.
    answered: Vec<Task>,
    /// By worker: its single pushes that may come again, with the positions where they were applied.
    applied: Vec<BTreeMap<Task, Arc<RangeSet>>>,
    /// Pushes made for portions, by pass and table, with the positions where they were applied.
    pushed: BTreeMap<(u64, TableId, Tag), Arc<RangeSet>>,
    portions: Portions,
    chain: Chain,
    fill: Option<Fill>,
    early: Early,
    /// It cannot keep what it should, see [`Output::Unfit`].
    unfit: bool,
    /// Buffers that nobody needs any more.
    spares: Vec<Values>,
    /// How lists part on their way to the next servers in this view.
    plans: Lru<(u128, usize), Plan>,
    now: Millis,
    progress: u64,
}

impl ServerEngine {
    /// A server without tables, which waits for its first view.
    pub fn new(params: ServerParams, registry: Registry) -> Self {
        let workers = params.workers;
        Self {
            filters: Arc::new(registry.filters().clone()),
            registry,
            place: None,
            held: RangeSet::new(),
            tables: Vec::new(),
            lists: Lru::new(params.key_cache_bytes_max),
            new_lists: BTreeMap::new(),
            reductions: Rounds::new(workers),
            reduced_next: 0,
            reduced: VecDeque::new(),
            answered: vec![Task(0); workers],
            applied: vec![BTreeMap::new(); workers],
            pushed: BTreeMap::new(),
            portions: Portions::default(),
            chain: Chain::default(),
            fill: None,
            early: Early::default(),
            unfit: false,
            spares: Vec::new(),
            plans: Lru::new(PLAN_BYTES_MAX),
            now: Millis(0),
            progress: 0,
            params,
        }
    }

    /// Counts steps; heartbeats carry it.
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// The epoch of the present view, 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.place.as_ref().map_or(0, |p| p.view.epoch)
    }

    /// Whether some collective waits for a worker or an update for its acknowledgement, so that ticks matter.
    pub fn waiting(&self) -> bool {
        let resends = self.params.resend_ms.is_some() && !self.chain.idle();
        resends || !self.chain.idle() || self.reductions.waiting() || self.tables.iter().any(|t| t.rounds.waiting())
    }

    /// Buffers that the engine is done with, for the driver to read into.
    pub fn spares(&mut self) -> impl Iterator<Item = Values> + '_ {
        self.spares.drain(..)
    }

    /// Whether nothing is under way.
    pub fn at_rest(&self) -> bool {
        self.chain.idle() && !self.waiting() && self.early.len() == 0
    }

    /// Records kept because a worker or another server may ask again, by kind.
    pub fn kept(&self) -> [(&'static str, usize); 5] {
        let applied: usize = self.applied.iter().map(BTreeMap::len).sum();
        let notes: usize = self.tables.iter().map(|t| t.notes.len()).sum();
        [
            ("single pushes", applied + self.pushed.len()),
            ("results", notes + self.reduced.len()),
            ("updates passed on", self.chain.open()),
            ("updates before their turn", self.chain.ahead()),
            ("messages of a view to come", self.early.len()),
        ]
    }

    /// Keys held over all tables.
    pub fn keys(&self) -> usize {
        self.tables.iter().map(|t| t.shard.keys()).sum()
    }

    /// Advances by one input. Reads no clock, socket or disk.
    pub fn step(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) {
        if self.unfit {
            return;
        }
        self.progress += 1;
        let asleep = now.since(self.now);
        if asleep > ASLEEP_MS {
            self.chain.forgive(asleep);
        }
        self.now = now;
        match input {
            Input::Tick => {
                self.late(now, out);
                if let Some(server) = self.chain.silent(now, SILENT_MS) {
                    out.push(Output::Report(Report::Silent { epoch: self.epoch(), server }));
                }
                if let Some(after) = self.params.resend_ms {
                    self.chain.resend(self.epoch(), now, after, out);
                }
            }
            Input::View(view) => self.enter(view, out),
            Input::Remind { epoch } => self.remind(epoch),
            Input::Reconnected { peer } => self.chain.resend_to(self.epoch(), now, peer, usize::MAX, out),
            Input::Peer { from, message } => {
                if message.epoch > self.epoch() {
                    self.keep_early(Member::Server(from), Input::Peer { from, message }, out);
                } else if message.epoch == self.epoch() || self.is(Broken::NoEpochCheck) {
                    self.peer(from, message, out);
                }
            }
            Input::Request { worker, request } => {
                let (task, epoch) = (request.task, request.epoch);
                // Heads of a frozen view take no requests; the workers ask again in the next one.
                let frozen = self.place.as_ref().is_some_and(|p| p.view.frozen);
                if epoch > self.epoch() {
                    self.keep_early(Member::Worker(worker), Input::Request { worker, request }, out);
                } else if let Err(reason) = self.known(worker) {
                    out.push(refuse(worker, task, epoch, reason));
                } else if ((epoch == self.epoch() && !frozen) || self.is(Broken::NoEpochCheck))
                    && let Err(reason) = self.request(now, worker, request, out)
                {
                    out.push(refuse(worker, task, epoch, reason));
                }
            }
        }
        self.report(out);
    }

    /// Whether a worker takes part in the present view.
    fn known(&self, worker: usize) -> Result<(), String> {
        match self.place.as_ref().and_then(|p| p.view.workers.as_ref()) {
            Some(workers) if workers.contains(&worker) => Ok(()),
            Some(workers) => Err(format!("expected one of {} workers, got {worker}, which is none", workers.len())),
            None if worker < self.params.workers => Ok(()),
            None => Err(format!("expected a worker below {}, got {worker}", self.params.workers)),
        }
    }

    fn keep_early(&mut self, from: Member, input: Input, out: &mut Vec<Output>) {
        if !self.early.keep(from, input) {
            out.push(Output::Overrun(from));
        }
    }

    /// Ends this server's part, see [`Output::Unfit`].
    fn become_unfit(&mut self, reason: String, out: &mut Vec<Output>) {
        self.unfit = true;
        out.push(Output::Unfit(reason));
    }

    fn is(&self, mistake: Broken) -> bool {
        self.params.broken == Some(mistake)
    }
}

fn table(tables: &mut [Table], id: TableId) -> Result<&mut Table, String> {
    let count = tables.len();
    tables.get_mut(id.0 as usize).ok_or_else(|| format!("expected a table below {count}, got {}", id.0))
}

fn refuse(worker: usize, task: Task, epoch: u64, reason: String) -> Output {
    Output::Reply { worker, reply: Reply { task, epoch, answer: Answer::Refused(reason) } }
}

/// Position 0 alone: its chain keeps the reductions.
fn origin() -> RangeSet {
    KeyRange::new(0, 1).into()
}
