//! `Registry`: updaters and filters by name.

use crate::filter::{Filter, FilterError, FilterRegistry, Params};
use crate::shard::{Shard, UpdaterShard};
use crate::updater::{Assign, Sum, Updater};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

type Make = dyn Fn(&[u8]) -> Result<Box<dyn Shard>, String> + Send + Sync;

/// The updaters a server can be asked to run, and the filters that tables can be created with. A crate of its own may add more; code never travels, names do.
///
/// Built in: `sum.f32`, `sum.f64`, `sum.i64`, `assign.f32`, `assign.f64`, `assign.i64`.
#[derive(Clone)]
pub struct Registry {
    makers: BTreeMap<String, Arc<Make>>,
    filters: FilterRegistry,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.makers.keys()).finish()
    }
}

impl Default for Registry {
    fn default() -> Self {
        let mut r = Self { makers: BTreeMap::new(), filters: FilterRegistry::new() };
        r.register("sum.f32", |_| Ok(Sum::<f32>::default()));
        r.register("sum.f64", |_| Ok(Sum::<f64>::default()));
        r.register("sum.i64", |_| Ok(Sum::<i64>::default()));
        r.register("assign.f32", |_| Ok(Assign::<f32>::default()));
        r.register("assign.f64", |_| Ok(Assign::<f64>::default()));
        r.register("assign.i64", |_| Ok(Assign::<i64>::default()));
        r
    }
}

impl Registry {
    /// The built-in updaters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds (or replaces) an updater; `make` reads the parameters given to `create_table` and refuses with a text.
    pub fn register<U: Updater>(
        &mut self,
        name: &str,
        make: impl Fn(&[u8]) -> Result<U, String> + Send + Sync + 'static,
    ) -> &mut Self {
        let make = move |params: &[u8]| Ok(Box::new(UpdaterShard::new(make(params)?)) as Box<dyn Shard>);
        self.makers.insert(name.into(), Arc::new(make));
        self
    }

    /// Adds (or replaces) a filter; `make` reads the parameters that stand in the spec. Workers must know it as well:
    /// in the local driver they share this registry, over the network they have their own, see
    /// [`NodeConfig::filters`](crate::driver::net::NodeConfig::filters).
    pub fn register_filter<F: Filter + 'static>(
        &mut self,
        name: &str,
        make: impl Fn(&Params<'_>) -> Result<F, FilterError> + Send + Sync + 'static,
    ) -> &mut Self {
        self.filters.register(name, make);
        self
    }

    /// The filters.
    pub fn filters(&self) -> &FilterRegistry {
        &self.filters
    }

    pub(crate) fn make(&self, name: &str, params: &[u8]) -> Result<Box<dyn Shard>, String> {
        match self.makers.get(name) {
            Some(make) => make(params),
            None => {
                let known: Vec<_> = self.makers.keys().map(String::as_str).collect();
                Err(format!("expected an updater among {}, got {name:?}", known.join(", ")))
            }
        }
    }
}
