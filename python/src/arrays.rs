//! NumPy arrays as rows of nonzeros: what is copied is copied once.

use crate::error::value;
use numpy::ndarray::ArrayView2;
use numpy::{Element, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use std::borrow::Cow;

/// Numbers a matrix may hold; other types are widened to f64 by NumPy before.
pub trait Number: Element + Copy + Into<f64> + Sync {
    /// The whole array as f32, without a copy if it is that already.
    fn narrow(all: &[Self]) -> Cow<'_, [f32]>;
}

impl Number for f32 {
    fn narrow(all: &[f32]) -> Cow<'_, [f32]> {
        Cow::Borrowed(all)
    }
}

impl Number for f64 {
    fn narrow(all: &[f64]) -> Cow<'_, [f32]> {
        Cow::Owned(all.iter().map(|&x| x as f32).collect())
    }
}

/// A matrix of either width.
#[derive(FromPyObject)]
pub enum Dense<'py> {
    /// 32 bits.
    Single(PyReadonlyArray2<'py, f32>),
    /// 64 bits.
    Double(PyReadonlyArray2<'py, f64>),
}

/// Values of either width.
#[derive(FromPyObject)]
pub enum Values<'py> {
    /// 32 bits.
    Single(PyReadonlyArray1<'py, f32>),
    /// 64 bits.
    Double(PyReadonlyArray1<'py, f64>),
}

/// Indices of either width, as SciPy has them.
#[derive(FromPyObject)]
pub enum Indices<'py> {
    /// 32 bits.
    Narrow(PyReadonlyArray1<'py, i32>),
    /// 64 bits.
    Wide(PyReadonlyArray1<'py, i64>),
}

/// Indices as they are stored; SciPy's are signed but never negative, which [`sparse`] checks.
pub enum Ids<'a> {
    Narrow(Cow<'a, [u32]>),
    Wide(Cow<'a, [u64]>),
}

/// Rows of nonzeros: row `r` has the entries `offsets[r]..offsets[r + 1]`.
pub struct Csr<'a> {
    pub offsets: Cow<'a, [u64]>,
    pub ids: Ids<'a>,
    /// `None`: all 1.
    pub values: Option<Cow<'a, [f32]>>,
}

impl Ids<'_> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        match self {
            Self::Narrow(ids) => ids.len(),
            Self::Wide(ids) => ids.len(),
        }
    }

    /// The index of an entry.
    pub fn at(&self, i: usize) -> u64 {
        match self {
            Self::Narrow(ids) => ids[i] as u64,
            Self::Wide(ids) => ids[i],
        }
    }
}

/// A number as f32.
///
/// # Errors
/// If it is not finite, or beyond what f32 can hold.
pub fn finite(x: f64, place: impl Fn() -> String) -> PyResult<f32> {
    let narrow = x as f32;
    match (narrow.is_finite(), x.is_nan(), x.is_infinite()) {
        (true, ..) => Ok(narrow),
        (_, true, _) => Err(value(&place(), "finite numbers", "NaN")),
        (_, _, true) => Err(value(&place(), "finite numbers", "infinity (inf)")),
        _ => Err(value(&place(), "numbers within f32 (±3.4e38)", x)),
    }
}

