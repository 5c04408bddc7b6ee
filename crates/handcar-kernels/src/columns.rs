//! Kernels over one-hot columns: one id a row, 0 for "absent", streamed row by row.
//!
//! Tables are as long as the id type can count, so no id can leave its table and no bounds are checked.

use crate::isa::for_each_isa;
use crate::logistic::RowStatistics;

/// Sums of gradient and curvature of one column, in fixed point.
pub type ColumnSums = [i64; 2];

/// Replicas of a small table: consecutive rows with one id write to different lines, so that no addition waits for the
/// one before it.
pub const REPLICAS: usize = 4;
/// Entries of a table addressed by `u8`.
pub const SMALL: usize = 1 << 8;
/// Entries of a table addressed by `u16`.
pub const MEDIUM: usize = 1 << 16;

macro_rules! add_to_margins {
    ($name:ident / $on:ident, $id:ty, $table:ty) => {
        for_each_isa! {
            /// `margins[i] += change[ids[i]]` for every row; `change[0]` should be 0. Slices of equal length `[rows]`.
            pub fn $name / $on(margins: &mut [f64], ids: &[$id], change: &$table) {
                for (m, &id) in margins.iter_mut().zip(ids) {
                    *m += change[id as usize];
                }
            }
        }
    };
}

add_to_margins!(add_to_margins_u8 / add_to_margins_u8_on, u8, [f64; SMALL]);
add_to_margins!(add_to_margins_u16 / add_to_margins_u16_on, u16, [f64; MEDIUM]);

/// `margins[i] += change[ids[i]]` for every row; `change[0]` should be 0. Slices of equal length `[rows]`.
///
/// # Panics
/// If an id exceeds the table.
pub fn add_to_margins_u32(margins: &mut [f64], ids: &[u32], change: &[f64]) {
    for (m, &id) in margins.iter_mut().zip(ids) {
        *m += change[id as usize];
    }
}

#[inline(always)]
fn add(to: &mut ColumnSums, s: RowStatistics) {
    to[0] += s[0] as i64;
    to[1] += s[1] as i64;
}

for_each_isa! {
    /// Adds every row's statistics to the sums of its column, spread over [`REPLICAS`] tables to be added up by
    /// [`merge_replicas`]. Slices of equal length `[rows]`.
    pub fn scatter_u8 / scatter_u8_on(ids: &[u8], rows: &[RowStatistics], tables: &mut [[ColumnSums; SMALL]; REPLICAS]) {
        let mut ids = ids.chunks_exact(REPLICAS);
        let mut rows = rows.chunks_exact(REPLICAS);
        for (id, s) in ids.by_ref().zip(rows.by_ref()) {
            for r in 0..REPLICAS {
                add(&mut tables[r][id[r] as usize], s[r]);
            }
        }
        for (&id, &s) in ids.remainder().iter().zip(rows.remainder()) {
            add(&mut tables[0][id as usize], s);
        }
    }
}

/// Adds the other replicas into the first and clears them; `columns` entries are in use.
pub fn merge_replicas(tables: &mut [[ColumnSums; SMALL]; REPLICAS], columns: usize) {
    let (first, rest) = tables.split_at_mut(1);
    for table in rest {
        for (a, b) in first[0][..columns].iter_mut().zip(&mut table[..columns]) {
            a[0] += b[0];
            a[1] += b[1];
            *b = [0; 2];
        }
    }
}

for_each_isa! {
    /// Adds every row's statistics to the sums of its column. Slices of equal length `[rows]`.
    pub fn scatter_u16 / scatter_u16_on(ids: &[u16], rows: &[RowStatistics], table: &mut [ColumnSums; MEDIUM]) {
        for (&id, &s) in ids.iter().zip(rows) {
            add(&mut table[id as usize], s);
        }
    }
}

/// Adds every row's statistics to the sums of its column. Slices of equal length `[rows]`.
///
/// # Panics
/// If an id exceeds the table.
pub fn scatter_u32(ids: &[u32], rows: &[RowStatistics], table: &mut [ColumnSums]) {
    for (&id, &s) in ids.iter().zip(rows) {
        add(&mut table[id as usize], s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    fn rows(n: usize) -> (Vec<u16>, Vec<RowStatistics>) {
        let id = |i: usize| ((i * 7919) % 65_536) as u16;
        ((0..n).map(id).collect(), (0..n).map(|i| [i as i32 - 500, i32::MAX - i as i32]).collect())
    }

    #[test]
    fn scatters_equal_the_plain_loop_on_every_instruction_set() {
        for n in [0, 1, 3, 4, 63, 1027] {
            let (ids, stats) = rows(n);
            let small: Vec<u8> = ids.iter().map(|&i| (i >> 3) as u8).collect();
            let mut want_small = [[0i64; 2]; SMALL];
            let mut want = vec![[0i64; 2]; MEDIUM];
            for i in 0..n {
                for c in 0..2 {
                    want_small[small[i] as usize][c] += stats[i][c] as i64;
                    want[ids[i] as usize][c] += stats[i][c] as i64;
                }
            }
            for isa in [Isa::Baseline, Isa::Avx2, Isa::Avx512] {
                let mut tables = [[[0; 2]; SMALL]; REPLICAS];
                scatter_u8_on(isa, &small, &stats, &mut tables);
                merge_replicas(&mut tables, SMALL);
                assert_eq!(tables[0], want_small);
                assert!(tables[1..].iter().flatten().all(|s| *s == [0; 2]));
                let mut table: Box<[ColumnSums; MEDIUM]> = vec![[0; 2]; MEDIUM].try_into().unwrap();
                scatter_u16_on(isa, &ids, &stats, &mut table);
                assert_eq!(table[..], want);
                let wide: Vec<u32> = ids.iter().map(|&i| i as u32).collect();
                let mut table = vec![[0; 2]; MEDIUM];
                scatter_u32(&wide, &stats, &mut table);
                assert_eq!(table, want);
            }
        }
    }

    #[test]
    fn margins_take_the_change_of_their_column() {
        let (ids, _) = rows(1027);
        let change: Box<[f64; MEDIUM]> = (0..MEDIUM).map(|i| i as f64 * 0.1).collect::<Vec<_>>().try_into().unwrap();
        for isa in [Isa::Baseline, Isa::Avx2, Isa::Avx512] {
            let mut m = vec![1.0; ids.len()];
            add_to_margins_u16_on(isa, &mut m, &ids, &change);
            assert!(m.iter().zip(&ids).all(|(m, &i)| *m == 1.0 + change[i as usize]));
        }
    }
}
