//! A share of the negative rows, with the weight of all.

use crate::error::{DataError, Result};
use crate::names::Texts;
use crate::parsed::{Body, Columns, Ids, Parsed, Ragged};
use crate::report::ReadReport;
use handcar_base::hash;

/// Which negative rows are read. Every positive row is.
///
/// A negative row is kept if a hash of its number and the seed falls into the share, and then has `1/rate` of its weight: the
/// expectation of any sum over rows stays what it is with all of them, so objectives and probabilities need no correction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Negatives {
    /// The share that is kept, above 0 and at most 1.
    pub rate: f64,
    /// Decides which.
    pub seed: u64,
}

/// The least share: weights beyond a million would drown all other rows.
const RATE_MIN: f64 = 1e-6;
/// Keeps the hash apart from others of the same seed.
const STREAM: u64 = 0x6e65_6761_7469_7665;

impl Negatives {
    /// Refuses shares that are none.
    pub(crate) fn check(&self) -> Result<()> {
        if (RATE_MIN..=1.0).contains(&self.rate) {
            return Ok(());
        }
        let expected = "a share from 0.000001 to 1".into();
        Err(DataError::Option { option: "negatives", expected, got: self.rate.to_string() })
    }

    /// Whether the row of this number, counted over all rows of all inputs, is kept if it is negative.
    fn keeps(&self, row: u64) -> bool {
        let drawn = hash::bytes(&row.to_le_bytes(), self.seed ^ STREAM) >> 11;
        (drawn as f64) < self.rate * (1u64 << 53) as f64
    }

    /// What was left out. `all`: rows before any was.
    pub(crate) fn note(&self, report: &ReadReport, all: u64) -> String {
        let (kept, all) = (report.rows - report.positives, all - report.positives);
        format!("negatives: kept {kept} of {all}, each with {} times its weight", 1.0 / self.rate)
    }

    /// Leaves the other negative rows out of a chunk whose first row has number `first`. Labels are -1 and +1.
    pub(crate) fn thin(&self, parsed: &mut Parsed, first: u64) {
        let kept: Vec<usize> =
            (0..parsed.rows).filter(|&r| parsed.labels[r] > 0.0 || self.keeps(first + r as u64)).collect();
        let weight = |r: usize| {
            let own = parsed.weights.as_ref().map_or(1.0, |w| w[r]);
            if parsed.labels[r] > 0.0 { own } else { (own as f64 / self.rate).min(f32::MAX as f64) as f32 }
        };
        parsed.weights = Some(kept.iter().map(|&r| weight(r)).collect());
        parsed.labels = kept.iter().map(|&r| parsed.labels[r]).collect();
        match &mut parsed.body {
            Body::Columns(columns) => of_columns(columns, &kept),
            Body::Ragged(ragged) => of_ragged(ragged, &kept),
        }
        parsed.rows = kept.len();
    }
}

/// Moves the rows that are kept together.
fn of_columns(columns: &mut Columns, kept: &[usize]) {
    for column in columns.tokens.chunks_mut(columns.stride) {
        kept.iter().enumerate().for_each(|(to, &from)| column[to] = column[from]);
    }
    for values in columns.values.iter_mut().flatten() {
        kept.iter().enumerate().for_each(|(to, &from)| values[to] = values[from]);
    }
    for spans in columns.spans.iter_mut().flatten() {
        kept.iter().enumerate().for_each(|(to, &from)| spans[to] = spans[from]);
    }
}

fn of_ragged(ragged: &mut Ragged, kept: &[usize]) {
    let mut begins = Vec::with_capacity(ragged.lengths.len());
    let mut end = 0;
    for &len in &ragged.lengths {
        begins.push(end..end + len as usize);
        end += len as usize;
    }
    fn keep<T: Copy>(all: &mut Vec<T>, rows: &[std::ops::Range<usize>], kept: &[usize]) {
        let mut to = 0;
        for row in kept.iter().map(|&r| rows[r].clone()) {
            let len = row.len();
            all.copy_within(row, to);
            to += len;
        }
        all.truncate(to);
    }
    match &mut ragged.ids {
        Ids::Narrow(ids) => keep(ids, &begins, kept),
        Ids::Wide(ids) => keep(ids, &begins, kept),
        Ids::AsRead { keys, starts } => {
            keep(keys, &begins, kept);
            keep(starts, &begins, kept);
        }
        Ids::Local { ids, keys, names } => {
            keep(ids, &begins, kept);
            (*keys, *names) = renumber(ids, keys, names);
        }
    }
    if let Some(values) = &mut ragged.values {
        keep(values, &begins, kept);
    }
    ragged.lengths = kept.iter().map(|&r| ragged.lengths[r]).collect();
}

/// Numbers the keys that are left anew: keys of no row must not remain.
fn renumber(ids: &mut [u32], keys: &[u64], names: &Texts) -> (Vec<u64>, Texts) {
    let mut numbers = vec![0u32; keys.len()];
    ids.iter().for_each(|&id| numbers[id as usize - 1] = 1);
    let (mut left, mut texts) = (Vec::new(), Texts::default());
    for (old, number) in numbers.iter_mut().enumerate().filter(|(_, n)| **n > 0) {
        left.push(keys[old]);
        *number = left.len() as u32;
        // As in `RaggedBuilder`: an empty text keeps the place of one that is not known.
        texts.push(&[names.get(old).unwrap_or_default()]);
    }
    ids.iter_mut().for_each(|id| *id = numbers[*id as usize - 1]);
    (left, texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_share_of_rows_is_kept_and_which_depends_on_the_seed() {
        let kept = |rate, seed| (0..50_000).filter(|&r| Negatives { rate, seed }.keeps(r)).collect::<Vec<u64>>();
        for rate in [0.01, 0.3, 1.0] {
            let n = kept(rate, 1).len() as f64;
            assert!((n - 50_000.0 * rate).abs() <= 5.0 * (50_000.0 * rate * (1.0 - rate)).sqrt(), "{rate} {n}");
        }
        assert_ne!(kept(0.3, 1), kept(0.3, 2));
        // A larger share keeps all that a smaller one keeps.
        assert!(kept(0.1, 5).iter().all(|r| kept(0.2, 5).binary_search(r).is_ok()));
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        for rate in [0.0, -0.5, 1.5, f64::NAN, 1e-9] {
            let told = Negatives { rate, seed: 0 }.check().unwrap_err().to_string();
            assert!(told.contains("option negatives: expected a share from 0.000001 to 1"), "{told}");
        }
    }
}
