//! Rows handed in from memory.

use crate::dataset::{Dataset, matrix_error};
use crate::error::Result;
use crate::label::LabelKind;
use crate::parsed::{Ids, Ragged};
use crate::ragged::RaggedBuilder;
use crate::report::ReadReport;
use crate::schema::{Format, Schema};
use handcar_base::key;
use std::sync::Arc;

/// See [`Dataset::from_csr`].
pub(crate) fn from_csr<I: Copy + Into<u64>>(
    kind: LabelKind,
    labels: &[f32],
    offsets: &[u64],
    indices: &[I],
    values: Option<&[f32]>,
    weights: Option<&[f32]>,
) -> Result<Dataset> {
    let rows = labels.len();
    if rows == 0 || rows > u32::MAX as usize {
        return Err(matrix_error(format!("1 to {} rows", u32::MAX), rows.to_string()));
    }
    if offsets.len() != rows + 1 || offsets[0] != 0 || offsets[rows] != indices.len() as u64 || !offsets.is_sorted() {
        let expected = format!("{} ascending offsets from 0 to {}", rows + 1, indices.len());
        return Err(matrix_error(expected, format!("{} offsets, last {:?}", offsets.len(), offsets.last())));
    }
    for (what, len, expected) in
        [("values", values.map(<[f32]>::len), indices.len()), ("weights", weights.map(<[f32]>::len), rows)]
    {
        if len.is_some_and(|l| l != expected) {
            return Err(matrix_error(format!("{expected} {what}"), format!("{}", len.unwrap_or(0))));
        }
    }
    if let Some((i, v)) = values.and_then(|v| v.iter().enumerate().find(|v| !v.1.is_finite())) {
        return Err(matrix_error("finite values", format!("{v} at entry {i}")));
    }
    if let Some((i, w)) = weights.and_then(|w| w.iter().enumerate().find(|w| !w.1.is_finite() || *w.1 < 0.0)) {
        return Err(matrix_error("finite weights of 0 or more", format!("{w} in row {i}")));
    }
    let wrong = |i: usize, y: f32| matrix_error(format!("as a label {}", kind.expected()), format!("{y} in row {i}"));
    let labels = labels.iter().enumerate().map(|(i, &y)| kind.of_number(y).ok_or_else(|| wrong(i, y)));
    let labels: Vec<f32> = labels.collect::<Result<_>>()?;

    let mut ids: Vec<u64> = indices.iter().map(|&i| i.into()).collect();
    let mut values = values.filter(|v| v.iter().any(|&v| v != 1.0)).map(<[f32]>::to_vec);
    for row in 0..rows {
        let range = offsets[row] as usize..offsets[row + 1] as usize;
        sort_row(&mut ids[range.clone()], values.as_mut().map(|v| &mut v[range.clone()]));
        let ids = &ids[range];
        if let Some(w) = ids.windows(2).find(|w| w[0] == w[1]) {
            return Err(matrix_error("no index twice in a row", format!("index {} twice in row {row}", w[0])));
        }
        if let Some(&id) = ids.last().filter(|&&id| id > key::VALUE_MAX) {
            return Err(matrix_error(format!("indices of at most {}", key::VALUE_MAX), format!("{id} in row {row}")));
        }
    }
    let lengths = offsets.windows(2).map(|w| (w[1] - w[0]) as u32).collect();
    let ids = match ids.iter().max() {
        Some(&m) if m > u32::MAX as u64 => Ids::Wide(ids),
        _ => Ids::Narrow(ids.iter().map(|&i| i as u32).collect()),
    };
    let mut builder = RaggedBuilder::default();
    builder.push(Ragged { lengths, ids, values });
    let binary = kind == LabelKind::Binary;
    let positives = labels.iter().filter(|&&y| binary && y > 0.0).count() as u64;
    let mut schema = Schema::raw(Format::Memory, key::VALUE_BITS, 0, true);
    schema.label.kind = kind;
    let data = builder.finish(&schema, labels, weights.map(<[f32]>::to_vec), 1);
    let report = ReadReport { rows: rows as u64, positives, ..Default::default() };
    Ok(Dataset { data: Arc::new(data), report: Arc::new(report) })
}

