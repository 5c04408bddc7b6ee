//! Crosses: features of pairs or triples of features, one of each of some fields.
//!
//! The key of a crossed feature is a hash of the keys of its parts in a field of the cross's own
//! ([`key::of_keys`]); its value is the product of theirs. A row that lacks one of the parts has none.

use crate::bucket::MISSING;
use crate::csv::unescape;
use crate::dataset::value_name;
use crate::error::{DataError, Result, RowError};
use crate::parsed::{ABSENT, Columns, Parsed};
use crate::schema::{FieldKind, Schema};
use handcar_base::{Field, Key, key};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Fields at most.
const FIELDS_MAX: usize = 3;
/// What stands between their names.
const BETWEEN: &str = "*";

/// Features of several fields at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cross {
    /// Field part of its keys.
    pub id: Field,
    /// Names of the fields, in the order of their keys in the hash.
    pub of: Vec<String>,
}

impl Cross {
    /// What it is called: the names with `*` between them.
    pub fn name(&self) -> String {
        self.of.join(BETWEEN)
    }

    /// Key and value of the crossed feature, given those of its parts in the order of [`of`](Self::of); for data with columns.
    pub fn feature(&self, parts: &[(Key, f32)], schema: &Schema) -> (Key, f32) {
        let keys: Vec<Key> = parts.iter().map(|p| p.0).collect();
        // A reader refuses what is beyond f32; here it is taken as the most there is.
        let value = parts.iter().map(|p| p.1).product::<f32>().clamp(f32::MIN, f32::MAX);
        (key::compose(self.id, token(self.id, &keys, schema)), value)
    }
}

/// The fields of `a*b` or `a*b*c`.
pub(crate) fn fields_of(text: &str) -> Result<Vec<String>> {
    let of: Vec<String> = text.split(BETWEEN).map(|name| name.trim().to_string()).collect();
    let alike = (1..of.len()).any(|i| of[..i].contains(&of[i]));
    if !(2..=FIELDS_MAX).contains(&of.len()) || alike || of.iter().any(String::is_empty) {
        let expected = "two or three different fields with * between them, as in a*b".into();
        return Err(DataError::Option { option: "cross", expected, got: format!("{text:?}") });
    }
    Ok(of)
}

/// The places among a schema's fields of what a cross is made of.
pub(crate) fn places(schema: &Schema, cross: &Cross) -> Vec<usize> {
    // Resolved when the schema was made: all are there.
    cross.of.iter().filter_map(|name| schema.fields.iter().position(|f| f.name == *name)).collect()
}

/// Adds a column for each cross behind those of the fields.
pub(crate) fn add_columns(columns: &mut Columns, rows: usize, schema: &Schema) {
    let stride = columns.stride;
    columns.tokens.resize(stride * (schema.fields.len() + schema.crosses.len()), MISSING);
    for (c, cross) in schema.crosses.iter().enumerate() {
        let of = places(schema, cross);
        let (fields, made) = columns.tokens.split_at_mut(stride * (schema.fields.len() + c));
        let parts: Vec<(&[u64], Field)> =
            of.iter().map(|&f| (&fields[f * stride..][..rows], schema.fields[f].id)).collect();
        let mut keys = [0; FIELDS_MAX];
        for (row, to) in made[..rows].iter_mut().enumerate() {
            let absent = parts.iter().zip(&mut keys).any(|((tokens, id), key)| {
                let token = tokens[row];
                // Field and token, joined as in a key; an absent one is never used.
                *key = (*id as u64) << key::VALUE_BITS | token;
                token == ABSENT
            });
            *to = if absent { ABSENT } else { token(cross.id, &keys[..parts.len()], schema) };
        }
        columns.values.push(product(&of, &columns.values, rows));
        columns.spans.push(None);
    }
}

/// The value part of the key of a crossed feature. 0 would be a missing value.
fn token(id: Field, keys: &[u64], schema: &Schema) -> u64 {
    key::value_of(key::of_keys(id, keys, schema.seed, schema.bits)).max(1)
}

/// A cross of several raw numbers.
pub(crate) struct Product {
    name: String,
    of: Vec<usize>,
}

/// The crosses whose values might not be finite.
pub(crate) fn products(schema: &Schema) -> Vec<Product> {
    let number = |f: &usize| schema.fields[*f].kind == FieldKind::Number;
    let product = |c: &Cross| Product { name: c.name(), of: places(schema, c).into_iter().filter(number).collect() };
    schema.crosses.iter().map(product).filter(|p| p.of.len() > 1).collect()
}

impl Product {
    /// Refuses a row whose product is none. `values`: of each field, where it has some.
    pub fn check(&self, values: &[Option<Vec<f32>>], row: usize) -> std::result::Result<(), RowError> {
        let product: f32 = self.of.iter().filter_map(|&f| values[f].as_ref()).map(|v| v[row]).product();
        match product.is_finite() {
            true => Ok(()),
            false => {
                Err(RowError::new(self.name.clone(), "a finite product of values", product.to_string().as_bytes()))
            }
        }
    }
}

/// The products of the parts' values, where any has values.
fn product(of: &[usize], values: &[Option<Vec<f32>>], rows: usize) -> Option<Vec<f32>> {
    let with: Vec<&Vec<f32>> = of.iter().filter_map(|&f| values[f].as_ref()).collect();
    (!with.is_empty()).then(|| (0..rows).map(|row| with.iter().map(|v| v[row]).product()).collect())
}

/// What a person reads for a crossed feature behind the cross's name: the parts' values with `*` between them. Raw numbers have
/// none.
pub(crate) fn text_of(cross: &Cross, row: usize, parsed: &Parsed, columns: &Columns, schema: &Schema) -> Vec<u8> {
    let part = |f: usize| {
        let (field, token) = (&schema.fields[f], columns.tokens[f * columns.stride + row]);
        let span = columns.spans[f].as_ref().map(|s| s[row]).filter(|_| token != MISSING);
        let text = span.map(|(begin, len)| &parsed.text[begin as usize..][..len as usize]);
        let text = text.map(|t| String::from_utf8_lossy(&unescape(t)).into_owned());
        let known = value_name(schema, field, token, text.as_deref()).map(Cow::into_owned);
        (field.kind != FieldKind::Number || token == MISSING).then(|| known.unwrap_or_else(|| format!("#{token:x}")))
    };
    let parts: Vec<String> = places(schema, cross).into_iter().filter_map(part).collect();
    parts.join(BETWEEN).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crosses_are_of_two_or_three_different_fields() {
        assert_eq!(fields_of("a*b").unwrap(), ["a", "b"]);
        assert_eq!(fields_of("I1 * C2*c").unwrap(), ["I1", "C2", "c"]);
        for wrong in ["", "a", "a*a", "a*", "*b", "a**b", "a*b*c*d", "a*b*a"] {
            let told = fields_of(wrong).unwrap_err().to_string();
            assert!(told.contains("option cross: expected two or three different fields"), "{told}");
        }
    }
}
