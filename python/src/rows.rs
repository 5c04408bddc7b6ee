//! Packed rows as a Python object: one read or conversion serves many fits.

use crate::arrays::{self, Csr, Dense, Ids, Indices, Values};
use crate::column::Column;
use crate::error;
use crate::frame::{self, Layout};
use crate::interrupt;
use crate::join::{Joined, join};
use crate::model::Model;
use crate::read::options_of;
use crate::state::State;
use handcar_data::{Dataset, Format, HashKind, LabelKind, Schema};
use numpy::{PyArray1, PyReadonlyArray1, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Packed rows with their labels.
#[pyclass(frozen, name = "Dataset", module = "handcar")]
pub struct Rows {
    pub data: Dataset,
    /// What the keys of `data` stand for, if they are not the keys themselves.
    pub layout: Option<Layout>,
    /// Rows before equal ones were joined, if they were.
    pub joined: Option<u64>,
}

type Numbers<'py> = PyReadonlyArray1<'py, f32>;

#[pymethods]
impl Rows {
    /// From a matrix; labels are those of `label_kind`: -1 or +1 unless it is `real` or `count`. `join`: whether equal rows become
    /// one, their weights added.
    #[staticmethod]
    #[pyo3(signature = (x, labels, weights=None, label_kind="binary", join=true))]
    fn from_dense(
        py: Python<'_>,
        x: Dense<'_>,
        labels: Numbers<'_>,
        weights: Option<Numbers<'_>>,
        label_kind: &str,
        join: bool,
    ) -> PyResult<Self> {
        let kind = label_kind_of(label_kind)?;
        let labels = labels.as_slice()?;
        let weights = weights.as_ref().map(|w| w.as_slice()).transpose()?;
        match &x {
            Dense::Single(x) => {
                let x = x.as_array();
                py.detach(|| pack(arrays::dense(x)?, kind, labels, weights, join))
            }
            Dense::Double(x) => {
                let x = x.as_array();
                py.detach(|| pack(arrays::dense(x)?, kind, labels, weights, join))
            }
        }
    }

    /// From a compressed sparse matrix with `columns` columns, without repeated entries.
    #[staticmethod]
    #[pyo3(signature = (offsets, indices, values, columns, labels, weights=None, label_kind="binary", join=true))]
    #[allow(clippy::too_many_arguments)] // As SciPy keeps them.
    fn from_csr(
        py: Python<'_>,
        offsets: Indices<'_>,
        indices: Indices<'_>,
        values: Values<'_>,
        columns: u64,
        labels: Numbers<'_>,
        weights: Option<Numbers<'_>>,
        label_kind: &str,
        join: bool,
    ) -> PyResult<Self> {
        let kind = label_kind_of(label_kind)?;
        let csr = arrays::sparse(&offsets, &indices, &values, columns)?;
        let labels = labels.as_slice()?;
        let weights = weights.as_ref().map(|w| w.as_slice()).transpose()?;
        py.detach(|| pack(csr, kind, labels, weights, join))
    }

    /// From the columns of a table. `after`: a model that is gone on from, which must have been trained on the same columns, and what
    /// its solver knows.
    #[staticmethod]
    #[pyo3(signature = (columns, labels, weights=None, label_kind="binary", join=true, after=None, state=None))]
    #[allow(clippy::too_many_arguments)] // Named ones.
    fn from_columns(
        py: Python<'_>,
        columns: Vec<Column<'_>>,
        labels: Numbers<'_>,
        weights: Option<Numbers<'_>>,
        label_kind: &str,
        join: bool,
        after: Option<&Model>,
        state: Option<&State>,
    ) -> PyResult<Self> {
        let labels = labels.as_slice()?;
        let weights = weights.as_ref().map(|w| w.as_slice()).transpose()?;
        let mut schema = frame::schema_of(&columns)?;
        schema.label.kind = label_kind_of(label_kind)?;
        if let Some(model) = after
            && !same_features(&schema, &model.inner.schema)
        {
            return Err(error::value("X", "columns of the kinds that the model was trained on", "others"));
        }
        let known = state.map(|s| s.inner.keys()).or(after.map(|m| &m.inner.keys[..])).unwrap_or_default();
        let columns = columns.iter().map(Column::view).collect::<PyResult<Vec<_>>>()?;
        py.detach(|| frame::pack(schema, &columns, known, labels, weights, join))
    }

    /// From the columns of a table, to measure a model on that these rows train: columns are found by name and read as theirs.
    #[pyo3(signature = (columns, labels, weights=None))]
    fn alike(
        &self,
        py: Python<'_>,
        columns: Vec<Column<'_>>,
        labels: Numbers<'_>,
        weights: Option<Numbers<'_>>,
    ) -> PyResult<Self> {
        let labels = labels.as_slice()?;
        let weights = weights.as_ref().map(|w| w.as_slice()).transpose()?;
        let Some(layout) = &self.layout else {
            return Err(error::value("eval_set", "rows of the kind that were trained on", "a table"));
        };
        let columns = columns.iter().map(Column::view).collect::<PyResult<Vec<_>>>()?;
        py.detach(|| frame::pack_alike(layout, &columns, labels, weights))
    }

    /// Files read as the file that these rows come from, to measure a model on that these rows train.
    fn read_alike(&self, py: Python<'_>, inputs: Vec<String>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let (schema, options) = (self.data.schema().clone(), options_of(options)?);
        if self.layout.is_some() || schema.format == Format::Memory {
            return Err(error::value("eval_set", "rows of the kind that were trained on", "paths of files"));
        }
        let data = interrupt::wait_for(py, move || handcar_data::read_with_schema(&inputs, &schema, &options))?;
        Ok(Self { data: data.map_err(error::data)?, layout: None, joined: None })
    }

    /// Number of rows.
    #[getter]
    fn n_rows(&self) -> usize {
        self.data.rows()
    }

    /// Number of distinct features.
    #[getter]
    fn n_features(&self) -> usize {
        self.data.keys().len()
    }

    /// Number of stored entries.
    #[getter]
    fn n_entries(&self) -> u64 {
        self.data.nonzeros()
    }

    /// Label of each row: -1 or +1, or a number.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        self.data.labels().to_pyarray(py)
    }

    /// Names of the columns, in order; empty where they have none.
    #[getter]
    fn columns(&self) -> Vec<String> {
        let schema = self.layout.as_ref().map_or(self.data.schema(), |l| &l.schema);
        schema.fields.iter().filter(|f| !f.name.is_empty()).map(|f| f.name.clone()).collect()
    }

    /// How many columns an array with these rows has, if the rows have no names: one more than the highest index. Rows whose
    /// keys are hashes of names have no such array: then the number of distinct features.
    #[getter]
    fn width(&self) -> u64 {
        let schema = self.data.schema();
        if schema.format == Format::Vw && schema.hash == HashKind::Handcar {
            return self.data.keys().len() as u64;
        }
        let base = (schema.format == Format::Libsvm && !schema.zero_based) as u64;
        self.data.keys().last().map_or(0, |&k| (k + 1).saturating_sub(base))
    }

    /// What labels may be: `binary`, `real` or `count`.
    #[getter]
    fn label_kind(&self) -> &'static str {
        self.data.schema().label.kind.name()
    }

    /// The texts that mean -1 and +1, where labels are texts.
    #[getter]
    fn label_texts(&self) -> (Option<String>, Option<String>) {
        let label = &self.data.schema().label;
        (label.negative.clone(), label.positive.clone())
    }

    /// What happened while reading.
    #[getter]
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let r = self.data.report();
        let report = PyDict::new(py);
        report.set_item("rows", r.rows)?;
        report.set_item("positives", r.positives)?;
        report.set_item("skipped", r.skipped)?;
        report.set_item("reasons", &r.reasons)?;
        report.set_item("notes", &r.notes)?;
        report.set_item("seconds", r.seconds)?;
        report.set_item("from_cache", r.from_cache)?;
        Ok(report)
    }

    fn __len__(&self) -> usize {
        self.data.rows()
    }

    fn __repr__(&self) -> String {
        let format = name_of(self.schema().format);
        format!("<handcar.Dataset: {} rows, {} features, {format}>", self.data.rows(), self.data.keys().len())
    }
}

