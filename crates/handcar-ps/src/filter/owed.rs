//! `Owed`: what was not sent yet, key by key.

use super::block::{Block, Payload};
use super::error::FilterError;
use super::rows::Rows;
use super::slots::Slots;
use crate::values::{Dtype, Values};
use handcar_base::Key;

/// Sums of pushed numbers that the receiver does not have yet: exact for integers, in double precision for reals.
///
/// Holds `8·width + 12` bytes for every key that came by, about what the table itself takes.
pub struct Owed {
    slots: Slots,
    sums: Sums,
    dtype: Dtype,
    width: usize,
}

enum Sums {
    Reals(Vec<f64>),
    Integers(Vec<i64>),
}

/// What is owed for some keys after adding a message, not yet remembered.
pub struct Charged {
    slots: Vec<usize>,
    sums: Sums,
    /// The same as numbers of the table.
    pub values: Values,
}

impl Owed {
    /// Nothing owed.
    pub fn new(dtype: Dtype, width: usize) -> Self {
        let sums = if dtype == Dtype::I64 { Sums::Integers(Vec::new()) } else { Sums::Reals(Vec::new()) };
        Self { slots: Slots::default(), sums, dtype, width }
    }

    /// Adds values, `[keys * width]`, to what is owed.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if a sum is not finite or overflows; what is owed stays as it was.
    pub fn charge(&mut self, keys: &[Key], values: &Values) -> Result<Charged, FilterError> {
        let slots = self.slots.of(keys);
        self.grow();
        let width = self.width;
        let at = slots.iter().flat_map(|&slot| slot * width..(slot + 1) * width);
        let sums = match (&self.sums, values) {
            (Sums::Integers(owed), Values::I64(v)) => {
                let overflow = |x: i64| FilterError::unfit("sums within 64 bits", format!("one more {x}"));
                let sum = at.zip(v).map(|(i, &x)| owed[i].checked_add(x).ok_or_else(|| overflow(x)));
                Sums::Integers(sum.collect::<Result<_, _>>()?)
            }
            (Sums::Reals(owed), _) => Sums::Reals(at.enumerate().map(|(n, i)| owed[i] + values.real(n)).collect()),
            (Sums::Integers(_), _) => return Err(FilterError::unfit("i64", values.dtype().to_string())),
        };
        let values = rounded(&sums, self.dtype)?;
        Ok(Charged { slots, sums, values })
    }

    /// Remembers what [`charge`](Self::charge) found.
    pub fn commit(&mut self, charged: &Charged) {
        match (&mut self.sums, &charged.sums) {
            (Sums::Reals(owed), Sums::Reals(new)) => put(owed, &charged.slots, new, self.width),
            (Sums::Integers(owed), Sums::Integers(new)) => put(owed, &charged.slots, new, self.width),
            _ => debug_assert!(false, "both have the table's type"),
        }
    }

    /// Takes off what was sent, `[keys * width]`.
    pub fn pay(&mut self, keys: &[Key], sent: &Values) {
        let slots = self.slots.of(keys);
        self.grow();
        let width = self.width;
        let at = slots.iter().flat_map(|&slot| slot * width..(slot + 1) * width);
        match (&mut self.sums, sent) {
            (Sums::Integers(owed), Values::I64(v)) => at.zip(v).for_each(|(i, &x)| owed[i] = owed[i].wrapping_sub(x)),
            (Sums::Reals(owed), _) => {
                for (n, i) in at.enumerate() {
                    let left = owed[i] - sent.real(n);
                    // A filter of another crate may have sent infinity: then nothing finite is left to send.
                    owed[i] = if left.is_finite() { left } else { 0.0 };
                }
            }
            (Sums::Integers(_), _) => debug_assert!(false, "both have the table's type"),
        }
    }

    /// Fills a block with all that is owed for the keys of its list, and takes it off.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if a sum exceeds the table's type.
    pub fn settle(&mut self, mut block: Block) -> Result<Block, FilterError> {
        let found = self.slots.find(block.keys.keys());
        let owing = Rows::from_fn(found.len(), |i| found[i].is_some_and(|slot| self.owes(slot)));
        block.rows = block.rows.union(&owing);
        let keys = block.selected();
        let zeros = Values::zeros(self.dtype, keys.len() * self.width);
        let values = self.charge(&keys, &zeros)?.values;
        self.pay(&keys, &values);
        block.payload = Payload::Numbers(values);
        Ok(block)
    }

    /// The keys for which something is owed, increasing.
    pub fn keys(&self) -> Vec<Key> {
        self.slots.iter().filter(|&(_, slot)| self.owes(slot)).map(|(key, _)| key).collect()
    }

    fn owes(&self, slot: usize) -> bool {
        let row = slot * self.width..(slot + 1) * self.width;
        match &self.sums {
            Sums::Reals(v) => v.get(row).is_some_and(|r| r.iter().any(|&x| x != 0.0)),
            Sums::Integers(v) => v.get(row).is_some_and(|r| r.iter().any(|&x| x != 0)),
        }
    }

    fn grow(&mut self) {
        let len = self.slots.len() * self.width;
        match &mut self.sums {
            Sums::Reals(v) => v.resize(len, 0.0),
            Sums::Integers(v) => v.resize(len, 0),
        }
    }
}

fn put<T: Copy>(to: &mut [T], slots: &[usize], rows: &[T], width: usize) {
    for (&slot, row) in slots.iter().zip(rows.chunks_exact(width.max(1))) {
        to[slot * width..][..width].copy_from_slice(row);
    }
}

fn rounded(sums: &Sums, dtype: Dtype) -> Result<Values, FilterError> {
    let finite = |x: f64| {
        if x.is_finite() { Ok(x) } else { Err(FilterError::unfit(format!("finite sums of {dtype}"), x.to_string())) }
    };
    Ok(match (sums, dtype) {
        (Sums::Integers(v), _) => Values::I64(v.clone()),
        (Sums::Reals(v), Dtype::F32) => {
            // Checked after rounding: a double may exceed every single.
            Values::F32(v.iter().map(|&x| finite((x as f32).into()).map(|x| x as f32)).collect::<Result<_, _>>()?)
        }
        (Sums::Reals(v), _) => Values::F64(v.iter().map(|&x| finite(x)).collect::<Result<_, _>>()?),
    })
}
