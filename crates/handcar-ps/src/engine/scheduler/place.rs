//! From view to view: servers lost, joining and leaving.

use super::{MemberState, Output, SchedulerEngine, State};
use crate::engine::control::Control;
use crate::engine::server::Report;
use crate::engine::view::View;
use crate::error::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The servers whose report a view waits for.
pub(super) fn reporters(view: &View) -> BTreeSet<usize> {
    let all = view.servers.keys().copied();
    if view.frozen {
        return all.collect();
    }
    all.filter(|&s| !view.filled_by(s).is_empty()).collect()
}

impl SchedulerEngine {
    /// Servers that are not known to be lost, with their addresses.
    pub(super) fn alive(&self) -> BTreeMap<usize, String> {
        self.of(Role::Server).filter_map(|m| Some((m.rank?, m.addr.clone()))).collect()
    }

    /// Servers that shall keep keys: not those that are leaving.
    fn wanted(&self) -> Vec<usize> {
        let mut wanted: Vec<usize> = self.of(Role::Server).filter(|m| !m.left).filter_map(|m| m.rank).collect();
        wanted.sort_unstable();
        wanted
    }

    /// The next view without a server; `None` if that loses keys.
    pub(super) fn without(&self, server: usize) -> Option<View> {
        let view = self.view.as_ref()?;
        let mut alive = self.alive();
        alive.remove(&server);
        let wanted: Vec<usize> = self.wanted().into_iter().filter(|&s| s != server).collect();
        // When all that stay are leaving, they stay.
        let wanted = if wanted.is_empty() { alive.keys().copied().collect() } else { wanted };
        view.repaired(&alive, &wanted, self.params.copies)
    }

    /// Makes room for servers that joined, and takes keys from those that leave.
    pub(super) fn reshape(&mut self, out: &mut Vec<Output>) {
        let Some(view) = &self.view else { return };
        let (alive, wanted) = (self.alive(), self.wanted());
        if wanted.is_empty() {
            return;
        }
        if let Some(next) = view.repaired(&alive, &wanted, self.params.copies) {
            self.announce(next, out);
        }
    }

    /// A server says what the present view waits for.
    pub(super) fn report(&mut self, rank: Option<usize>, report: Report, out: &mut Vec<Output>) {
        let Some(view) = &self.view else { return };
        let epoch = match report {
            Report::Filled { epoch } | Report::Drained { epoch } => epoch,
            Report::Silent { epoch, server } => return self.accused(rank, epoch, server, out),
        };
        let fits = matches!(report, Report::Drained { .. }) == view.frozen;
        if epoch != view.epoch || !fits || !rank.is_some_and(|r| self.awaited.remove(&r)) || !self.awaited.is_empty() {
            return;
        }
        let (wanted, copies) = (self.wanted(), self.params.copies);
        let next = if view.frozen { view.thawed(&wanted, copies) } else { view.filled(&wanted, copies) };
        self.announce(next, out);
    }

    /// A server hears nothing of the next one in a chain, which may send heartbeats all the same. Which of the two is cut
    /// off nobody knows; a chain without one of them goes on. The later view makes the other's accusation void.
    fn accused(&mut self, by: Option<usize>, epoch: u64, server: usize, out: &mut Vec<Output>) {
        let present = self.view.as_ref().is_some_and(|v| v.epoch == epoch && v.servers.contains_key(&server));
        let (Some(by), true, Some(_)) = (by, present, self.without(server)) else { return };
        let at = self.members.iter().find(|(_, m)| m.role == Role::Server && m.rank == Some(server));
        if let Some((&at, _)) = at {
            self.lose(at, format!("it acknowledges nothing to server {by}"), out);
        }
    }

    /// The next view if workers came or went.
    pub(super) fn staff(&mut self, out: &mut Vec<Output>) {
        let Some(view) = &self.view else { return };
        let workers: BTreeSet<usize> = self.of(Role::Worker).filter(|m| !m.left).filter_map(|m| m.rank).collect();
        if !self.over && self.params.elastic && view.workers.as_ref() != Some(&workers) {
            self.announce(view.staffed(workers), out);
        }
    }

    /// Stores a view, then tells everybody.
    pub(super) fn announce(&mut self, view: View, out: &mut Vec<Output>) {
        let view = Arc::new(view);
        self.awaited = reporters(&view);
        self.view = Some(Arc::clone(&view));
        let gone: Vec<u64> = self.members.iter().filter(|(_, m)| self.has_gone(m, &view)).map(|(&at, _)| at).collect();
        let ended: Vec<u64> = gone.iter().filter_map(|at| self.members.remove(at)?.conn).collect();
        self.store(out);
        for conn in self.members.values().filter(|m| !(m.left && m.role == Role::Worker)).filter_map(|m| m.conn) {
            out.push(Output::Send { conn, message: Control::View(Arc::clone(&view)) });
        }
        out.extend(ended.into_iter().map(|conn| Output::Send { conn, message: Control::End }));
    }

    /// Whether a server has left: it wanted to, and no position needs it any more.
    fn has_gone(&self, m: &super::Member, view: &View) -> bool {
        m.role == Role::Server && m.left && m.rank.is_some_and(|r| !view.servers.contains_key(&r))
    }

    pub(super) fn store(&self, out: &mut Vec<Output>) {
        let Some(view) = &self.view else { return };
        let member = |m: &super::Member| {
            let rank = m.rank?;
            Some(MemberState { role: m.role, rank, name: m.name.clone(), addr: m.addr.clone(), left: m.left })
        };
        out.push(Output::Store(Box::new(State {
            job: self.params.job,
            workers: self.params.workers,
            servers: self.params.servers,
            copies: self.params.copies,
            server_next: self.server_next,
            worker_next: self.params.elastic.then_some(self.worker_next),
            view: Arc::clone(view),
            members: self.members.values().filter_map(member).collect(),
            over: self.over,
        })));
    }
}
