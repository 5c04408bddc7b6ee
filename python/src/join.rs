//! Equal rows become one row with their weights added.
//!
//! A weight of 2 is then the same as having the row twice, to the last bit: training adds rows up in integers, so neither
//! their order nor how they were counted can be seen. It also spares work, as tables of categories repeat themselves.

use crate::arrays::{Csr, Ids};
use handcar_base::hash::bytes128;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Rows, labels and weights ready to be packed.
pub struct Joined<'a> {
    pub csr: Csr<'a>,
    pub labels: Vec<f32>,
    /// `None`: all 1.
    pub weights: Option<Vec<f32>>,
    /// Rows with a weight above zero that came in.
    pub rows: u64,
}

/// Joins equal rows with equal labels in the order of their first one; rows without weight are left out.
///
/// Entries must be in one order in all rows. `labels` and `weights` have one element a row.
pub fn join<'a>(csr: Csr<'a>, labels: &[f32], weights: Option<&[f32]>) -> Joined<'a> {
    let weight = |row: usize| weights.map_or(1.0, |w| w[row]);
    let mut places: HashMap<u128, usize, BuildHasherDefault<Taken>> =
        HashMap::with_capacity_and_hasher(labels.len(), BuildHasherDefault::default());
    let mut kept: Vec<(usize, f64)> = Vec::with_capacity(labels.len());
    let mut rows = 0;
    for row in (0..labels.len()).filter(|&r| weight(r) != 0.0) {
        rows += 1;
        let place = *places.entry(csr.hash(row, labels[row])).or_insert_with(|| {
            kept.push((row, 0.0));
            kept.len() - 1
        });
        kept[place].1 += weight(row) as f64;
    }
    drop(places);
    let plain = kept.iter().all(|k| k.1 == 1.0);
    let weights = (!plain).then(|| kept.iter().map(|k| k.1 as f32).collect());
    let labels = kept.iter().map(|k| labels[k.0]).collect();
    // Most numeric data repeats no row: then nothing is copied.
    let csr = if kept.len() + 1 == csr.offsets.len() { csr } else { csr.select(kept.iter().map(|k| k.0)) };
    Joined { csr, labels, weights, rows }
}

impl<'a> Csr<'a> {
    /// A signature of a row and its label.
    fn hash(&self, row: usize, label: f32) -> u128 {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        let values = self.values.as_ref().map_or(0, |v| bytes128(bytemuck::cast_slice(&v[range.clone()])));
        let ids = match &self.ids {
            Ids::Narrow(ids) => bytes128(bytemuck::cast_slice(&ids[range])),
            Ids::Wide(ids) => bytes128(bytemuck::cast_slice(&ids[range])),
        };
        let label = label.to_bits() as u128;
        bytes128(bytemuck::cast_slice(&[ids, values, label]))
    }

    /// Some of the rows.
    fn select(&self, rows: impl Iterator<Item = usize> + Clone) -> Csr<'static> {
        let range = |r: usize| self.offsets[r] as usize..self.offsets[r + 1] as usize;
        let mut offsets = vec![0];
        let mut end = 0;
        offsets.extend(rows.clone().map(|r| {
            end += range(r).len() as u64;
            end
        }));
        let values = self.values.as_ref().map(|v| rows.clone().flat_map(|r| &v[range(r)]).copied().collect());
        let ids = match &self.ids {
            Ids::Narrow(ids) => Ids::Narrow(rows.flat_map(|r| &ids[range(r)]).copied().collect()),
            Ids::Wide(ids) => Ids::Wide(rows.flat_map(|r| &ids[range(r)]).copied().collect()),
        };
        Csr { offsets: offsets.into(), ids, values }
    }
}

/// Takes what is a hash already as it is.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = handcar_base::hash::bytes(bytes, self.0);
    }

    fn write_u128(&mut self, x: u128) {
        self.0 = x as u64;
    }
}
