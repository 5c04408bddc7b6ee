//! The faults that strike, and when they may.

use super::{Event, SCHEDULER, SUSPECT_MS, World};
use crate::driver::sim::fault::{FAILPOINTS, passes_max};
use crate::driver::sim::network::NodeId;
use crate::driver::sim::node::{Kind, Life, Server};
use crate::engine::control::Control;

/// What is planned.
#[derive(Debug, Default)]
pub(super) struct Harm {
    /// A failpoint, and how often it is passed before it strikes.
    pub armed: Option<(&'static str, u64)>,
    /// Servers that are or may soon be lost: stopped, or cut off, by node; until when, if they come back.
    away: Vec<(NodeId, u64)>,
    burst_until: u64,
    watch: Option<Watch>,
}

/// A time in which one worker pushes while all others look at what it pushes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub pusher: usize,
    until: u64,
    /// All push to the same keys instead.
    pub mixed: bool,
}

/// Servers in a job at most.
const SERVERS_MAX: usize = 8;

impl World {
    /// Perhaps a server will die while the first tables are made.
    pub(super) fn plan(&mut self) {
        const EARLY: [&str; 4] = ["before created", "after created", "before table", "after table"];
        if self.rng.below(2) == 0 && !self.oracle.program.alone {
            self.harm.armed = Some((EARLY[self.rng.below(4) as usize], self.rng.below(3)));
        }
        let first = 2_000_000 + self.rng.below(2_000_000);
        self.at(first, Event::Fault);
    }

    /// One fault, and the time of the next.
    pub(super) fn strike(&mut self) {
        if self.healing {
            return;
        }
        let next = self.now + 500_000 + self.rng.below(6_000_000);
        self.at(next, Event::Fault);
        if self.views.is_empty() {
            return;
        }
        if self.now >= self.harm.burst_until {
            (self.network.loss, self.network.double, self.network.delay_max_us) =
                (self.rng.below(20), self.rng.below(20), 1_000 + self.rng.below(20_000));
        }
        if self.oracle.program.elastic && self.rng.below(3) == 0 {
            return self.strike_worker();
        }
        let server = self.any_server();
        match self.rng.below(24) {
            0 => self.burst("burst of losses", |w| w.network.loss = 100 + w.rng.below(150)),
            1 => self.burst("burst of delays", |w| w.network.delay_max_us = 50_000 + w.rng.below(350_000)),
            2 => self.burst("burst of losses", |w| (w.network.loss, w.network.double) = (80, 300)),
            3 => self.part_servers(),
            4 => self.part_from_scheduler(server),
            5 => self.part_from_worker(server),
            6 | 7 => self.kill_server(server, true),
            8 => self.kill_server(server, false),
            9 => self.stop_server(server),
            10 => self.short_pause(),
            11 => self.kill_scheduler("scheduler killed and started again"),
            12 => self.join(),
            13 => self.leave(server),
            14 => self.cut_off(server),
            15 => self.part_worker_from_scheduler(),
            _ => {
                let point = FAILPOINTS[self.rng.below(FAILPOINTS.len() as u64) as usize];
                self.harm.armed = Some((point, self.rng.below(passes_max(point))));
            }
        }
    }

    fn burst(&mut self, name: &'static str, what: impl FnOnce(&mut Self)) {
        what(self);
        self.harm.burst_until = self.now + 200_000 + self.rng.below(3_000_000);
        self.fault(name);
        self.tell(|_| format!("FAULT: {name}"));
    }

    /// A server that lives and takes part.
    fn any_server(&mut self) -> Option<NodeId> {
        let lives = |n: &NodeId| {
            let node = &self.nodes[*n];
            node.state == Life::Up && matches!(&node.kind, Kind::Server(Server { engine: Some(_), ended: false, .. }))
        };
        let all: Vec<NodeId> = (1..self.nodes.len()).filter(lives).collect();
        let pick = self.rng.below(all.len().max(1) as u64) as usize;
        all.get(pick).copied()
    }

