//! `countmin:threshold`: leaves out keys that are pushed rarely.

use super::Filter;
use super::block::Block;
use super::context::Context;
use super::error::FilterError;
use super::params::{Params, check};
use super::rows::Rows;
use super::sketch::CountMin;

/// Width of the sketch by default `ceil(e/1e-5)`, 271 829 counters: right to about 10 in a million additions.
const EPS: f64 = 1e-5;
/// Depth by default: 2 MiB in all, and one estimate in seven beyond the bound at most.
const DEPTH: usize = 2;
/// 100 million counters a row are 400 MB; beyond that an exact count is cheaper.
const EPS_MIN: f64 = 2.8e-8;
const DEPTH_MAX: usize = 16;

/// The tail filter: a key counts as not pushed until it was pushed more than `threshold` times, this time included. What
/// was pushed before is lost: a model has no use for features that hardly occur. Counts never err on the low side, so
/// a frequent key is never late. Pushes only.
///
/// Li et al., OSDI 2014, section 5.4. One instance counts the pushes of one worker to one server.
pub struct Tail {
    threshold: u32,
    counts: CountMin,
}

impl Tail {
    /// `countmin:threshold[:eps[:depth]]`.
    pub fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.at_most(3)?;
        params.only_push()?;
        let threshold = params.required(0, "a count")?;
        let what = "eps in [2.8e-8, 1)";
        let eps = check(params.optional(1, what, EPS)?, what, |e| (EPS_MIN..1.0).contains(&e))?;
        let what = "a depth in 1..=16";
        let depth = check(params.optional(2, what, DEPTH)?, what, |d| (1..=DEPTH_MAX).contains(&d))?;
        Ok(Self { threshold, counts: CountMin::new(eps, depth, 0) })
    }
}

impl Filter for Tail {
    fn name(&self) -> &str {
        "countmin"
    }

    fn encode(&mut self, _cx: &Context<'_>, block: Block, _note: &mut Vec<u8>) -> Result<Block, FilterError> {
        let keys = block.selected();
        let kept = Rows::from_fn(keys.len(), |i| {
            self.counts.add(keys[i]);
            self.counts.estimate(keys[i]) > self.threshold
        });
        block.keep(&kept)
    }

    fn decode(&mut self, _cx: &Context<'_>, block: Block, _note: &[u8]) -> Result<Block, FilterError> {
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::{list, pushes};
    use crate::values::Dtype;

    #[test]
    fn a_key_is_admitted_once_its_count_exceeds_the_threshold() {
        let mut ends = pushes("countmin:2", Dtype::F32, 1);
        let (both, one) = (list([3, 8]), list([8]));
        assert!(ends.send(1, &both, vec![1.0f32; 2]).rows.is_empty());
        assert!(ends.send(2, &one, vec![1.0f32]).rows.is_empty());
        assert_eq!(ends.send(3, &both, vec![1.0f32; 2]).keys(&both).keys(), [8]);
        assert_eq!(ends.send(4, &both, vec![1.0f32; 2]).keys(&both).keys(), [3, 8]);
    }
}
