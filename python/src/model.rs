//! A trained model as a Python object.

use crate::arrays::{self, Csr, Dense, Indices, Values};
use crate::column::{Cell, Column, View};
use crate::error::{self, value};
use crate::interrupt;
use crate::read::options_of;
use crate::rows::{Rows, name_of, same_features};
use handcar_base::{Field, key};
use handcar_data::{FieldKind, FieldSpec, Format, HashKind};
use handcar_train::model;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, ToPyArray};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::Arc;

/// Rows in memory at a time: some megabytes at a few dozen values a row.
pub const BATCH_ROWS: usize = 1 << 14;
/// Up to here weights are spread out by column, which saves a search for each entry (64 MiB at most).
const SPREAD_COLUMNS_MAX: u64 = 1 << 24;

/// A sparse linear model: the same file as the command line's.
#[pyclass(frozen, module = "handcar._handcar")]
pub struct Model {
    pub inner: model::Model,
}

type Margins<'py> = Bound<'py, PyArray1<f64>>;

#[pymethods]
impl Model {
    /// Reads a model file.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let inner = py.detach(|| model::Model::load(&path)).map_err(error::model)?;
        Ok(Self { inner })
    }

    /// Writes a model file, whole or not at all.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.inner.save(&path)).map_err(error::model)
    }

    /// Nonzero weights.
    #[getter]
    fn weights<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        self.inner.weights.to_pyarray(py)
    }

    /// Keys of the nonzero weights.
    #[getter]
    fn keys<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u64>> {
        self.inner.keys.to_pyarray(py)
    }

    /// Places of the weights from the largest magnitude to the smallest.
    fn strongest(&self) -> Vec<usize> {
        self.inner.strongest(self.inner.nnz())
    }

    /// The name of one nonzero weight.
    fn name(&self, i: usize) -> PyResult<String> {
        match i < self.inner.nnz() {
            true => Ok(self.inner.name(i).into_owned()),
            false => Err(PyIndexError::new_err(format!("name: expected an index below {}, got {i}", self.inner.nnz()))),
        }
    }

    /// Names of the nonzero weights.
    #[getter]
    fn names(&self) -> Vec<String> {
        (0..self.inner.nnz()).map(|i| self.inner.name(i).into_owned()).collect()
    }

    /// The intercept.
    #[getter]
    fn intercept(&self) -> f64 {
        self.inner.intercept
    }

    /// `libsvm`, `criteo`, `csv`, `vw`, or `memory` for arrays.
    #[getter]
    fn format(&self) -> &'static str {
        name_of(self.inner.schema.format)
    }

    /// Whether features are known by the hashes of their names alone, so that no column of an array can mean one.
    #[getter]
    fn hashed(&self) -> bool {
        let schema = &self.inner.schema;
        schema.format == Format::Vw && schema.hash == HashKind::Handcar
    }

    /// Distinct features that training saw.
    #[getter]
    fn features(&self) -> u64 {
        self.inner.facts.features
    }

    /// Names of the columns, in order; empty where they have none.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.inner.schema.fields.iter().filter(|f| !f.name.is_empty()).map(|f| f.name.clone()).collect()
    }

    /// Names of the columns, and of crosses, that have no weight; none where columns have no names, and of VW text.
    #[getter]
    fn dropped_fields(&self) -> Vec<String> {
        self.inner.dropped_fields()
    }

    /// Whether every column is a number with a single weight.
    #[getter]
    fn plain(&self) -> bool {
        let schema = &self.inner.schema;
        let raw = matches!(schema.format, Format::Libsvm | Format::Memory);
        if !schema.crosses.is_empty() {
            return false;
        }
        let numbers = schema.format != Format::Vw && schema.fields.iter().all(|f| f.kind == FieldKind::Number);
        let missing = self.inner.keys.iter().any(|&k| key::value_of(k) == handcar_data::bucket::MISSING);
        raw || (numbers && !missing)
    }

    /// For arrays, the key of column 0; for tables of numbers, the field of it.
    #[getter]
    fn base(&self) -> u64 {
        (self.inner.schema.format == Format::Libsvm && !self.inner.schema.zero_based) as u64
    }

    /// Weight of each of the first `columns` columns of a plain model.
    fn spread<'py>(&self, py: Python<'py>, columns: u64) -> Bound<'py, PyArray1<f64>> {
        let weight = |column: u64| match self.columns_are_fields() {
            true => self.inner.schema.fields.get(column as usize).map(|f| self.inner.weight(key::compose(f.id, 1))),
            false => Some(self.inner.weight(column + self.base())),
        };
        let weights: Vec<f64> = (0..columns).map(|c| weight(c).unwrap_or(0.0) as f64).collect();
        weights.into_pyarray(py)
    }

    /// Texts of the labels -1 and +1, where they are texts.
    #[getter]
    fn label_texts(&self) -> (Option<String>, Option<String>) {
        let label = &self.inner.schema.label;
        (label.negative.clone(), label.positive.clone())
    }

    /// What the training found.
    #[getter]
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let f = &self.inner.facts;
        let facts = PyDict::new(py);
        facts.set_item("version", &f.version)?;
        facts.set_item("solver", &f.solver)?;
        facts.set_item("loss_name", &f.loss_name)?;
        facts.set_item("huber_delta", f.huber_delta)?;
        facts.set_item("label_kind", self.inner.schema.label.kind.name())?;
        facts.set_item("l1", f.l1)?;
        facts.set_item("l2", f.l2)?;
        facts.set_item("group_lasso", f.group_lasso)?;
        facts.set_item("lower", f.lower)?;
        facts.set_item("upper", f.upper)?;
        facts.set_item("fit_intercept", f.intercept)?;
        facts.set_item("delay", f.delay)?;
        facts.set_item("tol", f.tol)?;
        facts.set_item("seed", f.seed)?;
        facts.set_item("rows", f.rows)?;
        facts.set_item("features", f.features)?;
        facts.set_item("fields", f.fields)?;
        facts.set_item("nnz", f.nnz)?;
        facts.set_item("passes", f.passes)?;
        facts.set_item("objective", f.objective)?;
        facts.set_item("loss", f.loss)?;
        facts.set_item("gap", f.gap)?;
        facts.set_item("violation", f.violation)?;
        facts.set_item("converged", f.converged)?;
        Ok(facts)
    }

    /// What is expected at each margin: the probability of the positive class, or the mean label.
    fn means<'py>(&self, py: Python<'py>, margins: PyReadonlyArray1<'py, f64>) -> PyResult<Margins<'py>> {
        let facts = &self.inner.facts;
        let Some(loss) = facts.loss_kind().filter(|loss| loss.mean(0.0).is_some()) else {
            let expected = "a model of logistic loss or of a regression, whose margins say more than an order";
            return Err(value("means", expected, &facts.loss_name));
        };
        let means: Vec<f64> = margins.as_slice()?.iter().filter_map(|&m| loss.mean(m)).collect();
        Ok(means.into_pyarray(py))
    }

    /// Margins of the rows of a matrix.
    fn margins_dense<'py>(&self, py: Python<'py>, x: Dense<'py>) -> PyResult<Margins<'py>> {
        let margins = match &x {
            Dense::Single(x) => {
                let x = x.as_array();
                py.detach(|| Ok::<_, PyErr>(self.margins(&arrays::dense(x)?, x.ncols() as u64)))
            }
            Dense::Double(x) => {
                let x = x.as_array();
                py.detach(|| Ok::<_, PyErr>(self.margins(&arrays::dense(x)?, x.ncols() as u64)))
            }
        }?;
        Ok(margins.into_pyarray(py))
    }

    /// Margins of the rows of a compressed sparse matrix.
    fn margins_csr<'py>(
        &self,
        py: Python<'py>,
        offsets: Indices<'py>,
        indices: Indices<'py>,
        values: Values<'py>,
        columns: u64,
    ) -> PyResult<Margins<'py>> {
        let csr = arrays::sparse(&offsets, &indices, &values, columns)?;
        Ok(py.detach(|| self.margins(&csr, columns)).into_pyarray(py))
    }

    /// Margins of the rows of a table, whose columns are found by name; further columns are ignored.
    fn margins_columns<'py>(&self, py: Python<'py>, columns: Vec<Column<'py>>) -> PyResult<Margins<'py>> {
        let views = columns.iter().map(Column::view).collect::<PyResult<Vec<_>>>()?;
        Ok(py.detach(|| self.margins_of_table(&views))?.into_pyarray(py))
    }

    /// Margins of packed rows.
    fn margins_rows<'py>(&self, py: Python<'py>, rows: &Rows) -> PyResult<Margins<'py>> {
        let data = &rows.data;
        let (schema, keys) = match &rows.layout {
            Some(layout) => (&layout.schema, &layout.keys[..]),
            None => (data.schema(), data.keys()),
        };
        if !same_features(schema, &self.inner.schema) {
            let expected = "rows read with the columns and bins that the model was trained on";
            return Err(value("X", expected, "others (pass the paths instead: they are read the model's way)"));
        }
        let margins = py.detach(|| {
            let (csr, mut margins) = (data.csr(), Vec::with_capacity(data.rows()));
            self.inner.margins(csr.offsets, csr.ids, csr.values, keys, &mut margins);
            margins
        });
        Ok(margins.into_pyarray(py))
    }

    /// Margins of the rows of files, and their labels if every row has one; in memory that grows with the rows only.
    #[allow(clippy::type_complexity)]
    fn margins_files<'py>(
        slf: &Bound<'py, Self>,
        inputs: Vec<String>,
        options: &Bound<'py, PyDict>,
    ) -> PyResult<(Margins<'py>, Option<Bound<'py, PyArray1<f32>>>)> {
        let (py, options) = (slf.py(), options_of(options)?);
        let this = Arc::new(slf.clone().unbind());
        let (margins, labels) = interrupt::wait_for(py, move || {
            let model = &this.get().inner;
            let (mut margins, mut labels) = (Vec::new(), Some(Vec::new()));
            for batch in handcar_data::batches(&inputs, &model.schema, &options, BATCH_ROWS)? {
                let b = batch?;
                model.margins(&b.offsets, &b.ids, b.values.as_deref(), &b.keys, &mut margins);
                labels = labels.zip(b.labels).map(|(mut all, more)| {
                    all.extend(more);
                    all
                });
            }
            Ok((margins, labels))
        })?
        .map_err(error::data)?;
        Ok((margins.into_pyarray(py), labels.map(|l| l.into_pyarray(py))))
    }

    fn __repr__(&self) -> String {
        format!("<handcar model: {} weights of {} features>", self.inner.nnz(), self.inner.facts.features)
    }
}

