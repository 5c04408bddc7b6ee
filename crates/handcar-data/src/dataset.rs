//! Packed data: rows as CSR with local ids, columns as blocks, and the keys both refer to.

use crate::block::{BlockStore, ColumnBlock, EntryStore};
use crate::cross::{Cross, places};
use crate::csv::token_name;
use crate::error::{DataError, Result};
use crate::label::LabelKind;
use crate::names::Names;
use crate::report::ReadReport;
use crate::row_store::RowStore;
use crate::schema::{FieldKind, FieldSpec, Format, Schema};
use crate::section::Section;
use crate::transpose::build_blocks;
use handcar_base::key;
use std::borrow::Cow;
use std::sync::Arc;

/// Packed data, in memory or in a mapped cache file. Cheap to clone.
#[derive(Clone)]
pub struct Dataset {
    pub(crate) data: Arc<Packed>,
    pub(crate) report: Arc<ReadReport>,
}

pub(crate) struct Packed {
    pub schema: Schema,
    pub labels: Section<f32>,
    pub weights: Option<Section<f32>>,
    pub keys: Section<u64>,
    pub rows: RowStore,
    pub blocks: Vec<BlockStore>,
    pub names: Names,
}

/// Rows: row `r` has ids `ids[offsets[r]..offsets[r + 1]]`, ascending, indices into [`Dataset::keys`].
#[derive(Clone, Copy, Debug)]
pub struct Csr<'a> {
    /// `rows + 1` positions.
    pub offsets: &'a [u64],
    /// Indices into the keys.
    pub ids: &'a [u32],
    /// `None`: all 1.
    pub values: Option<&'a [f32]>,
}

impl<'a> Csr<'a> {
    /// Ids and values of a row.
    #[inline]
    pub fn row(&self, row: usize) -> (&'a [u32], Option<&'a [f32]>) {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        (&self.ids[range.clone()], self.values.map(|v| &v[range]))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }
}

impl Dataset {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.data.labels.len()
    }

    /// Number of stored entries.
    pub fn nonzeros(&self) -> u64 {
        self.data.rows.nonzeros()
    }

    /// One a row, of the schema's kind: `-1` or `+1`, or numbers.
    pub fn labels(&self) -> &[f32] {
        &self.data.labels
    }

    /// Example weights; `None`: all 1.
    pub fn weights(&self) -> Option<&[f32]> {
        self.data.weights.as_deref()
    }

    /// The distinct keys, strictly ascending, without the intercept.
    pub fn keys(&self) -> &[u64] {
        &self.data.keys
    }

    /// What the columns mean.
    pub fn schema(&self) -> &Schema {
        &self.data.schema
    }

    /// The rows. Data that came as one value a column is kept as blocks only: its first call here turns the blocks into
    /// rows (some nanoseconds and 4 bytes an entry, kept from then on), so solvers that stream blocks should not ask.
    pub fn csr(&self) -> Csr<'_> {
        self.data.rows.csr(self.rows(), &self.data.blocks)
    }

    /// The columns, block by block in ascending order of keys; together they cover every key once.
    pub fn blocks(&self) -> Vec<ColumnBlock<'_>> {
        self.data.blocks.iter().map(BlockStore::view).collect()
    }

    /// The same rows under other keys, one for each of [`keys`](Self::keys), which `schema` says the meaning of: numbers of columns
    /// become keys of fields, for what goes by fields. The blocks are made anew.
    ///
    /// ```
    /// use handcar_base::key::compose;
    /// use handcar_data::{Dataset, FieldKind, FieldSpec, Schema};
    /// let data = Dataset::from_csr(&[1.0, 0.0], &[0, 2, 3], &[0u32, 2, 1], None, None)?;
    /// let field = |id, name: &str| FieldSpec { id, name: name.into(), kind: FieldKind::Text };
    /// let schema = Schema { fields: vec![field(1, "a"), field(2, "b")], ..data.schema().clone() };
    /// let data = data.with_keys(vec![compose(1, 7), compose(1, 8), compose(2, 7)], schema)?;
    /// assert_eq!(data.blocks().len(), 2);
    /// # Ok::<(), handcar_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::Matrix`] unless there are as many keys, strictly ascending.
    pub fn with_keys(&self, keys: Vec<u64>, schema: Schema) -> Result<Self> {
        if keys.len() != self.keys().len() || !keys.is_sorted_by(|a, b| a < b) {
            return Err(matrix_error(format!("{} ascending keys", self.keys().len()), format!("{} keys", keys.len())));
        }
        let (blocks, rows) = (build_blocks(self.csr(), &keys).0, RowStore::new(self.nonzeros()));
        let labels = Section::Owned(self.labels().to_vec());
        let weights = self.weights().map(|w| Section::Owned(w.to_vec()));
        let data =
            Packed { schema, labels, weights, keys: Section::Owned(keys), rows, blocks, names: Names::new(Vec::new()) };
        Ok(Self { data: Arc::new(data), report: self.report.clone() })
    }

    /// What happened while reading.
    pub fn report(&self) -> &ReadReport {
        &self.report
    }

    /// What a person reads for a key: `field=value`, or the id.
    pub fn name_of(&self, index: usize) -> String {
        let key = self.data.keys[index];
        let text = self.data.names.get(key);
        name_of_key(&self.data.schema, key, text).into_owned()
    }

    /// The texts that keys were hashed from, as far as they are known, in the order of [`keys`](Self::keys).
    pub fn texts(&self) -> impl Iterator<Item = Option<&str>> {
        let mut at = 0;
        self.keys().iter().map(move |&key| self.data.names.next(key, &mut at))
    }

    /// Rows from memory: row `r` has `indices[offsets[r]..offsets[r + 1]]`, in any order. Indices become keys of field 0.
    /// Labels are `-1`/`+1` or `0`/`1`.
    ///
    /// # Errors
    /// [`DataError::Matrix`] if lengths disagree, offsets fall, a number is not finite, a label is none, an index repeats
    /// in its row or is above [`key::VALUE_MAX`], or there is no row.
    pub fn from_csr<I: Copy + Into<u64>>(
        labels: &[f32],
        offsets: &[u64],
        indices: &[I],
        values: Option<&[f32]>,
        weights: Option<&[f32]>,
    ) -> Result<Self> {
        Self::from_labelled_csr(LabelKind::Binary, labels, offsets, indices, values, weights)
    }

    /// As [`from_csr`](Self::from_csr), with labels of this kind.
    ///
    /// # Errors
    /// The same.
    pub fn from_labelled_csr<I: Copy + Into<u64>>(
        kind: LabelKind,
        labels: &[f32],
        offsets: &[u64],
        indices: &[I],
        values: Option<&[f32]>,
        weights: Option<&[f32]>,
    ) -> Result<Self> {
        crate::memory::from_csr(kind, labels, offsets, indices, values, weights)
    }
}

