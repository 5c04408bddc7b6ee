//! Where blocks begin: at fields, and within fields of which rows have several entries.

use crate::dataset::Csr;
use handcar_base::key;
use std::ops::Range;

/// Where blocks begin, and the end of the last.
pub(crate) fn cuts(csr: Csr<'_>, keys: &[u64]) -> Vec<usize> {
    let fields = field_cuts(keys);
    let several = several(csr, &fields);
    let mut cuts = Vec::new();
    for (field, several) in fields.windows(2).zip(several) {
        match several {
            true => cuts.extend(raw_cuts(csr, field[0]..field[1])),
            false => cuts.push(field[0]),
        }
    }
    cuts.push(keys.len());
    cuts
}

/// For each field, whether some row may have several entries of it.
fn several(csr: Csr<'_>, fields: &[usize]) -> Vec<bool> {
    // Raw ids alone: most rows have several, and a sweep would tell nothing that the cuts do not.
    if fields.len() == 2 {
        return vec![true];
    }
    let owners = Owners::new(fields);
    let mut several = vec![false; fields.len() - 1];
    for row in 0..csr.rows() {
        let mut last = usize::MAX;
        for &id in csr.row(row).0 {
            let field = owners.of(id);
            several[field] |= field == last;
            last = field;
        }
    }
    several
}

/// Where fields begin, and the end of the last.
pub(crate) fn field_cuts(keys: &[u64]) -> Vec<usize> {
    let (mut cuts, mut at) = (Vec::new(), 0);
    while at < keys.len() {
        cuts.push(at);
        let field = key::field_of(keys[at]);
        at += keys[at..].partition_point(|&k| key::field_of(k) == field);
    }
    cuts.push(keys.len());
    cuts
}

/// Begins of blocks among the keys of a range, of which a row may have several.
fn raw_cuts(csr: Csr<'_>, keys: Range<usize>) -> Vec<usize> {
    let (rows, raw) = (csr.rows(), keys.len());
    let entries: usize = (0..rows).map(|row| among(csr.row(row).0, &keys).len()).sum();
    let wanted = (4 * entries).div_ceil(rows.max(1)).clamp(1, raw);
    // Runs of some rows are no more than those of all: where some rows already have too many, all need not be looked at.
    let some = one_hot_runs(csr, &keys, wanted, SOME_ROWS);
    some.and_then(|_| one_hot_runs(csr, &keys, wanted, 1))
        .unwrap_or_else(|| (0..wanted).map(|b| keys.start + b * raw / wanted).collect())
}

/// The ids of a row that lie in a range.
#[inline]
fn among<'a>(ids: &'a [u32], keys: &Range<usize>) -> &'a [u32] {
    let begin = if keys.start == 0 { 0 } else { ids.partition_point(|&id| (id as usize) < keys.start) };
    let ids = &ids[begin..];
    &ids[..ids.partition_point(|&id| (id as usize) < keys.end)]
}

/// One row in how many is looked at first.
const SOME_ROWS: usize = 16;

/// Begins of the longest runs of a range's keys of which no row (of every `step`-th) has two; none if there are more than
/// `most`.
fn one_hot_runs(csr: Csr<'_>, keys: &Range<usize>, most: usize, step: usize) -> Option<Vec<usize>> {
    // One more than the nearest smaller id that shares a row with a key, counted within the range. A run of keys is one-hot
    // exactly if no key in it has its nearest neighbour in it, so extending greedily gives the fewest one-hot runs.
    let mut nearest = vec![0u32; keys.len()];
    for row in (0..csr.rows()).step_by(step) {
        let mut before = 0;
        for &id in among(csr.row(row).0, keys) {
            let id = id - keys.start as u32;
            let n = &mut nearest[id as usize];
            *n = (*n).max(before);
            before = id + 1;
        }
    }
    let mut runs = vec![keys.start];
    let mut begin = 0;
    for (j, &nearest) in nearest.iter().enumerate() {
        if nearest as usize > begin {
            begin = j;
            runs.push(keys.start + j);
            if runs.len() > most {
                return None;
            }
        }
    }
    Some(runs)
}

/// Which block a key belongs to, by a table small enough for the first-level cache.
pub(crate) struct Owners {
    /// Ends of the blocks.
    ends: Vec<u32>,
    /// For every `2^shift` keys the block of the first.
    coarse: Vec<u32>,
    shift: u32,
}

impl Owners {
    /// `cuts`: begins of the blocks and the end of the last.
    pub fn new(cuts: &[usize]) -> Self {
        let keys = cuts.last().copied().unwrap_or(0);
        let shift = (keys / COARSE_MAX).checked_ilog2().map_or(0, |bits| bits + 1);
        let ends: Vec<u32> = cuts[1..].iter().map(|&end| end as u32).collect();
        let mut block = 0;
        let first = |j: usize| {
            block += ends[block..].partition_point(|&end| end as usize <= j << shift);
            block as u32
        };
        let coarse = (0..keys.div_ceil(1 << shift)).map(first).collect();
        Self { ends, coarse, shift }
    }

    #[inline]
    pub fn of(&self, id: u32) -> usize {
        let mut block = self.coarse[(id >> self.shift) as usize] as usize;
        while id >= self.ends[block] {
            block += 1;
        }
        block
    }
}

/// Elements of the table of owners at most, about.
const COARSE_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_cut_where_rows_have_several_of_it() {
        // Fields 1 and 3 are one-hot; of field 2 each row has two, one below and one from value 5 on.
        let keys: Vec<u64> = (0..30u64).map(|i| key::compose(1 + (i / 10) as u16, i % 10)).collect();
        let rows: Vec<[u32; 4]> = (0..50u32).map(|r| [r % 10, 10 + r % 5, 15 + r / 5 % 5, 20 + r % 10]).collect();
        let offsets: Vec<u64> = (0..=50).map(|r| 4 * r).collect();
        let csr = Csr { offsets: &offsets, ids: rows.as_flattened(), values: None };
        assert_eq!(cuts(csr, &keys), [0, 10, 15, 20, 30]);
        assert_eq!(field_cuts(&keys), [0, 10, 20, 30]);
    }
}
