//! A server over TCP: one thread that owns the tables and waits on all sockets.

use super::codec;
use super::config::NodeConfig;
use super::control;
use super::hub::{Event, Hub};
use super::parcel::Parcel;
use super::watch::{Verdict, Watch, Welcome};
use crate::engine::control::Control;
use crate::engine::server::{Input, Output, ServerEngine, ServerParams};
use crate::engine::view::View;
use crate::error::{Error, Result, Role};
use crate::message::Millis;
use crate::registry::Registry;
use crate::values::{Dtype, Values};
use std::collections::BTreeMap;
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

/// Runs a server until all workers have left or somebody is lost.
///
/// # Errors
/// [`Error::NodeLost`] names the first member lost.
pub fn run_server(listener: TcpListener, scheduler: &str, registry: &Registry, config: &NodeConfig) -> Result<()> {
    let own = listener.local_addr().map_err(|e| Error::System { op: "listen", how: e.to_string() })?;
    let addr = config.advertise.clone().unwrap_or_else(|| own.to_string());
    let (hub, waker) = Hub::new(listener)?;
    let (welcome, watch) = Watch::join(scheduler, Role::Server, Some(addr), config)?;
    watch.wake_at_verdict(waker);
    let key_cache_bytes_max = config.key_cache_bytes_max;
    let params = ServerParams { key_cache_bytes_max, ..ServerParams::new(welcome.rank, welcome.workers) };
    let mut engine = ServerEngine::new(params, registry.clone());
    let servers = welcome.servers.iter().cloned().enumerate().collect();
    engine.step(Millis(0), Input::View(Arc::new(View::first(servers, 1))), &mut Vec::new());
    Loop { hub, watch, welcome, engine, ranks: BTreeMap::new(), conns: BTreeMap::new(), pool: Vec::new() }.run()
}

struct Loop {
    hub: Hub,
    watch: Watch,
    welcome: Welcome,
    engine: ServerEngine,
    /// Worker by connection, and the other way round.
    ranks: BTreeMap<u64, usize>,
    conns: BTreeMap<usize, u64>,
    pool: Vec<Values>,
}

fn take(pool: &mut Vec<Values>, dtype: Dtype) -> Values {
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
            let timeout = if self.engine.waiting() { TICK } else { IDLE };
            let pool = &mut self.pool;
            self.hub.wait(timeout, &mut events, &mut |_, _, dtype| take(pool, dtype))?;
            match self.watch.verdict() {
                Some(Verdict::Ended) => return self.hub.linger(LINGER),
                Some(Verdict::Lost(error)) => return Err(error),
                None => {}
            }
            let now = Millis(start.elapsed().as_millis() as u64);
            let waited = events.is_empty();
            for event in events.drain(..) {
                match event {
                    Event::Gone { conn, how } => {
                        if let Some(rank) = self.ranks.remove(&conn) {
                            // Whether the worker is lost is the scheduler's to say.
                            tracing::debug!(rank, how, "a worker's connection ended");
                            self.conns.remove(&rank);
                        }
                    }
                    Event::Parcel { conn, parcel } => match self.ranks.get(&conn) {
                        Some(&worker) => self.request(now, conn, worker, parcel, &mut outputs),
                        None => self.greet(conn, &parcel),
                    },
                }
                self.answer(&mut outputs);
            }
            if waited {
                self.engine.step(now, Input::Tick, &mut outputs);
                self.answer(&mut outputs);
            }
            self.watch.set_progress(self.engine.progress());
        }
    }

    fn greet(&mut self, conn: u64, parcel: &Parcel) {
        let refusal = match control::unpack(parcel) {
            Ok(Control::Join { job, .. }) if job != self.welcome.job => {
                format!("expected a worker of job {}, got one of job {job}", self.welcome.job)
            }
            Ok(Control::Join { rank, .. }) if rank >= self.welcome.workers => {
                format!("expected a worker below {}, got {rank}", self.welcome.workers)
            }
            Ok(Control::Join { rank, .. }) if self.conns.contains_key(&rank) => {
                format!("expected one connection of worker {rank}, got two")
            }
            Ok(Control::Join { rank, .. }) => {
                self.hub.admit(conn, format!("worker {rank}"));
                self.ranks.insert(conn, rank);
                self.conns.insert(rank, conn);
                return self.hub.send(conn, control::pack(&Control::Admit));
            }
            Ok(other) => format!("expected a worker to join, got {other:?}"),
            Err(expected) => format!("expected {expected}"),
        };
        tracing::warn!(refusal, "refused a connection");
        self.hub.send(conn, control::pack(&Control::Refuse { reason: refusal }));
        self.hub.close(conn);
    }

    fn request(&mut self, now: Millis, conn: u64, worker: usize, parcel: Parcel, outputs: &mut Vec<Output>) {
        let pool = &mut self.pool;
        match codec::unpack_request(parcel, |dtype| take(pool, dtype)) {
            Ok(request) => self.engine.step(now, Input::Request { worker, request }, outputs),
            Err(expected) => {
                let reason = format!("wire: from worker {worker}: expected {expected}");
                tracing::warn!(reason, "closed a connection");
                self.hub.send(conn, control::pack(&Control::Refuse { reason }));
                self.hub.close(conn);
            }
        }
    }

    fn answer(&mut self, outputs: &mut Vec<Output>) {
        for output in outputs.drain(..) {
            let Output::Reply { worker, reply } = output else { continue };
            let (parcel, spent) = codec::pack_reply(reply);
            give(&mut self.pool, spent);
            if let Some(&conn) = self.conns.get(&worker) {
                self.hub.send(conn, parcel);
            }
            for done in self.hub.written.drain(..) {
                give(&mut self.pool, done.values);
            }
        }
    }
}
