//! `random-skip:phi`: sends a part of the rows, enlarged.

use super::Filter;
use super::block::Block;
use super::context::Context;
use super::error::FilterError;
use super::params::{Params, check};
use super::rows::Rows;
use crate::values::Values;
use handcar_base::Rng;

/// Keeps each row with probability phi and divides all its numbers by phi, so that every number (gradient *and*
/// curvature) stays right on average: `E[kept · x/phi] = x`. Integers are rounded up or down at random with that mean.
/// Pushes only: a skipped key counts as not pushed. With [`Context::flush`] every row is sent as it is.
///
/// Li, Andersen, Smola, Yu, NIPS 2014, section 3.3. Not-a-number and infinity pass exactly; a finite number that would
/// overflow is refused.
pub struct RandomSkip {
    phi: f64,
}

impl RandomSkip {
    /// `random-skip:phi` with `0 < phi <= 1`.
    pub fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.at_most(1)?;
        params.only_push()?;
        let what = "phi in (0, 1]";
        Ok(Self { phi: check(params.required(0, what)?, what, |p| p > 0.0 && p <= 1.0)? })
    }

    fn enlarge(&self, values: &mut Values, rng: &mut Rng) -> Result<(), FilterError> {
        let overflow =
            |x: f64| FilterError::unfit(format!("numbers that can be divided by {}", self.phi), x.to_string());
        match values {
            Values::F32(v) => {
                for x in v {
                    let y = (f64::from(*x) / self.phi) as f32;
                    if x.is_finite() && !y.is_finite() {
                        return Err(overflow((*x).into()));
                    }
                    *x = y;
                }
            }
            Values::F64(v) => {
                for x in v {
                    let y = *x / self.phi;
                    if x.is_finite() && !y.is_finite() {
                        return Err(overflow(*x));
                    }
                    *x = y;
                }
            }
            Values::I64(v) => {
                for x in v {
                    let y = *x as f64 / self.phi;
                    if y.abs() >= i64::MAX as f64 {
                        return Err(overflow(*x as f64));
                    }
                    let low = y.floor();
                    *x = low as i64 + i64::from(rng.uniform() < y - low);
                }
            }
        }
        Ok(())
    }
}

impl Filter for RandomSkip {
    fn name(&self) -> &str {
        "random-skip"
    }

    fn encode(&mut self, cx: &Context<'_>, block: Block, _note: &mut Vec<u8>) -> Result<Block, FilterError> {
        if cx.flush || self.phi == 1.0 {
            return Ok(block);
        }
        let mut rng = cx.rng();
        let kept = Rows::from_fn(block.rows.count(), |_| rng.uniform() < self.phi);
        let mut block = block.keep(&kept)?;
        self.enlarge(block.numbers_mut()?, &mut rng)?;
        Ok(block)
    }

    fn decode(&mut self, _cx: &Context<'_>, block: Block, _note: &[u8]) -> Result<Block, FilterError> {
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::{DTYPES, cx, list, pushes};
    use crate::filter::{Context, Direction};
    use crate::values::{Dtype, Values};
    use handcar_base::Seed;

    #[test]
    fn every_column_stays_right_on_average() {
        let (keys, draws) = (list(0..10), 20_000);
        for dtype in DTYPES {
            let sent: Vec<f64> = (0..20).map(|i| f64::from(i - 7)).collect();
            let push = match dtype {
                Dtype::F32 => Values::F32(sent.iter().map(|&x| x as f32).collect()),
                Dtype::F64 => Values::F64(sent.clone()),
                Dtype::I64 => Values::I64(sent.iter().map(|&x| x as i64).collect()),
            };
            let mut ends = pushes("random-skip:0.3", dtype, 2);
            let mut sums = [0.0; 20];
            for seed in 0..draws {
                let cx = Context { seed: Seed(seed), ..cx(1, Direction::Push) };
                let bytes = ends.sender.encode(&cx, &keys, push.clone()).unwrap();
                let got = ends.receiver.decode(&cx, &keys, &bytes).unwrap();
                for (n, i) in got.rows.iter().enumerate() {
                    sums[2 * i] += got.values.real(2 * n);
                    sums[2 * i + 1] += got.values.real(2 * n + 1);
                }
            }
            for (&x, sum) in sent.iter().zip(sums) {
                // The deviation of one draw is |x|·sqrt((1 - phi)/phi), of an integer at most 1/2 more.
                let allowed = 5.0 * (1.53 * x.abs() + 0.5) / (draws as f64).sqrt();
                assert!((sum / draws as f64 - x).abs() <= allowed, "{dtype}: {x}: {}", sum / draws as f64);
            }
        }
    }

    #[test]
    fn infinity_passes_and_overflow_is_refused() {
        let keys = list(0..50);
        let mut ends = pushes("random-skip:0.5", Dtype::F32, 1);
        let got = ends.send(1, &keys, vec![f32::INFINITY; 50]);
        assert!((0..got.values.len()).all(|i| got.values.real(i) == f64::INFINITY));
        let said = ends.encode(2, &keys, vec![f32::MAX; 50]).unwrap_err().to_string();
        assert!(said.starts_with("filter random-skip: expected numbers that can be divided by 0.5"), "{said}");
        assert!(pushes("random-skip:0.5", Dtype::I64, 1).encode(1, &keys, vec![i64::MAX - 9; 50]).is_err());
    }
}