    /// Whether every position keeps a full copy without this server: at most so much was promised to survive.
    pub(super) fn expendable(&mut self, node: NodeId) -> bool {
        let now = self.now;
        self.harm.away.retain(|a| a.1 > now);
        let id = |n: NodeId| match &self.nodes[n].kind {
            Kind::Server(s) => s.id,
            _ => None,
        };
        let dead = |n: &NodeId| self.nodes[*n].state == Life::Dead;
        let away = (1..self.nodes.len()).filter(dead).chain(self.harm.away.iter().map(|a| a.0)).chain([node]);
        let mut away: Vec<usize> = away.filter_map(id).collect();
        away.sort_unstable();
        away.dedup();
        // Copies are not the scheduler's only while a view is on its way: then it may drop one that is the last.
        let Some(latest) = self.views.values().last() else { return false };
        let unknown = away.iter().filter(|s| latest.servers.contains_key(s)).count();
        if unknown >= self.copies {
            return false;
        }
        // The scheduler may be about to announce either of the two latest views.
        let latest = self.views.values().rev().take(2);
        latest.into_iter().all(|v| v.segments.iter().all(|s| s.chain[..s.full].iter().any(|m| !away.contains(m))))
    }

    fn lost_now(&mut self, node: NodeId) {
        let takes_part = match (&self.nodes[node].kind, self.views.values().last()) {
            (Kind::Server(Server { id: Some(id), .. }), Some(view)) => view.servers.contains_key(id),
            _ => false,
        };
        // While the scheduler is away a lost server waits: that time is not the failover's.
        if takes_part && self.nodes[SCHEDULER].state == Life::Up {
            self.lost_at.get_or_insert(self.now);
        }
    }

    fn kill_server(&mut self, server: Option<NodeId>, reset: bool) {
        let Some(node) = server else { return };
        if self.expendable(node) {
            self.fault(if reset { "server killed, connections reset" } else { "server killed, silence" });
            self.kill(node, reset);
        }
    }

    /// A server loses its way to all others, not to workers and scheduler; soon after it dies. What it took meanwhile no
    /// other has: it must not have shown it to anybody. One worker pushes all the time, the others look.
    fn cut_off(&mut self, server: Option<NodeId>) {
        let Some(node) = server else { return };
        if !self.expendable(node) {
            return;
        }
        self.tell(|w| format!("FAULT: {} is cut off from the other servers", w.name(node)));
        let until = self.now + 50_000 + self.rng.below(400_000);
        for other in 1..self.nodes.len() {
            if other != node && matches!(self.nodes[other].kind, Kind::Server(_)) {
                self.network.cut(node, other, until);
                self.network.cut(other, node, until);
            }
        }
        let pusher = self.rng.below(self.workers as u64) as usize;
        self.harm.watch = Some(Watch { pusher, until: until + 1_500_000, mixed: false });
        self.at(until, Event::Kill { node });
    }

    /// Copies are being filled; when they are, heads may change. Updates that hang on the way to another server then must
    /// not be forgotten.
    pub(super) fn disturb(&mut self) {
        if !self.healing && self.rng.below(2) == 0 {
            let pusher = self.rng.below(self.workers as u64) as usize;
            self.harm.watch = Some(Watch { pusher, until: self.now + 1_000_000, mixed: false });
            self.part_servers();
        }
    }

