//! The data by rows, as places in the tables.

use crate::error::{Result, TrainError};
use handcar_data::{ColumnBlock, Dataset, Entries};
use handcar_kernels::slots::Ids;
use std::ops::Range;

/// A column with one entry a row: 0 for none, else 1 + id.
pub(super) struct Column<'a, I> {
    pub ids: &'a [I],
    /// The place of an absent entry; that of id 0 follows.
    pub first: u32,
}

/// Several entries a row, or values.
pub(super) struct Sparse<'a> {
    rows: &'a [u32],
    ids: &'a [u32],
    values: Option<&'a [f32]>,
    /// The place of id 0.
    first: u32,
}

/// Where each key of the data stands.
pub(super) struct Placed {
    /// Which keys.
    pub keys: Range<usize>,
    /// Place of the first, in the hot table or else in the shared one.
    pub first: u32,
    pub hot: bool,
}

/// All columns of the data. Those of few keys are *hot*: most of their keys come in every batch of any thread.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub hot: Vec<Column<'a, u8>>,
    pub narrow: Vec<Column<'a, u16>>,
    pub wide: Vec<Column<'a, u32>>,
    pub sparse: Vec<Sparse<'a>>,
    pub placed: Vec<Placed>,
    /// Places in each table.
    pub hot_places: usize,
    pub shared_places: usize,
}

impl<'a> Fields<'a> {
    /// # Errors
    /// [`TrainError::Data`] if ids are not those of their blocks' keys, or there are too many keys.
    pub fn new(data: &'a Dataset) -> Result<Self> {
        let mut out = Self::default();
        for block in data.blocks().iter().filter(|b| !b.keys.is_empty()) {
            out.add(block)?;
        }
        Ok(out)
    }

    fn add(&mut self, block: &ColumnBlock<'a>) -> Result<()> {
        let keys = block.keys.len();
        let beyond = || {
            let (expected, got) =
                (format!("ids up to {keys} in a block of packed data"), "others; is the cache damaged?");
            TrainError::Data { expected, got: got.into() }
        };
        let hot = matches!(block.entries, Entries::Dense8(_));
        let places = if hot { &mut self.hot_places } else { &mut self.shared_places };
        // The first place is that of an absent entry.
        let first = u32::try_from(*places).map_err(|_| TrainError::Data {
            expected: "fewer than 2^32 keys in one process".into(),
            got: "more".into(),
        })?;
        *places += keys + 1;
        self.placed.push(Placed { keys: block.keys.clone(), first: first + 1, hot });
        match block.entries {
            Entries::Dense8(d) => {
                let ids = Ids::new(d, keys + 1).ok_or_else(beyond)?.as_slice();
                self.hot.push(Column { ids, first });
            }
            Entries::Dense16(d) => {
                let ids = Ids::new(d, keys + 1).ok_or_else(beyond)?.as_slice();
                self.narrow.push(Column { ids, first });
            }
            Entries::Dense32(d) => {
                let ids = Ids::new(d, keys + 1).ok_or_else(beyond)?.as_slice();
                self.wide.push(Column { ids, first });
            }
            Entries::Sparse { rows, ids, values } => {
                let ids = Ids::new(ids, keys).ok_or_else(beyond)?.as_slice();
                self.sparse.push(Sparse { rows, ids, values, first: first + 1 });
            }
        }
        Ok(())
    }

    /// Entries that a row has in the dense columns.
    pub fn dense(&self) -> usize {
        self.hot.len() + self.narrow.len() + self.wide.len()
    }
}

/// Goes through the entries of a sparse block row by row.
pub(super) struct Cursor<'f, 'a> {
    of: &'f Sparse<'a>,
    at: usize,
}

impl<'f, 'a> Cursor<'f, 'a> {
    /// Begins at a row.
    pub fn at(of: &'f Sparse<'a>, row: usize) -> Self {
        Self { of, at: of.rows.partition_point(|&r| (r as usize) < row) }
    }

    /// Calls `visit(place, value)` for the entries of a row, at or after the row before.
    #[inline(always)]
    pub fn each(&mut self, row: usize, mut visit: impl FnMut(u32, f32)) {
        let Sparse { rows, ids, values, first } = *self.of;
        while self.at < rows.len() && rows[self.at] as usize <= row {
            if rows[self.at] as usize == row {
                visit(first + ids[self.at], values.map_or(1.0, |v| v[self.at]));
            }
            self.at += 1;
        }
    }
}
