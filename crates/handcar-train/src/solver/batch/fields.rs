//! Fields as blocks: what a penalty of whole fields needs.

use handcar_base::{Key, key};
use handcar_data::{ColumnBlock, Entries};
use std::ops::Range;

/// Where the keys of each field lie among these, which are ascending.
pub(crate) fn field_ranges(keys: &[Key]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for part in keys.chunk_by(|a, b| key::field_of(*a) == key::field_of(*b)) {
        ranges.push(start..start + part.len());
        start += part.len();
    }
    ranges
}

/// The entries of several blocks as one, ascending by row, then id.
pub(crate) struct Joined {
    rows: Vec<u32>,
    ids: Vec<u32>,
    values: Option<Vec<f32>>,
}

impl Joined {
    /// The blocks of one field, cut to rows that start at `first_row`.
    fn new(parts: &[ColumnBlock<'_>], first_row: usize) -> Self {
        let mut all: Vec<(u32, u32, f32)> = Vec::new();
        for part in parts {
            let shift = (part.keys.start - parts[0].keys.start) as u32;
            let mut dense = |ids: &mut dyn Iterator<Item = u32>| {
                let row = |(row, id): (usize, u32)| (id > 0).then(|| ((first_row + row) as u32, shift + id - 1, 1.0));
                all.extend(ids.enumerate().filter_map(row));
            };
            match part.entries {
                Entries::Dense8(d) => dense(&mut d.iter().map(|&id| id as u32)),
                Entries::Dense16(d) => dense(&mut d.iter().map(|&id| id as u32)),
                Entries::Dense32(d) => dense(&mut d.iter().copied()),
                Entries::Sparse { rows, ids, values } => {
                    let value = |e: usize| values.map_or(1.0, |v| v[e]);
                    all.extend((0..rows.len()).map(|e| (rows[e], shift + ids[e], value(e))));
                }
            }
        }
        all.sort_unstable_by_key(|&(row, id, _)| (row, id));
        let valued = |p: &ColumnBlock<'_>| matches!(p.entries, Entries::Sparse { values: Some(_), .. });
        Self {
            rows: all.iter().map(|e| e.0).collect(),
            ids: all.iter().map(|e| e.1).collect(),
            values: parts.iter().any(valued).then(|| all.iter().map(|e| e.2).collect()),
        }
    }
}

/// For each field its range among `blocks`, and its entries joined if it has several.
pub(crate) fn joined(blocks: &[ColumnBlock<'_>], first_row: usize) -> Vec<(Range<usize>, Option<Joined>)> {
    let mut fields = Vec::new();
    let mut start = 0;
    for parts in blocks.chunk_by(|a, b| a.field == b.field) {
        let one = (parts.len() > 1).then(|| Joined::new(parts, first_row));
        fields.push((start..start + parts.len(), one));
        start += parts.len();
    }
    fields
}

/// The blocks that [`joined`] speaks of, one a field.
pub(crate) fn by_field<'a>(
    blocks: &[ColumnBlock<'a>],
    fields: &'a [(Range<usize>, Option<Joined>)],
) -> Vec<ColumnBlock<'a>> {
    let view = |(range, one): &'a (Range<usize>, Option<Joined>)| {
        let first = &blocks[range.start];
        let Some(Joined { rows, ids, values }) = one else { return first.clone() };
        let keys = first.keys.start..blocks[range.end - 1].keys.end;
        let longest = rows.chunk_by(|a, b| a == b).map(<[u32]>::len).max().unwrap_or(0);
        let entries = Entries::Sparse { rows, ids, values: values.as_deref() };
        ColumnBlock { field: first.field, keys, max_row_nonzeros: longest as u32, entries }
    };
    fields.iter().map(view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_field_lie_together() {
        let keys = [key::compose(0, 4), key::compose(3, 0), key::compose(3, 9), key::compose(7, 1)];
        assert_eq!(field_ranges(&keys), [0..1, 1..3, 3..4]);
        assert!(field_ranges(&[]).is_empty());
    }

    #[test]
    fn the_blocks_of_a_field_become_one_and_other_fields_stay() {
        let block = |field, keys: Range<usize>, entries| ColumnBlock { field, keys, max_row_nonzeros: 1, entries };
        // Rows 10, 11 and 12.
        let blocks = [
            block(1, 0..2, Entries::Dense8(&[1, 0, 2])),
            block(2, 2..3, Entries::Dense8(&[0, 1, 1])),
            block(2, 3..5, Entries::Sparse { rows: &[10, 11, 11], ids: &[1, 0, 1], values: Some(&[0.5, 2.0, 3.0]) }),
        ];
        let fields = joined(&blocks, 10);
        let views = by_field(&blocks, &fields);
        assert_eq!(views.iter().map(|v| v.keys.clone()).collect::<Vec<_>>(), [0..2, 2..5]);
        assert!(matches!(views[0].entries, Entries::Dense8(_)));
        let Entries::Sparse { rows, ids, values } = views[1].entries else { panic!("{views:?}") };
        assert_eq!((rows, ids), (&[10, 11, 11, 11, 12][..], &[2, 0, 1, 2, 0][..]));
        assert_eq!((values, views[1].max_row_nonzeros), (Some(&[0.5, 1.0, 2.0, 3.0, 1.0][..]), 3));
    }
}
