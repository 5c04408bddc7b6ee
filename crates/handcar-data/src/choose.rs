//! Which fields are features, and which crosses of them there are.

use crate::cross::{Cross, fields_of};
use crate::error::{DataError, Result};
use crate::options::ReadOptions;
use crate::schema::{Format, Schema};
use crate::vw;
use handcar_base::{Field, key};
use serde::{Deserialize, Serialize};

/// Namespaces of Vowpal Wabbit's text that are features; columns of other formats are in the schema's fields or are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Only these, unless empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// All but these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
}

impl Selection {
    /// Whether all are features.
    pub fn is_all(&self) -> bool {
        self.keep.is_empty() && self.drop.is_empty()
    }

    /// Whether a field of this name is one.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        let among = |names: &[String]| names.iter().any(|n| n.as_bytes() == name);
        (self.keep.is_empty() || among(&self.keep)) && !among(&self.drop)
    }

    /// All names.
    fn names(&self) -> impl Iterator<Item = (&'static str, &String)> {
        self.keep.iter().map(|n| ("keep", n)).chain(self.drop.iter().map(|n| ("drop", n)))
    }
}

/// Leaves out fields and adds crosses as the options ask. `next`: the first free field.
pub(crate) fn choose(schema: &mut Schema, options: &ReadOptions, next: Field) -> Result<()> {
    let selection = Selection { keep: options.keep.clone(), drop: options.drop.clone() };
    if selection.is_all() && options.cross.is_empty() {
        return Ok(());
    }
    let refuse = |option, expected: String, got: String| Err(DataError::Option { option, expected, got });
    if !options.keep.is_empty() && !options.drop.is_empty() {
        return refuse("drop", "none beside keep".into(), options.drop.join(", "));
    }
    if matches!(schema.format, Format::Libsvm | Format::Memory) {
        let option = selection.names().next().map_or("cross", |n| n.0);
        return refuse(option, "data with fields (csv, criteo, vw)".into(), "libsvm, whose ids have none".into());
    }
    let crosses = options.cross.iter().map(|text| fields_of(text)).collect::<Result<Vec<_>>>()?;
    for (i, of) in crosses.iter().enumerate() {
        let same = |other: &&Vec<String>| other.len() == of.len() && other.iter().all(|n| of.contains(n));
        if let Some(other) = crosses[..i].iter().find(same) {
            return refuse("cross", "different crosses".into(), format!("{} and {}", other.join("*"), of.join("*")));
        }
        if let Some(name) = of.iter().find(|n| !selection.has(n.as_bytes())) {
            let expected = format!("fields that are not left out in {}", of.join("*"));
            return refuse("cross", expected, format!("{name:?}"));
        }
    }
    if schema.format == Format::Vw {
        schema.crosses = crosses.into_iter().map(|of| vw::cross(of, schema)).collect();
        schema.select = selection;
        return Ok(());
    }
    let known = || schema.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ");
    for (option, name) in selection.names().chain(crosses.iter().flatten().map(|n| ("cross", n))) {
        if !schema.fields.iter().any(|f| f.name == *name) {
            return refuse(option, format!("fields among {}", known()), format!("{name:?}"));
        }
    }
    if next as usize + crosses.len() > key::FIELD_MAX as usize + 1 {
        let expected = format!("at most {} fields and crosses", key::FIELD_MAX);
        return refuse("cross", expected, (next as usize - 1 + crosses.len()).to_string());
    }
    schema.fields.retain(|f| selection.has(f.name.as_bytes()));
    if schema.fields.is_empty() {
        return refuse("drop", "at least one field to be left".into(), options.drop.join(", "));
    }
    schema.crosses = crosses.into_iter().zip(next..).map(|(of, id)| Cross { id, of }).collect();
    Ok(())
}

/// Namespaces that a schema asks for and those that came, as far as a message needs them.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    seen: Vec<Vec<u8>>,
    known: Vec<Vec<u8>>,
}

/// Namespaces told of at most.
const KNOWN_MAX: usize = 50;

impl Namespaces {
    /// Notes a namespace.
    pub fn see(&mut self, name: &[u8], schema: &Schema) {
        let asked = asked_of(schema).any(|(_, n)| n.as_bytes() == name);
        let list = if asked { &mut self.seen } else { &mut self.known };
        if (asked || list.len() < KNOWN_MAX) && !list.iter().any(|n| n == name) {
            list.push(name.to_vec());
        }
    }

    /// Adds those of a later chunk.
    pub fn join(&mut self, other: Self, schema: &Schema) {
        other.seen.into_iter().chain(other.known).for_each(|name| self.see(&name, schema));
    }

    /// Refuses names that never came.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let Some((option, name)) = asked_of(schema).find(|(_, n)| !self.seen.iter().any(|s| s == n.as_bytes())) else {
            return Ok(());
        };
        let all = self.seen.iter().chain(&self.known).filter(|n| !n.is_empty());
        let mut all: Vec<_> = all.map(|n| String::from_utf8_lossy(n).into_owned()).collect();
        all.sort();
        let expected = format!("namespaces among {}", all.join(", "));
        Err(DataError::Option { option, expected, got: format!("{name:?}") })
    }
}

fn asked_of(schema: &Schema) -> impl Iterator<Item = (&'static str, &String)> {
    schema.select.names().chain(schema.crosses.iter().flat_map(|c| &c.of).map(|n| ("cross", n)))
}
