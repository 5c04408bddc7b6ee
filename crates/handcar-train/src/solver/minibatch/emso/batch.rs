//! The rows of a batch, turned into columns of the keys that they have.

use super::column::Column;
use handcar_data::{ColumnBlock, Dataset, Entries};
use std::ops::Range;

/// Keys of a batch that stand together.
pub(super) struct Group {
    /// Their numbers in the batch.
    pub keys: Range<usize>,
    pub column: Column,
}

/// The keys that some rows have, and their columns.
pub(super) struct Batch {
    /// Indices of the keys in the data, ascending; that of the intercept is one past the last.
    pub ids: Vec<u32>,
    pub groups: Vec<Group>,
}

impl Batch {
    /// Adds `w·x` to the rows' margins, in fixed point.
    pub fn add_margins(&self, weights: &[f64], margins: &mut [i64]) {
        self.groups.iter().for_each(|g| g.column.add_margins(&weights[g.keys.clone()], margins));
    }
}

/// Makes the batches of a data set.
pub(super) struct Batches<'a> {
    blocks: Vec<ColumnBlock<'a>>,
    /// Of each key of the data: 1 + its number in its group, or 0 between batches.
    marks: Vec<u32>,
}

impl<'a> Batches<'a> {
    pub fn new(data: &'a Dataset) -> Self {
        let blocks = data.blocks().into_iter().filter(|b| !b.keys.is_empty()).collect();
        Self { blocks, marks: vec![0; data.keys().len()] }
    }

    /// The batch over some rows; `intercept`: its index, if there is one.
    pub fn of(&mut self, rows: &Range<usize>, intercept: Option<u32>) -> Batch {
        let (mut ids, mut groups) = (Vec::new(), Vec::new());
        for block in &self.blocks {
            let first = ids.len();
            let marks = &mut self.marks[block.keys.clone()];
            let column = match block.rows(rows.clone()).entries {
                Entries::Dense8(at) => one_hot(at.iter().map(|&i| i as u32), marks, &mut ids),
                Entries::Dense16(at) => one_hot(at.iter().map(|&i| i as u32), marks, &mut ids),
                Entries::Dense32(at) => one_hot(at.iter().copied(), marks, &mut ids),
                Entries::Sparse { rows: at, ids: of, values } => {
                    by_key(at, rows.start as u32, of, values, marks, &mut ids)
                }
            };
            ids[first..].iter().for_each(|&id| marks[id as usize] = 0);
            ids[first..].iter_mut().for_each(|id| *id += block.keys.start as u32);
            if ids.len() > first {
                groups.push(Group { keys: first..ids.len(), column });
            }
        }
        if let Some(id) = intercept {
            ids.push(id);
            groups.push(Group { keys: ids.len() - 1..ids.len(), column: Column::Ones });
        }
        Batch { ids, groups }
    }
}

/// Appends to `ids` the ids that are met, ascending, and marks each with 1 + its number.
fn number(met: impl Iterator<Item = u32>, marks: &mut [u32], ids: &mut Vec<u32>) {
    let first = ids.len();
    for id in met {
        if std::mem::replace(&mut marks[id as usize], 1) == 0 {
            ids.push(id);
        }
    }
    ids[first..].sort_unstable();
    (1u32..).zip(&ids[first..]).for_each(|(n, &id)| marks[id as usize] = n);
}

fn one_hot(at: impl Iterator<Item = u32> + Clone, marks: &mut [u32], ids: &mut Vec<u32>) -> Column {
    number(at.clone().filter(|&i| i > 0).map(|i| i - 1), marks, ids);
    Column::OneHot(at.map(|i| if i > 0 { marks[i as usize - 1] } else { 0 }).collect())
}

fn by_key(
    at: &[u32],
    first_row: u32,
    of: &[u32],
    values: Option<&[f32]>,
    marks: &mut [u32],
    ids: &mut Vec<u32>,
) -> Column {
    let first = ids.len();
    number(of.iter().copied(), marks, ids);
    // `starts[n]` counts the entries of number n as 1 + n, then becomes where they begin, then where they end.
    let mut starts = vec![0u32; ids.len() - first + 1];
    of.iter().for_each(|&id| starts[marks[id as usize] as usize] += 1);
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut next = starts.clone();
    let (mut rows, mut placed) = (vec![0; of.len()], values.map(|v| vec![0.0; v.len()]));
    for (e, (&row, &id)) in at.iter().zip(of).enumerate() {
        let place = &mut next[marks[id as usize] as usize - 1];
        rows[*place as usize] = row - first_row;
        if let (Some(placed), Some(values)) = (&mut placed, values) {
            placed[*place as usize] = values[e];
        }
        *place += 1;
    }
    Column::ByKey { starts, rows, values: placed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_the_entries_of_its_rows_by_key() {
        let (offsets, ids) = ([0u64, 2, 3, 5, 6], [4u32, 9, 4, 7, 9, 4]);
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let data = Dataset::from_csr(&[1.0, -1.0, 1.0, -1.0], &offsets, &ids, Some(&values), None).unwrap();
        let mut batches = Batches::new(&data);
        for _ in 0..2 {
            let batch = batches.of(&(1..3), Some(3));
            assert_eq!(batch.ids, [0, 1, 2, 3]);
            let entries = |k: usize| -> Vec<_> {
                let group = batch.groups.iter().find(|g| g.keys.contains(&k)).unwrap();
                group.column.of_key(k - group.keys.start).collect()
            };
            assert_eq!([0, 1, 2].map(entries), [[(0, 3.0)], [(1, 4.0)], [(1, 5.0)]]);
            let mut margins = [0; 2];
            batch.add_margins(&[1.0, 0.5, 0.0, 0.25], &mut margins);
            assert_eq!(margins, [fixed(3.25), fixed(2.25)]);
        }
        // The last row has one of the keys alone.
        assert_eq!(batches.of(&(3..4), None).ids, [0]);
    }

    fn fixed(x: f32) -> i64 {
        crate::solver::minibatch::fixed::margin(x)
    }
}
