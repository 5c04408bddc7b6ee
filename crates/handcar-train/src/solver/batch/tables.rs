//! Where one thread's sums over rows go.

use super::block::{Block, Columns};
use handcar_kernels::columns::{self, ColumnSums, MEDIUM, REPLICAS, SMALL};
use handcar_kernels::logistic::RowStatistics;
use std::ops::Range;

/// Where sums over rows go, by the width of a block's ids.
pub(crate) struct Tables {
    small: Box<[[ColumnSums; SMALL]; REPLICAS]>,
    medium: Option<Box<[ColumnSums; MEDIUM]>>,
    pub large: Vec<ColumnSums>,
}

impl Tables {
    pub fn new() -> Self {
        Self { small: Box::new([[[0; 2]; SMALL]; REPLICAS]), medium: None, large: Vec::new() }
    }

    /// The sums of the block's keys, in order.
    pub fn of_keys(&mut self, block: &Block) -> &mut [ColumnSums] {
        let n = block.keys.len();
        match (&block.columns, &mut self.medium) {
            (Columns::OneHot8(_), _) => &mut self.small[0][1..=n],
            (Columns::OneHot16(_), Some(medium)) => &mut medium[1..=n],
            (Columns::OneHot32(_), _) => &mut self.large[1..=n],
            _ => &mut self.large[..n],
        }
    }

    pub fn clear(&mut self, block: &Block) {
        let n = block.keys.len();
        match &block.columns {
            Columns::OneHot8(_) => self.small.iter_mut().for_each(|t| t[..=n].fill([0; 2])),
            Columns::OneHot16(_) => {
                let medium = self.medium.get_or_insert_with(|| {
                    let table = vec![[0; 2]; MEDIUM].into_boxed_slice();
                    table.try_into().unwrap_or_else(|_| unreachable!("the length is MEDIUM"))
                });
                medium[..=n].fill([0; 2]);
            }
            _ => {
                self.large.clear();
                self.large.resize(n + 1, [0; 2]);
            }
        }
    }

    /// Adds statistics of rows, given by their range among the worker's, to the columns of a one-hot block.
    pub fn scatter_one_hot(&mut self, block: &Block, rows: Range<usize>, statistics: &[RowStatistics]) {
        match (&block.columns, &mut self.medium) {
            (Columns::OneHot8(ids), _) => columns::scatter_u8(&ids[rows], statistics, &mut self.small),
            (Columns::OneHot16(ids), Some(medium)) => columns::scatter_u16(&ids[rows], statistics, medium),
            (Columns::OneHot32(ids), _) => columns::scatter_u32(&ids[rows], statistics, &mut self.large),
            (Columns::Ones, _) => {
                let sum = &mut self.large[0];
                for s in statistics {
                    sum[0] += s[0] as i64;
                    sum[1] += s[1] as i64;
                }
            }
            _ => unreachable!("clear() made the table"),
        }
    }

    pub fn merge_replicas(&mut self, block: &Block) {
        if let Columns::OneHot8(_) = block.columns {
            columns::merge_replicas(&mut self.small, block.keys.len() + 1);
        }
    }
}
