//! `fixed-point:B`: B bytes a number.

use super::Filter;
use super::block::{Block, Payload};
use super::bytes::Reader;
use super::context::Context;
use super::error::FilterError;
use super::grid::{RealGrid, WholeGrid};
use super::params::{Params, check};
use crate::values::{Dtype, Values};
use handcar_base::Rng;

/// Rounds each number at random to one of the two nearest of `Q + 1` levels between the least and the greatest number
/// of its column (gradient and curvature have scales of their own), so that it stays right on average:
///
/// `z = (x - lo)/(hi - lo)·Q`, level `floor(z) + Bernoulli(frac z)`, error at most `(hi - lo)/Q`, `Q = 2^(8B) - 2`.
///
/// One code is kept for zero, which always comes back as exactly zero and does not count for `lo` and `hi`. Integers fall
/// on integer levels, `ceil((hi - lo)/Q)` apart. A message so short that codes would not save anything travels exactly.
///
/// Li et al., OSDI 2014, section 3.5; `Q` is one less than there because of the code for zero. Not-a-number and
/// infinity are refused: they have no place on a grid.
pub struct FixedPoint {
    bytes: usize,
}

/// The code of zero; level `n` has code `n + 1`.
const ZERO: u32 = 0;

impl FixedPoint {
    /// `fixed-point:B` with B in 1..=4.
    pub fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.at_most(1)?;
        let what = "bytes a number in 1..=4";
        Ok(Self { bytes: check(params.required(0, what)?, what, |b| (1..=4).contains(&b))? })
    }

    fn q(&self) -> u32 {
        (u64::MAX >> (64 - 8 * self.bytes)) as u32 - 1
    }
}

/// Codes by column, and in each column by byte, the lowest first: bytes of equal meaning are neighbours.
struct Codes<'a> {
    bytes: &'a mut [u8],
    rows: usize,
    each: usize,
}

impl Codes<'_> {
    #[inline]
    fn put(&mut self, row: usize, column: usize, code: u32) {
        for (b, byte) in code.to_le_bytes().into_iter().take(self.each).enumerate() {
            self.bytes[(column * self.each + b) * self.rows + row] = byte;
        }
    }
}

fn code(bytes: &[u8], rows: usize, each: usize, row: usize, column: usize) -> u32 {
    (0..each).fold(0, |code, b| code | u32::from(bytes[(column * each + b) * rows + row]) << (8 * b))
}

fn encode_reals<T: Copy + Into<f64>>(
    v: &[T],
    width: usize,
    q: u32,
    rng: &mut Rng,
    note: &mut Vec<u8>,
    codes: &mut Codes<'_>,
) -> Result<(), FilterError> {
    for column in 0..width {
        let numbers = || v.iter().skip(column).step_by(width).map(|&x| x.into());
        let grid = RealGrid::over(numbers(), q)
            .map_err(|x| FilterError::unfit("finite numbers", format!("{x} in column {column}")))?;
        grid.write(note);
        for (row, x) in numbers().enumerate() {
            codes.put(row, column, if x == 0.0 { ZERO } else { 1 + grid.level(x, rng) });
        }
    }
    Ok(())
}

fn encode_integers(v: &[i64], width: usize, q: u32, rng: &mut Rng, note: &mut Vec<u8>, codes: &mut Codes<'_>) {
    for column in 0..width {
        let numbers = || v.iter().skip(column).step_by(width).copied();
        let grid = WholeGrid::over(numbers(), q);
        grid.write(note);
        for (row, x) in numbers().enumerate() {
            codes.put(row, column, if x == 0 { ZERO } else { 1 + grid.level(x, rng) });
        }
    }
}

fn decode_columns<T: Copy + Default, G>(
    grids: &[G],
    rows: usize,
    code: impl Fn(usize, usize) -> u32,
    number: impl Fn(&G, u32) -> T,
) -> Vec<T> {
    let mut out = vec![T::default(); rows * grids.len()];
    for (column, grid) in grids.iter().enumerate() {
        for (row, x) in out.iter_mut().skip(column).step_by(grids.len()).enumerate() {
            // The code of zero leaves the default.
            if let Some(level) = code(row, column).checked_sub(1) {
                *x = number(grid, level);
            }
        }
    }
    out
}

impl Filter for FixedPoint {
    fn name(&self) -> &str {
        "fixed-point"
    }

    fn gives_bytes(&self) -> bool {
        true
    }

    fn encode(&mut self, cx: &Context<'_>, mut block: Block, note: &mut Vec<u8>) -> Result<Block, FilterError> {
        let (rows, width, q) = (block.rows.count(), block.width, self.q());
        let plain = rows * width * block.dtype.bytes();
        let values = block.numbers()?;
        let mut bytes = vec![0; rows * width * self.bytes];
        let mut codes = Codes { bytes: &mut bytes, rows, each: self.bytes };
        let mut rng = cx.rng();
        match values {
            Values::F32(v) => encode_reals(v, width, q, &mut rng, note, &mut codes)?,
            Values::F64(v) => encode_reals(v, width, q, &mut rng, note, &mut codes)?,
            Values::I64(v) => encode_integers(v, width, q, &mut rng, note, &mut codes),
        }
        if note.len() + bytes.len() >= plain {
            note.clear();
        } else {
            block.payload = Payload::Bytes(bytes);
        }
        Ok(block)
    }

