//! The world: processes, their messages and timers in virtual time, and the loop that moves it all.

use super::disk::Disk;
use super::fault::word;
use super::network::{Network, NodeId, Packet};
use super::node::{Kind, Life, Node, Server, WorkerNode};
use super::oracle::Oracle;
use super::program::{Program, registry};
use super::story::Story;
use super::{SimConfig, SimReport};
use crate::coordinator::Log;
use crate::engine::control::Control;
use crate::engine::scheduler::{self, SchedulerEngine, SchedulerParams, State};
use crate::engine::server::{self, ServerEngine, ServerParams};
use crate::engine::view::View;
use crate::engine::worker::{self, WorkerEngine, WorkerParams};
use crate::error::Role;
use crate::message::Millis;
use handcar_base::{Rng, Seed};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

mod check;
mod drive;
mod harm;

use harm::Harm;

const BEAT_US: u64 = 50_000;
const SUSPECT_MS: u64 = 1_000;
const RESEND_MS: u64 = 300;
/// Healing must be over after so long: everything finished, every copy filled.
const HEAL_US: u64 = 120_000_000;
const SCHEDULER: NodeId = 0;

pub(super) enum Event {
    Arrive {
        from: NodeId,
        to: NodeId,
        packet: Packet,
    },
    /// A connection of the scheduler broke.
    Gone {
        node: NodeId,
    },
    /// The scheduler closed a connection.
    Closed {
        node: NodeId,
    },
    Timer {
        node: NodeId,
    },
    Resume {
        node: NodeId,
    },
    RestartScheduler,
    Fault,
}

struct Queued {
    at: u64,
    seq: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.seq) == (other.at, other.seq)
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}

pub(super) struct World {
    config: SimConfig,
    rng: Rng,
    now: u64,
    seq: u64,
    queue: BinaryHeap<Reverse<Queued>>,
    nodes: Vec<Node>,
    network: Network,
    disk: Disk,
    oracle: Oracle,
    story: Story,
    workers: usize,
    copies: usize,
    harm: Harm,
    faults: BTreeMap<&'static str, u64>,
    violation: Option<String>,
    /// Views announced, by epoch: there must be one of each.
    views: BTreeMap<u64, Arc<View>>,
    healing: bool,
    lost_at: Option<u64>,
    failover_us_max: u64,
    node_us: u64,
}

impl World {
    pub fn new(config: &SimConfig) -> Self {
        let mut rng = Rng::new(Seed(config.seed), 100);
        let servers = 2 + rng.below(4) as usize;
        let copies = [1, 2, 2, 2, 3, 3][rng.below(6) as usize].min(servers);
        let workers = 1 + rng.below(3) as usize;
        let program = Arc::new(Program::new(config.seed, workers, config.virtual_ms));
        let mut world = Self {
            config: config.clone(),
            now: 0,
            seq: 0,
            queue: BinaryHeap::new(),
            nodes: Vec::new(),
            network: Network::calm(),
            disk: Disk::default(),
            oracle: Oracle::new(program, workers),
            story: Story::new(config.story),
            workers,
            copies,
            harm: Harm::default(),
            faults: BTreeMap::new(),
            violation: None,
            views: BTreeMap::new(),
            healing: false,
            lost_at: None,
            failover_us_max: 0,
            node_us: 0,
            rng,
        };
        world.disk.append(&Log::begin());
        world.disk.sync();
        let params = world.scheduler_params(servers);
        world.add(Kind::Scheduler(Some(SchedulerEngine::new(params))));
        for _ in 0..servers {
            world.add(Kind::Server(Server::default()));
        }
        for rank in 0..workers {
            let rng = Rng::new(Seed(config.seed), 200 + rank as u64);
            world.add(Kind::Worker(WorkerNode::new(rank, rng)));
        }
        world.tell(|_| format!("{servers} servers, {workers} workers, {copies} copies, seed {}", config.seed));
        let first = 2_000_000 + world.rng.below(2_000_000);
        world.at(first, Event::Fault);
        world
    }

    fn scheduler_params(&self, servers: usize) -> SchedulerParams {
        SchedulerParams {
            workers: self.workers,
            servers,
            copies: self.copies,
            suspect_ms: SUSPECT_MS,
            join_ms: 60_000,
            patience_ms: 600_000,
            job: 1 + self.config.seed,
        }
    }

