//! Packed data kept between runs.

use crate::dataset::Dataset;
use crate::error::Result;
use crate::options::ReadOptions;
use crate::read::pack;
use crate::schema::Schema;
use crate::source::Input;
use std::sync::Arc;

/// Reads through the cache.
pub(crate) fn read(inputs: &[Input], schema: Option<&Schema>, options: &ReadOptions) -> Result<Dataset> {
    let fresh = pack(inputs, schema, options)?;
    Ok(Dataset { data: Arc::new(fresh.data), report: Arc::new(fresh.report) })
}
