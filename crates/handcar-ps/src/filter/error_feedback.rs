//! `error-feedback:NAME...`: what a lossy filter loses goes with the next push.

use super::Filter;
use super::block::{Block, Payload};
use super::context::Context;
use super::error::FilterError;
use super::owed::Owed;
use super::params::Params;
use handcar_base::Key;

/// Wraps a filter that rounds or drops: `error-feedback:fixed-point:1` sends `decode(encode(x + owed))` and keeps the rest,
/// key by key, as `owed` for the next push. Everything sent and what is still owed always add up to everything pushed.
/// With [`Context::flush`] all that is owed is sent exactly.
///
/// Seide et al., Interspeech 2014; Karimireddy et al., ICML 2019. Pushes only, for tables that add up. A filter that
/// holds back or enlarges by itself (`significant`, `random-skip`, `error-feedback`) is not wrapped: its losses would count
/// twice. Not-a-number and infinity are refused: they could never be paid off.
pub struct ErrorFeedback {
    inner: Box<dyn Filter>,
    owed: Owed,
}

/// The wrapped filter encoded this block.
const WRAPPED: u8 = 0;
/// The block is as it was.
const PLAIN: u8 = 1;

impl ErrorFeedback {
    /// `error-feedback:NAME[:parameter...]`.
    pub fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.only_push()?;
        if let Some(name) = params.texts.first()
            && ["significant", "random-skip", "error-feedback"].contains(&name.as_str())
        {
            return Err(FilterError::unfit("a filter that neither holds back nor enlarges", format!("{name:?}")));
        }
        Ok(Self { inner: params.inner(0)?, owed: Owed::new(params.dtype, params.width) })
    }
}

impl Filter for ErrorFeedback {
    fn name(&self) -> &str {
        "error-feedback"
    }

    fn gives_bytes(&self) -> bool {
        self.inner.gives_bytes()
    }

    fn encode(&mut self, cx: &Context<'_>, mut block: Block, note: &mut Vec<u8>) -> Result<Block, FilterError> {
        let keys = block.selected();
        let charged = self.owed.charge(&keys, block.numbers()?)?;
        if cx.flush {
            note.push(PLAIN);
            self.owed.commit(&charged);
            return self.owed.settle(block);
        }
        block.payload = Payload::Numbers(charged.values.clone());
        // The filter's own: it may clear what is in it.
        let mut inner = Vec::new();
        let sent = self.inner.encode(cx, block, &mut inner)?;
        let seen = self.inner.decode(cx, sent.clone(), &inner)?;
        seen.check()?;
        note.push(WRAPPED);
        note.extend(inner);
        // Nothing is remembered before nothing can fail any more: a refused push leaves no trace.
        self.owed.commit(&charged);
        self.owed.pay(&seen.selected(), seen.numbers()?);
        Ok(sent)
    }

    fn decode(&mut self, cx: &Context<'_>, block: Block, note: &[u8]) -> Result<Block, FilterError> {
        match note.split_first() {
            Some((&WRAPPED, inner)) => self.inner.decode(cx, block, inner).map_err(|e| e.of(self.inner.name())),
            Some((&PLAIN, [])) => Ok(block),
            _ => Err(FilterError::unfit("a note that starts with 0, or is 1", format!("{note:?}"))),
        }
    }

    fn held(&self) -> Vec<Key> {
        self.owed.keys()
    }

    fn reset(&mut self) {
        self.inner.reset();
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::{DTYPES, list, pushes, values};
    use crate::values::{Dtype, Values};
    use std::collections::BTreeMap;

    fn add(sums: &mut BTreeMap<u64, f64>, keys: &[u64], values: &Values) {
        for (n, &k) in keys.iter().enumerate() {
            *sums.entry(k).or_default() += values.real(n);
        }
    }

    #[test]
    fn after_a_flush_everything_pushed_has_arrived() {
        for inner in ["fixed-point:1", "countmin:3", "zero:drop", "kkt"] {
            for dtype in DTYPES {
                let mut ends = pushes(&format!("error-feedback:{inner}"), dtype, 1);
                let (mut pushed, mut arrived) = (BTreeMap::new(), BTreeMap::new());
                for task in 1..8 {
                    // Lists that overlap: what is owed belongs to the key, not to the list.
                    let keys = list((0..50).map(|k| k * (1 + task % 3)));
                    let sent = values(dtype, 50, task);
                    add(&mut pushed, keys.keys(), &sent);
                    let got = ends.send(task, &keys, sent);
                    add(&mut arrived, got.keys(&keys).keys(), &got.values);
                }
                let (keys, got) =
                    ends.flush(8).unwrap_or_else(|| (list([]), ends.send(8, &list([]), Values::empty(dtype))));
                add(&mut arrived, got.keys(&keys).keys(), &got.values);
                for (k, x) in &pushed {
                    let y = arrived.get(k).copied().unwrap_or(0.0);
                    let rounding = if dtype == Dtype::F32 { 1e-4 } else { 1e-9 * x.abs().max(1.0) };
                    assert!((x - y).abs() <= rounding, "{inner} {dtype} key {k}: {x} became {y}");
                }
                assert!(ends.flush(9).is_none() || dtype == Dtype::F32, "nothing is left");
            }
        }
    }

    #[test]
    fn a_message_that_codes_would_not_shorten_passes_whole() {
        // One number: bounds and code are longer than it. This once cut a note that was no longer there.
        let mut ends = pushes("error-feedback:fixed-point:4", Dtype::F32, 1);
        let got = ends.send(1, &list([7]), vec![0.3f32]);
        assert_eq!(got.values, vec![0.3f32].into());
        assert!(ends.flush(2).is_none());
    }

    #[test]
    fn a_refused_push_leaves_no_trace() {
        let mut ends = pushes("error-feedback:countmin:9", Dtype::F32, 1);
        let keys = list([1, 2]);
        ends.send(1, &keys, vec![1.0f32, 2.0]);
        let said = ends.encode(2, &keys, vec![5.0f32, f32::NAN]).unwrap_err().to_string();
        assert_eq!(said, "filter error-feedback: expected finite sums of f32, got NaN");
        assert_eq!(ends.flush(3).unwrap().1.values, vec![1.0f32, 2.0].into());
    }
}
