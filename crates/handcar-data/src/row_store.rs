//! The rows of packed data, turned from the blocks when somebody first asks.
//!
//! The blocks say all, in less space, and block methods never need rows.

use crate::block::{BlockStore, EntryStore};
use crate::dataset::Csr;
use handcar_kernels::huge_pages;
use std::sync::OnceLock;

/// Rows turned at a time: their ids stay in the first-level cache while block after block is written into them.
const TILE_ROWS: usize = 64;

/// Rows as CSR, once they are needed.
pub(crate) struct RowStore {
    nonzeros: u64,
    turned: OnceLock<Turned>,
}

struct Turned {
    offsets: Vec<u64>,
    ids: Vec<u32>,
    values: Option<Vec<f32>>,
}

impl RowStore {
    /// Rows of blocks that have this many entries in all.
    pub fn new(nonzeros: u64) -> Self {
        Self { nonzeros, turned: OnceLock::new() }
    }

    pub fn nonzeros(&self) -> u64 {
        self.nonzeros
    }

    pub fn csr<'a>(&'a self, rows: usize, blocks: &[BlockStore]) -> Csr<'a> {
        let turned = self.turned.get_or_init(|| match regular(blocks, self.nonzeros, rows) {
            true => turn_regular(rows, blocks),
            false => turn(rows, blocks),
        });
        Csr { offsets: &turned.offsets, ids: &turned.ids, values: turned.values.as_deref() }
    }
}

/// Whether every row has exactly one entry in each block, of value 1.
fn regular(blocks: &[BlockStore], nonzeros: u64, rows: usize) -> bool {
    let dense = blocks.iter().all(|b| !matches!(b.entries, EntryStore::Sparse { .. }));
    dense && nonzeros == (rows * blocks.len()) as u64
}

fn turn_regular(rows: usize, blocks: &[BlockStore]) -> Turned {
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
                EntryStore::Sparse { .. } => unreachable!("regular() has looked"),
            }
        }
    }
    Turned { offsets: (0..=rows as u64).map(|r| r * n as u64).collect(), ids, values: None }
}

fn turn(rows: usize, blocks: &[BlockStore]) -> Turned {
    let mut offsets = vec![0u64; rows + 1];
    for block in blocks {
        for_each(block, |row, _, _| offsets[row + 1] += 1);
    }
    for row in 0..rows {
        offsets[row + 1] += offsets[row];
    }
    let total = offsets[rows] as usize;
    let mut ids = vec![0u32; total];
    let any = blocks.iter().any(|b| matches!(b.entries, EntryStore::Sparse { values: Some(_), .. }));
    let mut values = any.then(|| vec![1f32; total]);
    let mut at = offsets.clone();
    // Blocks ascend by key, so each row's ids do.
    for block in blocks {
        for_each(block, |row, id, value| {
            let to = at[row] as usize;
            at[row] += 1;
            ids[to] = block.keys.start as u32 + id;
            if let Some(values) = &mut values {
                values[to] = value;
            }
        });
    }
    Turned { offsets, ids, values }
}

/// Calls `visit(row, id in the block, value)` for every entry of a block, by row.
fn for_each(block: &BlockStore, mut visit: impl FnMut(usize, u32, f32)) {
    fn dense(column: impl Iterator<Item = u32>, visit: &mut impl FnMut(usize, u32, f32)) {
        column.enumerate().filter(|(_, id)| *id > 0).for_each(|(row, id)| visit(row, id - 1, 1.0));
    }
    match &block.entries {
        EntryStore::Dense8(c) => dense(c.iter().map(|&i| i as u32), &mut visit),
        EntryStore::Dense16(c) => dense(c.iter().map(|&i| i as u32), &mut visit),
        EntryStore::Dense32(c) => dense(c.iter().copied(), &mut visit),
        EntryStore::Sparse { rows, ids, values } => {
            for (i, (&row, &id)) in rows.iter().zip(ids.iter()).enumerate() {
                visit(row as usize, id, values.as_ref().map_or(1.0, |v| v[i]));
            }
        }
    }
}