impl Model {
    fn columns_are_fields(&self) -> bool {
        matches!(self.inner.schema.format, Format::Csv | Format::Criteo)
    }

    fn margins(&self, x: &Csr<'_>, columns: u64) -> Vec<f64> {
        let base = self.base();
        let spread: Option<Vec<f32>> = (columns <= SPREAD_COLUMNS_MAX).then(|| {
            let mut spread = vec![0.0; columns as usize];
            for (&k, &w) in self.inner.keys.iter().zip(&self.inner.weights) {
                if let Some(to) = k.checked_sub(base).and_then(|c| spread.get_mut(c as usize)) {
                    *to = w;
                }
            }
            spread
        });
        let weight = |column: u64| match &spread {
            Some(all) => all[column as usize],
            None => self.inner.weight(column + base),
        };
        let rows = x.offsets.windows(2).map(|w| w[0] as usize..w[1] as usize);
        rows.map(|row| row.fold(self.inner.intercept, |sum, i| sum + weight(x.ids.at(i)) as f64 * x.value(i) as f64))
            .collect()
    }

    /// Column by column, in the order of fields: the order in which a row read from a file adds up.
    fn margins_of_table(&self, columns: &[View<'_>]) -> PyResult<Vec<f64>> {
        let schema = &self.inner.schema;
        let rows = columns.first().map_or(0, View::len);
        let mut margins = vec![self.inner.intercept; rows];
        for field in &schema.fields {
            let view = column_of(columns, field, rows)?;
            let weight = |token| self.inner.weight(key::compose(field.id, token)) as f64;
            let mut of_code = vec![None; view.texts()];
            // Rows of numbers mostly have the one token that raw numbers have.
            let mut last = (u64::MAX, 0.0);
            view.for_each(field, schema, |row, code, cell| {
                let Cell::Token(token, x) = cell else { return };
                let w = match of_code.get_mut(code) {
                    Some(known) => *known.get_or_insert_with(|| weight(token)),
                    None if last.0 == token => last.1,
                    None => {
                        last = (token, weight(token));
                        last.1
                    }
                };
                margins[row] += w * x as f64;
            })?;
        }
        for cross in &schema.crosses {
            let mut parts = Vec::with_capacity(cross.of.len());
            for field in cross.of.iter().filter_map(|name| schema.fields.iter().find(|f| f.name == *name)) {
                let mut cells = vec![Cell::Absent; rows];
                column_of(columns, field, rows)?.for_each(field, schema, |row, _, cell| cells[row] = cell)?;
                parts.push((field.id, cells));
            }
            for (row, margin) in margins.iter_mut().enumerate() {
                let of = |(id, cells): &(Field, Vec<Cell>)| match cells[row] {
                    Cell::Token(token, x) => Some((key::compose(*id, token), x)),
                    Cell::Absent => None,
                };
                if let Some((key, x)) =
                    parts.iter().map(of).collect::<Option<Vec<_>>>().map(|p| cross.feature(&p, schema))
                {
                    *margin += self.inner.weight(key) as f64 * x as f64;
                }
            }
        }
        Ok(margins)
    }
}

/// The column of a field, which must have `rows` rows.
pub fn column_of<'c, 'v>(columns: &'c [View<'v>], field: &FieldSpec, rows: usize) -> PyResult<&'c View<'v>> {
    let Some(view) = columns.iter().find(|c| c.name() == field.name) else {
        let names: Vec<&str> = columns.iter().map(View::name).collect();
        return Err(value("X", format!("a column {:?}", field.name), format!("columns {}", names.join(", "))));
    };
    if view.len() != rows {
        return Err(value("X", format!("{rows} rows in column {:?}", field.name), view.len()));
    }
    Ok(view)
}