    /// Keys are about to move. Heads learn late that they shall take no more, and what they take hangs on its way to the
    /// others: it must be waited for before the heads change. All push to the same keys; one learns late who heads them.
    pub(super) fn stall_move(&mut self) {
        if self.healing || self.rng.below(2) == 0 {
            return;
        }
        self.tell(|_| "FAULT: the servers are parted while keys move".into());
        self.fault("servers parted while keys move");
        let (late, until) = (self.now + self.rng.below(60_000), self.now + 100_000 + self.rng.below(400_000));
        let server = |n: &NodeId| matches!(self.nodes[*n].kind, Kind::Server(_));
        let servers: Vec<NodeId> = (1..self.nodes.len()).filter(server).collect();
        for &a in &servers {
            servers.iter().filter(|&&b| a != b).for_each(|&b| self.network.cut(a, b, until));
            self.network.cut(SCHEDULER, a, late);
        }
        let pusher = self.rng.below(self.workers as u64) as usize;
        self.harm.watch = Some(Watch { pusher, until, mixed: true });
        self.keep_from_news(pusher);
    }

    /// The end of one that was cut off. The worker that pushed learns late that others took over.
    pub(super) fn kill_cut_off(&mut self, node: NodeId) {
        if self.healing || self.nodes[node].state != Life::Up || !self.expendable(node) {
            return;
        }
        self.fault("server cut off from the others, then killed");
        if let Some(watch) = self.harm.watch {
            self.keep_from_news(watch.pusher);
        }
        self.kill(node, true);
    }

    /// A worker hears nothing of its scheduler for some time.
    fn keep_from_news(&mut self, rank: usize) {
        if let Some(worker) = self.worker_node(rank) {
            let until = self.now + self.rng.below(500 * SUSPECT_MS);
            self.network.cut(SCHEDULER, worker, until);
            self.network.cut(worker, SCHEDULER, until);
        }
    }

    /// Who pushes while all others look, if now is such a time.
    pub(super) fn watch(&self) -> Option<Watch> {
        self.harm.watch.filter(|w| self.now < w.until && !self.healing)
    }

    fn part_worker_from_scheduler(&mut self) {
        let rank = self.rng.below(self.workers as u64) as usize;
        let Some(worker) = self.worker_node(rank) else { return };
        let until = self.now + self.rng.below(500 * SUSPECT_MS);
        self.tell(|w| format!("FAULT: {} is cut off from the scheduler", w.name(worker)));
        self.fault("partition of worker and scheduler");
        self.network.cut(worker, SCHEDULER, until);
        self.network.cut(SCHEDULER, worker, until);
    }

    pub(super) fn kill(&mut self, node: NodeId, reset: bool) {
        self.tell(|w| format!("FAULT: {} is killed ({})", w.name(node), if reset { "reset" } else { "silence" }));
        self.lost_now(node);
        self.nodes[node].state = Life::Dead;
        self.nodes[node].waiting.clear();
        if reset {
            let at = self.now + 200 + self.rng.below(20_000);
            self.at(at, Event::Gone { node });
        }
    }

    pub(super) fn pause(&mut self, node: NodeId, us: u64) {
        if self.nodes[node].state == Life::Up {
            self.nodes[node].state = Life::Paused(self.now + us);
            self.at(self.now + us, Event::Resume { node });
        }
    }

    /// Longer than the scheduler's patience: it is replaced, then wakes up and must harm nobody.
    fn stop_server(&mut self, server: Option<NodeId>) {
        let Some(node) = server else { return };
        if !self.expendable(node) {
            return;
        }
        let us = 1000 * SUSPECT_MS + self.rng.below(4_000_000);
        self.tell(|w| format!("FAULT: {} is stopped for {} ms", w.name(node), us / 1000));
        self.fault("server stopped, then awake as a zombie");
        self.lost_now(node);
        self.harm.away.push((node, u64::MAX));
        self.pause(node, us);
    }

    fn short_pause(&mut self) {
        let node = self.rng.below(self.nodes.len() as u64) as NodeId;
        let us = self.rng.below(1000 * SUSPECT_MS / 3);
        self.tell(|w| format!("FAULT: {} pauses for {} ms", w.name(node), us / 1000));
        self.fault("short pause");
        self.pause(node, us);
    }

