//! Places of checkpoints, as Python names them.

use super::error::ps;
use handcar_ps::checkpoint::{Blobs, PlaceConfig, open_place};
use pyo3::prelude::*;

/// A folder, `file:///folder` or `s3://bucket/prefix`; the settings of object stores come from the environment (`AWS_...`).
pub fn place(place: &str, create: bool) -> PyResult<Box<dyn Blobs>> {
    let settings = std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect();
    let config = PlaceConfig { url: place.into(), settings, ..PlaceConfig::default() };
    open_place(&config, create).map_err(|e| ps(e.into()))
}
