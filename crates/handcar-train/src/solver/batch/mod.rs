//! What batch solvers have in common: a worker's rows with the columns of each block, sums over them, and the bound that
//! certifies an optimum.

mod block;
mod change;
mod dual;
mod fields;
mod problem;
mod rows;
mod screen;
mod sums;
mod tables;

pub(crate) use block::{Block, Columns};
pub(crate) use change::Change;
pub(crate) use dual::{DualGradient, best_bound, negative_entropy, relative_gap};
pub(crate) use fields::field_ranges;
pub(crate) use problem::{Problem, Task, key_list, merge, on_shards};
pub(crate) use rows::{Curvature, RowData, RowShard, Second};
pub(crate) use sums::{Loss, Sums, register};
