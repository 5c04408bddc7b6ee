//! The network: what happens to a message on its way.

use crate::engine::control::Control;
use crate::message::{Reply, Request};
use crate::peer::PeerMessage;
use handcar_base::Rng;
use std::collections::BTreeMap;

/// A process, by its place in the world; the scheduler is 0.
pub(super) type NodeId = usize;

#[derive(Clone, Debug)]
pub(super) enum Packet {
    Control(Control),
    Request(Request),
    Reply(Reply),
    Peer(PeerMessage),
}

/// What the network does at present.
#[derive(Debug)]
pub(super) struct Network {
    /// Shares of a thousand.
    pub loss: u64,
    pub double: u64,
    pub delay_max_us: u64,
    /// Ways that are cut, until when.
    cuts: BTreeMap<(NodeId, NodeId), u64>,
}

/// What became of a message: when its copies arrive.
#[derive(Debug, Default)]
pub(super) struct Fate {
    pub arrivals: Vec<u64>,
    pub lost: bool,
    pub delayed: bool,
    pub doubled: bool,
}

/// A delay above this counts as a fault.
const DELAY_COMMON_US: u64 = 2_000;

impl Network {
    pub fn calm() -> Self {
        Self { loss: 0, double: 0, delay_max_us: 1_000, cuts: BTreeMap::new() }
    }

    pub fn cut(&mut self, from: NodeId, to: NodeId, until_us: u64) {
        let end = self.cuts.entry((from, to)).or_default();
        *end = (*end).max(until_us);
    }

    pub fn heal(&mut self) {
        *self = Self::calm();
    }

    pub fn is_cut(&self, from: NodeId, to: NodeId, now_us: u64) -> bool {
        self.cuts.get(&(from, to)).is_some_and(|&end| now_us < end)
    }

    pub fn send(&mut self, rng: &mut Rng, now_us: u64, from: NodeId, to: NodeId) -> Fate {
        let mut fate = Fate::default();
        if self.is_cut(from, to, now_us) || rng.below(1000) < self.loss {
            fate.lost = true;
            return fate;
        }
        fate.doubled = rng.below(1000) < self.double;
        for _ in 0..1 + fate.doubled as usize {
            // Most are quick; a few take as long as anything may, and so overtake nothing and are overtaken by all.
            let quick = rng.below(8) > 0;
            let delay = 50 + rng.below(if quick { 300 } else { self.delay_max_us });
            fate.delayed |= delay > DELAY_COMMON_US;
            fate.arrivals.push(now_us + delay);
        }
        fate
    }
}