/// The nonzeros of a matrix.
pub fn dense<T: Number>(x: ArrayView2<'_, T>) -> PyResult<Csr<'static>> {
    if x.ncols() > u32::MAX as usize {
        return Err(value("X", format!("at most {} columns", u32::MAX), x.ncols()));
    }
    let (mut offsets, mut ids, mut values) = (Vec::with_capacity(x.nrows() + 1), Vec::new(), Vec::new());
    offsets.push(0);
    for (r, row) in x.rows().into_iter().enumerate() {
        for (c, &x) in row.iter().enumerate() {
            let v = finite(x.into(), || format!("X: row {r}, column {c}"))?;
            if v != 0.0 {
                ids.push(c as u32);
                values.push(v);
            }
        }
        offsets.push(ids.len() as u64);
    }
    Ok(Csr { offsets: offsets.into(), ids: Ids::Narrow(ids.into()), values: Some(values.into()) })
}

/// A compressed sparse matrix; borrowed as far as the types allow. Stored zeros are left out.
pub fn sparse<'a>(
    offsets: &'a Indices<'_>,
    indices: &'a Indices<'_>,
    values: &'a Values<'_>,
    columns: u64,
) -> PyResult<Csr<'a>> {
    let offsets: Cow<'a, [u64]> = match offsets {
        Indices::Narrow(o) => o.as_slice()?.iter().map(|&o| o as u64).collect(),
        // A negative number becomes a huge one, which `check` refuses.
        Indices::Wide(o) => Cow::Borrowed(bytemuck::cast_slice(o.as_slice()?)),
    };
    let ids = match indices {
        Indices::Narrow(i) => Ids::Narrow(Cow::Borrowed(bytemuck::cast_slice(i.as_slice()?))),
        Indices::Wide(i) => Ids::Wide(Cow::Borrowed(bytemuck::cast_slice(i.as_slice()?))),
    };
    match values {
        Values::Single(v) => Csr { offsets, ids, values: None }.with(v.as_slice()?, columns),
        Values::Double(v) => Csr { offsets, ids, values: None }.with(v.as_slice()?, columns),
    }
}

impl<'a> Csr<'a> {
    /// The value of an entry.
    pub fn value(&self, i: usize) -> f32 {
        self.values.as_ref().map_or(1.0, |v| v[i])
    }

    /// Checks everything and joins the values, those that are not all 1.
    fn with<T: Number>(self, values: &'a [T], columns: u64) -> PyResult<Self> {
        self.check(values.len(), columns)?;
        let (mut plain, mut zeros) = (true, false);
        for (i, &x) in values.iter().enumerate() {
            let x = finite(x.into(), || format!("X: entry {i}"))?;
            plain &= x == 1.0;
            zeros |= x == 0.0;
        }
        let values = (!plain).then(|| T::narrow(values));
        let csr = Csr { values, ..self };
        Ok(if zeros { csr.without_zeros() } else { csr })
    }

    /// Refuses what would lead outside the arrays.
    fn check(&self, entries: usize, columns: u64) -> PyResult<()> {
        let count = self.ids.len();
        let (first, last) = (self.offsets.first(), self.offsets.last());
        if count != entries || first != Some(&0) || last != Some(&(entries as u64)) || !self.offsets.is_sorted() {
            let got = format!("{count} indices, offsets from {first:?} to {last:?}");
            let expected = format!("as many indices as values ({entries}) and rising offsets to there");
            return Err(value("X: CSR", expected, got));
        }
        let outside = match &self.ids {
            Ids::Narrow(ids) => ids.iter().position(|&i| i as u64 >= columns),
            Ids::Wide(ids) => ids.iter().position(|&i| i >= columns),
        };
        if let Some(i) = outside {
            // As the signed number that it was.
            let got = match &self.ids {
                Ids::Narrow(ids) => format!("{} at entry {i}", ids[i] as i32),
                Ids::Wide(ids) => format!("{} at entry {i}", ids[i] as i64),
            };
            return Err(value("X: CSR", format!("indices from 0 to {}", columns.saturating_sub(1)), got));
        }
        Ok(())
    }

    fn without_zeros(self) -> Self {
        let kept: Vec<usize> = (0..self.ids.len()).filter(|&i| self.value(i) != 0.0).collect();
        let offsets = self.offsets.iter().map(|&o| kept.partition_point(|&i| (i as u64) < o) as u64).collect();
        let values = kept.iter().map(|&i| self.value(i)).collect();
        let ids = match &self.ids {
            Ids::Narrow(ids) => Ids::Narrow(kept.iter().map(|&i| ids[i]).collect()),
            Ids::Wide(ids) => Ids::Wide(kept.iter().map(|&i| ids[i]).collect()),
        };
        Csr { offsets, ids, values: Some(values) }
    }
}
