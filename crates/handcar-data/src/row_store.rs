//! The rows of packed data: stored, or turned from the blocks when somebody first asks.

use crate::block::{BlockStore, EntryStore};
use crate::dataset::Csr;
use crate::section::Section;
use handcar_kernels::huge_pages;
use std::sync::OnceLock;

/// Rows turned at a time: their ids stay in the first-level cache while field after field is written into them.
const TILE_ROWS: usize = 64;

/// Rows as CSR.
pub(crate) enum RowStore {
    Stored {
        offsets: Section<u64>,
        ids: Section<u32>,
        values: Option<Section<f32>>,
    },
    /// Every row has exactly one entry in each block, of value 1, and every block is dense. The blocks say all, in a
    /// third of the space, and block methods never need rows: they are made on first use.
    FromBlocks(OnceLock<(Vec<u64>, Vec<u32>)>),
}

impl RowStore {
    pub fn csr<'a>(&'a self, rows: usize, blocks: &[BlockStore]) -> Csr<'a> {
        match self {
            Self::Stored { offsets, ids, values } => Csr { offsets, ids, values: values.as_deref() },
            Self::FromBlocks(cell) => {
                let (offsets, ids) = cell.get_or_init(|| turn(rows, blocks));
                Csr { offsets, ids, values: None }
            }
        }
    }

    pub fn nonzeros(&self, rows: usize, blocks: &[BlockStore]) -> usize {
        match self {
            Self::Stored { ids, .. } => ids.len(),
            Self::FromBlocks(_) => rows * blocks.len(),
        }
    }
}

fn turn(rows: usize, blocks: &[BlockStore]) -> (Vec<u64>, Vec<u32>) {
    let n = blocks.len();
    let mut ids = vec![0u32; rows * n];
    huge_pages::advise(&ids);
    for (tile, out) in ids.chunks_mut((TILE_ROWS * n).max(1)).enumerate() {
        let first = tile * TILE_ROWS;
        for (b, block) in blocks.iter().enumerate() {
            // Dense elements count from 1; there is one in every row.
            let base = (block.keys.start as u32).wrapping_sub(1);
            let slots = out[b..].iter_mut().step_by(n);
            match &block.entries {
                EntryStore::Dense8(c) => slots.zip(&c[first..]).for_each(|(o, &r)| *o = base.wrapping_add(r as u32)),
                EntryStore::Dense16(c) => slots.zip(&c[first..]).for_each(|(o, &r)| *o = base.wrapping_add(r as u32)),
                EntryStore::Dense32(c) => slots.zip(&c[first..]).for_each(|(o, &r)| *o = base.wrapping_add(r)),
                EntryStore::Sparse { .. } => debug_assert!(false, "checked when built and when opened"),
            }
        }
    }
    ((0..=rows as u64).map(|r| r * n as u64).collect(), ids)
}
