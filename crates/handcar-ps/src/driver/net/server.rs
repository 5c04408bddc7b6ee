//! A server over TCP: one thread that owns the tables and waits on all sockets.

use super::codec;
use super::config::NodeConfig;
use super::control;
use super::hub::{Event, Hub};
use super::parcel::Parcel;
use super::peers::Peers;
use super::watch::{Verdict, Watch, Welcome};
use crate::engine::control::Control;
use crate::engine::scheduler::RANKS_MAX;
use crate::engine::server::{Input, Member, Output, ServerEngine, ServerParams};
use crate::engine::view::View;
use crate::error::{Error, Result, Role};
use crate::message::{Answer, Millis, Reply};
use crate::registry::Registry;
use crate::values::{Dtype, Values};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// While collectives wait for workers, their deadlines are looked at so often.
const TICK: Duration = Duration::from_millis(50);
/// Otherwise nothing but messages and the verdict matters.
const IDLE: Duration = Duration::from_secs(1);
/// Buffers kept for reuse: one to receive and one to answer, for some workers.
const POOL_BUFFERS: usize = 16;
/// Workers get this long to read the last answers.
const LINGER: Duration = Duration::from_millis(500);

/// Runs a server until all workers have left, it has left itself, or somebody is lost whom the job cannot do without.
///
/// # Errors
/// [`Error::NodeLost`] names the first member lost, which may be this server: others then have its keys.
pub fn run_server(listener: TcpListener, scheduler: &str, registry: &Registry, config: &NodeConfig) -> Result<()> {
    let own = listener.local_addr().map_err(|e| Error::System { op: "listen", how: e.to_string() })?;
    let addr = config.advertise.clone().unwrap_or_else(|| own.to_string());
    let (hub, waker) = Hub::new(listener)?;
    let (welcome, watch) = Watch::join(scheduler, Role::Server, Some(addr), config)?;
    watch.wake_by(Box::new(move || drop(waker.wake())));
    let key_cache_bytes_max = config.key_cache_bytes_max;
    let params = ServerParams { key_cache_bytes_max, ..ServerParams::new(welcome.rank, welcome.workers) };
    let engine = ServerEngine::new(params, registry.clone());
    let peers = Peers::new(welcome.rank, welcome.job);
    let view = Arc::clone(&welcome.view);
    let mut server = Loop {
        hub,
        watch,
        welcome,
        engine,
        peers,
        ranks: BTreeMap::new(),
        conns: BTreeMap::new(),
        members: BTreeSet::new(),
        longest: 0,
        pool: Vec::new(),
        unfit: None,
    };
    server.enter(Millis(0), view, &mut Vec::new());
    server.run()
}

struct Loop {
    hub: Hub,
    watch: Watch,
    welcome: Welcome,
    engine: ServerEngine,
    peers: Peers,
    /// Worker by connection, and the other way round.
    ranks: BTreeMap<u64, usize>,
    conns: BTreeMap<usize, u64>,
    /// Workers of the latest view, if these may change.
    members: BTreeSet<usize>,
    /// Length of the longest key list that any worker sent.
    longest: usize,
    pool: Vec<Values>,
    /// Why it has to end.
    unfit: Option<Error>,
}

pub(super) fn take(pool: &mut Vec<Values>, dtype: Dtype) -> Values {
    match pool.iter().position(|v| v.dtype() == dtype) {
        Some(at) => pool.swap_remove(at),
        None => Values::empty(dtype),
    }
}

fn give(pool: &mut Vec<Values>, buffer: Option<Values>) {
    if let Some(buffer) = buffer
        && pool.len() < POOL_BUFFERS
    {
        pool.push(buffer);
    }
}

