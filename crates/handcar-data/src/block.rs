//! Columns, block by block: what block coordinate methods stream.

use crate::dataset::Csr;
use crate::section::Section;
use handcar_base::{Field, key};
use std::ops::Range;

/// A range of keys and their entries in every row.
#[derive(Clone, Debug)]
pub struct ColumnBlock<'a> {
    /// The field all keys belong to.
    pub field: Field,
    /// Which keys: a range of [`Dataset::keys`](crate::Dataset::keys).
    pub keys: Range<usize>,
    /// The most entries any row has.
    pub max_row_nonzeros: u32,
    /// The entries, ascending by row.
    pub entries: Entries<'a>,
}

/// Entries of a block. Ids count from the block's first key.
#[derive(Clone, Copy, Debug)]
pub enum Entries<'a> {
    /// One number a row: 0 for no entry, else 1 + id; the value is 1.
    Dense8(&'a [u8]),
    /// As [`Entries::Dense8`], wider.
    Dense16(&'a [u16]),
    /// As [`Entries::Dense8`], wider.
    Dense32(&'a [u32]),
    /// One element an entry, ascending by row, then id.
    Sparse {
        /// Row of each entry.
        rows: &'a [u32],
        /// Id of each entry.
        ids: &'a [u32],
        /// Value of each entry; `None`: all 1.
        values: Option<&'a [f32]>,
    },
}

impl<'a> ColumnBlock<'a> {
    /// The entries of a range of rows. Sparse rows keep their absolute numbers, dense ones count from `range.start`.
    pub fn rows(&self, range: Range<usize>) -> ColumnBlock<'a> {
        let entries = match self.entries {
            Entries::Dense8(d) => Entries::Dense8(&d[range]),
            Entries::Dense16(d) => Entries::Dense16(&d[range]),
            Entries::Dense32(d) => Entries::Dense32(&d[range]),
            Entries::Sparse { rows, ids, values } => {
                let part = rows.partition_point(|&r| (r as usize) < range.start)
                    ..rows.partition_point(|&r| (r as usize) < range.end);
                Entries::Sparse { rows: &rows[part.clone()], ids: &ids[part.clone()], values: values.map(|v| &v[part]) }
            }
        };
        ColumnBlock { entries, keys: self.keys.clone(), ..*self }
    }
}

pub(crate) struct BlockStore {
    pub field: Field,
    pub keys: Range<usize>,
    pub max_row_nonzeros: u32,
    pub entries: EntryStore,
}

pub(crate) enum EntryStore {
    Dense8(Section<u8>),
    Dense16(Section<u16>),
    Dense32(Section<u32>),
    Sparse { rows: Section<u32>, ids: Section<u32>, values: Option<Section<f32>> },
}

impl BlockStore {
    pub fn view(&self) -> ColumnBlock<'_> {
        let entries = match &self.entries {
            EntryStore::Dense8(d) => Entries::Dense8(d),
            EntryStore::Dense16(d) => Entries::Dense16(d),
            EntryStore::Dense32(d) => Entries::Dense32(d),
            EntryStore::Sparse { rows, ids, values } => {
                Entries::Sparse { rows, ids, values: values.as_ref().map(|v| &**v) }
            }
        };
        ColumnBlock { field: self.field, keys: self.keys.clone(), max_row_nonzeros: self.max_row_nonzeros, entries }
    }
}

/// Blocks built apart from a data set.
pub struct OwnedBlocks(pub(crate) Vec<BlockStore>);

impl OwnedBlocks {
    /// The blocks, as [`Dataset::blocks`](crate::Dataset::blocks) gives them.
    pub fn blocks(&self) -> Vec<ColumnBlock<'_>> {
        self.0.iter().map(BlockStore::view).collect()
    }
}

