//! `top-k:K`: sends the K rows of largest magnitude.

use handcar_ps::filter::{Block, Context, Filter, FilterError, Params, Rows};

/// Keeps the `k` rows in which the greatest number has the largest magnitude; the other keys count as not pushed. Of equal
/// rows the one with the smaller key goes first, so that equal inputs give equal messages.
///
/// By itself it loses what it leaves out; `error-feedback:top-k:K` sends that later.
#[derive(Debug)]
pub struct TopK {
    k: usize,
}

impl TopK {
    /// Reads `K` from the spec.
    pub fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.at_most(1)?;
        Ok(Self { k: params.required(0, "a number of rows")? })
    }
}

impl Filter for TopK {
    fn name(&self) -> &str {
        "top-k"
    }

    fn encode(&mut self, cx: &Context<'_>, block: Block, _note: &mut Vec<u8>) -> Result<Block, FilterError> {
        if cx.flush || block.rows.count() <= self.k {
            return Ok(block);
        }
        let values = block.numbers()?;
        let magnitude = |row: usize| {
            let numbers = row * block.width..(row + 1) * block.width;
            numbers.map(|i| values.real(i).abs()).fold(0.0, f64::max)
        };
        let mut order: Vec<(usize, f64)> = (0..block.rows.count()).map(|row| (row, magnitude(row))).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut kept = vec![false; order.len()];
        for &(row, _) in &order[..self.k] {
            kept[row] = true;
        }
        block.keep(&Rows::from_fn(kept.len(), |row| kept[row]))
    }

    fn decode(&mut self, _cx: &Context<'_>, block: Block, _note: &[u8]) -> Result<Block, FilterError> {
        // The rows that came are in the block; there is nothing to undo.
        Ok(block)
    }
}
