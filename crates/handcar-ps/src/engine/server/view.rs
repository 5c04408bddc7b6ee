//! Entering a view: a new place in new chains.

use super::{Broken, Input, Output, Place, ServerEngine, replay};
use crate::engine::view::{Route, View};
use crate::lru::Lru;
use crate::message::Task;
use std::collections::BTreeMap;
use std::sync::Arc;

impl ServerEngine {
    /// Takes its place in a view. Requests that wait are forgotten, since the workers ask again; updates that may not
    /// have reached the end of their chains are passed on along the new ones, before anything else.
    pub(super) fn enter(&mut self, view: Arc<View>, out: &mut Vec<Output>) {
        if view.epoch <= self.epoch() {
            return;
        }
        let id = self.params.id;
        let kept = view.kept_by(id);
        let filling = view.filling(id);
        // The first view of a job finds every server as empty as it should be.
        self.held = if view.epoch == 1 { kept.clone() } else { self.held.and(&kept) };
        let old = self.place.take().map(|p| p.kept).unwrap_or_default();
        // A copy begun in another view is begun anew: its pieces may be under way from a server that is gone.
        let gone = old.minus(&kept).or(&filling);
        if !gone.is_empty() {
            self.forget(&gone);
        }
        if let Some(workers) = &view.workers {
            self.portions.keep(workers);
            self.new_lists.retain(|worker, _| workers.contains(worker));
            let ranks = workers.last().map_or(0, |last| last + 1).max(self.applied.len());
            self.applied.resize_with(ranks, BTreeMap::new);
            self.answered.resize(ranks, Task(0));
            self.tables.iter_mut().for_each(|t| t.ends.resize(ranks));
        }
        let next = view.next_of(id);
        let after = |s: &crate::engine::view::Segment| {
            let at = s.chain.iter().position(|&m| m == id)?;
            s.chain.get(at + 1).copied()
        };
        let route = Route::new(&view, after);
        let headed = Arc::new(view.headed_by(id));
        let epoch = view.epoch;
        self.place = Some(Place { view, headed, kept, next, route, reported_drained: false });
        self.fill = None;
        self.plans = Lru::new(super::PLAN_BYTES_MAX);
        self.reductions.clear();
        for t in &mut self.tables {
            t.rounds.clear();
            t.ends.reset();
        }
        let replay = self.chain.reset();
        if !self.is(Broken::NoReplay) {
            for update in replay::once(replay) {
                self.launch(Some(update), Vec::new(), out);
            }
        }
        self.begin_fill(out);
        for input in self.early.take() {
            let of = match &input {
                Input::Peer { message, .. } => message.epoch,
                Input::Request { request, .. } => request.epoch,
                _ => continue,
            };
            if of >= epoch {
                let now = self.now;
                self.step(now, input, out);
            }
        }
    }
}
