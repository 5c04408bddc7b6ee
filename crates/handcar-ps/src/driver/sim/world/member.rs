//! Servers and workers towards the scheduler: greetings, beats, and what they are told.

use super::{BEAT_US, Event, RESEND_MS, SCHEDULER, World};
use crate::driver::sim::network::{NodeId, Packet};
use crate::driver::sim::node::{Kind, Life, Server, WorkerNode};
use crate::driver::sim::program::registry;
use crate::engine::control::Control;
use crate::engine::scheduler;
use crate::engine::server::{self, ServerEngine, ServerParams};
use crate::engine::worker::{self, WorkerEngine, WorkerParams};
use crate::error::Role;
use std::sync::Arc;

impl World {
    pub(super) fn timer(&mut self, node: NodeId) {
        match self.nodes[node].state {
            Life::Dead => return,
            Life::Paused(until) => return self.at(until + 1, Event::Timer { node }),
            Life::Up => {}
        }
        self.node_us += BEAT_US;
        self.at(self.now + BEAT_US, Event::Timer { node });
        match &self.nodes[node].kind {
            Kind::Scheduler(_) => {
                self.scheduler_step(scheduler::Input::Tick);
                self.check_rest();
            }
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
                self.check_kept(node);
            }
            // It does not leave when it is done: the last one to do so would end the job, and copies are compared first.
            Kind::Worker(_) => {
                self.beat(node);
                self.say_goodbye(node);
                self.worker_step(node, worker::Input::Tick);
                self.check_deadlines(node);
            }
        }
    }

    fn greet(&mut self, node: NodeId) {
        let (role, rank) = match &self.nodes[node].kind {
            Kind::Server(_) => (Role::Server, None),
            Kind::Worker(w) => (Role::Worker, (w.rank != usize::MAX).then_some(w.rank)),
            Kind::Scheduler(_) => return,
        };
        let hello = Control::Hello { role, rank, name: format!("n{node}"), addr: node.to_string(), job: None };
        self.send(node, SCHEDULER, Packet::Control(hello));
    }

    pub(super) fn come_back(&mut self, node: NodeId) {
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

    pub(super) fn control(&mut self, to: NodeId, message: Control) {
        let broken = self.config.broken;
        let (workers, elastic) = (self.workers, self.oracle.program.elastic);
        match (message, &mut self.nodes[to].kind) {
            (Control::Welcome { rank, view, .. }, Kind::Server(s)) => {
                if s.engine.is_none() && !s.ended {
                    s.id = Some(rank);
                    let params = ServerParams {
                        resend_ms: Some(RESEND_MS),
                        fill_keys: 16,
                        // So few that lists are forgotten now and then.
                        key_cache_bytes_max: 1 << 12,
                        broken,
                        ..ServerParams::new(rank, workers)
                    };
                    s.engine = Some(ServerEngine::new(params, registry()));
                }
                self.server_step(to, server::Input::View(view));
            }
            (Control::Welcome { rank, view, .. }, Kind::Worker(w)) => {
                if w.engine.is_none() && !w.ended {
                    if w.rank == usize::MAX {
                        (w.rank, w.pass) = (rank, self.oracle.passes.begun().saturating_sub(1));
                        self.oracle.joins(rank);
                    }
                    let params = WorkerParams {
                        workers,
                        deadline_ms: self.oracle.program.deadline_ms,
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
            // It was taken for dead; others do its work.
            (Control::Lost { role: Role::Worker, rank, .. }, Kind::Worker(w)) if elastic && rank == w.rank => {
                self.end_worker(to);
            }
            (Control::Refuse { .. }, Kind::Worker(_)) if elastic => self.end_worker(to),
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
}