    fn part_servers(&mut self) {
        let (Some(a), Some(b)) = (self.any_server(), self.any_server()) else { return };
        if a == b {
            return;
        }
        let until = self.now + 100_000 + self.rng.below(3_000_000);
        let both = self.rng.below(2) == 0;
        let name = if both { "partition of two servers" } else { "one-way partition" };
        self.tell(|w| format!("FAULT: {name}: {} to {}", w.name(a), w.name(b)));
        self.fault(name);
        self.network.cut(a, b, until);
        if both {
            self.network.cut(b, a, until);
        }
    }

    fn part_from_scheduler(&mut self, server: Option<NodeId>) {
        let Some(node) = server else { return };
        let long = self.expendable(node) && self.rng.below(2) == 0;
        let us = if long { 1000 * SUSPECT_MS + self.rng.below(3_000_000) } else { self.rng.below(500 * SUSPECT_MS) };
        if long {
            self.harm.away.push((node, u64::MAX));
        }
        self.tell(|w| format!("FAULT: {} is cut off from the scheduler for {} ms", w.name(node), us / 1000));
        self.fault("partition of server and scheduler");
        self.network.cut(node, SCHEDULER, self.now + us);
        self.network.cut(SCHEDULER, node, self.now + us);
    }

    fn part_from_worker(&mut self, server: Option<NodeId>) {
        let Some(node) = server else { return };
        let rank = self.rng.below(self.workers as u64) as usize;
        let Some(worker) = self.worker_node(rank) else { return };
        let until = self.now + self.rng.below(3_000_000);
        self.tell(|w| format!("FAULT: {} and {} are parted", w.name(node), w.name(worker)));
        self.fault("partition of worker and server");
        self.network.cut(node, worker, until);
        self.network.cut(worker, node, until);
    }

    pub(super) fn kill_scheduler(&mut self, name: &'static str) {
        if self.nodes[SCHEDULER].state != Life::Up {
            return;
        }
        self.fault(name);
        self.tell(|_| "FAULT: the scheduler is killed".into());
        self.nodes[SCHEDULER].state = Life::Dead;
        self.nodes[SCHEDULER].waiting.clear();
        self.nodes[SCHEDULER].kind = Kind::Scheduler(None);
        if self.disk.crash(&mut self.rng) {
            self.fault("write torn by a crash");
        }
        let back = self.now + 50_000 + self.rng.below(4_000_000);
        self.at(back, Event::RestartScheduler);
    }

    fn servers_wanted(&self) -> usize {
        let stays = |n: &&crate::driver::sim::node::Node| {
            n.state != Life::Dead && matches!(&n.kind, Kind::Server(s) if !s.ended && !s.leaving)
        };
        self.nodes.iter().filter(stays).count()
    }

    fn join(&mut self) {
        if self.servers_wanted() < SERVERS_MAX {
            let node = self.add(Kind::Server(Server::default()));
            self.tell(|_| format!("a server joins at n{node}"));
            self.fault("server joins");
        }
    }

    fn leave(&mut self, server: Option<NodeId>) {
        if self.servers_wanted() <= self.copies.max(2) {
            return;
        }
        if let Some(node) = server
            && let Kind::Server(s) = &mut self.nodes[node].kind
        {
            s.leaving = true;
            self.tell(|w| format!("{} leaves", w.name(node)));
            self.fault("server leaves");
            self.send(node, SCHEDULER, crate::driver::sim::network::Packet::Control(Control::Leave));
        }
    }

    /// The end of all faults.
    pub(super) fn heal(&mut self) {
        self.tell(|_| "healing begins".into());
        self.healing = true;
        self.network.heal();
        for node in 0..self.nodes.len() {
            if let Life::Paused(_) = self.nodes[node].state {
                self.nodes[node].state = Life::Paused(self.now);
                self.at(self.now, Event::Resume { node });
            }
        }
        if self.nodes[SCHEDULER].state == Life::Dead {
            self.at(self.now, Event::RestartScheduler);
        }
    }
}
