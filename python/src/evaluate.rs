//! Evaluation of a model on files, streamed.

use crate::model::{BATCH_ROWS, Model};
use crate::read::options_of;
use crate::{error, interrupt};
use handcar_train::evaluate::{EvaluateError, Evaluator};
use handcar_train::report::Report;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Measures a model on the rows of files, and by the values of some fields, of each at most `most`. The report of
/// `handcar eval`, as JSON.
#[pyfunction]
#[pyo3(signature = (model, inputs, options, slices, most))]
pub fn evaluate(
    py: Python<'_>,
    model: Py<Model>,
    inputs: Vec<String>,
    options: &Bound<'_, PyDict>,
    slices: Vec<String>,
    most: usize,
) -> PyResult<String> {
    let options = options_of(options)?;
    let refused = |e: EvaluateError| PyValueError::new_err(e.to_string());
    let found = interrupt::wait_for(py, move || {
        let model = &model.get().inner;
        let mut evaluator = Evaluator::new(model, &slices).map_err(refused)?;
        let mut rows = handcar_data::batches(&inputs, &model.schema, &options, BATCH_ROWS).map_err(error::data)?;
        rows.note_texts(&evaluator.fields());
        let mut margins = Vec::new();
        while let Some(batch) = rows.next().transpose().map_err(error::data)? {
            margins.clear();
            model.margins(&batch.offsets, &batch.ids, batch.values.as_deref(), &batch.keys, &mut margins);
            evaluator.add(&batch, &margins).map_err(refused)?;
        }
        evaluator.finish(most, |key| rows.text_of(key)).map_err(refused)
    })??;
    Ok(Report::of_evaluation(found).to_json())
}
