//! The end of a story: everything finished, every copy equal to every other and to the reference.

use super::{SCHEDULER, World};
use crate::driver::sim::network::NodeId;
use crate::driver::sim::node::{Kind, Life, Server};
use crate::engine::server::ServerEngine;
use crate::engine::view::View;
use handcar_base::{Key, KeyRange, RangeSet};
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

    /// Whether all workers are done and the cluster is at rest.
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
                && !w.ended
            {
                let open: Vec<_> = w.open.iter().map(|o| (o.task.0, &o.expect)).collect();
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

    /// Whenever nothing is under way, every copy must equal every other.
    pub(super) fn check_rest(&mut self) {
        if self.now < self.rest.next_us {
            return;
        }
        let Some(view) = self.view().filter(|v| !v.unfilled() && !v.frozen).cloned() else { return };
        let rests = |id: &usize| self.engine(*id).is_some_and(|e| e.epoch() == view.epoch && e.at_rest());
        if !view.servers.keys().all(rests) {
            return;
        }
        if self.rest.epoch != view.epoch {
            (self.rest.epoch, self.rest.groups) = (view.epoch, groups(&view));
        }
        self.rest.next_us = self.now + REST_EVERY_US;
        self.rest.count += 1;
        if let Err(what) = self.copies(&self.rest.groups) {
            self.violate(what);
        }
    }

    /// What a server keeps for repetition is bounded by what its workers have under way.
    pub(super) fn check_kept(&mut self, node: NodeId) {
        let Kind::Server(Server { engine: Some(engine), .. }) = &self.nodes[node].kind else { return };
        let kinds = engine.kept();
        let kept = kinds.iter().map(|k| k.1).sum();
        self.kept_max = self.kept_max.max(kept);
        let servers = self.views.values().last().map_or(0, |v| v.servers.len());
        if self.copies > COPIES_MAX {
            return;
        }
        let most = self.oracle.workers() * (KEPT_MAX + UPDATES_MAX * servers * self.copies);
        if kept > most {
            let what = format!("{} keeps {kept} records, {most} are the most: {kinds:?}", self.name(node));
            self.violate(what);
        }
    }

    pub(super) fn check_end(&mut self) {
        if let Err(what) = self.ends() {
            self.violate(what);
        }
    }

    /// The keys and values of both tables, if all copies are equal.
    fn copies(&self, groups: &[(Vec<usize>, RangeSet)]) -> Result<[BTreeMap<Key, u64>; 2], String> {
        let mut tables: [BTreeMap<Key, u64>; 2] = Default::default();
        for (chain, within) in groups {
            let copies: Vec<_> = chain.iter().filter_map(|&id| Some((id, self.engine(id)?.copy(within)))).collect();
            let Some(((first_id, first), rest)) = copies.split_first() else { continue };
            for (id, other) in rest {
                if other.tables != first.tables {
                    return Err(format!("servers {first_id} and {id} of chain {chain:?} hold different copies"));
                }
            }
            for (all, table) in tables.iter_mut().zip(&first.tables) {
                let values = table.entries.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b));
                all.extend(table.keys.keys().iter().copied().zip(values));
            }
        }
        Ok(tables)
    }

    /// Whether the cluster agrees with itself and with the reference.
    fn ends(&self) -> Result<(), String> {
        let Some(view) = self.view() else { return Ok(()) };
        let groups = groups(view);
        if groups.iter().any(|(c, _)| c.len() != self.copies.min(view.servers.len())) {
            let chains: Vec<_> = groups.iter().map(|g| &g.0).collect();
            return Err(format!("not every key has {} copies at the end: {chains:?}", self.copies));
        }
        let tables = self.copies(&groups)?;
        let program = &self.oracle.program;
        if let Some(last) = program.rounds.last() {
            for (key, got) in &tables[0] {
                let Ok(at) = program.shared.binary_search(key) else {
                    return Err(format!("key {key:016x} is there and nobody pushed it"));
                };
                let (want, got) = (f64::from_bits(last.values[at]), f64::from_bits(*got));
                if want.to_bits() != got.to_bits() {
                    return Err(format!("key {key:016x} must end as {want}, is {got}"));
                }
            }
        }
        for (key, want) in self.oracle.passes.last() {
            let got = tables[1].get(&key).map_or(0, |&v| v as i64);
            if got != want {
                return Err(format!("key {key:016x} must end with {want} after the last pass, has {got}"));
            }
        }
        for key in self.oracle.final_own().into_keys() {
            self.oracle.may_end(key, tables[1].get(&key).map_or(0, |&v| v as i64))?;
        }
        Ok(())
    }
}

/// Records that a server may keep for one worker. A task that hangs keeps all later ones: workers start one in 3 ms for at
/// most 2 s, and far fewer outside such times.
const KEPT_MAX: usize = 1_500;
/// On top of that, for each head and copy, updates under way: each collective has one of every head, and in a new view
/// every server of a chain passes it on again.
const UPDATES_MAX: usize = 100;

/// With more copies an update parts into hundreds on its way down, one for each order of servers.
const COPIES_MAX: usize = 3;

/// Moments at which the copies were compared.
#[derive(Default)]
pub(super) struct Rest {
    next_us: u64,
    /// Which servers keep what in the view of this epoch.
    epoch: u64,
    groups: Vec<(Vec<usize>, RangeSet)>,
    pub count: u64,
}

/// Comparing takes as long as some hundred messages.
const REST_EVERY_US: u64 = 2_000_000;

/// The positions of each chain.
fn groups(view: &View) -> Vec<(Vec<usize>, RangeSet)> {
    let mut groups: BTreeMap<Vec<usize>, Vec<KeyRange>> = BTreeMap::new();
    for (range, s) in view.ranges() {
        groups.entry(s.chain.clone()).or_default().push(range);
    }
    groups.into_iter().map(|(chain, ranges)| (chain, ranges.into_iter().collect())).collect()
}

/// Whether a view gives every position one head that takes part, and servers at most once.
pub(super) fn sound(view: &View) -> Result<(), String> {
    if view.segments.first().is_none_or(|s| s.begin != 0) {
        return Err(format!("view {} must cover all positions from 0", view.epoch));
    }
    for (at, s) in view.segments.iter().enumerate() {
        let follows = at == 0 || view.segments[at - 1].begin < s.begin;
        let known = s.chain.iter().all(|m| view.servers.contains_key(m));
        let once = s.chain.iter().enumerate().all(|(n, m)| !s.chain[..n].contains(m));
        if !follows || !known || !once || s.full == 0 || s.full > s.chain.len() {
            return Err(format!(
                "view {} must give every segment a full chain of its servers, gives {s:?}",
                view.epoch
            ));
        }
    }
    Ok(())
}