/// Transposes rows into blocks: one block a field, except that field 0 (raw ids) is cut into one-hot runs of keys or
/// into `⌈4 · entries per row⌉` equal ranges, whichever is fewer.
///
/// `keys`: ascending, `csr.ids` index it, ascending within a row. At most 2^32 - 1 rows.
pub fn build_blocks(csr: Csr<'_>, keys: &[u64]) -> OwnedBlocks {
    if let Some(blocks) = regular_blocks(csr, keys) {
        return blocks;
    }
    let cuts = cuts(csr, keys);
    let blocks = cuts.len() - 1;
    // For each key its block: a row's entries are handed out by one look-up each.
    let mut owner = vec![0u32; keys.len()];
    for (b, range) in cuts.windows(2).enumerate() {
        owner[range[0]..range[1]].fill(b as u32);
    }
    let mut count = vec![0usize; blocks];
    let mut max_row = vec![0u32; blocks];
    let mut plain = vec![true; blocks];
    for row in 0..csr.rows() {
        let (ids, values) = csr.row(row);
        let (mut run, mut last) = (0, u32::MAX);
        for &id in ids {
            let b = owner[id as usize];
            run = if b == last { run + 1 } else { 1 };
            last = b;
            count[b as usize] += 1;
            max_row[b as usize] = max_row[b as usize].max(run);
        }
        if let Some(values) = values {
            for (&id, &v) in ids.iter().zip(values) {
                plain[owner[id as usize] as usize] &= v == 1.0;
            }
        }
    }
    let rows = csr.rows();
    let mut filling: Vec<Filling> = (0..blocks)
        .map(|b| Filling::new(rows, count[b], cuts[b + 1] - cuts[b], max_row[b] <= 1 && plain[b], plain[b]))
        .collect();
    for row in 0..rows {
        let (ids, values) = csr.row(row);
        for (j, &id) in ids.iter().enumerate() {
            let b = owner[id as usize] as usize;
            let local = id - cuts[b] as u32;
            match &mut filling[b] {
                Filling::Dense8(d) => d[row] = local as u8 + 1,
                Filling::Dense16(d) => d[row] = local as u16 + 1,
                Filling::Dense32(d) => d[row] = local + 1,
                Filling::Sparse { rows, ids, values: v } => {
                    rows.push(row as u32);
                    ids.push(local);
                    if let (Some(v), Some(values)) = (v, values) {
                        v.push(values[j]);
                    }
                }
            }
        }
    }
    let stores = filling.into_iter().enumerate().map(|(b, f)| BlockStore {
        field: keys.get(cuts[b]).map_or(0, |&k| key::field_of(k)),
        keys: cuts[b]..cuts[b + 1],
        max_row_nonzeros: max_row[b],
        entries: f.done(),
    });
    OwnedBlocks(stores.collect())
}

/// Rows turned at a time: their ids stay in the first-level cache while field after field is picked from them.
const TILE_ROWS: usize = 64;

