//! The words of `set_policy`.

use crate::error::value;
use handcar_ps::Policy;
use pyo3::prelude::*;

/// `"sequential"`, `"eventual"` or `("bounded", tau)`.
pub fn of(policy: &Bound<'_, PyAny>) -> PyResult<Policy> {
    if let Ok(word) = policy.extract::<String>() {
        match word.as_str() {
            "sequential" => return Ok(Policy::Sequential),
            "eventual" => return Ok(Policy::Eventual),
            _ => {}
        }
    }
    if let Ok((word, tau)) = policy.extract::<(String, u64)>()
        && word == "bounded"
    {
        return Ok(Policy::BoundedDelay(tau));
    }
    let expected = "'sequential', 'eventual' or ('bounded', tau) with a whole number tau of at least 0";
    Err(value("set_policy", expected, policy.repr()?))
}
