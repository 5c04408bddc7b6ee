//! Filling a new copy while updates go on.
//!
//! The last full server of a chain sends all it knows about some positions, piece by piece, down the same ordered link
//! as its updates. The receiver ignores updates of positions whose piece has not come: the piece contains them. So a
//! copy is exact at every moment for what it holds, and nobody has to stop.

use super::chain::Done;
use super::table::Table;
use super::{Broken, Output, Portions, Report, ServerEngine};
use crate::message::TableId;
use crate::peer::{Change, Copied, CopiedTable};
use handcar_base::{KeyList, KeyRange, RangeSet};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Pieces under way at once: enough to keep a link busy, few enough not to delay updates.
const PIECES_OPEN: usize = 2;
/// Pieces of one copy at most: cutting each reads all keys.
const PIECES_MAX: usize = 64;

/// What is left to copy in this view.
#[derive(Debug)]
pub(super) struct Fill {
    queue: VecDeque<RangeSet>,
    open: usize,
    /// Collectives whose notes were made by this server alone and may still be asked for: only when they are
    /// answered is the new copy as good as this one.
    notes: Option<Vec<(TableId, u64)>>,
    reported: bool,
}

impl ServerEngine {
    /// Cuts what this server has to copy into pieces and begins.
    pub(super) fn begin_fill(&mut self, out: &mut Vec<Output>) {
        let Some(place) = &self.place else { return };
        let id = self.params.id;
        // Pieces never part on their way: all positions of one go through the same servers.
        let mut groups: BTreeMap<Vec<usize>, Vec<KeyRange>> = BTreeMap::new();
        for (range, s) in place.view.ranges() {
            if s.full < s.chain.len() && s.full > 0 && s.chain[s.full - 1] == id {
                groups.entry(s.chain[s.full..].to_vec()).or_default().push(range);
            }
        }
        if groups.is_empty() {
            self.fill = None;
            return;
        }
        let pieces = self.keys().div_ceil(self.params.fill_keys.max(1)).clamp(1, PIECES_MAX);
        let mut queue = VecDeque::new();
        for ranges in groups.into_values() {
            let all: RangeSet = ranges.into_iter().collect();
            let step = (1u128 << 64).div_ceil(pieces as u128);
            for n in 0..pieces as u128 {
                let part = KeyRange::new((n * step) as u64, ((n + 1) * step).min(1 << 64));
                let piece = all.and(&part.into());
                if !piece.is_empty() {
                    queue.push_back(piece);
                }
            }
        }
        self.fill = Some(Fill { queue, open: 0, notes: None, reported: false });
        if self.is(Broken::FilledEarly) {
            out.push(Output::Report(Report::Filled { epoch: self.epoch() }));
        }
        self.send_pieces(out);
    }

    fn send_pieces(&mut self, out: &mut Vec<Output>) {
        while let Some(fill) = &mut self.fill
            && fill.open < PIECES_OPEN
            && let Some(within) = fill.queue.pop_front()
        {
            fill.open += 1;
            let copied = self.copy(&within);
            let update = self.update(Arc::new(within), Change::Copy(Box::new(copied)));
            self.launch(Some(update), vec![Done::Filled], out);
        }
    }

    /// A piece has arrived at the end of its chain.
    pub(super) fn piece_filled(&mut self, out: &mut Vec<Output>) {
        let Some(fill) = &mut self.fill else { return };
        fill.open -= 1;
        if fill.open == 0 && fill.queue.is_empty() {
            let kept = |(id, t): (u32, &Table)| t.notes.iter().map(move |k| (TableId(id), k.round)).collect::<Vec<_>>();
            fill.notes = Some((0..).zip(&self.tables).flat_map(kept).collect());
        }
        self.send_pieces(out);
    }

    /// Some notes are not needed any more: perhaps the copy is now complete. Servers behind this one learn it too.
    pub(super) fn notes_went(&mut self, out: &mut Vec<Output>) {
        let Some(place) = &self.place else { return };
        if place.view.unfilled() && !place.view.frozen && !place.next.is_empty() && !place.headed.is_empty() {
            let within = Arc::clone(&place.headed);
            let update = self.update(within, Change::Nothing);
            self.launch(Some(update), Vec::new(), out);
        }
    }

    /// Tells the scheduler what it waits for, once.
    pub(super) fn report(&mut self, out: &mut Vec<Output>) {
        let epoch = self.epoch();
        if let Some(fill) = &mut self.fill
            && let Some(notes) = &fill.notes
            && !fill.reported
        {
            let open = |&(id, round): &(TableId, u64)| {
                self.tables.get(id.0 as usize).is_some_and(|t| t.notes.iter().any(|k| k.round == round))
            };
            if !notes.iter().any(open) {
                fill.reported = true;
                out.push(Output::Report(Report::Filled { epoch }));
            }
        }
        let drained = self.chain.idle() || self.is(Broken::DrainedEarly);
        if let Some(place) = &mut self.place
            && place.view.frozen
            && !place.reported_drained
            && drained
        {
            place.reported_drained = true;
            out.push(Output::Report(Report::Drained { epoch }));
        }
    }

    /// Says again what it said: the report was lost.
    pub(super) fn remind(&mut self, epoch: u64) {
        if epoch != self.epoch() {
            return;
        }
        if let Some(fill) = &mut self.fill {
            fill.reported = false;
        }
        if let Some(place) = &mut self.place {
            place.reported_drained = false;
        }
    }

