//! `FilterRegistry`: filters by name.

use super::chain::{Chain, Link};
use super::context::Direction;
use super::countmin::Tail;
use super::error::FilterError;
use super::error_feedback::ErrorFeedback;
use super::fixed_point::FixedPoint;
use super::key_cache::KeyCache;
use super::kkt::Kkt;
use super::lossless::Lossless;
use super::params::Params;
use super::random_skip::RandomSkip;
use super::significant::Significant;
use super::spec::Spec;
use super::table::TableFilters;
use super::zero::Zero;
use super::{Filter, lz4::Lz4, zstd::Zstd};
use crate::shard::Shape;
use crate::values::Dtype;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

type Make = dyn Fn(&Params<'_>) -> Result<Box<dyn Filter>, FilterError> + Send + Sync;

/// The filters a chain can be made of. A crate of its own may add more; code never travels, names do.
#[derive(Clone)]
pub struct FilterRegistry {
    makers: BTreeMap<String, Arc<Make>>,
}

impl fmt::Debug for FilterRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.makers.keys()).finish()
    }
}

impl Default for FilterRegistry {
    fn default() -> Self {
        let mut r = Self { makers: BTreeMap::new() };
        r.register("countmin", Tail::new);
        r.register("error-feedback", ErrorFeedback::new);
        r.register("fixed-point", FixedPoint::new);
        r.register("key-cache", KeyCache::new);
        r.register("kkt", Kkt::new);
        r.register("lz4", |p| Lossless::<Lz4>::new("lz4", p));
        r.register("random-skip", RandomSkip::new);
        r.register("significant", Significant::new);
        r.register("zero", Zero::new);
        r.register("zstd", |p| Lossless::<Zstd>::new("zstd", p));
        r
    }
}

impl FilterRegistry {
    /// The built-in filters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds (or replaces) a filter; `make` reads the parameters that stand in the spec.
    pub fn register<F: Filter + 'static>(
        &mut self,
        name: &str,
        make: impl Fn(&Params<'_>) -> Result<F, FilterError> + Send + Sync + 'static,
    ) -> &mut Self {
        let make = move |params: &Params<'_>| Ok(Box::new(make(params)?) as Box<dyn Filter>);
        self.makers.insert(name.into(), Arc::new(make));
        self
    }

    /// The names known, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.makers.keys().map(String::as_str)
    }

    /// Makes one filter.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if the name is unknown (with the names known) or the filter refuses its parameters.
    pub fn make(&self, name: &str, params: &Params<'_>) -> Result<Box<dyn Filter>, FilterError> {
        match self.makers.get(name) {
            Some(make) => make(params).map_err(|e| e.of(name)),
            None => {
                let known: Vec<_> = self.names().collect();
                Err(FilterError::unfit(format!("a filter among {}", known.join(", ")), format!("{name:?}")).of("spec"))
            }
        }
    }

    /// As [`chain`](Self::chain), of a table's own filters.
    ///
    /// # Errors
    /// As [`chain`](Self::chain).
    pub fn table_chain(
        &self,
        filters: &TableFilters,
        direction: Direction,
        shape: Shape,
    ) -> Result<Chain, FilterError> {
        let (dtype, width) = match direction {
            Direction::Push => (shape.push, shape.push_width),
            Direction::Pull => (shape.pull, shape.pull_width),
        };
        self.chain(filters.of(direction), direction, dtype, width as usize)
    }

    /// Makes the chain of one table, direction and peer; the table's numbers have type `dtype`, `width` of them a key.
    ///
    /// # Errors
    /// As [`make`](Self::make); also if a filter that needs numbers stands behind one that makes bytes.
    pub fn chain(&self, spec: &Spec, direction: Direction, dtype: Dtype, width: usize) -> Result<Chain, FilterError> {
        if width == 0 {
            return Err(FilterError::unfit("at least 1 number a key", "0").of("chain"));
        }
        let make = |(name, texts)| self.make(name, &Params { texts, direction, dtype, width, registry: self });
        let filters = spec.filters().map(make).collect::<Result<Vec<_>, _>>()?;
        Chain::new(filters, &spec.to_string(), Link { direction, dtype, width })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(spec: &str, direction: Direction) -> String {
        let made = FilterRegistry::new().chain(&spec.parse().unwrap(), direction, Dtype::F32, 2);
        made.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_known() {
        let said = refusal("zero,zip", Direction::Push);
        assert_eq!(
            said,
            "filter spec: expected a filter among countmin, error-feedback, fixed-point, key-cache, kkt, lz4, random-skip, \
             significant, zero, zstd, got \"zip\""
        );
    }

    #[test]
    fn parameters_are_checked_when_the_chain_is_made() {
        for (spec, direction) in [
            ("fixed-point:5", Direction::Push),
            ("fixed-point", Direction::Push),
            ("random-skip:0", Direction::Push),
            ("random-skip:0.5", Direction::Pull),
            ("random-skip:1.5", Direction::Push),
            ("significant:-1", Direction::Pull),
            ("significant:NaN", Direction::Pull),
            ("significant:1:add", Direction::Pull),
            ("countmin:1:2", Direction::Push),
            ("countmin:1:0.01:99", Direction::Push),
            ("zstd:99", Direction::Push),
            ("lz4:1", Direction::Push),
            ("zero:what", Direction::Push),
            ("kkt:1", Direction::Push),
            ("error-feedback", Direction::Push),
            ("error-feedback:random-skip:0.5", Direction::Push),
            ("error-feedback:error-feedback:fixed-point:1", Direction::Push),
            ("error-feedback:fixed-point:1", Direction::Pull),
        ] {
            let said = refusal(spec, direction);
            assert!(said.starts_with("filter ") && said.contains("expected"), "{spec}: {said}");
        }
    }

    #[test]
    fn numbers_cannot_be_filtered_behind_bytes() {
        let said = refusal("lz4,fixed-point:2", Direction::Push);
        assert_eq!(
            said,
            "filter fixed-point: expected to stand before lz4, which makes bytes of numbers, got a place behind it"
        );
    }
}
