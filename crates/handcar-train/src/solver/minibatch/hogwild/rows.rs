//! Learning row by row: look up, predict, measure, update.

use super::super::rows::RowView;
use super::super::rule::Rule;
use super::fields::{Cursor, Fields};
use super::shared::{Shared, from_words, to_words};
use crate::loss::Loss;
use handcar_kernels::Kernel;
use std::ops::Range;

/// Entries computed side by side.
const LANES: usize = 16;
/// Rows whose places are found together, while those before are learned from.
const TILE: usize = 4;

/// Room for the entries of a row, padded to whole lanes with entries of value 0, and for the places of two tiles of rows.
pub(super) struct Room<S> {
    /// Of each row of a tile and dense column, a place; one tile to learn from, and one whose states are asked for.
    tiles: [Vec<u32>; 2],
    /// Of each dense column, the place of an absent entry.
    absent: Vec<u32>,
    /// Of this row's entries.
    places: Vec<u32>,
    values: Vec<f32>,
    states: Vec<S>,
    /// Entries in dense columns, padded.
    stride: usize,
}

impl<S: Copy + Default> Room<S> {
    pub fn new(fields: &Fields<'_>) -> Self {
        let stride = fields.dense().next_multiple_of(LANES);
        let mut absent: Vec<u32> = fields.hot.iter().map(|c| c.first).collect();
        absent.extend(fields.narrow.iter().map(|c| c.first));
        absent.extend(fields.wide.iter().map(|c| c.first));
        absent.resize(stride, 0);
        let tiles = [(); 2].map(|()| vec![0; stride * TILE]);
        let (places, values, states) = (vec![0; stride], vec![0.0; stride], vec![S::default(); stride]);
        Self { tiles, absent, places, values, states, stride }
    }

    /// Makes room for one more entry.
    fn grow(&mut self, entries: usize) {
        if self.places.len() < entries {
            let padded = entries.next_multiple_of(LANES);
            self.places.resize(padded, 0);
            self.values.resize(padded, 0.0);
            self.states.resize(padded, S::default());
        }
    }
}

/// Learns from some rows, one after the other.
pub(super) struct Learn<'k, 'a, R: Rule, L> {
    pub loss: L,
    pub view: &'k RowView<'k>,
    /// What the view's example weights must be multiplied by.
    pub weight_scale: f32,
    pub fields: &'k Fields<'a>,
    pub rule: &'k mut R,
    /// For the intercept, if there is one.
    pub free: Option<&'k mut R>,
    pub shared: &'k Shared<R::State>,
    /// The hot states of this thread; last the intercept's.
    pub hot: &'k mut [R::State],
    pub room: &'k mut Room<R::State>,
    pub rows: Range<usize>,
    /// Number of the first row over all passes.
    pub first: u64,
    /// The margin of each row before it was learned from.
    pub margins: &'k mut [f32],
}

impl<R: Rule, L: Loss> Kernel for Learn<'_, '_, R, L> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let Range { start, end } = self.rows.clone();
        let tile = |at: usize| at.min(end)..(at + TILE).min(end);
        let mut tiles = std::mem::take(&mut self.room.tiles);
        self.find(tile(start), &mut tiles[0]);
        let mut cursors: Vec<_> = self.fields.sparse.iter().map(|s| Cursor::at(s, start)).collect();
        for at in (start..end).step_by(TILE) {
            let [now, next] = &mut tiles;
            self.find(tile(at + TILE), next);
            let stride = self.room.stride;
            for (i, row) in tile(at).enumerate() {
                self.learn(row, &now[i * stride..(i + 1) * stride], &mut cursors);
            }
            tiles.swap(0, 1);
        }
        self.room.tiles = tiles;
    }
}

