//! `Outbox`: the values a sender told last, and those it would tell now.

use crate::filter::block::Block;
use crate::filter::error::FilterError;
use crate::filter::rows::Rows;
use crate::filter::slots::Slots;
use crate::values::{Dtype, Values};
use handcar_base::Key;

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The receiver has nothing.
    Untold,
    /// The receiver has the newest values.
    Told,
    /// The receiver has older values.
    Held,
}

/// For every key the values sent last and the newest ones. Holds `13` bytes and two rows for every key sent.
pub struct Outbox {
    slots: Slots,
    states: Vec<State>,
    told: Values,
    newest: Values,
    width: usize,
}

impl Outbox {
    pub fn new(dtype: Dtype, width: usize) -> Self {
        let none = || Values::empty(dtype);
        Self { slots: Slots::default(), states: Vec::new(), told: none(), newest: none(), width }
    }

    /// Takes for granted that the receiver has nothing.
    pub fn forget(&mut self) {
        // The newest values stay: a flush tells them.
        self.states.fill(State::Untold);
    }

    /// The keys of which the receiver has older values or none, increasing.
    pub fn held(&self) -> Vec<Key> {
        self.slots.iter().filter(|&(_, s)| self.states[s] != State::Told).map(|(k, _)| k).collect()
    }

    /// Keeps the rows that differ by more than `bound` from those told last; with `flush` those that differ at all,
    /// and every other row of the key list that is held back.
    pub fn encode(&mut self, block: Block, bound: f64, flush: bool) -> Result<Block, FilterError> {
        let values = block.numbers()?;
        let slots = self.slots.of(&block.selected());
        self.states.resize(self.slots.len(), State::Untold);
        let index: Vec<u32> = slots.iter().map(|&s| s as u32).collect();
        self.newest.scatter(values, &index, self.width, self.slots.len());
        self.told.scatter(&Values::empty(self.told.dtype()), &[], self.width, self.slots.len());
        let kept = Rows::from_fn(slots.len(), |row| {
            self.states[slots[row]] == State::Untold || self.differs(slots[row], if flush { 0.0 } else { bound })
        });
        for (row, &slot) in slots.iter().enumerate() {
            if !kept.contains(row) {
                self.states[slot] = if self.differs(slot, 0.0) { State::Held } else { State::Told };
            }
        }
        let mut block = block.keep(&kept)?;
        if flush {
            block = self.add_held(block)?;
        }
        let sent: Vec<u32> = self.slots.of(&block.selected()).iter().map(|&s| s as u32).collect();
        self.told.scatter(block.numbers()?, &sent, self.width, self.slots.len());
        for slot in sent {
            self.states[slot as usize] = State::Told;
        }
        Ok(block)
    }

    fn add_held(&self, block: Block) -> Result<Block, FilterError> {
        let found = self.slots.find(block.keys.keys());
        let held = |i: usize| found[i].filter(|&slot| self.states[slot] != State::Told);
        let more = Rows::from_fn(found.len(), |i| held(i).is_some() && !block.rows.contains(i));
        let index: Vec<u32> = more.iter().filter_map(held).map(|slot| slot as u32).collect();
        let mut values = Values::empty(block.dtype);
        values.gather(&self.newest, &index, self.width);
        block.add(&more, &values)
    }

    /// Whether a number of the row differs by more than `bound`; equal bits never do, not-a-number does from all others.
    fn differs(&self, slot: usize, bound: f64) -> bool {
        let mut row = slot * self.width..(slot + 1) * self.width;
        match (&self.told, &self.newest) {
            (Values::F32(a), Values::F32(b)) => {
                row.any(|i| a[i].to_bits() != b[i].to_bits() && beyond(f64::from(a[i]) - f64::from(b[i]), bound))
            }
            (Values::F64(a), Values::F64(b)) => {
                row.any(|i| a[i].to_bits() != b[i].to_bits() && beyond(a[i] - b[i], bound))
            }
            (Values::I64(a), Values::I64(b)) => row.any(|i| a[i].abs_diff(b[i]) as f64 > bound),
            _ => true,
        }
    }
}

fn beyond(difference: f64, bound: f64) -> bool {
    difference.is_nan() || difference.abs() > bound
}