/// The name of a key under a schema, given the text it was hashed from if that is known.
pub fn name_of_key<'t>(schema: &Schema, k: u64, text: Option<&'t str>) -> Cow<'t, str> {
    if k == key::INTERCEPT {
        return "(intercept)".into();
    }
    let (field, value) = (key::field_of(k), key::value_of(k));
    if let (Format::Vw, Some(text)) = (schema.format, text) {
        return text.into();
    }
    let name = match schema.field(field) {
        None => match schema.crosses.iter().find(|c| c.id == field && schema.by_field()) {
            Some(cross) => name_of_crossed(schema, cross, value, text),
            None => format!("{field}:{value}"),
        },
        Some(f) if f.kind == FieldKind::Raw || matches!(schema.format, Format::Libsvm | Format::Memory) => {
            value.to_string()
        }
        Some(f) if f.kind == FieldKind::Number && value != crate::bucket::MISSING => f.name.clone(),
        Some(f) => match value_name(schema, f, value, text) {
            Some(name) => format!("{}={name}", f.name),
            None => format!("{}=#{value:x}", f.name),
        },
    };
    name.into()
}

fn name_of_crossed(schema: &Schema, cross: &Cross, value: u64, text: Option<&str>) -> String {
    let number = |&f: &usize| schema.fields[f].kind == FieldKind::Number;
    match text.filter(|t| !t.is_empty()) {
        Some(text) => format!("{}={text}", cross.name()),
        None if places(schema, cross).iter().all(number) => cross.name(),
        None => format!("{}=#{value:x}", cross.name()),
    }
}

/// What a person reads for a value of a field: the text it was hashed from, or what its token says.
pub(crate) fn value_name<'a>(
    schema: &Schema,
    field: &FieldSpec,
    value: u64,
    text: Option<&'a str>,
) -> Option<Cow<'a, str>> {
    let hashed = schema.bits < key::VALUE_BITS && value != crate::bucket::MISSING;
    match text {
        Some(text) if !text.is_empty() => Some(text.into()),
        _ if hashed => None,
        _ => token_name(field, value).map(Cow::Owned),
    }
}

impl Packed {
    /// Every promise that other code relies on for indexing; checked when a file is opened.
    pub fn check(&self) -> std::result::Result<(), (String, String)> {
        let rows = self.labels.len();
        let mut lengths = vec![
            ("weights", self.weights.as_ref().map(|w| w.len()), rows),
            ("blocks' end", self.blocks.last().map(|b| b.keys.end), self.keys.len()),
        ];
        for b in &self.blocks {
            let (dense, sparse) = match &b.entries {
                EntryStore::Dense8(d) => (Some(d.len()), None),
                EntryStore::Dense16(d) => (Some(d.len()), None),
                EntryStore::Dense32(d) => (Some(d.len()), None),
                EntryStore::Sparse { rows, ids, values } => {
                    lengths.push(("values of a block", values.as_ref().map(|v| v.len()), ids.len()));
                    (None, Some((rows.len(), ids.len())))
                }
            };
            lengths.push(("elements of a block", dense, rows));
            lengths.push(("rows of a block", sparse.map(|s| s.0), sparse.map_or(0, |s| s.1)));
        }
        for (what, got, expected) in lengths {
            if got.is_some_and(|g| g != expected) {
                return Err((format!("{what} {expected}"), format!("{}", got.unwrap_or_default())));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rows, nonzeros, keys) = (self.rows(), self.nonzeros(), self.keys().len());
        f.debug_struct("Dataset").field("rows", &rows).field("nonzeros", &nonzeros).field("keys", &keys).finish()
    }
}

pub(crate) fn matrix_error(expected: impl Into<String>, got: impl Into<String>) -> DataError {
    DataError::Matrix { expected: expected.into(), got: got.into() }
}
