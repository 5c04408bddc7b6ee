//! Transposition: from rows to blocks of columns.

use crate::block::{BlockStore, EntryStore, OwnedBlocks};
use crate::cuts::{Owners, cuts, field_cuts};
use crate::dataset::Csr;
use crate::section::Section;
use handcar_base::key;
use handcar_kernels::huge_pages;
use std::sync::Arc;

/// Transposes rows into blocks: one block a field, except that a field of which rows have several entries (raw ids, the
/// words of a text) is cut into one-hot runs of keys or into `⌈4 · entries per row⌉` equal ranges, whichever is fewer.
///
/// `keys`: ascending, `csr.ids` index it, ascending within a row. At most 2^32 - 1 rows.
pub fn build_blocks(csr: Csr<'_>, keys: &[u64]) -> OwnedBlocks {
    if let Some(blocks) = regular_blocks(csr, keys) {
        return blocks;
    }
    let cuts = cuts(csr, keys);
    let owners = Owners::new(&cuts);
    let mut counts = vec![0usize; cuts.len() - 1];
    csr.ids.iter().for_each(|&id| counts[owners.of(id)] += 1);
    let mut at = 0;
    let begin = |(range, count): (&[usize], usize)| {
        at += count;
        Fill { at: at - count, base: range[0] as u32, max_row: 0, plain: true }
    };
    let mut fill: Vec<Fill> = cuts.windows(2).zip(counts).map(begin).collect();
    let (rows, ids, values) = scatter(csr, &owners, &mut fill);
    let (rows, ids, values) = (Arc::new(rows), Arc::new(ids), values.map(Arc::new));
    let mut begin = 0;
    let stores = fill.into_iter().zip(cuts.windows(2)).map(|(f, cut)| {
        let part = begin..f.at;
        begin = f.at;
        let dense = f.max_row <= 1 && f.plain && dense_is_smaller(csr.rows(), part.len(), cut[1] - cut[0]);
        BlockStore {
            field: keys.get(cut[0]).map_or(0, |&k| key::field_of(k)),
            keys: cut[0]..cut[1],
            max_row_nonzeros: f.max_row,
            entries: if dense {
                let mut fill = Dense::new(csr.rows(), cut[1] - cut[0]);
                rows[part.clone()].iter().zip(&ids[part]).for_each(|(&r, &id)| fill.set(r as usize, id));
                fill.done()
            } else {
                EntryStore::Sparse {
                    rows: Section::Shared(rows.clone(), part.clone()),
                    ids: Section::Shared(ids.clone(), part.clone()),
                    values: values.as_ref().filter(|_| !f.plain).map(|v| Section::Shared(v.clone(), part)),
                }
            },
        }
    });
    OwnedBlocks(stores.collect())
}

/// Where a block's next entry goes, and what has been seen of it.
struct Fill {
    at: usize,
    base: u32,
    max_row: u32,
    plain: bool,
}

type Sparse = (Vec<u32>, Vec<u32>, Option<Vec<f32>>);

/// Hands every entry to its block, all blocks in one array, one after another.
fn scatter(csr: Csr<'_>, owners: &Owners, fill: &mut [Fill]) -> Sparse {
    let total = csr.ids.len();
    let (mut rows, mut ids) = (vec![0u32; total], vec![0u32; total]);
    let mut values = csr.values.map(|_| vec![0f32; total]);
    huge_pages::advise(&rows);
    huge_pages::advise(&ids);
    values.iter().for_each(|v| huge_pages::advise(v));
    for row in 0..csr.rows() {
        let (row_ids, row_values) = csr.row(row);
        let (mut run, mut last) = (0, usize::MAX);
        for (j, &id) in row_ids.iter().enumerate() {
            let b = owners.of(id);
            run = if b == last { run + 1 } else { 1 };
            last = b;
            let f = &mut fill[b];
            f.max_row = f.max_row.max(run);
            rows[f.at] = row as u32;
            ids[f.at] = id - f.base;
            if let (Some(values), Some(v)) = (&mut values, row_values) {
                values[f.at] = v[j];
                f.plain &= v[j] == 1.0;
            }
            f.at += 1;
        }
    }
    (rows, ids, values)
}

/// Rows turned at a time: their ids stay in the first-level cache while field after field is picked from them.
const TILE_ROWS: usize = 64;