impl<R: Rule, L: Loss> Learn<'_, '_, R, L> {
    /// Finds the places of some rows' entries in dense columns, and asks for the states of those in large tables.
    #[inline(always)]
    fn find(&self, rows: Range<usize>, places: &mut [u32]) {
        let (stride, shared) = (self.room.stride, self.shared);
        for (k, column) in self.fields.hot.iter().enumerate() {
            for (places, &id) in places[k..].iter_mut().step_by(stride).zip(&column.ids[rows.clone()]) {
                *places = column.first + id as u32;
            }
        }
        let narrow = self.fields.hot.len();
        for (k, column) in (narrow..).zip(&self.fields.narrow) {
            for (place, &id) in places[k..].iter_mut().step_by(stride).zip(&column.ids[rows.clone()]) {
                *place = column.first + id as u32;
                shared.prefetch(*place);
            }
        }
        let wide = narrow + self.fields.narrow.len();
        for (k, column) in (wide..).zip(&self.fields.wide) {
            for (place, &id) in places[k..].iter_mut().step_by(stride).zip(&column.ids[rows.clone()]) {
                *place = column.first + id;
                shared.prefetch(*place);
            }
        }
    }

    /// Learns from a row, given the places of its entries in dense columns.
    #[inline(always)]
    fn learn(&mut self, row: usize, dense: &[u32], cursors: &mut [Cursor<'_, '_>]) {
        let Self { loss, view, weight_scale, fields, rule, free, shared, hot, room, rows, first, margins } = self;
        let (hots, dense_entries) = (fields.hot.len(), fields.dense());
        let batch = *first + (row - rows.start) as u64;
        rule.go_to(batch);
        // An absent entry has value 0, so that its state adds nothing and learns nothing.
        for ((value, place), absent) in room.values.iter_mut().zip(dense).zip(&room.absent) {
            *value = if place != absent { 1.0 } else { 0.0 };
        }
        for (state, &place) in room.states[..hots].iter_mut().zip(dense) {
            *state = hot[place as usize];
        }
        for (state, &place) in room.states[hots..dense_entries].iter_mut().zip(&dense[hots..]) {
            *state = from_words(shared.load(place));
        }
        let mut n = dense_entries;
        for cursor in cursors {
            cursor.each(row, |place, value| {
                room.grow(n + 1);
                (room.places[n], room.values[n], room.states[n]) = (place, value, from_words(shared.load(place)));
                n += 1;
            });
        }
        let padded = n.next_multiple_of(LANES);
        let (values, states) = (&mut room.values[..padded], &mut room.states[..padded]);
        values[n..].fill(0.0);

        let rule = &**rule;
        let mut weights = [0f32; LANES];
        let mut sums = [0f32; LANES];
        for (states, values) in states.chunks_exact(LANES).zip(values.chunks_exact(LANES)) {
            for ((w, state), value) in weights.iter_mut().zip(states).zip(values) {
                *w = rule.weight(state) * value;
            }
            for (sum, w) in sums.iter_mut().zip(&weights) {
                *sum += w;
            }
        }
        let mut margin = total(sums);
        let intercept = hot.len() - 1;
        if let Some(free) = free {
            free.go_to(batch);
            margin += free.weight(&hot[intercept]);
        }
        margins[row - rows.start] = margin;
        let mut g = loss.derivative(margin, view.labels[row]);
        if let Some(c) = view.weights.get(row) {
            g *= c * *weight_scale;
        }
        if g == 0.0 {
            return;
        }
        for (state, &value) in states.iter_mut().zip(&*values) {
            rule.update(state, g * value);
        }
        for (state, &place) in states[..hots].iter().zip(dense) {
            hot[place as usize] = *state;
        }
        for (state, &place) in states[hots..dense_entries].iter().zip(&dense[hots..]) {
            shared.store(place, to_words(state));
        }
        for (state, &place) in states[dense_entries..n].iter().zip(&room.places[dense_entries..]) {
            shared.store(place, to_words(state));
        }
        if let Some(free) = free {
            free.update(&mut hot[intercept], g);
        }
    }
}

/// Adds lanes up, in an order that is always the same.
#[inline(always)]
fn total(mut sums: [f32; LANES]) -> f32 {
    let mut n = LANES / 2;
    while n > 0 {
        for lane in 0..n {
            sums[lane] += sums[lane + n];
        }
        n /= 2;
    }
    sums[0]
}
