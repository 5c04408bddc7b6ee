//! The end of a story: everything finished, every copy equal to every other and to the reference.

use super::{SCHEDULER, World};
use crate::driver::sim::node::{Kind, Life, Server};
use crate::engine::server::ServerEngine;
use crate::engine::view::View;
use handcar_base::{Key, RangeSet};
use std::collections::BTreeMap;
use std::sync::Arc;

impl World {
    fn engine(&self, id: usize) -> Option<&ServerEngine> {
        let node = self.server_node(id)?;
        match &self.nodes[node].kind {
            Kind::Server(Server { engine: Some(engine), .. }) if self.nodes[node].state == Life::Up => Some(engine),
            _ => None,
        }
    }

    fn view(&self) -> Option<&Arc<View>> {
        match &self.nodes[SCHEDULER].kind {
            Kind::Scheduler(Some(engine)) => engine.view(),
            _ => None,
        }
    }

    /// Whether all workers are done and the cluster is at rest; then they may leave.
    pub(super) fn over(&mut self) -> bool {
        let done = |n: &super::Node| !matches!(&n.kind, Kind::Worker(w) if !w.leaving && !w.ended);
        if !self.nodes.iter().all(done) {
            return false;
        }
        let Some(view) = self.view() else { return false };
        let rests = |id: &usize| self.engine(*id).is_some_and(|e| e.epoch() == view.epoch && e.at_rest());
        !view.unfilled() && !view.frozen && view.servers.keys().all(rests)
    }

    /// Who has not finished what.
    pub(super) fn waiting(&self) -> String {
        let mut all = Vec::new();
        if let Some(view) = self.view() {
            let servers: Vec<_> = view.servers.keys().collect();
            all.push(format!(
                "view {} of servers {servers:?}, filling: {}, frozen: {}",
                view.epoch,
                view.unfilled(),
                view.frozen
            ));
            for &id in view.servers.keys() {
                match self.engine(id) {
                    Some(e) if !e.at_rest() || e.epoch() != view.epoch => {
                        all.push(format!("server {id} in epoch {}, at rest: {}", e.epoch(), e.at_rest()));
                    }
                    Some(_) => {}
                    None => all.push(format!("server {id} is not there")),
                }
            }
        }
        for node in &self.nodes {
            if let Kind::Worker(w) = &node.kind
                && !w.leaving
            {
                let open: Vec<_> = w.open.iter().map(|o| (o.0.0, &o.2)).collect();
                all.push(format!(
                    "worker {} at step {} of {}: {open:?}",
                    w.rank,
                    w.step,
                    self.oracle.program.steps.len()
                ));
            }
        }
        all.join("; ")
    }

    pub(super) fn check_end(&mut self) {
        if let Some(what) = self.differs() {
            self.violate(what);
        }
    }

    /// Where the cluster differs from itself or from the reference.
    fn differs(&self) -> Option<String> {
        let view = self.view()?;
        let mut groups: BTreeMap<Vec<usize>, RangeSet> = BTreeMap::new();
        for (range, s) in view.ranges() {
            groups.entry(s.chain.clone()).or_default().insert(range);
        }
        if groups.keys().any(|c| c.len() != self.copies.min(view.servers.len())) {
            return Some(format!("not every key has {} copies at the end: {:?}", self.copies, groups.keys()));
        }
        let mut tables: [BTreeMap<Key, u64>; 2] = Default::default();
        for (chain, within) in &groups {
            let copies: Vec<_> = chain.iter().filter_map(|&id| Some((id, self.engine(id)?.copy(within)))).collect();
            let Some(((first_id, first), rest)) = copies.split_first() else { continue };
            for (id, other) in rest {
                if other.tables != first.tables {
                    return Some(format!("servers {first_id} and {id} of chain {chain:?} hold different copies"));
                }
            }
            for (all, table) in tables.iter_mut().zip(&first.tables) {
                let values = table.entries.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b));
                all.extend(table.keys.keys().iter().copied().zip(values));
            }
        }
        let program = &self.oracle.program;
        let last = program.rounds.last()?;
        for (key, got) in &tables[0] {
            let at = program.shared.binary_search(key).ok()?;
            if last.values[at] != *got {
                return Some(format!(
                    "key {key:016x} must end as {}, is {}",
                    f64::from_bits(last.values[at]),
                    f64::from_bits(*got)
                ));
            }
        }
        for (key, want) in self.oracle.final_own() {
            let got = tables[1].get(&key).map_or(0, |&v| v as i64);
            if got != want {
                return Some(format!("key {key:016x} must end with the sum {want}, has {got}"));
            }
        }
        None
    }
}
