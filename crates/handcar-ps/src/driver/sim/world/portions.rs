//! Workers that come and go: what they do, and what is done to them.

use super::{Event, SCHEDULER, SUSPECT_MS, World};
use crate::carried::Through;
use crate::driver::sim::network::{NodeId, Packet};
use crate::driver::sim::node::{Kind, Life, WorkerNode};
use crate::driver::sim::oracle::Expect;
use crate::driver::sim::passes::{PORTIONS, pushes, slot_keys};
use crate::engine::control::Control;
use crate::engine::server::Broken;
use crate::engine::task::Work;
use crate::message::TableId;
use crate::portion::{Given, Portion, Tag};
use crate::values::{Dtype, Values};
use handcar_base::{Key, KeyList, Rng, Seed};

/// Workers of a job at a time, at most.
const WORKERS_MAX: usize = 5;
/// Workers in the course of a job, at most.
const RANKS_MAX: usize = 16;
/// How long a worker waits that was given nothing.
const LATER_US: u64 = 30_000;

impl World {
    /// A worker's next step: a push for its portion, a look at the pass that is over, or another portion.
    pub(super) fn submit_portion(&mut self, node: NodeId) -> bool {
        let (now, healing, begun) = (self.now, self.healing, self.oracle.passes.begun());
        let careless = self.config.broken == Some(Broken::NoWait);
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return false };
        let waits = w.engine.as_ref().is_none_or(|e| e.blocker(TableId(1)).is_some()) && !careless;
        if waits {
            return false;
        }
        w.think_until_us = now + if healing { 0 } else { 1000 * w.rng.below(60) };
        w.extras = u64::from(w.rng.below(4) == 0);
        if let Some(pass) = w.over.take() {
            w.pass = pass + 1;
            let keys = KeyList::new(slot_keys(pass)).unwrap_or_default();
            return self.submit(node, TableId(1), moved(keys, None, None), Expect::Pass { pass });
        }
        if let Some(index) = w.portion
            && let Some(add) = w.pushes.pop_front()
        {
            let portion = Portion { pass: w.pass, index };
            let (keys, values): (Vec<Key>, Vec<i64>) = add.into_iter().unzip();
            let keys = KeyList::new(keys).unwrap_or_default();
            let work = moved(keys, Some(values), Some(Tag { portion, number: 0 }));
            return self.submit(node, TableId(1), work, Expect::Portion);
        }
        if !w.open.is_empty() {
            return false;
        }
        if healing && w.pass >= begun {
            w.leaving = true;
            return false;
        }
        let (pass, finished) = (w.pass, w.portion);
        self.oracle.passes.begin(pass);
        self.submit(node, TableId(0), Work::Portion { pass, portions: PORTIONS, finished }, Expect::Given)
    }

    /// What a worker was given to do.
    pub(super) fn given(&mut self, node: NodeId, given: Option<Given>) {
        let now = self.now;
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return };
        w.portion = None;
        match given {
            Some(Given::Portion(index)) => {
                w.portion = Some(index);
                w.pushes = pushes(Portion { pass: w.pass, index }).into();
            }
            Some(Given::Later { .. }) => w.think_until_us = now + LATER_US,
            Some(Given::Over) => w.over = Some(w.pass),
            None => self.violate("a worker asked for a portion and was told nothing".into()),
        }
    }

    /// Whether the scheduler has given a worker up.
    pub(super) fn dismissed(&self, rank: usize) -> bool {
        let latest = self.views.values().last();
        latest.and_then(|v| v.workers.as_ref()).is_some_and(|workers| !workers.contains(&rank))
    }

    /// The end of a worker: what it has under way may take effect or not.
    pub(super) fn end_worker(&mut self, node: NodeId) {
        self.tell(|w| format!("{} takes part no more", w.name(node)));
        let Kind::Worker(w) = &mut self.nodes[node].kind else { return };
        w.ended = true;
        for open in std::mem::take(&mut w.open) {
            self.oracle.abandoned(w.rank, &open.expect);
        }
    }

    /// A fault of a worker, or one that comes or goes.
    pub(super) fn strike_worker(&mut self) {
        let takes_part = |n: &NodeId| {
            let node = &self.nodes[*n];
            let up = node.state == Life::Up;
            up && matches!(&node.kind, Kind::Worker(w) if w.engine.is_some() && !w.ended && !w.wants_out && !self.dismissed(w.rank))
        };
        let all: Vec<NodeId> = (1..self.nodes.len()).filter(takes_part).collect();
        let ranks = self.nodes.iter().filter(|n| matches!(n.kind, Kind::Worker(_))).count();
        if self.rng.below(3) == 0 && all.len() < WORKERS_MAX && ranks < RANKS_MAX {
            let rng = Rng::new(Seed(self.config.seed), 200 + ranks as u64);
            let node = self.add(Kind::Worker(WorkerNode::new(usize::MAX, rng)));
            self.tell(|_| format!("a worker joins at n{node}"));
            return self.fault("worker joins");
        }
        // The last one would end the job.
        let pick = self.rng.below(all.len().max(1) as u64) as usize;
        let Some(&node) = all.get(pick).filter(|_| all.len() > 1) else { return };
        match self.rng.below(4) {
            0 => {
                self.tell(|w| format!("{} leaves", w.name(node)));
                self.fault("worker leaves");
                if let Kind::Worker(w) = &mut self.nodes[node].kind {
                    w.wants_out = true;
                }
            }
            1 => {
                let us = 1000 * SUSPECT_MS + self.rng.below(3_000_000);
                self.tell(|w| format!("FAULT: {} is stopped for {} ms", w.name(node), us / 1000));
                self.fault("worker stopped, then awake as a zombie");
                self.pause(node, us);
            }
            _ => {
                self.tell(|w| format!("FAULT: {} is killed", w.name(node)));
                self.fault("worker killed");
                self.nodes[node].state = Life::Dead;
                self.nodes[node].waiting.clear();
                self.end_worker(node);
                if self.rng.below(2) == 0 {
                    let at = self.now + 200 + self.rng.below(20_000);
                    self.at(at, Event::Gone { node });
                }
            }
        }
    }

    /// One that wants to leave says so until it is told that it may.
    pub(super) fn say_goodbye(&mut self, node: NodeId) {
        if matches!(&self.nodes[node].kind, Kind::Worker(w) if w.wants_out && w.open.is_empty()) {
            self.send(node, SCHEDULER, Packet::Control(Control::Leave));
        }
    }
}

/// A push of numbers, or a pull.
fn moved(keys: KeyList, push: Option<Vec<i64>>, tag: Option<Tag>) -> Work {
    let pull = push.is_none().then(|| Values::empty(Dtype::I64));
    Work::Move {
        keys,
        aggregate: false,
        args: Vec::new(),
        push: push.map(Values::from),
        pull,
        through: Through::All,
        tag,
    }
}
