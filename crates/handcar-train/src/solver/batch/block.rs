//! A block as a worker trains on it: the columns of its keys that survived screening, in the narrowest ids that fit.

use super::screen::Kept;
use handcar_base::Key;
use handcar_data::{ColumnBlock, Entries};
use handcar_kernels::columns::{MEDIUM, SMALL};

/// The columns of one block over this worker's rows.
pub(crate) struct Block {
    /// The block's keys, ascending.
    pub keys: Vec<Key>,
    /// Index of each key in the data set.
    pub index: Vec<u32>,
    pub columns: Columns,
    /// Values lie in `[-2^exponent, 2^exponent]`.
    pub exponent: i32,
    /// Every row of every worker has exactly one of these keys, with value 1: adding a constant to all weights of this
    /// block and taking it from another complete one changes no margin.
    pub complete: bool,
}

/// Entries, streamed by row. One-hot forms hold one id a row: 0 for none, else 1 + the key's place in the block.
pub(crate) enum Columns {
    OneHot8(Vec<u8>),
    OneHot16(Vec<u16>),
    OneHot32(Vec<u32>),
    /// Any number of entries a row, ascending by row. Here ids count from 0.
    Entries {
        rows: Vec<u32>,
        ids: Vec<u32>,
        values: Option<Vec<f32>>,
    },
    /// The constant column of the intercept.
    Ones,
}

impl Columns {
    pub fn one_hot(&self) -> bool {
        !matches!(self, Self::Entries { .. })
    }
}

impl Block {
    /// The intercept's block.
    pub fn intercept() -> Self {
        Self {
            keys: vec![handcar_base::key::INTERCEPT],
            index: Vec::new(),
            columns: Columns::Ones,
            exponent: 0,
            complete: false,
        }
    }

    /// Whether this is the intercept's block, which has no penalty.
    pub fn is_intercept(&self) -> bool {
        matches!(self.columns, Columns::Ones)
    }

    /// Keeps the columns named by `kept` of a block already cut to this worker's rows, which start at `first_row`.
    pub fn compact(source: &ColumnBlock<'_>, first_row: usize, kept: &Kept, keys: &[Key], exponent: i32) -> Self {
        // map[old id] = new id + 1, or 0 for a screened key.
        let mut map = vec![0u32; source.keys.len()];
        for (new, &old) in kept.ids.iter().enumerate() {
            map[old as usize] = new as u32 + 1;
        }
        let dense = |get: &dyn Fn(usize) -> usize, n: usize| one_hot(&map, kept.ids.len(), get, n);
        let columns = match source.entries {
            Entries::Dense8(d) => dense(&|i| d[i] as usize, d.len()),
            Entries::Dense16(d) => dense(&|i| d[i] as usize, d.len()),
            Entries::Dense32(d) => wide(&map, kept.ids.len(), d),
            Entries::Sparse { rows, ids, values } => {
                let mut out = (Vec::new(), Vec::new(), values.map(|_| Vec::new()));
                for i in 0..rows.len() {
                    let id = map[ids[i] as usize];
                    if id > 0 {
                        out.0.push(rows[i] - first_row as u32);
                        out.1.push(id - 1);
                        if let (Some(to), Some(from)) = (&mut out.2, values) {
                            to.push(from[i]);
                        }
                    }
                }
                Columns::Entries { rows: out.0, ids: out.1, values: out.2 }
            }
        };
        let index: Vec<u32> = kept.ids.iter().map(|&i| (source.keys.start + i as usize) as u32).collect();
        Self { keys: index.iter().map(|&i| keys[i as usize]).collect(), index, columns, exponent, complete: false }
    }

    /// Whether some row of this worker has none of the block's keys, or has several, or values other than 1.
    pub fn incomplete_here(&self) -> bool {
        match &self.columns {
            Columns::OneHot8(d) => d.contains(&0),
            Columns::OneHot16(d) => d.contains(&0),
            Columns::OneHot32(d) => d.contains(&0),
            Columns::Entries { .. } | Columns::Ones => true,
        }
    }
}

fn one_hot(map: &[u32], kept: usize, get: &dyn Fn(usize) -> usize, n: usize) -> Columns {
    let new = |i: usize| match get(i) {
        0 => 0,
        old => map[old - 1],
    };
    if kept < SMALL {
        Columns::OneHot8((0..n).map(|i| new(i) as u8).collect())
    } else if kept < MEDIUM {
        Columns::OneHot16((0..n).map(|i| new(i) as u16).collect())
    } else {
        Columns::OneHot32((0..n).map(new).collect())
    }
}

/// As [`one_hot`] for the widest ids, which large data spends its time on: the map starts with an entry for "none", so
/// the loop has no branch.
fn wide(map: &[u32], kept: usize, ids: &[u32]) -> Columns {
    fn go<T: Copy>(map: &[u32], ids: &[u32], narrow: impl Fn(u32) -> T) -> Vec<T> {
        let map: Vec<T> = std::iter::once(0).chain(map.iter().copied()).map(narrow).collect();
        ids.iter().map(|&id| map[id as usize]).collect()
    }
    if kept < SMALL {
        Columns::OneHot8(go(map, ids, |id| id as u8))
    } else if kept < MEDIUM {
        Columns::OneHot16(go(map, ids, |id| id as u16))
    } else {
        Columns::OneHot32(go(map, ids, |id| id))
    }
}
