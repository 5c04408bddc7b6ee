//! `zero`: leaves out keys whose numbers are all zero.

use super::Filter;
use super::block::Block;
use super::bytes::Reader;
use super::context::Context;
use super::error::FilterError;
use super::params::Params;
use super::rows::Rows;
use crate::values::{Number, Values};

/// Leaves out rows in which every number is zero (all bits zero: `-0.0` travels), exactly: the decoder puts them back.
///
/// As `zero:drop`, for pushes, it does not: a key with zeros counts as not pushed. The updater is then not called for it,
/// which saves work where adding nothing changes nothing, and changes results where it does.
pub struct Zero {
    drop: bool,
}

impl Zero {
    /// `zero` or `zero:drop`.
    pub fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.at_most(1)?;
        let drop = match params.texts.first().map(String::as_str) {
            None => false,
            Some("drop") => true,
            Some(other) => return Err(FilterError::unfit("`drop` or nothing", format!("{other:?}"))),
        };
        if drop {
            params.only_push()?;
        }
        Ok(Self { drop })
    }
}

fn not_zero<T: Number>(values: &[T], width: usize, is_zero: impl Fn(&T) -> bool) -> Rows {
    let mut rows = values.chunks_exact(width);
    Rows::from_fn(values.len() / width.max(1), |_| rows.next().is_some_and(|row| !row.iter().all(&is_zero)))
}

impl Filter for Zero {
    fn name(&self) -> &str {
        "zero"
    }

    fn exact(&self) -> bool {
        !self.drop
    }

    fn encode(&mut self, _cx: &Context<'_>, block: Block, note: &mut Vec<u8>) -> Result<Block, FilterError> {
        let width = block.width;
        if width == 0 {
            return Ok(block);
        }
        let kept = match block.numbers()? {
            Values::F32(v) => not_zero(v, width, |x| x.to_bits() == 0),
            Values::F64(v) => not_zero(v, width, |x| x.to_bits() == 0),
            Values::I64(v) => not_zero(v, width, |&x| x == 0),
        };
        let before = block.rows.clone();
        let block = block.keep(&kept)?;
        if !self.drop && block.rows.count() < before.count() {
            // Which of the absent rows are zeros: mostly all of them, which takes one byte.
            let absent = block.rows.complement();
            let mut at = absent.iter();
            Rows::from_fn(absent.count(), |_| at.next().is_some_and(|i| before.contains(i))).write(note);
        }
        Ok(block)
    }

    fn decode(&mut self, _cx: &Context<'_>, block: Block, note: &[u8]) -> Result<Block, FilterError> {
        if note.is_empty() {
            return Ok(block);
        }
        let absent = block.rows.complement();
        let mut r = Reader(note);
        let zeros = absent.pick(&Rows::read(&mut r, absent.count())?);
        r.end()?;
        let values = Values::zeros(block.dtype, zeros.count() * block.width);
        block.add(&zeros, &values)
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::Rows;
    use crate::filter::testing::{list, pushes};
    use crate::values::Dtype;

    #[test]
    fn zero_rows_come_back_unless_dropped() {
        let keys = list([1, 2, 3]);
        let push = vec![0.0f32, 0.0, 0.0, -0.0, 0.0, f32::MIN_POSITIVE];
        let got = pushes("zero", Dtype::F32, 2).send(1, &keys, push.clone());
        assert_eq!((got.rows, got.values), (Rows::all(3), push.clone().into()));
        let got = pushes("zero:drop", Dtype::F32, 2).send(1, &keys, push.clone());
        assert_eq!((got.keys(&keys).keys(), got.values), (&[2, 3][..], push[2..].to_vec().into()));
    }

    #[test]
    fn rows_dropped_by_an_earlier_filter_stay_dropped() {
        let keys = list(0..300);
        let push: Vec<i64> = (0..300).map(|i| i % 3).collect();
        let mut ends = pushes("random-skip:0.5,zero", Dtype::I64, 1);
        let got = ends.send(1, &keys, push.clone());
        assert!(got.rows.count() > 100 && got.rows.count() < 200);
        assert!(got.rows.iter().any(|i| push[i] == 0) && got.rows.complement().iter().any(|i| push[i] == 0));
        for (n, i) in got.rows.iter().enumerate() {
            assert_eq!(got.values.real(n), 2.0 * push[i] as f64);
        }
    }
}