/// The fast way for rows that have exactly one entry of each field, in order: a plain transposition.
fn regular_blocks(csr: Csr<'_>, keys: &[u64]) -> Option<OwnedBlocks> {
    let (rows, n) = (csr.rows(), csr.ids.len().checked_div(csr.rows())?);
    if csr.values.is_some() || n == 0 || key::field_of(*keys.first()?) == 0 {
        return None;
    }
    let cuts = cuts(csr, keys);
    if cuts.len() != n + 1 || csr.offsets.iter().enumerate().any(|(r, &o)| o != (r * n) as u64) {
        return None;
    }
    let mut filling: Vec<Filling> =
        cuts.windows(2).map(|w| Filling::new(rows, rows, w[1] - w[0], true, true)).collect();
    for (tile, ids) in csr.ids.chunks(TILE_ROWS * n).enumerate() {
        let begin = tile * TILE_ROWS;
        for (f, (fill, cut)) in filling.iter_mut().zip(cuts.windows(2)).enumerate() {
            let (base, width) = (cut[0] as u32, (cut[1] - cut[0]) as u32);
            let column = ids[f..].iter().step_by(n).map(|&id| id.wrapping_sub(base));
            // Or-ing whether any id lies outside its field keeps the loop free of branches.
            let mut outside = false;
            match fill {
                Filling::Dense8(d) => d[begin..].iter_mut().zip(column).for_each(|(o, id)| {
                    outside |= id >= width;
                    *o = (id as u8).wrapping_add(1);
                }),
                Filling::Dense16(d) => d[begin..].iter_mut().zip(column).for_each(|(o, id)| {
                    outside |= id >= width;
                    *o = (id as u16).wrapping_add(1);
                }),
                Filling::Dense32(d) => d[begin..].iter_mut().zip(column).for_each(|(o, id)| {
                    outside |= id >= width;
                    *o = id.wrapping_add(1);
                }),
                Filling::Sparse { .. } => return None,
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

enum Filling {
    Dense8(Vec<u8>),
    Dense16(Vec<u16>),
    Dense32(Vec<u32>),
    Sparse { rows: Vec<u32>, ids: Vec<u32>, values: Option<Vec<f32>> },
}

impl Filling {
    fn new(rows: usize, entries: usize, keys: usize, one_hot: bool, plain: bool) -> Self {
        let width = width(keys);
        // Dense where it is no larger than the sparse form's 8 bytes an entry.
        if one_hot && rows.saturating_mul(width) <= entries.saturating_mul(8) {
            match width {
                1 => Self::Dense8(vec![0; rows]),
                2 => Self::Dense16(vec![0; rows]),
                _ => Self::Dense32(vec![0; rows]),
            }
        } else {
            let values = (!plain).then(|| Vec::with_capacity(entries));
            Self::Sparse { rows: Vec::with_capacity(entries), ids: Vec::with_capacity(entries), values }
        }
    }

    fn done(self) -> EntryStore {
        match self {
            Self::Dense8(d) => EntryStore::Dense8(Section::Owned(d)),
            Self::Dense16(d) => EntryStore::Dense16(Section::Owned(d)),
            Self::Dense32(d) => EntryStore::Dense32(Section::Owned(d)),
            Self::Sparse { rows, ids, values } => EntryStore::Sparse {
                rows: Section::Owned(rows),
                ids: Section::Owned(ids),
                values: values.map(Section::Owned),
            },
        }
    }
}

/// Bytes of a dense element for this many keys; 0 stands for "none".
pub(crate) fn width(keys: usize) -> usize {
    match keys {
        0..=255 => 1,
        256..=65_535 => 2,
        _ => 4,
    }
}

/// Where blocks begin, and the end of the last.
fn cuts(csr: Csr<'_>, keys: &[u64]) -> Vec<usize> {
    let raw = keys.partition_point(|&k| key::field_of(k) == 0);
    let mut cuts = if raw == 0 { Vec::new() } else { raw_cuts(csr, raw) };
    let mut at = raw;
    while at < keys.len() {
        cuts.push(at);
        let field = key::field_of(keys[at]);
        at += keys[at..].partition_point(|&k| key::field_of(k) == field);
    }
    cuts.push(keys.len());
    cuts
}

/// Begins of blocks among the first `raw` keys.
fn raw_cuts(csr: Csr<'_>, raw: usize) -> Vec<usize> {
    // nearest[j]: one more than the nearest smaller id that shares a row with j. A run of keys is one-hot exactly if no
    // key in it has its nearest neighbour in it, so extending greedily gives the fewest one-hot runs.
    let mut nearest = vec![0u32; raw];
    let mut entries = 0u64;
    for row in 0..csr.rows() {
        let ids = csr.row(row).0;
        let ids = &ids[..ids.partition_point(|&i| (i as usize) < raw)];
        entries += ids.len() as u64;
        for pair in ids.windows(2) {
            let slot = &mut nearest[pair[1] as usize];
            *slot = (*slot).max(pair[0] + 1);
        }
    }
    let wanted = ((4 * entries).div_ceil(csr.rows().max(1) as u64) as usize).clamp(1, raw);
    let mut runs = vec![0];
    let mut begin = 0;
    for (j, &n) in nearest.iter().enumerate() {
        if n as usize > begin {
            begin = j;
            runs.push(j);
            if runs.len() > wanted {
                return (0..wanted).map(|b| b * raw / wanted).collect();
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
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
