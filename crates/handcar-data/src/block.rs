//! Columns, block by block: what block coordinate methods stream.

use crate::section::Section;
use handcar_base::Field;
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
