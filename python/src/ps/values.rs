//! NumPy arrays as the numbers of a call, and back: one copy out of Python, none or one into it.

use crate::error::value;
use handcar_ps::{Dtype, Number, Values};
use numpy::ndarray::IxDyn;
use numpy::{
    Element, IntoPyArray, PyArray, PyArrayDescr, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray,
    PyUntypedArrayMethods, dtype,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// Buffers kept for later calls: a push and a pull each for some tasks under way.
const BUFFERS_MAX: usize = 8;

/// Buffers between calls, so that a push copies into memory that is mapped already.
#[derive(Default)]
pub struct Pool(Vec<Values>);

/// What an array of a call must be: `rows` keys with `width` numbers each.
#[derive(Clone, Copy)]
pub struct Form {
    pub dtype: Dtype,
    pub rows: usize,
    pub width: usize,
}

impl Pool {
    /// An empty buffer, with memory if one is left.
    pub fn take(&mut self, dtype: Dtype) -> Values {
        match self.0.iter().position(|v| v.dtype() == dtype) {
            Some(at) => self.0.swap_remove(at),
            None => Values::empty(dtype),
        }
    }

    /// Keeps a buffer for later.
    pub fn give(&mut self, buffer: Option<Values>) {
        if let Some(mut buffer) = buffer
            && self.0.len() < BUFFERS_MAX
        {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// The NumPy type of a table's numbers.
pub fn descr(py: Python<'_>, of: Dtype) -> Bound<'_, PyArrayDescr> {
    match of {
        Dtype::F32 => dtype::<f32>(py),
        Dtype::F64 => dtype::<f64>(py),
        Dtype::I64 => dtype::<i64>(py),
    }
}

impl Form {
    /// One dimension for one number a key, two for several.
    fn shape(&self) -> Vec<usize> {
        if self.width == 1 { vec![self.rows] } else { vec![self.rows, self.width] }
    }

    /// An array of this form that can be copied in one piece.
    ///
    /// # Errors
    /// `TypeError` for what is no array of the dtype, `ValueError` for another shape or layout.
    pub fn check<'a, 'py>(&self, op: &str, array: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyUntypedArray>> {
        let wanted = descr(array.py(), self.dtype);
        let of_type = |got: String| PyTypeError::new_err(format!("{op}: expected an array of {wanted}, got {got}"));
        let Ok(any) = array.cast::<PyUntypedArray>() else {
            return Err(of_type(array.get_type().name()?.to_string()));
        };
        if !any.dtype().is_equiv_to(&wanted) {
            return Err(of_type(any.dtype().to_string()));
        }
        if any.shape() != self.shape() {
            let expected = format!("shape {} ({} keys × {})", tuple(&self.shape()), self.rows, self.width);
            return Err(value(op, expected, format!("shape {}", tuple(any.shape()))));
        }
        if !any.is_c_contiguous() || !any.is_aligned() {
            let expected = "an aligned, C-contiguous array (numpy.ascontiguousarray makes one)";
            return Err(value(op, expected, format!("strides {}", tuple(any.strides()))));
        }
        Ok(any)
    }

    /// Copies an array into `buffer`, which is empty.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn copy(&self, op: &str, array: &Bound<'_, PyAny>, buffer: Values) -> PyResult<Values> {
        fn go<T: Element + Copy>(array: &Bound<'_, PyUntypedArray>, mut to: Vec<T>) -> PyResult<Vec<T>> {
            to.extend_from_slice(array.cast::<PyArray<T, IxDyn>>()?.try_readonly()?.as_slice()?);
            Ok(to)
        }
        let array = self.check(op, array)?;
        Ok(match buffer {
            Values::F32(to) => go(array, to)?.into(),
            Values::F64(to) => go(array, to)?.into(),
            Values::I64(to) => go(array, to)?.into(),
        })
    }

    /// Hands pulled numbers to a new array without copying, or copies them into `out` and leaves the buffer to `pool`.
    ///
    /// # Errors
    /// As [`check`](Self::check), if `out` was changed since.
    pub fn give<'py>(
        &self,
        py: Python<'py>,
        op: &str,
        pulled: Values,
        out: Option<&Bound<'py, PyAny>>,
        pool: &mut Pool,
    ) -> PyResult<Bound<'py, PyAny>> {
        fn fill<T: Element + Number>(array: &Bound<'_, PyUntypedArray>, from: &[T]) -> PyResult<()> {
            let mut out = array.cast::<PyArray<T, IxDyn>>()?.try_readwrite()?;
            out.as_slice_mut()?.copy_from_slice(from);
            Ok(())
        }
        fn hand<'py, T: Element>(py: Python<'py>, from: Vec<T>, shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
            Ok(from.into_pyarray(py).reshape(IxDyn(shape))?.into_any())
        }
        if pulled.len() != self.rows * self.width {
            return Err(value(op, format!("{} values", self.rows * self.width), pulled.len()));
        }
        let Some(out) = out else {
            return match pulled {
                Values::F32(v) => hand(py, v, &self.shape()),
                Values::F64(v) => hand(py, v, &self.shape()),
                Values::I64(v) => hand(py, v, &self.shape()),
            };
        };
        let array = self.check(op, out)?;
        match &pulled {
            Values::F32(v) => fill(array, v)?,
            Values::F64(v) => fill(array, v)?,
            Values::I64(v) => fill(array, v)?,
        }
        pool.give(Some(pulled));
        Ok(out.clone())
    }
}

fn tuple(numbers: &[impl std::fmt::Display]) -> String {
    let all: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    if let [one] = &all[..] { format!("({one},)") } else { format!("({})", all.join(", ")) }
}
