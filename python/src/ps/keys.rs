//! `Keys`: a checked list of keys that serves any number of calls.

use crate::error::value;
use handcar_base::KeyList;
use numpy::{PyArray1, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods, ToPyArray};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PySlice;

/// Sorted, unique 64-bit keys: checked and hashed once, shared by all calls that use them.
///
/// `array` is one-dimensional, of dtype uint64 and strictly increasing; it is copied once. Over TCP a list travels to
/// each server the first time only, afterwards under its hash: keep and reuse it. Of keys in any order,
/// `numpy.unique(raw, return_inverse=True)` gives the list and where each went.
///
/// Raises `TypeError` for another dtype, `ValueError` for another shape or order, with the place.
///
/// >>> import numpy as np, handcar.ps as ps
/// >>> keys = ps.Keys(np.array([3, 8, 9], dtype=np.uint64))
/// >>> len(keys), keys[1:].array
/// (3, array([8, 9], dtype=uint64))
#[pyclass(frozen, eq, hash, module = "handcar.ps")]
#[derive(PartialEq)]
pub struct Keys {
    pub list: KeyList,
}

impl std::hash::Hash for Keys {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.list.signature(), self.list.len()).hash(state);
    }
}

#[pymethods]
impl Keys {
    #[new]
    fn new(py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<Self> {
        let of_type = |got: String| {
            let hint = "array.astype(numpy.uint64) makes one";
            PyTypeError::new_err(format!("keys: expected an array of uint64 ({hint}), got {got}"))
        };
        let Ok(any) = array.cast::<PyUntypedArray>() else {
            return Err(of_type(array.get_type().name()?.to_string()));
        };
        if any.ndim() != 1 {
            return Err(value("keys", "one dimension", format!("shape {}", any.getattr("shape")?)));
        }
        let Ok(typed) = array.cast::<PyArray1<u64>>() else { return Err(of_type(any.dtype().to_string())) };
        let keys = typed.try_readonly()?.as_array().to_vec();
        let list = py.detach(|| KeyList::new(keys));
        Ok(Self { list: list.map_err(|e| pyo3::exceptions::PyValueError::new_err(e.to_string()))? })
    }

    /// The keys as a new uint64 array, shape (n,).
    #[getter]
    fn array<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u64>> {
        self.list.keys().to_pyarray(py)
    }

    /// A run of the keys that shares their memory: `keys[begin:end]`.
    fn __getitem__(&self, range: &Bound<'_, PySlice>) -> PyResult<Self> {
        let at = range.indices(self.list.len() as isize)?;
        if at.step != 1 {
            return Err(value("keys", "a slice with step 1", format!("step {}", at.step)));
        }
        Ok(Self { list: self.list.slice(at.start as usize..at.stop.max(at.start) as usize) })
    }

    fn __len__(&self) -> usize {
        self.list.len()
    }

    fn __repr__(&self) -> String {
        match self.list.keys() {
            [] => "Keys([])".into(),
            [one] => format!("Keys([{one}])"),
            [first, .., last] => format!("Keys({} from {first} to {last})", self.list.len()),
        }
    }
}

/// Keys as calls take them: checked before, or an array to check now.
pub fn of(keys: &Bound<'_, PyAny>) -> PyResult<KeyList> {
    match keys.cast::<Keys>() {
        Ok(keys) => Ok(keys.get().list.clone()),
        Err(_) => Ok(Keys::new(keys.py(), keys)?.list),
    }
}
