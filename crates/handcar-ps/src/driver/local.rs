//! The local driver: servers and workers in one process, values handed over without serialisation.
//!
//! A worker's own thread runs the server it talks to (under that server's lock), so a push costs no thread switch.
//! Several workers are several threads; answers to others go through their inboxes.

use crate::engine::server::{self, ServerEngine, ServerParams};
use crate::engine::view::{View, unplaced};
use crate::engine::worker::{Input, WorkerEngine, WorkerParams};
use crate::error::{Error, Result, Role};
use crate::link::{Link, Stats};
use crate::message::{Millis, Request};
use crate::registry::Registry;
use crate::worker::Worker;
use handcar_base::Seed;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Settings of a local cluster.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// Number of workers.
    pub workers: usize,
    /// Number of servers.
    pub servers: usize,
    /// Milliseconds a task may take; 10 minutes unless given, since a slow worker is no dead one.
    pub deadline_ms: u64,
    /// Bytes of split plans kept by each worker.
    pub plan_bytes_max: usize,
}

impl LocalConfig {
    /// Defaults for a number of workers and servers.
    pub fn new(workers: usize, servers: usize) -> Self {
        Self { workers, servers, deadline_ms: 600_000, plan_bytes_max: 256 << 20 }
    }
}

/// Workers of a cluster inside this process. Each may go to a thread of its own.
pub fn cluster(workers: usize, servers: usize, registry: &Registry) -> Vec<Worker> {
    cluster_with(&LocalConfig::new(workers, servers), registry)
}

/// As [`cluster`], with settings. At least one worker and one server are made.
pub fn cluster_with(config: &LocalConfig, registry: &Registry) -> Vec<Worker> {
    let (workers, servers) = (config.workers.max(1), config.servers.max(1));
    let view = Arc::new(View::first(unplaced(0..servers), 1));
    let server = |id| {
        let params = ServerParams { key_cache_bytes_max: 0, ..ServerParams::new(id, workers) };
        let mut engine = ServerEngine::new(params, registry.clone());
        engine.step(Millis(0), server::Input::View(Arc::clone(&view)), &mut Vec::new());
        Mutex::new(engine)
    };
    let hub = Arc::new(Hub {
        start: Instant::now(),
        servers: (0..servers).map(server).collect(),
        inboxes: (0..workers).map(|_| Inbox::default()).collect(),
    });
    let worker = |rank| {
        let params = WorkerParams {
            workers,
            deadline_ms: config.deadline_ms,
            resend_ms: None,
            shared_memory: true,
            plan_bytes_max: config.plan_bytes_max,
            key_cache_bytes_max: 0,
        };
        let (own, out, waited) = (Vec::new(), Vec::new(), Duration::ZERO);
        let link = LocalLink { hub: Arc::clone(&hub), rank, own, out, left: false, waited };
        let engine = WorkerEngine::new(params, Arc::clone(&view));
        let engine = engine.with_filters(registry.filters().clone(), Seed(rank as u64));
        Worker::new(rank, engine, Box::new(link))
    };
    (0..workers).map(worker).collect()
}

#[derive(Default)]
struct Post {
    replies: VecDeque<Input>,
    /// A worker that vanished.
    lost: Option<usize>,
}

#[derive(Default)]
struct Inbox {
    post: Mutex<Post>,
    arrived: Condvar,
}

struct Hub {
    start: Instant,
    servers: Vec<Mutex<ServerEngine>>,
    inboxes: Vec<Inbox>,
}

/// A panic elsewhere must surface as that worker's loss, not as a second panic here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct LocalLink {
    hub: Arc<Hub>,
    rank: usize,
    /// Answers to this worker, found by its own thread.
    own: Vec<Input>,
    out: Vec<server::Output>,
    left: bool,
    waited: Duration,
}

impl LocalLink {
    fn run(&mut self, server: usize, input: server::Input) {
        let now = self.now();
        // The lock is held until the answers are delivered: who runs this server next, finds what it already said.
        let mut engine = lock(&self.hub.servers[server]);
        engine.step(now, input, &mut self.out);
        for output in self.out.drain(..) {
            // With one copy of each key servers have nothing to tell each other, and with one view nothing comes early.
            let server::Output::Reply { worker, reply } = output else { continue };
            if worker == self.rank {
                self.own.push(Input::Reply { server, reply });
            } else if let Some(inbox) = self.hub.inboxes.get(worker) {
                lock(&inbox.post).replies.push_back(Input::Reply { server, reply });
                inbox.arrived.notify_one();
            }
        }
    }
}

fn lost(rank: usize) -> Error {
    let how = "its handle was dropped before it finished".into();
    Error::NodeLost { role: Role::Worker, rank, addr: "this process".into(), how }
}

impl Link for LocalLink {
    fn now(&self) -> Millis {
        Millis(self.hub.start.elapsed().as_millis() as u64)
    }

    fn send(&mut self, server: usize, request: Request) -> Result<Option<Request>> {
        self.run(server, server::Input::Request { worker: self.rank, request });
        Ok(None)
    }

    fn receive(&mut self, until: Millis, inbox: &mut Vec<Input>) -> Result<()> {
        inbox.append(&mut self.own);
        if !inbox.is_empty() {
            return Ok(());
        }
        let hub = Arc::clone(&self.hub);
        let mine = &hub.inboxes[self.rank];
        let mut post = lock(&mine.post);
        loop {
            if !post.replies.is_empty() {
                inbox.extend(post.replies.drain(..));
                return Ok(());
            }
            if let Some(rank) = post.lost {
                return Err(lost(rank));
            }
            let left_ms = until.since(self.now());
            if left_ms == 0 {
                break;
            }
            let began = Instant::now();
            let woken = mine.arrived.wait_timeout(post, Duration::from_millis(left_ms));
            post = woken.unwrap_or_else(PoisonError::into_inner).0;
            self.waited += began.elapsed();
        }
        drop(post);
        // Out of time: let the servers say which workers are missing.
        for server in 0..hub.servers.len() {
            self.run(server, server::Input::Tick);
        }
        inbox.append(&mut self.own);
        inbox.extend(lock(&mine.post).replies.drain(..));
        Ok(())
    }

    fn embedded(&self) -> bool {
        self.hub.inboxes.len() == 1
    }

    fn finish(&mut self) -> Result<()> {
        self.left = true;
        Ok(())
    }

    fn stats(&self) -> Stats {
        Stats { waited: self.waited, ..Stats::default() }
    }
}

impl Drop for LocalLink {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        for inbox in &self.hub.inboxes {
            lock(&inbox.post).lost.get_or_insert(self.rank);
            inbox.arrived.notify_all();
        }
    }
}
