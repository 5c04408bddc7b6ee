//! The Python face of handcar: what the package `handcar` calls, and nothing that is not reachable from Rust too.
//!
//! Python code turns whatever a user hands in into NumPy arrays; this module copies them once, into packed data, reads
//! files, and trains and scores with the interpreter lock released. `ps` is the parameter server itself.
#![allow(unsafe_code)] // Written by PyO3's macros; none by hand.

mod arrays;
mod column;
mod error;
mod evaluate;
mod fit;
mod frame;
mod interrupt;
mod join;
mod model;
mod ps;
mod read;
mod rows;
mod state;

use pyo3::prelude::*;

/// The compiled half of `handcar`.
#[pymodule]
fn _handcar(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_class::<rows::Rows>()?;
    m.add_class::<model::Model>()?;
    m.add_class::<state::State>()?;
    m.add_function(wrap_pyfunction!(read::read, m)?)?;
    m.add_function(wrap_pyfunction!(evaluate::evaluate, m)?)?;
    m.add_function(wrap_pyfunction!(fit::fit, m)?)?;
    ps::register(m)
}