fn label_kind_of(name: &str) -> PyResult<LabelKind> {
    name.parse().map_err(|e| pyo3::exceptions::PyValueError::new_err(format!("label_kind: {e}")))
}

impl Rows {
    /// How these rows become keys.
    pub fn schema(&self) -> &Schema {
        self.layout.as_ref().map_or(self.data.schema(), |l| &l.schema)
    }

    /// Refuses these rows where a model is gone on from whose keys mean something else.
    pub fn go_on_from(&self, model: &Schema) -> PyResult<()> {
        let mine = self.schema();
        let kind = |s: &Schema| match s.format {
            Format::Memory => "arrays".to_owned(),
            Format::Libsvm => format!("libsvm text with ids from {}", !s.zero_based as u8),
            other => format!("{} text", name_of(other)),
        };
        if (mine.format, mine.zero_based) != (model.format, model.zero_based) {
            return Err(error::value("X", format!("{}, which the model was trained on", kind(model)), kind(mine)));
        }
        if same_features(mine, model) {
            return Ok(());
        }
        let expected = "rows read with the columns and bins that the model was trained on";
        Err(error::value("X", expected, "others (pass the paths instead: they are read the model's way)"))
    }

    /// Refuses rows to measure on whose keys mean something else.
    pub fn accepts(&self, valid: &Self) -> PyResult<()> {
        let (mine, other) = (self.data.schema(), valid.data.schema());
        if valid.layout.is_none() && mine.format == other.format && same_features(mine, other) {
            return Ok(());
        }
        Err(error::value(
            "eval_set",
            "rows of the kind that were trained on, read with the same columns and bins",
            "others",
        ))
    }
}

