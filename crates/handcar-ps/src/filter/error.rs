//! `FilterError`: what a filter could not do, and which filter it was.

/// Why a message could not be encoded or decoded. A filter leaves its own name out; the chain adds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Parameters, values or bytes do not fit.
    #[error("filter {filter}: expected {expected}, got {got}")]
    Unfit {
        /// The filter, or what of the chain.
        filter: String,
        /// What would have fitted.
        expected: String,
        /// What was given.
        got: String,
    },
    /// The message builds on one that this receiver never decoded. [`reset`](super::Chain::reset) both ends and send the
    /// message whole.
    #[error("filter {filter}: expected to have decoded {expected} before, got {got}")]
    Behind {
        /// The filter.
        filter: String,
        /// The message that should have come before.
        expected: String,
        /// What came before.
        got: String,
    },
}

impl FilterError {
    /// Something does not fit.
    pub fn unfit(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Unfit { filter: String::new(), expected: expected.into(), got: got.into() }
    }

    pub(crate) fn behind(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Behind { filter: String::new(), expected: expected.into(), got: got.into() }
    }

    /// The same, said by a filter; a name given earlier stays.
    #[must_use]
    pub fn of(mut self, name: &str) -> Self {
        let (Self::Unfit { filter, .. } | Self::Behind { filter, .. }) = &mut self;
        if filter.is_empty() {
            *filter = name.into();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_filter_is_named() {
        let e = FilterError::unfit("phi in (0, 1]", "2").of("random-skip").of("error-feedback");
        assert_eq!(e.to_string(), "filter random-skip: expected phi in (0, 1], got 2");
    }
}