impl Loop {
    fn run(mut self) -> Result<()> {
        let start = Instant::now();
        let (mut events, mut outputs) = (Vec::new(), Vec::new());
        loop {
            let timeout = match self.engine.waiting() || self.peers.incomplete() {
                true => TICK,
                false => IDLE,
            };
            let pool = &mut self.pool;
            self.hub.wait(timeout, &mut events, &mut |_, _, dtype| take(pool, dtype))?;
            match self.watch.verdict() {
                Some(Verdict::Ended) => return self.hub.linger(LINGER),
                Some(Verdict::Lost(error)) => return Err(error),
                None => {}
            }
            let now = Millis(start.elapsed().as_millis() as u64);
            let news = self.watch.news();
            if let Some(view) = news.view {
                self.enter(now, view, &mut outputs);
            }
            if let Some(epoch) = news.remind {
                self.engine.step(now, Input::Remind { epoch }, &mut outputs);
                self.answer(&mut outputs);
            }
            let waited = events.is_empty();
            for event in events.drain(..) {
                match event {
                    Event::Gone { conn, how } => self.gone(conn, &how),
                    Event::Parcel { conn, parcel } => match self.ranks.get(&conn) {
                        Some(&worker) => self.request(now, conn, worker, parcel, &mut outputs),
                        None if self.peers.has(conn) => self.peer(now, conn, parcel, &mut outputs),
                        // It was refused by what came before.
                        None if self.hub.closing(conn) => {}
                        None => self.greet(conn, &parcel),
                    },
                }
                self.answer(&mut outputs);
            }
            if waited {
                self.engine.step(now, Input::Tick, &mut outputs);
                self.answer(&mut outputs);
            }
            if self.peers.incomplete() {
                self.peers.connect(&mut self.hub);
            }
            if let Some(error) = self.unfit.take() {
                return Err(error);
            }
            self.peers.go_on(&mut self.hub, &mut self.pool);
            self.watch.set_progress(self.engine.progress(), self.engine.epoch());
        }
    }

    fn enter(&mut self, now: Millis, view: Arc<View>, outputs: &mut Vec<Output>) {
        self.dismiss(&view);
        self.peers.enter(&view, &mut self.hub);
        self.engine.step(now, Input::View(view), outputs);
        self.answer(outputs);
        // Beats carry the epoch: the scheduler need not tell it twice.
        self.watch.set_progress(self.engine.progress(), self.engine.epoch());
    }

    fn gone(&mut self, conn: u64, how: &str) {
        self.peers.gone(conn);
        if let Some(rank) = self.forget(conn) {
            // Whether the worker is lost is the scheduler's to say.
            tracing::debug!(rank, how, "a worker's connection ended");
        }
    }

    /// A connection is no worker's any more; returns whose it was.
    fn forget(&mut self, conn: u64) -> Option<usize> {
        let rank = self.ranks.remove(&conn)?;
        if self.conns.get(&rank) == Some(&conn) {
            self.conns.remove(&rank);
        }
        Some(rank)
    }

    /// Cuts off workers that were in the view before this one and are not any more. One that is in neither may be ahead of
    /// this server: its view is still to come.
    fn dismiss(&mut self, view: &View) {
        // The scheduler may tell of a view twice.
        let Some(members) = view.workers.as_ref().filter(|_| view.epoch > self.engine.epoch()) else { return };
        for rank in std::mem::replace(&mut self.members, members.clone()).difference(members) {
            if let Some(conn) = self.conns.remove(rank) {
                self.ranks.remove(&conn);
                self.hub.cut(conn);
            }
        }
    }

    /// Ranks of workers; if they come and go, the view says which are members.
    fn ranks_max(&self) -> usize {
        if self.welcome.view.workers.is_some() { RANKS_MAX } else { self.welcome.workers }
    }

