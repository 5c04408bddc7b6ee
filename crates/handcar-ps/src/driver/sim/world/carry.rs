//! Messages: onto the network, off it, into engines, and what engines say to that.

use super::{Event, SCHEDULER, World};
use crate::driver::sim::fault::word;
use crate::driver::sim::network::{NodeId, Packet};
use crate::driver::sim::node::{Kind, Life, Server, WorkerNode};
use crate::engine::control::Control;
use crate::engine::scheduler;
use crate::engine::server::{self, Broken};
use crate::engine::worker;
use crate::message::Reply;

impl World {
    /// Puts a message on the network, unless its sender dies at this very moment.
    pub(super) fn send(&mut self, from: NodeId, to: NodeId, packet: Packet) {
        self.send_later(from, to, packet, 0);
    }

    pub(super) fn send_later(&mut self, from: NodeId, to: NodeId, packet: Packet, later_us: u64) {
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
            let packet = Box::new(packet);
            for at in arrivals {
                self.at(at, Event::Arrive { from, to, packet: packet.clone() });
            }
            self.at(last, Event::Arrive { from, to, packet });
        }
        self.trips("after ", what, from);
    }

    pub(super) fn receive(&mut self, from: NodeId, to: NodeId, packet: Packet) {
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
                    self.answer(to, server, reply);
                }
            }
            Packet::Peer(message) => {
                if let Kind::Server(Server { id: Some(from), .. }) = self.nodes[from].kind {
                    self.server_step(to, server::Input::Peer { from, message });
                }
            }
        }
    }

    pub(super) fn server_step(&mut self, node: NodeId, input: server::Input) {
        let now = self.millis();
        let Kind::Server(Server { engine: Some(engine), .. }) = &mut self.nodes[node].kind else { return };
        let mut out = Vec::new();
        engine.step(now, input, &mut out);
        for output in out {
            let (to, packet) = match output {
                server::Output::Reply { worker, reply } => (self.worker_node(worker), Packet::Reply(reply)),
                server::Output::Peer { to, message } => (self.server_node(to), Packet::Peer(message)),
                server::Output::Report(report) => (Some(SCHEDULER), Packet::Control(Control::Report(report))),
                // What is not kept is as if lost on the way.
                server::Output::Overrun(_) => continue,
                server::Output::Unfit(reason) => {
                    return self.violate(format!("{} cannot do what others did: {reason}", self.name(node)));
                }
            };
            if let Some(to) = to {
                self.send(node, to, packet);
            }
        }
    }

    pub(super) fn worker_node(&self, rank: usize) -> Option<NodeId> {
        self.nodes.iter().position(|n| matches!(&n.kind, Kind::Worker(w) if w.rank == rank))
    }

    pub(super) fn server_node(&self, id: usize) -> Option<NodeId> {
        self.nodes.iter().position(|n| matches!(&n.kind, Kind::Server(s) if s.id == Some(id)))
    }

    pub(super) fn worker_step(&mut self, node: NodeId, input: worker::Input) {
        let now = self.millis();
        let Kind::Worker(WorkerNode { engine: Some(engine), given_up, .. }) = &mut self.nodes[node].kind else {
            return;
        };
        if *given_up {
            return self.drive(node);
        }
        let mut out = Vec::new();
        if let Err(error) = engine.step(now, input, &mut out) {
            return self.violate(format!("{} got what fits nothing: {error}", self.name(node)));
        }
        self.ask(node, out);
        self.drive(node);
    }

    /// Gives a worker an answer. One of an earlier view comes from a server that may have been replaced since: nothing
    /// may follow from it.
    fn answer(&mut self, node: NodeId, server: usize, mut reply: Reply) {
        let broken = self.config.broken;
        let Kind::Worker(WorkerNode { engine: Some(engine), given_up, .. }) = &mut self.nodes[node].kind else {
            return;
        };
        let (task, epoch) = (reply.task, engine.view().epoch);
        let old = reply.epoch < epoch && !engine.finished(task) && !*given_up;
        if broken == Some(Broken::OldAnswers) {
            reply.epoch = epoch;
        }
        if !old {
            return self.worker_step(node, worker::Input::Reply { server, reply });
        }
        self.old_answers += 1;
        let (now, mut out) = (self.millis(), Vec::new());
        let Kind::Worker(WorkerNode { engine: Some(engine), .. }) = &mut self.nodes[node].kind else { return };
        let taken = engine.step(now, worker::Input::Reply { server, reply }, &mut out);
        if taken.is_err() || engine.finished(task) || !out.is_empty() {
            let what = format!("{} took an answer of server {server} from before view {epoch}", self.name(node));
            self.violate(what);
        }
    }

    /// Sends a worker's requests; as over a network, the originals come back once copied.
    pub(super) fn ask(&mut self, node: NodeId, out: Vec<worker::Output>) {
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
