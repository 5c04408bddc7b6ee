//! `kkt`: leaves out the keys that the caller marked.

use super::Filter;
use super::block::Block;
use super::context::Context;
use super::error::FilterError;
use super::params::Params;
use super::rows::Rows;

/// Leaves out the rows in [`Context::marked`]. A marked key counts as not pushed, and keeps its last value in a reply.
///
/// The mark is kept apart from the value and given anew with every message, so a key can always come back; with
/// [`Context::flush`] marks do not count.
pub struct Kkt;

impl Kkt {
    /// `kkt`, without parameters.
    pub fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.at_most(0).map(|()| Self)
    }
}

/// The keys that satisfy their optimality condition with something to spare: those with `w_k = 0` and
/// `|g_k| <= l1 - slack`. Not-a-number is never marked.
///
/// Li, Andersen, Smola, Yu, NIPS 2014, section 3.3. `weights`, `gradients`: `[keys]`, the shorter one counts.
pub fn marks(weights: &[f32], gradients: &[f32], l1: f64, slack: f64) -> Rows {
    let bound = l1 - slack;
    let len = weights.len().min(gradients.len());
    Rows::from_fn(len, |k| weights[k] == 0.0 && f64::from(gradients[k].abs()) <= bound)
}

impl Filter for Kkt {
    fn name(&self) -> &str {
        "kkt"
    }

    fn encode(&mut self, cx: &Context<'_>, block: Block, _note: &mut Vec<u8>) -> Result<Block, FilterError> {
        let Some(marked) = cx.marked.filter(|_| !cx.flush) else { return Ok(block) };
        if marked.len() != block.keys.len() {
            return Err(FilterError::unfit(format!("marks for {} keys", block.keys.len()), marked.len().to_string()));
        }
        let mut at = block.rows.iter();
        let kept = Rows::from_fn(block.rows.count(), |_| at.next().is_some_and(|i| !marked.contains(i)));
        drop(at);
        block.keep(&kept)
    }

    fn decode(&mut self, _cx: &Context<'_>, block: Block, _note: &[u8]) -> Result<Block, FilterError> {
        Ok(block)
    }
}