/// The fast way for rows that have exactly one entry of each field, in order: a plain transposition.
fn regular_blocks(csr: Csr<'_>, keys: &[u64]) -> Option<OwnedBlocks> {
    let (rows, n) = (csr.rows(), csr.ids.len().checked_div(csr.rows())?);
    if csr.values.is_some() || n == 0 || key::field_of(*keys.first()?) == 0 {
        return None;
    }
    let cuts = field_cuts(keys);
    if cuts.len() != n + 1 || csr.offsets.iter().enumerate().any(|(r, &o)| o != (r * n) as u64) {
        return None;
    }
    let mut filling: Vec<Dense> = cuts.windows(2).map(|w| Dense::new(rows, w[1] - w[0])).collect();
    for (tile, ids) in csr.ids.chunks(TILE_ROWS * n).enumerate() {
        let begin = tile * TILE_ROWS;
        for (f, (fill, cut)) in filling.iter_mut().zip(cuts.windows(2)).enumerate() {
            let (base, width) = (cut[0] as u32, (cut[1] - cut[0]) as u32);
            let column = ids[f..].iter().step_by(n).map(|&id| id.wrapping_sub(base));
            // Or-ing whether any id lies outside its field keeps the loop free of branches.
            let mut outside = false;
            let rows = begin..begin + ids.len() / n;
            match fill {
                Dense::One(d) => d[rows].iter_mut().zip(column).for_each(|(o, id)| {
                    outside |= id >= width;
                    *o = (id as u8).wrapping_add(1);
                }),
                Dense::Two(d) => d[rows].iter_mut().zip(column).for_each(|(o, id)| {
                    outside |= id >= width;
                    *o = (id as u16).wrapping_add(1);
                }),
                Dense::Four(d) => d[rows].iter_mut().zip(column).for_each(|(o, id)| {
                    outside |= id >= width;
                    *o = id.wrapping_add(1);
                }),
            }
            if outside {
                return None;
            }
        }
    }
    let stores = filling.into_iter().zip(cuts.windows(2)).map(|(f, w)| BlockStore {
        field: key::field_of(keys[w[0]]),
        keys: w[0]..w[1],
        max_row_nonzeros: 1,
        entries: f.done(),
    });
    Some(OwnedBlocks(stores.collect()))
}

enum Dense {
    One(Vec<u8>),
    Two(Vec<u16>),
    Four(Vec<u32>),
}

impl Dense {
    fn new(rows: usize, keys: usize) -> Self {
        match width(keys) {
            1 => Self::One(vec![0; rows]),
            2 => Self::Two(vec![0; rows]),
            _ => Self::Four(vec![0; rows]),
        }
    }

    fn set(&mut self, row: usize, id: u32) {
        match self {
            Self::One(d) => d[row] = id as u8 + 1,
            Self::Two(d) => d[row] = id as u16 + 1,
            Self::Four(d) => d[row] = id + 1,
        }
    }

    fn done(self) -> EntryStore {
        match self {
            Self::One(d) => EntryStore::Dense8(Section::Owned(d)),
            Self::Two(d) => EntryStore::Dense16(Section::Owned(d)),
            Self::Four(d) => EntryStore::Dense32(Section::Owned(d)),
        }
    }
}

/// Dense where it is no larger than the sparse form's 8 bytes an entry.
fn dense_is_smaller(rows: usize, entries: usize, keys: usize) -> bool {
    rows.saturating_mul(width(keys)) <= entries.saturating_mul(8)
}