    fn greet(&mut self, conn: u64, parcel: &Parcel) {
        let refusal = match control::unpack(parcel) {
            Ok(Control::Join { job, role, .. }) if job != self.welcome.job => {
                format!("expected a {role} of job {}, got one of job {job}", self.welcome.job)
            }
            Ok(Control::Join { role: Role::Server, rank, .. }) => {
                self.hub.admit(conn, format!("server {rank}"));
                self.peers.admit(rank, conn, &mut self.hub);
                return self.hub.send(conn, control::pack(&Control::Admit));
            }
            Ok(Control::Join { role: Role::Worker, rank, .. }) if rank >= self.ranks_max() => {
                format!("expected a worker below {}, got {rank}", self.ranks_max())
            }
            Ok(Control::Join { role: Role::Worker, rank, .. }) => {
                self.hub.admit(conn, format!("worker {rank}"));
                // It connects again because the old connection broke, perhaps unnoticed on this side.
                if let Some(old) = self.conns.insert(rank, conn) {
                    self.ranks.remove(&old);
                    self.hub.cut(old);
                }
                self.ranks.insert(conn, rank);
                return self.hub.send(conn, control::pack(&Control::Admit));
            }
            Ok(other) => format!("expected a worker or server to join, got {other:?}"),
            Err(expected) => format!("expected {expected}"),
        };
        tracing::warn!(refusal, "refused a connection");
        self.refuse(conn, refusal);
    }

    /// Says why and closes; nothing more is heard from or sent to this connection.
    fn refuse(&mut self, conn: u64, reason: String) {
        self.forget(conn);
        self.hub.send(conn, control::pack(&Control::Refuse { reason }));
        self.hub.close(conn);
    }

    fn peer(&mut self, now: Millis, conn: u64, parcel: Parcel, outputs: &mut Vec<Output>) {
        match self.peers.read(conn, parcel) {
            Ok(Some(input)) => self.engine.step(now, input, outputs),
            Ok(None) => {}
            Err(expected) => {
                let reason = format!("wire: from another server: expected {expected}");
                tracing::warn!(reason, "closed a connection");
                self.peers.gone(conn);
                self.refuse(conn, reason);
            }
        }
    }

    fn request(&mut self, now: Millis, conn: u64, worker: usize, parcel: Parcel, outputs: &mut Vec<Output>) {
        let pool = &mut self.pool;
        self.longest = self.longest.max(parcel.keys.as_ref().map_or(0, |k| k.len()));
        match codec::unpack_request(parcel, self.longest, |dtype| take(pool, dtype)) {
            Ok(request) => self.engine.step(now, Input::Request { worker, request }, outputs),
            Err(expected) => {
                let reason = format!("wire: from worker {worker}: expected {expected}");
                tracing::warn!(reason, "closed a connection");
                self.refuse(conn, reason);
            }
        }
    }

    fn answer(&mut self, outputs: &mut Vec<Output>) {
        for output in outputs.drain(..) {
            match output {
                Output::Reply { worker, reply } => {
                    let (task, epoch) = (reply.task, reply.epoch);
                    let (mut parcel, spent) = codec::pack_reply(reply);
                    give(&mut self.pool, spent);
                    if let Err((expected, got)) = parcel.check() {
                        give(&mut self.pool, parcel.values.take());
                        let answer = Answer::Refused(format!("expected an answer of {expected}, got {got}"));
                        parcel = codec::pack_reply(Reply { task, epoch, answer }).0;
                    }
                    if let Some(&conn) = self.conns.get(&worker) {
                        self.hub.send(conn, parcel);
                    }
                }
                Output::Peer { to, message } => self.peers.send(to, &message, &mut self.hub, &mut self.pool),
                Output::Report(report) => self.watch.report(report),
                Output::Overrun(Member::Worker(worker)) => {
                    if let Some(conn) = self.conns.remove(&worker) {
                        tracing::warn!(worker, "sent too much for a view to come; it has to connect again");
                        self.ranks.remove(&conn);
                        self.hub.cut(conn);
                    }
                }
                Output::Overrun(Member::Server(server)) => self.peers.cut(server, &mut self.hub),
                Output::Unfit(reason) => {
                    let how = format!("expected to follow the other servers, got: {reason}");
                    self.unfit = Some(Error::System { op: "keep a copy", how });
                }
            }
            for done in self.hub.written.drain(..) {
                give(&mut self.pool, done.values);
            }
        }
        for spare in self.engine.spares() {
            give(&mut self.pool, Some(spare));
        }
    }
}
