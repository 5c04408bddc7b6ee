//! `Received`: what a chain decoded.

use super::rows::Rows;
use crate::values::Values;
use handcar_base::KeyList;

/// The values of a message and the keys they belong to.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Which keys of the message's list have values.
    pub rows: Rows,
    /// `[rows.count() * width]` numbers.
    pub values: Values,
}

impl Received {
    /// The keys that have values: those that were pushed.
    pub fn keys(&self, list: &KeyList) -> KeyList {
        if self.rows.is_all() {
            return list.clone();
        }
        let keys = self.rows.iter().map(|i| list.keys()[i]).collect();
        match KeyList::new(keys) {
            Ok(keys) => keys,
            Err(_) => unreachable!("a part of an increasing list is increasing"),
        }
    }

    /// Writes the values over the last ones of the same key list, `[keys * width]`; keys without values keep theirs.
    /// Values of another type or length are replaced, with zeros for keys without values.
    pub fn write_over(self, last: &mut Values) {
        let (len, count) = (self.rows.len(), self.rows.count());
        if self.rows.is_all() {
            *last = self.values;
            return;
        }
        let Some(width) = self.values.len().checked_div(count) else {
            return;
        };
        if last.dtype() != self.values.dtype() || last.len() != len * width {
            *last = Values::zeros(self.values.dtype(), len * width);
        }
        let index: Vec<u32> = self.rows.iter().map(|i| i as u32).collect();
        last.scatter(&self.values, &index, width, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_without_values_keep_their_last() {
        let rows = Rows::from_fn(3, |i| i == 1);
        let received = Received { rows, values: vec![7.0f32, 8.0].into() };
        let list = KeyList::new(vec![1, 2, 3]).unwrap();
        assert_eq!(received.keys(&list).keys(), [2]);
        let mut last = vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].into();
        received.clone().write_over(&mut last);
        assert_eq!(last, vec![1.0f32, 2.0, 7.0, 8.0, 5.0, 6.0].into());
        let mut fresh = Values::F32(Vec::new());
        received.write_over(&mut fresh);
        assert_eq!(fresh, vec![0.0f32, 0.0, 7.0, 8.0, 0.0, 0.0].into());
    }
}
