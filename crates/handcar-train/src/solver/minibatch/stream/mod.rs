//! Learning from rows that come once and are not kept: a table that grows with the keys, in one process.
//!
//! The batches, sums and updates are those of the tables over packed data, so a pass gives the same bits, if every value and example
//! weight is 1 and labels are classes. Otherwise weights agree to rounding: gradients of values are summed in f64, and the room that
//! integer sums are given follows what has come so far, as nobody knows what will.

mod room;
mod table;

use super::rows::RowView;
use super::rule::{Rates, with_late, with_rule};
use super::{Seen, Settings};
use crate::loss::{LossKind, Size, with_loss};
use handcar_base::Key;
use handcar_data::Piece;
pub(crate) use room::Room;
use table::{Batch, Grow, StreamTable};

/// Hears of each batch, and of its labels, before it is learned from, and of the room there is; whether to end after it.
pub(crate) type ListenOnce<'h> = dyn FnMut(&Seen<'_>, &[f32], &Room) -> bool + 'h;

/// A running solve over a stream.
pub(crate) struct Streaming {
    loss: LossKind,
    batch_rows: usize,
    table: Box<dyn Grow>,
    room: Room,
    /// Batches done.
    batch: u64,
    rows: Pending,
}

/// Rows not yet learned from, fewer than a batch between pieces.
#[derive(Default)]
struct Pending {
    labels: Vec<f32>,
    /// Empty while all are 1.
    weights: Vec<f32>,
    lengths: Vec<u32>,
    ids: Vec<u32>,
    /// Empty while all are 1.
    values: Vec<f32>,
}

impl Streaming {
    /// A solve by a solver that [has a rule](super::OptimizerState::is_of).
    pub fn new(settings: &Settings) -> Self {
        let Settings { alpha, beta, penalty, batch_rows, .. } = *settings;
        // More than there are: a rule that shares the penalty out over the pass gets none of it, one that carries it once does.
        let batches = u64::MAX;
        let rates = Rates { alpha, beta, penalty, batch_rows: batch_rows as u64, batches, workers: 1 };
        macro_rules! table {
            ($rule:ty) => {
                with_loss!(settings.loss, loss => Box::new(StreamTable::<$rule, _>::new(rates, loss, settings.intercept)))
            };
        }
        let table: Box<dyn Grow> = with_rule!(settings.solver, R => table!(R), else with_late!(settings.solver, R => table!(R),
            else unreachable!("it has a rule")));
        Self {
            loss: settings.loss,
            batch_rows,
            table,
            room: Room::of(settings.loss),
            batch: 0,
            rows: Pending::default(),
        }
    }

    /// Takes rows, and learns from every batch that is full. `start`: the weight that a new key begins with. Whether `listen` ended
    /// the pass.
    pub fn push(&mut self, piece: &Piece, start: &dyn Fn(Key) -> f32, listen: &mut ListenOnce<'_>) -> bool {
        self.table.grow(&piece.fresh, start);
        self.rows.append(piece);
        self.learn(false, listen)
    }

    /// Learns from what is left.
    pub fn end(&mut self, listen: &mut ListenOnce<'_>) {
        self.learn(true, listen);
    }

    /// The room that sums have by now.
    pub fn size(&self) -> Size {
        self.room.size()
    }

    /// The weights of all keys by number, and the intercept.
    pub fn weights(&mut self) -> (Vec<f32>, f32) {
        self.table.weights(self.batch)
    }

    /// Sets the intercept that the solve begins with.
    pub fn start_at(&mut self, intercept: f32) {
        self.table.start_at(intercept);
    }

    fn learn(&mut self, all: bool, listen: &mut ListenOnce<'_>) -> bool {
        let (mut row, mut entry, mut stopped) = (0, 0, false);
        let Self { loss, batch_rows, table, room, batch, rows } = self;
        while !stopped && (rows.labels.len() - row >= *batch_rows || (all && row < rows.labels.len())) {
            let of = row..(row + *batch_rows).min(rows.labels.len());
            let entries: usize = rows.lengths[of.clone()].iter().map(|&len| len as usize).sum();
            let values = rows.values.get(entry..entry + entries).unwrap_or_default();
            let labels = &rows.labels[of.clone()];
            let weights = rows.weights.get(of.clone()).unwrap_or_default();
            room.make(*loss, labels, weights);
            let weights = room.scaled(weights);
            let view = RowView { labels, weights: &weights, size: room.size() };
            let lengths = &rows.lengths[of.clone()];
            let ids = &rows.ids[entry..entry + entries];
            table.learn(*batch, Batch { view, lengths, ids, values, room }, &mut |seen| {
                stopped = listen(seen, labels, room);
            });
            *batch += 1;
            (row, entry) = (of.end, entry + entries);
        }
        rows.drop_first(row, entry);
        stopped
    }
}

impl Pending {
    fn append(&mut self, piece: &Piece) {
        if let Some(weights) = &piece.weights {
            self.weights.resize(self.labels.len(), 1.0);
            self.weights.extend_from_slice(weights);
        }
        if let Some(values) = &piece.values {
            self.values.resize(self.ids.len(), 1.0);
            self.values.extend_from_slice(values);
        }
        self.labels.extend_from_slice(&piece.labels);
        self.lengths.extend_from_slice(&piece.lengths);
        self.ids.extend_from_slice(&piece.ids);
        if !self.weights.is_empty() {
            self.weights.resize(self.labels.len(), 1.0);
        }
        if !self.values.is_empty() {
            self.values.resize(self.ids.len(), 1.0);
        }
    }

    fn drop_first(&mut self, rows: usize, entries: usize) {
        self.labels.drain(..rows);
        self.lengths.drain(..rows);
        self.ids.drain(..entries);
        self.weights.drain(..rows.min(self.weights.len()));
        self.values.drain(..entries.min(self.values.len()));
    }
}