    /// Everything known about some positions.
    pub(crate) fn copy(&self, within: &RangeSet) -> Copied {
        let table = |t: &Table| {
            let (keys, entries) = t.shard.copy(within);
            let clock = within.ranges().flat_map(|range| t.clock.pieces(range)).collect();
            let clock = if self.is(Broken::CopyWithoutClock) { Vec::new() } else { clock };
            let (name, updater, params) = (t.name.clone(), t.updater.clone(), t.params.clone());
            let filters = t.ends.filters.clone();
            CopiedTable { name, updater, params, filters, keys, entries, clock }
        };
        let applied = self.applied.iter().map(|tasks| {
            let cut = tasks.iter().map(|(&task, set)| (task, Arc::new(set.and(within))));
            cut.filter(|(_, set)| !set.is_empty() && !self.is(Broken::CopyWithoutRecord)).collect()
        });
        let reduced = within.contains(0).then(|| (self.reduced_next, self.reduced.iter().cloned().collect()));
        let work = within.contains(0).then(|| self.portions.to_work());
        let cut = self.pushed.iter().map(|(&(_, id, tag), set)| (id.0, tag, Arc::new(set.and(within))));
        let pushed = cut.filter(|p| !p.2.is_empty() && !self.is(Broken::CopyWithoutRecord)).collect();
        Copied { tables: self.tables.iter().map(table).collect(), applied: applied.collect(), reduced, work, pushed }
    }

    /// Takes over everything about positions that are not held yet.
    ///
    /// # Errors
    /// What this server lacks: an updater or a filter that others have, say.
    pub(super) fn install(&mut self, within: &RangeSet, copied: &Copied) -> Result<(), String> {
        let fresh = within.minus(&self.held);
        if fresh.is_empty() {
            return Ok(());
        }
        for (at, t) in copied.tables.iter().enumerate() {
            if at == self.tables.len() {
                let (name, updater, params) = (t.name.clone(), t.updater.clone(), t.params.clone());
                self.create(TableId(at as u32), name, updater, params, t.filters.clone())?;
            }
            let table = self.tables.get_mut(at).ok_or("expected the tables of a copy in their order")?;
            table.shard.install(&fresh, &t.keys, &t.entries)?;
            fresh.ranges().for_each(|range| table.clock.set(range, 0));
            t.clock.iter().for_each(|&(range, time)| table.clock.set(range, time));
        }
        for (mine, tasks) in self.applied.iter_mut().zip(&copied.applied) {
            for (task, set) in tasks {
                let all = mine.get(task).map_or_else(|| Arc::clone(set), |old| Arc::new(old.or(set)));
                mine.insert(*task, all);
            }
        }
        if let Some((next, kept)) = &copied.reduced {
            self.reduced_next = *next;
            self.reduced = kept.iter().cloned().collect();
        }
        for (id, tag, set) in &copied.pushed {
            self.note_pushed(TableId(*id), *tag, set);
        }
        if let Some(work) = &copied.work {
            self.portions = Portions::of_work(self.now, work);
        }
        self.held = self.held.or(&fresh);
        Ok(())
    }

    /// Drops everything about some positions.
    pub(super) fn forget(&mut self, gone: &RangeSet) {
        for t in &mut self.tables {
            let emptied = t.shard.install(gone, &KeyList::default(), &[]);
            debug_assert!(emptied.is_ok());
        }
        self.held = self.held.minus(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::server::{Input, ServerParams};
    use crate::engine::view::{View, unplaced};
    use crate::filter::TableFilters;
    use crate::message::{Millis, Task};
    use crate::peer::{PeerMessage, Say, Update};
    use crate::registry::Registry;

    #[test]
    fn a_server_that_cannot_do_what_the_one_before_it_did_acknowledges_nothing() {
        let alone = View::first(unplaced(0..1), 2);
        let view = Arc::new(alone.repaired(&unplaced(0..2), &[0, 1], 2).unwrap());
        let follower = || {
            let mut engine = ServerEngine::new(ServerParams::new(1, 1), Registry::new());
            engine.step(Millis(0), Input::View(Arc::clone(&view)), &mut Vec::new());
            engine
        };
        let (table, name, filters) = (TableId(0), "t".to_string(), TableFilters::default());
        let (updater, params, within) = ("probe".to_string(), vec![], Arc::new(RangeSet::all()));
        let copied = CopiedTable {
            name: name.clone(),
            updater: updater.clone(),
            params: vec![],
            filters: filters.clone(),
            keys: KeyList::default(),
            entries: vec![],
            clock: vec![],
        };
        let create = Change::Create { table, name, updater, params, filters };
        let copy = Change::Copy(Box::new(Copied { tables: vec![copied], ..Copied::default() }));
        for change in [create, copy] {
            let mut engine = follower();
            let update = Arc::new(Update { within: Arc::clone(&within), answered: vec![Task(0)], change });
            let message = PeerMessage { epoch: view.epoch, say: Say::Update { seq: 0, update } };
            let mut out = Vec::new();
            engine.step(Millis(0), Input::Peer { from: 0, message: message.clone() }, &mut out);
            let [Output::Unfit(reason)] = &out[..] else { panic!("{out:?}") };
            assert!(reason.contains("probe"), "{reason}");
            engine.step(Millis(0), Input::Peer { from: 0, message }, &mut out);
            assert_eq!(out.len(), 1, "it does nothing more");
        }
    }
}
