//! The change of a block's weights, on its way to the margins.

use super::block::{Block, Columns};
use handcar_kernels::columns::{MEDIUM, SMALL};

/// The change of a block's weights, by id, waiting to be added to the margins.
pub(crate) enum Change {
    Small(Box<[f64; SMALL]>),
    Medium(Box<[f64; MEDIUM]>),
    Large(Vec<f64>),
}

impl Change {
    pub fn for_block(block: &Block) -> Self {
        fn boxed<const N: usize>() -> Box<[f64; N]> {
            // From the heap, and zeroed by the system only where it is touched.
            vec![0.0; N].into_boxed_slice().try_into().unwrap_or_else(|_| unreachable!("the length is N"))
        }
        match &block.columns {
            Columns::OneHot8(_) => Self::Small(boxed()),
            Columns::OneHot16(_) => Self::Medium(boxed()),
            Columns::OneHot32(_) => Self::Large(vec![0.0; block.keys.len() + 1]),
            Columns::Entries { .. } | Columns::Ones => Self::Large(vec![0.0; block.keys.len()]),
        }
    }

    /// The changes of the block's keys, in order.
    pub fn of_keys(&mut self, block: &Block) -> &mut [f64] {
        let n = block.keys.len();
        match (self, &block.columns) {
            (Self::Small(c), _) => &mut c[1..=n],
            (Self::Medium(c), _) => &mut c[1..=n],
            (Self::Large(c), Columns::OneHot32(_)) => &mut c[1..=n],
            (Self::Large(c), _) => &mut c[..n],
        }
    }
}
