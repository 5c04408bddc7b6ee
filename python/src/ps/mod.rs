//! `handcar.ps`: the parameter server's workers, tables and tasks as Python objects.
//!
//! Every wait is a row of bounded waits with the interpreter lock released; between them Python looks for signals.

mod error;
mod keys;
mod policy;
mod portion;
mod saved;
mod shared;
mod start;
mod table;
mod task;
mod values;
mod worker;

use pyo3::prelude::*;

/// Adds what `handcar.ps` offers to the compiled module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<keys::Keys>()?;
    m.add_class::<portion::Portion>()?;
    m.add_class::<portion::Portions>()?;
    m.add_class::<task::Task>()?;
    m.add_class::<table::Table>()?;
    m.add_class::<worker::Worker>()?;
    m.add_function(wrap_pyfunction!(start::local_workers, m)?)?;
    m.add_function(wrap_pyfunction!(start::connect, m)?)?;
    Ok(())
}
