//! What a minibatch solver knows beside the weights, as a Python object.

use crate::error;
use crate::frame::Layout;
use handcar_train::solver::minibatch::OptimizerState;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The state between two fits, with which another goes on.
#[pyclass(frozen, module = "handcar._handcar")]
pub struct State {
    pub inner: OptimizerState,
}

#[pymethods]
impl State {
    /// The state of bytes that [`to_bytes`](Self::to_bytes) gave.
    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        let inner = OptimizerState::from_bytes(bytes);
        let inner = inner.ok_or_else(|| error::value("state", "bytes of a solver's state", "others"))?;
        Ok(Self { inner })
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.to_bytes())
    }

    /// Batches learned from.
    #[getter]
    fn batches(&self) -> u64 {
        self.inner.batches()
    }
}

impl State {
    /// The state of the keys that a table's numbers stand for.
    pub fn name(state: OptimizerState, layout: &Layout) -> OptimizerState {
        let keys = state.keys().iter().map(|&number| layout.keys[number as usize]).collect();
        state.with_keys(keys)
    }

    /// The reverse of [`State::name`]; the table must have been packed after the state.
    pub fn number(&self, layout: &Layout) -> PyResult<OptimizerState> {
        let number = |k| layout.keys.binary_search(k).ok().map(|i| i as u64);
        let numbers: Option<Vec<u64>> = self.inner.keys().iter().map(number).collect();
        let missing = || error::value("fit", "a table packed after the state", "another");
        Ok(self.inner.clone().with_keys(numbers.ok_or_else(missing)?))
    }
}
