//! The table of a stream: states in the order in which their keys came, so that popular ones share lines.

use super::super::rows::RowView;
use super::super::rule::{Rates, Rule};
use super::super::slot::{Contributions, Update, UpdateFloats};
use super::super::{Seen, fixed};
use super::Room;
use crate::loss::Loss;
use crate::penalty::ElasticNet;
use handcar_base::Key;
use handcar_kernels::slots::{Ids, Slot, Touched};
use handcar_kernels::{huge_pages, run};

/// Rows of a batch.
pub(super) struct Batch<'b> {
    pub view: RowView<'b>,
    /// Entries of each row.
    pub lengths: &'b [u32],
    /// Numbers of the entries' keys.
    pub ids: &'b [u32],
    /// Of the entries; empty if all are 1.
    pub values: &'b [f32],
    pub room: &'b Room,
}

/// A table that grows with the keys.
pub(super) trait Grow {
    /// Takes keys that come for the first time.
    fn grow(&mut self, fresh: &[Key], start: &dyn Fn(Key) -> f32);
    fn start_at(&mut self, intercept: f32);
    /// Learns from a batch after `hear` was told of it.
    fn learn(&mut self, batch: u64, rows: Batch<'_>, hear: &mut dyn FnMut(&Seen<'_>));
    /// As batch `batch` finds them.
    fn weights(&mut self, batch: u64) -> (Vec<f32>, f32);
}

pub(super) struct StreamTable<R: Rule, L> {
    rule: R,
    /// Of the intercept, which is not penalised.
    free: R,
    loss: L,
    slots: Vec<Slot<R::State>>,
    intercept: Option<R::State>,
    touched: Touched,
    /// Of each entry of a batch: what it adds to its row's margin, then its gradient.
    parts: Vec<i64>,
    margins: Vec<i64>,
    gradients: Vec<i64>,
    losses: Vec<i64>,
    /// Gradients of entries that have values.
    floats: Vec<f64>,
}

impl<R: Rule, L: Loss> StreamTable<R, L> {
    pub fn new(rates: Rates, loss: L, intercept: bool) -> Self {
        let free = R::new(Rates { penalty: ElasticNet::NONE, ..rates });
        Self {
            rule: R::new(rates),
            intercept: intercept.then(|| free.start(0.0)),
            free,
            loss,
            slots: Vec::new(),
            touched: Touched::default(),
            parts: Vec::new(),
            margins: Vec::new(),
            gradients: Vec::new(),
            losses: Vec::new(),
            floats: Vec::new(),
        }
    }
}

impl<R: Rule, L: Loss> Grow for StreamTable<R, L> {
    fn grow(&mut self, fresh: &[Key], start: &dyn Fn(Key) -> f32) {
        if self.slots.capacity() < self.slots.len() + fresh.len() {
            // Anew, so that large pages are asked for before the memory is touched.
            let mut slots = Vec::with_capacity(2 * (self.slots.len() + fresh.len()));
            huge_pages::advise_capacity(&mut slots);
            slots.append(&mut self.slots);
            self.slots = slots;
        }
        let rule = &self.rule;
        self.slots.extend(fresh.iter().map(|&key| Slot { sum: 0, state: rule.start(start(key)) }));
    }

    fn start_at(&mut self, intercept: f32) {
        let free = &self.free;
        self.intercept.iter_mut().for_each(|state| *state = free.start(intercept));
    }

    fn learn(&mut self, batch: u64, rows: Batch<'_>, hear: &mut dyn FnMut(&Seen<'_>)) {
        let Batch { view, lengths, ids, values, room } = rows;
        let Self { rule, free, slots, intercept, touched, parts, margins, gradients, losses, floats, .. } = self;
        rule.go_to(batch);
        free.go_to(batch);
        let n = lengths.len();
        for sums in [&mut *margins, &mut *gradients, &mut *losses] {
            sums.resize(n, 0);
        }
        parts.resize(ids.len(), 0);
        let Some(ids) = Ids::new(ids, slots.len()) else { unreachable!("every key was taken before its rows") };
        run(Contributions { ids, slots, rule, values, out: parts });
        let own = intercept.as_ref().map_or(0, |state| fixed::margin(free.weight(state)));
        let mut rest = &parts[..];
        for (margin, &len) in margins.iter_mut().zip(lengths) {
            let (row, after) = rest.split_at(len as usize);
            *margin = own + row.iter().sum::<i64>();
            rest = after;
        }
        view.gradients(self.loss, &(0..n), margins, gradients, Some(losses));
        let weights = (!view.weights.is_empty()).then_some(view.weights);
        hear(&Seen { rows: 0..n, margins, losses, weights });

        let scale = fixed::gradient_scale(view.size.slope, 0, room.weights());
        if values.is_empty() {
            let mut rest = &mut parts[..];
            for (&g, &len) in gradients.iter().zip(lengths) {
                let (row, after) = rest.split_at_mut(len as usize);
                row.fill(g);
                rest = after;
            }
            touched.add(slots, ids, parts);
            run(Update { touched, slots, rule, scale });
        } else {
            // Nobody knows how large the values of a key will be, so no fixed point would do; the order of rows is always the same.
            floats.clear();
            let mut rest = values;
            for (&g, &len) in gradients.iter().zip(lengths) {
                let (row, after) = rest.split_at(len as usize);
                floats.extend(row.iter().map(|&x| g as f64 * scale as f64 * x as f64));
                rest = after;
            }
            touched.add_by(slots, ids, floats, |sum, g| (f64::from_bits(sum as u64) + g).to_bits() as i64);
            run(UpdateFloats { touched, slots, rule });
        }
        let sum: i64 = gradients.iter().sum();
        if let Some(state) = intercept.as_mut().filter(|_| sum != 0) {
            free.update(state, sum as f32 * scale);
        }
    }

    fn weights(&mut self, batch: u64) -> (Vec<f32>, f32) {
        self.rule.go_to(batch);
        self.free.go_to(batch);
        let weights = self.slots.iter().map(|slot| self.rule.weight(&slot.state)).collect();
        (weights, self.intercept.as_ref().map_or(0.0, |state| self.free.weight(state)))
    }
}
