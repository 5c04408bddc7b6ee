//! `Params`: what a filter's maker is told.

use super::Filter;
use super::context::Direction;
use super::error::FilterError;
use super::registry::FilterRegistry;
use crate::values::Dtype;
use std::fmt::Display;
use std::str::FromStr;

/// The parameters of one filter in a spec, and what its chain is for.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    /// The texts between the colons after the name.
    pub texts: &'a [String],
    /// Which way the messages go.
    pub direction: Direction,
    /// Type of the numbers.
    pub dtype: Dtype,
    /// Numbers of a key.
    pub width: usize,
    pub(crate) registry: &'a FilterRegistry,
}

impl Params<'_> {
    /// The parameter at `i`, read as a number or the like; `what` names it in the error.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if it is missing or cannot be read.
    pub fn required<T: FromStr>(&self, i: usize, what: &str) -> Result<T, FilterError> {
        let got = self.texts.get(i).ok_or_else(|| FilterError::unfit(what, "nothing"))?;
        got.parse().map_err(|_| FilterError::unfit(what, format!("{got:?}")))
    }

    /// As [`required`](Self::required), with a default where the parameter is missing.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if it cannot be read.
    pub fn optional<T: FromStr>(&self, i: usize, what: &str, default: T) -> Result<T, FilterError> {
        if i < self.texts.len() { self.required(i, what) } else { Ok(default) }
    }

    /// Checks that there are at most `n` parameters.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] names the first one too many.
    pub fn at_most(&self, n: usize) -> Result<(), FilterError> {
        match self.texts.get(n) {
            None => Ok(()),
            Some(more) => Err(FilterError::unfit(format!("at most {n} parameters"), format!("also {more:?}"))),
        }
    }

    /// Refuses pulls.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if this chain is for pulls.
    pub fn only_push(&self) -> Result<(), FilterError> {
        match self.direction {
            Direction::Push => Ok(()),
            Direction::Pull => Err(FilterError::unfit("a chain for pushes", "one for pulls")),
        }
    }

    /// Makes the filter that the parameters from `i` on name, for a filter that wraps another.
    ///
    /// # Errors
    /// As [`FilterRegistry::make`].
    pub fn inner(&self, i: usize) -> Result<Box<dyn Filter>, FilterError> {
        let (name, texts) = self
            .texts
            .get(i..)
            .and_then(<[String]>::split_first)
            .ok_or_else(|| FilterError::unfit("a filter to wrap", "nothing"))?;
        self.registry.make(name, &Params { texts, ..self.clone() })
    }
}

/// Passes `value` if it satisfies `fits`.
pub(crate) fn check<T: Display + Copy>(value: T, what: &str, fits: impl Fn(T) -> bool) -> Result<T, FilterError> {
    if fits(value) { Ok(value) } else { Err(FilterError::unfit(what, value.to_string())) }
}