    fn decode(&mut self, _cx: &Context<'_>, mut block: Block, note: &[u8]) -> Result<Block, FilterError> {
        let (rows, width, each, q) = (block.rows.count(), block.width, self.bytes, self.q());
        if note.is_empty() {
            block.numbers()?;
            return Ok(block);
        }
        let bytes = block.bytes()?;
        if bytes.len() != rows * width * each {
            return Err(FilterError::unfit(format!("{} bytes of codes", rows * width * each), bytes.len().to_string()));
        }
        let code = |row, column| code(bytes, rows, each, row, column);
        let mut r = Reader(note);
        let mut reals = |max| (0..width).map(|_| RealGrid::read(&mut r, q, max)).collect::<Result<Vec<_>, _>>();
        let values = match block.dtype {
            Dtype::F32 => {
                decode_columns(&reals(f32::MAX.into())?, rows, code, |g, level| g.number(level) as f32).into()
            }
            Dtype::F64 => decode_columns(&reals(f64::MAX)?, rows, code, |g, level| g.number(level)).into(),
            Dtype::I64 => {
                let grids = (0..width).map(|_| WholeGrid::read(&mut r, q)).collect::<Result<Vec<_>, _>>()?;
                decode_columns(&grids, rows, code, |g, level| g.number(level)).into()
            }
        };
        r.end()?;
        block.payload = Payload::Numbers(values);
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::testing::{DTYPES, Ends, cx, list, pushes, values};
    use crate::filter::{Context, Direction};
    use handcar_base::Seed;

    fn send(ends: &mut Ends, seed: u64, keys: &handcar_base::KeyList, v: &Values) -> Values {
        let cx = Context { seed: Seed(seed), ..cx(1, Direction::Push) };
        let bytes = ends.sender.encode(&cx, keys, v.clone()).unwrap();
        ends.receiver.decode(&cx, keys, &bytes).unwrap().values
    }

    fn spans(v: &Values, width: usize) -> Vec<f64> {
        let span = |column| {
            let numbers = || (column..v.len()).step_by(width).map(|i| v.real(i)).filter(|&x| x != 0.0);
            numbers().fold(f64::MIN, f64::max) - numbers().fold(f64::MAX, f64::min)
        };
        (0..width).map(span).collect()
    }

    #[test]
    fn errors_stay_within_one_level_and_zero_is_zero() {
        let keys = list(0..500);
        for bytes in 1..=4 {
            for dtype in DTYPES {
                let v = values(dtype, 1000, 3);
                let got = send(&mut pushes(&format!("fixed-point:{bytes}"), dtype, 2), 1, &keys, &v);
                let spans = spans(&v, 2);
                for i in 0..v.len() {
                    let level = spans[i % 2] / (256f64.powi(bytes) - 2.0);
                    // Integers have integer levels; singles are rounded once more.
                    let level = if dtype == Dtype::I64 { level.ceil() } else { level * (1.0 + 1e-9) };
                    let single = if dtype == Dtype::F32 { v.real(i).abs() * 1.2e-7 } else { 0.0 };
                    let off = (got.real(i) - v.real(i)).abs();
                    assert!(off <= level + single, "{dtype} {bytes} bytes: {} became {}", v.real(i), got.real(i));
                    assert!(v.real(i) != 0.0 || got.real(i) == 0.0);
                }
            }
        }
    }

    #[test]
    fn fixed_point_is_unbiased() {
        let keys = list(0..40);
        let draws = 4000;
        for dtype in DTYPES {
            let v = values(dtype, 80, 5);
            let mut ends = pushes("fixed-point:1", dtype, 2);
            let mut sums = vec![0.0; v.len()];
            for seed in 0..draws {
                let got = send(&mut ends, seed, &keys, &v);
                sums.iter_mut().enumerate().for_each(|(i, s)| *s += got.real(i));
            }
            let spans = spans(&v, 2);
            for (i, sum) in sums.iter().enumerate() {
                // A draw's deviation is at most half a level; 5 of the mean's are allowed.
                let allowed = 5.0 * 0.5 * spans[i % 2] / 254.0 / (draws as f64).sqrt();
                let off = (sum / draws as f64 - v.real(i)).abs();
                assert!(off <= allowed, "{dtype}: {} became {} on average", v.real(i), sum / draws as f64);
            }
        }
    }

    #[test]
    fn equal_numbers_and_narrow_integers_travel_exactly() {
        let keys = list(0..100);
        let equal = Values::F32((0..100).map(|i| if i % 2 == 0 { 2.5 } else { 0.0 }).collect());
        assert_eq!(send(&mut pushes("fixed-point:1", Dtype::F32, 1), 1, &keys, &equal), equal);
        let narrow = Values::I64((0..100).map(|i| i64::MAX - 2 * i).collect());
        assert_eq!(send(&mut pushes("fixed-point:1", Dtype::I64, 1), 1, &keys, &narrow), narrow);
    }

    #[test]
    fn columns_have_scales_of_their_own() {
        let keys = list(0..100);
        let v = Values::F64((0..200).map(|i| if i % 2 == 0 { 1e-6 * i as f64 } else { 1e6 * i as f64 }).collect());
        let got = send(&mut pushes("fixed-point:2", Dtype::F64, 2), 1, &keys, &v);
        assert!((0..200).all(|i| (got.real(i) - v.real(i)).abs() <= 0.01 * v.real(i).abs()));
    }

    #[test]
    fn what_is_not_finite_is_refused_with_its_column() {
        let mut push = vec![1.0f32; 200];
        push[31] = f32::NAN;
        let said = pushes("fixed-point:2", Dtype::F32, 2).encode(1, &list(0..100), push).unwrap_err();
        assert_eq!(said.to_string(), "filter fixed-point: expected finite numbers, got NaN in column 1");
    }
}