    fn add(&mut self, kind: Kind) -> NodeId {
        let node = self.nodes.len();
        self.nodes.push(Node { kind, state: Life::Up, waiting: Vec::new() });
        // Not all timers at the same moment.
        let first = self.now + 1_000 + self.rng.below(BEAT_US);
        self.at(first, Event::Timer { node });
        node
    }

    fn at(&mut self, at: u64, event: Event) {
        self.seq += 1;
        self.queue.push(Reverse(Queued { at, seq: self.seq, event }));
    }

    fn millis(&self) -> Millis {
        Millis(self.now / 1000)
    }

    fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.config.story {
            let line = line(self);
            self.story.tell(self.now, || line);
        }
    }

    fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }

    fn violate(&mut self, what: String) {
        self.tell(|_| format!("VIOLATION: {what}"));
        self.violation.get_or_insert(what);
    }

    fn name(&self, node: NodeId) -> String {
        match &self.nodes[node].kind {
            Kind::Scheduler(_) => "scheduler".into(),
            Kind::Server(s) => s.id.map_or_else(|| format!("server at n{node}"), |id| format!("server {id}")),
            Kind::Worker(w) => format!("worker {}", w.rank),
        }
    }

    pub fn run(mut self) -> SimReport {
        let faults_end = self.config.virtual_ms * 1000;
        let end = faults_end + HEAL_US;
        while self.violation.is_none() {
            let Some(Reverse(next)) = self.queue.pop() else { break };
            if !self.healing && next.at >= faults_end {
                self.heal();
            }
            self.now = next.at.max(self.now);
            if self.now > end {
                let waiting = self.waiting();
                self.violate(format!("no end {} s after the last fault: {waiting}", HEAL_US / 1_000_000));
                break;
            }
            self.happen(next.event);
            if self.healing && self.over() {
                break;
            }
        }
        if self.violation.is_none() {
            self.check_end();
        }
        let hours = self.node_us as f64 / 3.6e9;
        SimReport {
            seed: self.config.seed,
            violation: self.violation,
            trace_hash: self.story.hash(),
            virtual_ms: self.now / 1000,
            cluster_hours: hours,
            faults: self.faults,
            tasks: self.oracle.tasks,
            views: self.views.len() as u64,
            failover_ms_max: self.failover_us_max / 1000,
            story: self.story.into_lines(),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Fault => self.strike(),
            Event::RestartScheduler => self.restart_scheduler(),
            Event::Resume { node } => {
                if matches!(self.nodes[node].state, Life::Paused(until) if until <= self.now) {
                    self.tell(|w| format!("{} is awake", w.name(node)));
                    self.nodes[node].state = Life::Up;
                    for (from, packet) in std::mem::take(&mut self.nodes[node].waiting) {
                        self.receive(from, node, packet);
                    }
                }
            }
            Event::Timer { node } => self.timer(node),
            Event::Gone { node } => {
                if self.nodes[SCHEDULER].state == Life::Up {
                    let how = "connection reset".to_string();
                    self.scheduler_step(scheduler::Input::Gone { conn: node as u64, how });
                }
            }
            Event::Closed { node } => {
                if self.nodes[node].state == Life::Up {
                    self.come_back(node);
                }
            }
            Event::Arrive { from, to, packet } => match self.nodes[to].state {
                Life::Dead => {}
                Life::Paused(_) => self.nodes[to].waiting.push((from, packet)),
                Life::Up => self.receive(from, to, packet),
            },
        }
    }

    fn timer(&mut self, node: NodeId) {
        match self.nodes[node].state {
            Life::Dead => return,
            Life::Paused(until) => return self.at(until + 1, Event::Timer { node }),
            Life::Up => {}
        }
        self.node_us += BEAT_US;
        self.at(self.now + BEAT_US, Event::Timer { node });
        match &self.nodes[node].kind {
            Kind::Scheduler(_) => self.scheduler_step(scheduler::Input::Tick),
            Kind::Server(s) if s.ended => {}
            Kind::Worker(w) if w.ended => {}
            Kind::Server(Server { engine: None, .. }) | Kind::Worker(WorkerNode { engine: None, .. }) => {
                self.greet(node)
            }
            Kind::Server(s) => {
                let leaving = s.leaving;
                self.beat(node);
                if leaving {
                    self.send(node, SCHEDULER, Packet::Control(Control::Leave));
                }
                self.server_step(node, server::Input::Tick);
            }
            Kind::Worker(w) => {
                let leaving = w.leaving;
                self.beat(node);
                if leaving {
                    self.send(node, SCHEDULER, Packet::Control(Control::Leave));
                }
                self.worker_step(node, worker::Input::Tick);
            }
        }
    }

    fn greet(&mut self, node: NodeId) {
        let (role, rank) = match &self.nodes[node].kind {
            Kind::Server(_) => (Role::Server, None),
            Kind::Worker(w) => (Role::Worker, Some(w.rank)),
            Kind::Scheduler(_) => return,
        };
        let hello = Control::Hello { role, rank, name: format!("n{node}"), addr: node.to_string(), job: None };
        self.send(node, SCHEDULER, Packet::Control(hello));
    }

    fn come_back(&mut self, node: NodeId) {
        let (role, rank) = match &self.nodes[node].kind {
            Kind::Server(s) if !s.ended => (Role::Server, s.id),
            Kind::Worker(w) if !w.ended => (Role::Worker, w.engine.as_ref().map(|_| w.rank)),
            _ => return,
        };
        if rank.is_none() {
            return self.greet(node);
        }
        let job = Some(1 + self.config.seed);
        let hello = Control::Hello { role, rank, name: format!("n{node}"), addr: node.to_string(), job };
        self.send(node, SCHEDULER, Packet::Control(hello));
    }

    fn beat(&mut self, node: NodeId) {
        let (progress, epoch) = match &self.nodes[node].kind {
            Kind::Server(Server { engine: Some(e), .. }) => (e.progress(), e.epoch()),
            Kind::Worker(WorkerNode { engine: Some(e), .. }) => (e.progress(), e.view().epoch),
            _ => return,
        };
        self.send(node, SCHEDULER, Packet::Control(Control::Beat { progress, epoch }));
    }

    /// Puts a message on the network, unless its sender dies at this very moment.
    fn send(&mut self, from: NodeId, to: NodeId, packet: Packet) {
        self.send_later(from, to, packet, 0);
    }

    fn send_later(&mut self, from: NodeId, to: NodeId, packet: Packet, later_us: u64) {
        if self.nodes[from].state == Life::Dead {
            return;
        }
        let what = word(&packet);
        if self.trips("before ", what, from) {
            return;
        }
        let fate = self.network.send(&mut self.rng, self.now + later_us, from, to);
        for (name, happened) in
            [("message lost", fate.lost), ("message delayed", fate.delayed), ("message doubled", fate.doubled)]
        {
            if happened {
                self.fault(name);
            }
        }
        self.story.mark([self.now, from as u64, to as u64, fate.arrivals.first().copied().unwrap_or(0)], what);
        if what != "beat" {
            let lost = if fate.lost {
                " (lost)"
            } else if fate.doubled {
                " (twice)"
            } else {
                ""
            };
            self.tell(|w| format!("{} -> {}: {}{lost}", w.name(from), w.name(to), describe(&packet)));
        }
        let mut arrivals = fate.arrivals;
        if let Some(last) = arrivals.pop() {
            for at in arrivals {
                self.at(at, Event::Arrive { from, to, packet: packet.clone() });
            }
            self.at(last, Event::Arrive { from, to, packet });
        }
        self.trips("after ", what, from);
    }

    fn receive(&mut self, from: NodeId, to: NodeId, packet: Packet) {
        if to == SCHEDULER {
            if let Packet::Control(message) = packet {
                self.scheduler_step(scheduler::Input::Message { conn: from as u64, message });
            }
            return;
        }
        match packet {
            Packet::Control(message) => self.control(to, message),
            Packet::Request(request) => {
                if let Kind::Worker(w) = &self.nodes[from].kind {
                    let worker = w.rank;
                    self.server_step(to, server::Input::Request { worker, request });
                }
            }
            Packet::Reply(reply) => {
                if let Kind::Server(Server { id: Some(server), .. }) = self.nodes[from].kind {
                    self.worker_step(to, worker::Input::Reply { server, reply });
                }
            }
            Packet::Peer(message) => {
                if let Kind::Server(Server { id: Some(from), .. }) = self.nodes[from].kind {
                    self.server_step(to, server::Input::Peer { from, message });
                }
            }
        }
    }

    fn control(&mut self, to: NodeId, message: Control) {
        let broken = self.config.broken;
        let workers = self.workers;
        match (message, &mut self.nodes[to].kind) {
            (Control::Welcome { rank, view, .. }, Kind::Server(s)) => {
                if s.engine.is_none() && !s.ended {
                    s.id = Some(rank);
                    let params = ServerParams {
                        resend_ms: Some(RESEND_MS),
                        fill_keys: 16,
                        broken,
                        ..ServerParams::new(rank, workers)
                    };
                    s.engine = Some(ServerEngine::new(params, registry()));
                }
                self.server_step(to, server::Input::View(view));
            }
            (Control::Welcome { view, .. }, Kind::Worker(w)) => {
                if w.engine.is_none() && !w.ended {
                    let params = WorkerParams {
                        workers,
                        deadline_ms: 3_600_000,
                        resend_ms: Some(RESEND_MS),
                        shared_memory: false,
                        plan_bytes_max: 1 << 20,
                        key_cache_bytes_max: 1 << 16,
                    };
                    w.engine = Some(WorkerEngine::new(params, Arc::clone(&view)));
                }
                self.worker_step(to, worker::Input::View(view));
            }
            (Control::View(view), Kind::Server(_)) => {
                if self.trips(if view.frozen { "on frozen " } else { "on " }, "view", to) {
                    return;
                }
                self.server_step(to, server::Input::View(view));
            }
            (Control::View(view), Kind::Worker(_)) => self.worker_step(to, worker::Input::View(view)),
            (Control::Remind { epoch }, Kind::Server(_)) => self.server_step(to, server::Input::Remind { epoch }),
            (Control::End | Control::Lost { .. } | Control::Refuse { .. }, Kind::Server(s)) => {
                s.ended = true;
                s.engine = None;
            }
            (Control::End, Kind::Worker(w)) => w.ended = true,
            (Control::Lost { role, rank, how, .. }, Kind::Worker(w)) => {
                let told = w.rank;
                self.violate(format!("worker {told} was told that {role} {rank} is lost for good: {how}"));
            }
            (Control::Refuse { reason }, Kind::Worker(w)) if !w.ended => {
                let told = w.rank;
                self.violate(format!("worker {told} was refused: {reason}"));
            }
            _ => {}
        }
    }

    fn server_step(&mut self, node: NodeId, input: server::Input) {
        let now = self.millis();
        let Kind::Server(Server { engine: Some(engine), .. }) = &mut self.nodes[node].kind else { return };
        let mut out = Vec::new();
        engine.step(now, input, &mut out);
        for output in out {
            let (to, packet) = match output {
                server::Output::Reply { worker, reply } => (self.worker_node(worker), Packet::Reply(reply)),
                server::Output::Peer { to, message } => (self.server_node(to), Packet::Peer(message)),
                server::Output::Report(report) => (Some(SCHEDULER), Packet::Control(Control::Report(report))),
            };
            if let Some(to) = to {
                self.send(node, to, packet);
            }
        }
    }

    fn worker_node(&self, rank: usize) -> Option<NodeId> {
        self.nodes.iter().position(|n| matches!(&n.kind, Kind::Worker(w) if w.rank == rank))
    }

    fn server_node(&self, id: usize) -> Option<NodeId> {
        self.nodes.iter().position(|n| matches!(&n.kind, Kind::Server(s) if s.id == Some(id)))
    }

    fn worker_step(&mut self, node: NodeId, input: worker::Input) {
        let now = self.millis();
        let Kind::Worker(WorkerNode { engine: Some(engine), .. }) = &mut self.nodes[node].kind else { return };
        let mut out = Vec::new();
        if let Err(error) = engine.step(now, input, &mut out) {
            return self.violate(format!("{} got what fits nothing: {error}", self.name(node)));
        }
        self.ask(node, out);
        self.drive(node);
    }

    /// Sends a worker's requests; as over a network, the originals come back once copied.
    fn ask(&mut self, node: NodeId, out: Vec<worker::Output>) {
        for worker::Output { server, request } in out {
            if let Some(to) = self.server_node(server) {
                self.send(node, to, Packet::Request(request.clone()));
            }
            let now = self.millis();
            if let Kind::Worker(WorkerNode { engine: Some(engine), .. }) = &mut self.nodes[node].kind {
                let _ = engine.step(now, worker::Input::Sent { server, request }, &mut Vec::new());
            }
        }
    }

    fn scheduler_step(&mut self, input: scheduler::Input) {
        let now = self.millis();
        let Kind::Scheduler(Some(engine)) = &mut self.nodes[SCHEDULER].kind else { return };
        let mut out = Vec::new();
        engine.step(now, input, &mut out);
        let mut later_us = 0;
        for output in out {
            match output {
                scheduler::Output::Store(state) => match self.store(&state) {
                    Some(us) => later_us += us,
                    None => return,
                },
                scheduler::Output::Send { conn, message } => {
                    self.send_later(SCHEDULER, conn as NodeId, Packet::Control(message), later_us);
                }
                scheduler::Output::Close { conn } => {
                    let at = self.now + 500 + later_us;
                    self.at(at, Event::Closed { node: conn as NodeId });
                }
                scheduler::Output::End(result) => {
                    self.tell(|_| format!("the scheduler ends the job: {result:?}"));
                    if let Err(error) = result {
                        self.violate(format!("the job ended: {error}"));
                    }
                    // Its last word reaches everybody: a connection closes only when it was read.
                    self.healing = true;
                    self.network.heal();
                }
            }
        }
        if later_us > 0 {
            self.pause(SCHEDULER, later_us);
        }
    }

    /// Writes a state; `None` if the scheduler dies meanwhile, else how long it takes.
    fn store(&mut self, state: &State) -> Option<u64> {
        self.disk.append(&Log::record(&state.to_bytes()));
        if self.trips("on ", "store", SCHEDULER) {
            return None;
        }
        self.disk.sync();
        let view = Arc::clone(&state.view);
        self.announced(&view);
        self.tell(|_| {
            let (open, frozen) = (view.unfilled(), view.frozen);
            let servers: Vec<_> = view.servers.keys().collect();
            format!("the scheduler stores view {}: servers {servers:?}, filling: {open}, frozen: {frozen}", view.epoch)
        });
        if self.trips("after ", "store", SCHEDULER) {
            return None;
        }
        let slow = !self.healing && self.rng.below(10) == 0;
        if slow {
            self.fault("slow disk");
        }
        Some(if slow { 1_000 + self.rng.below(400_000) } else { 0 })
    }

    /// A view is safe and may be announced: there must be one of each epoch.
    fn announced(&mut self, view: &Arc<View>) {
        let known = self.views.entry(view.epoch).or_insert_with(|| Arc::clone(view));
        if known != view {
            let epoch = view.epoch;
            self.violate(format!("two views of epoch {epoch}"));
        }
    }

    fn restart_scheduler(&mut self) {
        if self.nodes[SCHEDULER].state != Life::Dead {
            return;
        }
        let servers = 1;
        let params = self.scheduler_params(servers);
        let found = Log::recover(self.disk.read()).map(|f| (f.last.map(<[u8]>::to_vec), f.whole_bytes));
        let engine = match found {
            Err(how) => return self.violate(format!("the scheduler's log: {how}")),
            Ok((last, whole)) => {
                self.disk.cut(whole);
                match last.map(|bytes| State::from_bytes(&bytes)) {
                    None => return self.violate("the scheduler's log has lost the job".into()),
                    Some(Err(how)) => return self.violate(format!("the scheduler's state: expected {how}")),
                    Some(Ok(state)) => SchedulerEngine::resume(params, state, 3 * SUSPECT_MS),
                }
            }
        };
        if let Some(view) = engine.view().cloned() {
            self.announced(&view);
        }
        self.tell(|_| format!("the scheduler is back in view {}", engine.view().map_or(0, |v| v.epoch)));
        self.nodes[SCHEDULER].kind = Kind::Scheduler(Some(engine));
        self.nodes[SCHEDULER].state = Life::Up;
        self.at(self.now + 1_000, Event::Timer { node: SCHEDULER });
        for node in 1..self.nodes.len() {
            let at = self.now + 1_000 + self.rng.below(100_000);
            self.at(at, Event::Closed { node });
        }
    }
}

fn describe(packet: &Packet) -> String {
    let what = word(packet);
    match packet {
        Packet::Request(r) => format!("{what} (task {}, epoch {})", r.task.0, r.epoch),
        Packet::Reply(r) => format!("{what} (task {}, epoch {})", r.task.0, r.epoch),
        Packet::Peer(m) => match &m.say {
            crate::peer::Say::Ack { seq } => format!("ack {seq} (epoch {})", m.epoch),
            crate::peer::Say::Update { seq, .. } => format!("{what}, update {seq} (epoch {})", m.epoch),
        },
        Packet::Control(Control::View(v)) => format!("view {}", v.epoch),
        Packet::Control(_) => what.into(),
    }
}