/// What a format is called.
pub fn name_of(format: Format) -> &'static str {
    match format {
        Format::Libsvm => "libsvm",
        Format::Criteo => "criteo",
        Format::Csv => "csv",
        Format::Vw => "vw",
        Format::Memory => "memory",
    }
}

/// Whether two schemas give a feature one key.
pub fn same_features(a: &Schema, b: &Schema) -> bool {
    // Ids of libsvm text begin at 1 unless they are said to begin at 0, as columns of arrays do.
    let from_one = |s: &Schema| s.format == Format::Libsvm && !s.zero_based;
    let way = |s: &Schema| (s.bits, s.seed, s.hash, from_one(s));
    a.fields == b.fields && a.crosses == b.crosses && a.select == b.select && way(a) == way(b)
}

/// Packs rows that lie in memory. `labels` and `weights` must have one element a row. `joined`: whether equal rows become one.
pub fn pack(csr: Csr<'_>, kind: LabelKind, labels: &[f32], weights: Option<&[f32]>, joined: bool) -> PyResult<Rows> {
    let rows = csr.offsets.len() - 1;
    if labels.len() != rows || weights.is_some_and(|w| w.len() != rows) {
        let got = format!("{} labels, {:?} weights", labels.len(), weights.map(<[f32]>::len));
        return Err(error::value("fit", format!("a label and a weight for each of {rows} rows"), got));
    }
    let packed = |csr: &Csr<'_>, labels: &[f32], weights: Option<&[f32]>| {
        let values = csr.values.as_deref();
        let data = match &csr.ids {
            Ids::Narrow(ids) => Dataset::from_labelled_csr(kind, labels, &csr.offsets, ids, values, weights),
            Ids::Wide(ids) => Dataset::from_labelled_csr(kind, labels, &csr.offsets, ids, values, weights),
        };
        data.map_err(error::data)
    };
    if !joined {
        return Ok(Rows { data: packed(&csr, labels, weights)?, layout: None, joined: None });
    }
    let Joined { csr, labels, weights, rows } = join(csr, labels, weights);
    Ok(Rows { data: packed(&csr, &labels, weights.as_deref())?, layout: None, joined: Some(rows) })
}
