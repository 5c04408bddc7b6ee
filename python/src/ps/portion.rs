//! `Portion` and `Portions`: a pass in pieces, each done by whoever is free.

use super::shared::Shared;
use handcar_ps as ps;
use handcar_ps::portion::Given;
use pyo3::prelude::*;
use std::sync::Arc;

/// A piece of the work of a pass, as `Worker.portions` gives it. Pushes made with `portion=` this one count once.
#[pyclass(frozen, eq, hash, module = "handcar.ps")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Portion(pub ps::Portion);

#[pymethods]
impl Portion {
    /// Number of the pass.
    #[getter]
    fn pass_number(&self) -> u64 {
        self.0.pass
    }

    /// Which of the portions of its pass this is, from 0.
    #[getter]
    fn index(&self) -> u32 {
        self.0.index
    }

    fn __repr__(&self) -> String {
        format!("<handcar.ps.Portion {} of pass {}>", self.0.index, self.0.pass)
    }
}

/// The portions of a pass that a worker is given.
#[pyclass(frozen, module = "handcar.ps")]
pub struct Portions {
    pub shared: Arc<Shared>,
    pub pass: u64,
    pub count: u32,
}

#[pymethods]
impl Portions {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Portion>> {
        let (pass, count) = (self.pass, self.count);
        let mut worker = self.shared.enter("portions")?;
        worker.clear(py)?;
        let given = worker.wait_on(py, |worker, millis| {
            let given = worker.next_portion_for(pass, count, millis)?;
            Ok(given.filter(|given| !matches!(given, Given::Later { .. })))
        })?;
        Ok(match given {
            Given::Portion(index) => Some(Portion(ps::Portion { pass, index })),
            _ => None,
        })
    }
}
