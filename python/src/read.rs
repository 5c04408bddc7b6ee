//! Files as packed rows, read as `handcar fit` reads them.

use crate::error;
use crate::interrupt;
use crate::model::Model;
use crate::rows::Rows;
use handcar_data::{CachePolicy, Negatives, OnBadRow, ReadOptions};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

/// Reads inputs; `options` are those of the command line, with underscores. `like`: a model that says what columns and bins are.
#[pyfunction]
#[pyo3(signature = (inputs, options, like=None))]
pub fn read(py: Python<'_>, inputs: Vec<String>, options: &Bound<'_, PyDict>, like: Option<&Model>) -> PyResult<Rows> {
    let options = options_of(options)?;
    let schema = like.map(|m| m.inner.schema.clone());
    let data = interrupt::wait_for(py, move || match schema {
        Some(schema) => handcar_data::read_with_schema(&inputs, &schema, &options),
        None => handcar_data::read(&inputs, &options),
    })?;
    Ok(Rows { data: data.map_err(error::data)?, layout: None, joined: None })
}

/// Checked options.
///
/// # Errors
/// `ValueError` for a name or value that does not exist, `TypeError` for a value of the wrong type.
pub fn options_of(given: &Bound<'_, PyDict>) -> PyResult<ReadOptions> {
    let mut o = ReadOptions::default();
    let mut cache = CachePolicy::default();
    let (mut rate, mut seed) = (None, 0);
    for (name, v) in given.iter() {
        let name: String = name.extract()?;
        match name.as_str() {
            "format" => {
                let format: Option<String> = v.extract()?;
                let parsed = format.map(|f| f.parse().map_err(|e: String| refuse("format", &e)));
                o.format = parsed.transpose()?;
            }
            "label" => o.label = v.extract()?,
            "labels" => o.labels = v.extract::<String>()?.parse().map_err(|e: String| refuse("labels", &e))?,
            "positive" => o.positive = v.extract()?,
            "weight" => o.weight = v.extract()?,
            "numeric" => o.numeric = v.extract()?,
            "categorical" => o.categorical = v.extract()?,
            "raw" => o.raw = v.extract()?,
            "ignore" => o.ignore = v.extract()?,
            "keep" => o.keep = v.extract()?,
            "drop" => o.drop = v.extract()?,
            "cross" => o.cross = v.extract()?,
            "negatives" => rate = v.extract()?,
            "seed" => seed = v.extract()?,
            "delimiter" => {
                let text: Option<String> = v.extract()?;
                o.delimiter = match text.as_ref().map(|t| t.as_bytes()) {
                    None => None,
                    Some([b]) => Some(*b),
                    Some(_) => return Err(refuse("delimiter", "expected one ASCII letter")),
                };
            }
            "bits" => o.bits = v.extract()?,
            "hash" => o.hash = v.extract::<String>()?.parse().map_err(|e: String| refuse("hash", &e))?,
            "zero_based" => o.zero_based = v.extract()?,
            "on_bad_row" => {
                o.on_bad_row = match v.extract::<String>()?.as_str() {
                    "fail" => OnBadRow::Fail,
                    "skip" => OnBadRow::Skip,
                    other => return Err(error::value("option on_bad_row", "'fail' or 'skip'", format!("{other:?}"))),
                }
            }
            "n_threads" => o.threads = v.extract()?,
            "cache" => cache.enabled = v.extract()?,
            "cache_dir" => cache.dir = v.extract::<Option<PathBuf>>()?,
            "verify_cache" => cache.verify = v.extract()?,
            other => return Err(error::value("read", "an option of handcar.read", format!("{other:?}"))),
        }
    }
    let negatives = rate.map(|rate| Negatives { rate, seed });
    Ok(ReadOptions { cache, negatives, ..o })
}

fn refuse(option: &str, message: &str) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(format!("option {option}: {message}"))
}
