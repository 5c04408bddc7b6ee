//! `TableFilters`: what a table's messages go through.

use super::context::Direction;
use super::error::FilterError;
use super::registry::FilterRegistry;
use super::spec::Spec;
use crate::shard::Shape;

/// The filters of a table, agreed upon by name when it is created. No filter unless given.
///
/// ```
/// use handcar_ps::filter::TableFilters;
/// let filters = TableFilters::parse("zero,zstd:1", "zstd:1")?;
/// assert_eq!(filters.push.to_string(), "zero,zstd:1");
/// # Ok::<(), handcar_ps::filter::FilterError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFilters {
    /// Of values pushed.
    pub push: Spec,
    /// Of values pulled.
    pub pull: Spec,
}

impl TableFilters {
    /// Reads both specs; an empty text is no filter.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if a text is no spec. Whether the names are known is found when a table is created.
    pub fn parse(push: &str, pull: &str) -> Result<Self, FilterError> {
        Ok(Self { push: push.parse()?, pull: pull.parse()? })
    }

    /// The spec of a direction.
    pub fn of(&self, direction: Direction) -> &Spec {
        match direction {
            Direction::Push => &self.push,
            Direction::Pull => &self.pull,
        }
    }

    /// Checks that a registry can make both chains for a table.
    ///
    /// # Errors
    /// As [`FilterRegistry::chain`].
    pub fn check(&self, registry: &FilterRegistry, shape: Shape) -> Result<(), FilterError> {
        for direction in [Direction::Push, Direction::Pull] {
            registry.table_chain(self, direction, shape)?;
        }
        Ok(())
    }
}