fn sort_row(ids: &mut [u64], values: Option<&mut [f32]>) {
    if ids.is_sorted() {
        return;
    }
    let Some(values) = values else { return ids.sort_unstable() };
    let mut pairs: Vec<(u64, f32)> = ids.iter().copied().zip(values.iter().copied()).collect();
    pairs.sort_by_key(|p| p.0);
    for ((id, value), p) in ids.iter_mut().zip(values).zip(pairs) {
        (*id, *value) = p;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_csr<I: Copy + Into<u64>>(
        labels: &[f32],
        offsets: &[u64],
        indices: &[I],
        values: Option<&[f32]>,
        weights: Option<&[f32]>,
    ) -> Result<Dataset> {
        super::from_csr(LabelKind::Binary, labels, offsets, indices, values, weights)
    }

    #[test]
    fn rows_are_sorted_and_localised() {
        let d =
            from_csr(&[1.0, 0.0], &[0, 3, 4], &[9u64, 2, 1 << 40, 2], Some(&[0.5, 1.0, 2.0, 3.0]), Some(&[1.0, 2.0]))
                .unwrap();
        assert_eq!(d.keys(), [2, 9, 1 << 40]);
        assert_eq!(d.csr().row(0), (&[0, 1, 2][..], Some(&[1.0, 0.5, 2.0][..])));
        assert_eq!((d.labels(), d.weights().unwrap()), (&[1.0, -1.0][..], &[1.0, 2.0][..]));
        assert_eq!(d.name_of(1), "9");
    }

    #[test]
    fn malformed_matrices_are_refused() {
        let bad = [
            (from_csr::<u32>(&[], &[0], &[], None, None), "1 to 4294967295 rows, got 0"),
            (from_csr(&[1.0], &[0, 2], &[1u32], None, None), "ascending offsets"),
            (from_csr(&[1.0, 1.0], &[0, 2, 1], &[1u32], None, None), "ascending offsets"),
            (from_csr(&[2.0], &[0, 1], &[1u32], None, None), "as a label 0, 1, -1 or +1, got 2 in row 0"),
            (from_csr(&[f32::NAN], &[0, 1], &[1u32], None, None), "got NaN in row 0"),
            (from_csr(&[1.0], &[0, 2], &[4u32, 4], None, None), "got index 4 twice in row 0"),
            (from_csr(&[1.0], &[0, 1], &[4u32], Some(&[f32::INFINITY]), None), "finite values, got inf at entry 0"),
            (from_csr(&[1.0], &[0, 1], &[4u32], Some(&[]), None), "1 values, got 0"),
            (from_csr(&[1.0], &[0, 1], &[4u32], None, Some(&[-1.0])), "finite weights of 0 or more, got -1 in row 0"),
            (from_csr(&[1.0], &[0, 1], &[1u64 << 52], None, None), "indices of at most"),
        ];
        for (result, message) in bad {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(message), "{error} / {message}");
        }
    }

    #[test]
    fn other_keys_leave_rows_as_they_are_and_must_ascend() {
        let d = from_csr(&[1.0, 0.0], &[0, 3, 4], &[0u32, 1, 2, 1], Some(&[0.5, 1.0, 2.0, 3.0]), Some(&[1.0, 2.0]))
            .unwrap();
        let keys = vec![key::compose(1, 5), key::compose(2, 0), key::compose(2, 7)];
        let other = d.with_keys(keys.clone(), d.schema().clone()).unwrap();
        assert_eq!((other.keys(), other.labels(), other.weights()), (&keys[..], d.labels(), d.weights()));
        for row in 0..2 {
            assert_eq!(other.csr().row(row), d.csr().row(row));
        }
        let fields: Vec<_> = other.blocks().iter().map(|b| b.field).collect();
        assert_eq!((fields.first(), fields.last()), (Some(&1), Some(&2)));
        for bad in [vec![1, 2], vec![1, 3, 2], vec![1, 1, 2]] {
            let told = d.with_keys(bad, d.schema().clone()).err().unwrap().to_string();
            assert!(told.contains("expected 3 ascending keys"), "{told}");
        }
    }
}
