//! `TableRecord`: what a manifest says about a table, enough to create it again.

use super::hex;
use crate::{Dtype, Shape};
use serde::{Deserialize, Serialize};

/// A table as `create_table` made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRecord {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The updater's name in the registry.
    pub updater: String,
    /// The updater's parameters, as given to `create_table`.
    #[serde(with = "hex::bytes")]
    pub params: Vec<u8>,
    /// Types and widths: a restored table must have the same.
    pub shape: ShapeRecord,
}

/// The text form of a [`Shape`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeRecord {
    /// Type of pushed numbers, by its name on the wire (`f32`).
    pub push: String,
    /// Numbers pushed for a key.
    pub push_width: u32,
    /// Type of pulled numbers.
    pub pull: String,
    /// Numbers pulled for a key.
    pub pull_width: u32,
}

impl From<Shape> for ShapeRecord {
    fn from(s: Shape) -> Self {
        let name = |d: Dtype| d.to_string();
        Self { push: name(s.push), push_width: s.push_width, pull: name(s.pull), pull_width: s.pull_width }
    }
}