/// Bytes of a dense element for this many keys; 0 stands for "none".
pub(crate) fn width(keys: usize) -> usize {
    match keys {
        0..=255 => 1,
        256..=65_535 => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{ColumnBlock, Entries};
    use proptest::prelude::*;

    /// Entries of a block as `(row, key, value)`.
    fn entries(block: &ColumnBlock<'_>) -> Vec<(usize, usize, f32)> {
        let dense = |i: usize, e: u32| (e > 0).then(|| (i, block.keys.start + e as usize - 1, 1.0));
        match block.entries {
            Entries::Dense8(d) => d.iter().enumerate().filter_map(|(i, &e)| dense(i, e as u32)).collect(),
            Entries::Dense16(d) => d.iter().enumerate().filter_map(|(i, &e)| dense(i, e as u32)).collect(),
            Entries::Dense32(d) => d.iter().enumerate().filter_map(|(i, &e)| dense(i, e)).collect(),
            Entries::Sparse { rows, ids, values } => (0..rows.len())
                .map(|i| (rows[i] as usize, block.keys.start + ids[i] as usize, values.map_or(1.0, |v| v[i])))
                .collect(),
        }
    }

    fn csr_of(rows: &[Vec<(u32, f32)>]) -> (Vec<u64>, Vec<u32>, Vec<f32>) {
        let mut offsets = vec![0];
        for r in rows {
            offsets.push(offsets[offsets.len() - 1] + r.len() as u64);
        }
        let flat = || rows.iter().flatten();
        (offsets, flat().map(|e| e.0).collect(), flat().map(|e| e.1).collect())
    }

    proptest! {
        #[test]
        fn blocks_hold_the_entries_of_the_rows(
            rows in prop::collection::vec(prop::collection::btree_map(0u32..40, prop::sample::select(vec![1.0f32, 2.0]), 0..9), 1..40),
            fields in 1u64..5, plain: bool, cut in 0usize..40,
        ) {
            let rows: Vec<Vec<(u32, f32)>> = rows.into_iter().map(|r| r.into_iter().collect()).collect();
            let (offsets, ids, values) = csr_of(&rows);
            let keys: Vec<u64> = (0..40u64).map(|i| key::compose((i * fields / 40) as u16, i)).collect();
            let csr = Csr { offsets: &offsets, ids: &ids, values: (!plain).then_some(&values[..]) };
            let owned = build_blocks(csr, &keys);
            let blocks = owned.blocks();
            prop_assert_eq!(blocks[0].keys.start, 0);
            prop_assert_eq!(blocks[blocks.len() - 1].keys.end, 40);
            let mut all = Vec::new();
            for (i, b) in blocks.iter().enumerate() {
                prop_assert!(i == 0 || blocks[i - 1].keys.end == b.keys.start);
                let e = entries(b);
                prop_assert!(e.is_sorted_by_key(|e| (e.0, e.1)));
                let most = (0..rows.len()).map(|r| e.iter().filter(|x| x.0 == r).count()).max();
                prop_assert_eq!(b.max_row_nonzeros as usize, most.unwrap());
                prop_assert!(keys[b.keys.clone()].iter().all(|&k| key::field_of(k) == b.field));
                let cut = cut.min(rows.len());
                let shift = |n: usize| match b.entries { Entries::Sparse { .. } => 0, _ => n };
                let mut parts = entries(&b.rows(0..cut));
                parts.extend(entries(&b.rows(cut..rows.len())).into_iter().map(|x| (x.0 + shift(cut), x.1, x.2)));
                prop_assert_eq!(&parts, &e);
                all.extend(e);
            }
            all.sort_by_key(|e| (e.0, e.1));
            let expected: Vec<_> = rows.iter().enumerate()
                .flat_map(|(r, row)| row.iter().map(move |e| (r, e.0 as usize, if plain { 1.0 } else { e.1 }))).collect();
            prop_assert_eq!(all, expected);
        }
    }

    proptest! {
        #[test]
        fn one_entry_of_each_field_takes_the_fast_way_to_equal_blocks(
            rows in prop::collection::vec((0u64..300, 0u64..3, 0u64..70_000), 1..200), spoil: bool,
        ) {
            let mut keys: Vec<u64> = rows.iter().flat_map(|r| [key::compose(1, r.0), key::compose(2, r.1), key::compose(3, r.2)]).collect();
            keys.sort_unstable();
            keys.dedup();
            let id = |f, v| keys.binary_search(&key::compose(f, v)).unwrap() as u32;
            let mut ids: Vec<u32> = rows.iter().flat_map(|r| [id(1, r.0), id(2, r.1), id(3, r.2)]).collect();
            if spoil && keys.len() > 3 {
                // A row with two entries of one field.
                ids[0] = 0;
                ids[1] = 1;
            }
            let offsets: Vec<u64> = (0..=rows.len() as u64).map(|r| 3 * r).collect();
            let owned = build_blocks(Csr { offsets: &offsets, ids: &ids, values: None }, &keys);
            let mut all: Vec<_> = owned.blocks().iter().flat_map(entries).map(|e| (e.0, e.1 as u32)).collect();
            all.sort_unstable();
            let expected: Vec<_> = ids.iter().enumerate().map(|(i, &id)| (i / 3, id)).collect();
            prop_assert_eq!(all, expected);
        }
    }

    #[test]
    fn one_hot_groups_of_raw_ids_become_one_block_each() {
        // Two groups, keys 0..3 and 3..6, one key of each a row.
        let rows: Vec<Vec<(u32, f32)>> = (0..9).map(|r| vec![(r % 3, 1.0), (3 + r / 3, 1.0)]).collect();
        let (offsets, ids, _) = csr_of(&rows);
        let keys: Vec<u64> = (1..7).collect();
        let owned = build_blocks(Csr { offsets: &offsets, ids: &ids, values: None }, &keys);
        let ranges: Vec<_> = owned.blocks().iter().map(|b| (b.keys.clone(), b.max_row_nonzeros)).collect();
        assert_eq!(ranges, [(0..3, 1), (3..6, 1)]);
    }
}
