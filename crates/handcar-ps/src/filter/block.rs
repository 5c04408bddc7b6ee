//! `Block`: the keys and values of one message on their way through the filters.

use super::error::FilterError;
use super::rows::Rows;
use crate::values::{Dtype, Values};
use handcar_base::{Key, KeyList};

/// What one worker pushes to one server in a task, or what that server answers to a pull.
///
/// Keys, type and width are those of the table and stay as they are; a filter may drop rows, change numbers, or turn
/// numbers into bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// All keys of the message, known to both ends.
    pub keys: KeyList,
    /// Which of the keys have values. A key without values was not pushed; in a reply it keeps its last value.
    pub rows: Rows,
    /// Type of the numbers.
    pub dtype: Dtype,
    /// Numbers of a key.
    pub width: usize,
    /// The values.
    pub payload: Payload,
}

/// The values of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// `[rows.count() * width]` numbers.
    Numbers(Values),
    /// What a filter made of them.
    Bytes(Vec<u8>),
}

/// Bytes that the values of a message may take inside a chain: twice those of the plain numbers, since no filter has a
/// reason to lengthen a message, and some for messages of a few keys.
pub(crate) fn payload_bytes_max(keys: usize, width: usize) -> usize {
    16usize.saturating_mul(keys).saturating_mul(width).saturating_add(1024)
}

impl Payload {
    /// Bytes these values take on the wire.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Numbers(v) => v.len() * v.dtype().bytes(),
            Self::Bytes(b) => b.len(),
        }
    }
}

impl Block {
    /// A block with a value for every key: `[keys * width]` numbers.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if the number of values is another.
    pub fn new(keys: &KeyList, values: Values, width: usize) -> Result<Self, FilterError> {
        let rows = Rows::all(keys.len());
        let block = Self { keys: keys.clone(), rows, dtype: values.dtype(), width, payload: Payload::Numbers(values) };
        block.check()?;
        Ok(block)
    }

    /// Checks that a block of numbers has as many as its rows need, of its type.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if it has not.
    pub fn check(&self) -> Result<(), FilterError> {
        let Payload::Numbers(values) = &self.payload else { return Ok(()) };
        let (rows, width) = (self.rows.count(), self.width);
        if values.dtype() == self.dtype && values.len() == rows * width && self.rows.len() == self.keys.len() {
            return Ok(());
        }
        Err(FilterError::unfit(
            format!("{} {} values ({rows} keys × {width})", rows * width, self.dtype),
            format!("{} {}", values.len(), values.dtype()),
        ))
    }

    /// The numbers, `[rows.count() * width]`.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if an earlier filter has turned them into bytes.
    pub fn numbers(&self) -> Result<&Values, FilterError> {
        match &self.payload {
            Payload::Numbers(values) => Ok(values),
            Payload::Bytes(_) => Err(FilterError::unfit("numbers", "the bytes of another filter")),
        }
    }

    /// As [`numbers`](Self::numbers), changeable.
    ///
    /// # Errors
    /// As [`numbers`](Self::numbers).
    pub fn numbers_mut(&mut self) -> Result<&mut Values, FilterError> {
        match &mut self.payload {
            Payload::Numbers(values) => Ok(values),
            Payload::Bytes(_) => Err(FilterError::unfit("numbers", "the bytes of another filter")),
        }
    }

    /// The bytes a filter made.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if these are numbers.
    pub fn bytes(&self) -> Result<&[u8], FilterError> {
        match &self.payload {
            Payload::Bytes(bytes) => Ok(bytes),
            Payload::Numbers(_) => Err(FilterError::unfit("the bytes of a filter", "numbers")),
        }
    }

    /// The keys that have values, increasing.
    pub fn selected(&self) -> Vec<Key> {
        if self.rows.is_all() {
            return self.keys.keys().to_vec();
        }
        self.rows.iter().map(|i| self.keys.keys()[i]).collect()
    }

    /// Keeps the rows in `kept`, a set of places among the rows that have values, and drops the others.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if the values are bytes or `kept` is not a set of `rows.count()` places.
    pub fn keep(mut self, kept: &Rows) -> Result<Self, FilterError> {
        let width = self.width;
        if kept.len() != self.rows.count() {
            return Err(FilterError::unfit(format!("a set of {} rows", self.rows.count()), kept.len().to_string()));
        }
        if !kept.is_all() {
            self.numbers_mut()?.keep_rows(kept.iter(), width);
            self.rows = self.rows.pick(kept);
        }
        Ok(self)
    }

    /// Adds rows that have no values yet; `values` are theirs, `[added.count() * width]`, in the order of the keys.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if the values are bytes, of another type, or not as many.
    pub fn add(mut self, added: &Rows, values: &Values) -> Result<Self, FilterError> {
        let width = self.width;
        if added.is_empty() {
            return Ok(self);
        }
        let rows = self.rows.union(added);
        let fits = added.len() == self.keys.len() && rows.count() == self.rows.count() + added.count();
        if !fits || values.dtype() != self.dtype || values.len() != added.count() * width {
            return Err(FilterError::unfit(
                format!("{} {} values of absent rows", added.count() * width, self.dtype),
                format!("{} {}", values.len(), values.dtype()),
            ));
        }
        let from_added: Vec<bool> = rows.iter().map(|i| added.contains(i)).collect();
        let own = self.numbers()?;
        self.payload = Payload::Numbers(own.merge_rows(values, &from_added, width));
        self.rows = rows;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_rows_can_be_added_again() {
        let keys = KeyList::new(vec![2, 4, 6, 8]).unwrap();
        let whole = Block::new(&keys, vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0].into(), 2).unwrap();
        let part = whole.clone().keep(&Rows::from_fn(4, |i| i % 2 == 0)).unwrap();
        assert_eq!((part.selected(), part.numbers().unwrap()), (vec![2, 6], &vec![1.0f32, 2.0, 5.0, 6.0].into()));
        let absent = part.rows.complement();
        assert_eq!(part.add(&absent, &vec![3.0f32, 4.0, 7.0, 8.0].into()).unwrap(), whole);
    }

    #[test]
    fn values_that_do_not_fit_the_keys_are_refused() {
        let keys = KeyList::new(vec![2, 4]).unwrap();
        let e = Block::new(&keys, vec![1i64, 2, 3].into(), 2).unwrap_err().of("chain");
        assert_eq!(e.to_string(), "filter chain: expected 4 i64 values (2 keys × 2), got 3 i64");
    }
}
