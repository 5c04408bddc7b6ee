//! The world: processes, their messages and timers in virtual time, and the loop that moves it all.

use super::disk::Disk;
use super::network::{Network, NodeId};
use super::node::{Kind, Life, Node, Server, WorkerNode};
use super::oracle::Oracle;
use super::program::Program;
use super::story::Story;
use super::{SimConfig, SimReport};
use crate::coordinator::Log;
use crate::engine::scheduler::{self, SchedulerEngine, SchedulerParams};
use crate::engine::view::View;
use crate::message::Millis;
use handcar_base::{Rng, Seed};
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

mod carry;
mod check;
mod drive;
mod event;
mod failpoint;
mod harm;
mod member;
mod portions;
mod steer;

use check::Rest;
use event::{Agenda, Event};
use harm::Harm;

const BEAT_US: u64 = 50_000;
const SUSPECT_MS: u64 = 1_000;
const RESEND_MS: u64 = 300;
/// Healing must be over after so long: everything finished, every copy filled.
const HEAL_US: u64 = 120_000_000;
const SCHEDULER: NodeId = 0;

pub(super) struct World {
    config: SimConfig,
    rng: Rng,
    now: u64,
    agenda: Agenda,
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
    rest: Rest,
    old_answers: u64,
    kept_max: usize,
    lost_at: Option<u64>,
    failover_us_max: u64,
    node_us: u64,
}

impl World {
    pub fn new(config: &SimConfig) -> Self {
        let mut rng = Rng::new(Seed(config.seed), 100);
        let drawn = 2 + rng.below(4) as usize;
        let servers = config.servers.unwrap_or(drawn);
        let drawn = [1, 2, 2, 2, 3, 3][rng.below(6) as usize];
        let copies = config.copies.unwrap_or(drawn).min(servers);
        let drawn = 1 + rng.below(3) as usize;
        let workers = config.workers.unwrap_or(drawn);
        let program = Arc::new(Program::new(config.seed, workers, config.virtual_ms));
        let mut world = Self {
            config: config.clone(),
            now: 0,
            agenda: Agenda::default(),
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
            rest: Rest::default(),
            old_answers: 0,
            kept_max: 0,
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
        world.plan();
        world
    }

    fn scheduler_params(&self, servers: usize) -> SchedulerParams {
        SchedulerParams {
            workers: self.workers,
            elastic: self.oracle.program.elastic,
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
        self.agenda.put(at, event);
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
            Kind::Worker(w) if w.rank == usize::MAX => format!("worker at n{node}"),
            Kind::Worker(w) => format!("worker {}", w.rank),
        }
    }

    pub fn run(mut self) -> SimReport {
        // An engine's own assertion is a violation like any other, with its seed and its story.
        if let Err(cause) = panic::catch_unwind(AssertUnwindSafe(|| self.play())) {
            let text = cause.downcast_ref::<String>().map(String::as_str).or(cause.downcast_ref::<&str>().copied());
            self.violate(format!("a panic: {}", text.unwrap_or("without a message")));
        }
        self.report()
    }

    fn play(&mut self) {
        let faults_end = self.config.virtual_ms * 1000;
        let end = faults_end + HEAL_US;
        while self.violation.is_none() {
            let Some((at, event)) = self.agenda.next() else { break };
            if !self.healing && at >= faults_end {
                self.heal();
            }
            self.now = at.max(self.now);
            if self.now > end {
                let waiting = self.waiting();
                self.violate(format!("no end {} s after the last fault: {waiting}", HEAL_US / 1_000_000));
                break;
            }
            self.happen(event);
            if self.healing && self.over() {
                break;
            }
        }
        if self.violation.is_none() {
            self.check_end();
        }
    }

    fn report(self) -> SimReport {
        let hours = self.node_us as f64 / 3.6e9;
        SimReport {
            seed: self.config.seed,
            violation: self.violation,
            trace_hash: self.story.hash(),
            virtual_ms: self.now / 1000,
            process_hours: hours,
            faults: self.faults,
            tasks: self.oracle.tasks,
            views: self.views.len() as u64,
            rests: self.rest.count,
            old_answers: self.old_answers,
            kept_max: self.kept_max as u64,
            expired: self.oracle.expired,
            failover_ms_max: self.failover_us_max / 1000,
            story: self.story.into_lines(),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Fault => self.strike(),
            Event::Kill { node } => self.kill_cut_off(node),
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
                Life::Paused(_) => self.nodes[to].waiting.push((from, *packet)),
                Life::Up => self.receive(from, to, *packet),
            },
        }
    }
}
