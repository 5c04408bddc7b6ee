//! The values of a field that rows are told apart by.

use super::EvaluateError;
use handcar_base::{Field, Key, key};
use handcar_data::{FieldKind, Schema, bucket::MISSING, name_of_key};
use std::ops::Range;

/// The value part that stands for a raw number of 0.
const ZERO: u64 = 1;
/// The value part that stands for the numbers from 1 up to 2; two more for each power above, one more for negative ones. The
/// smallest of f32 is 2^-149.
const ONE: u64 = 2 + 2 * 200;

/// A field by whose values measures are taken. Integers and binned numbers are told apart as the model does, raw numbers by
/// powers of two, all else by category; rows without the field have a value of their own. Where rows may have several features of a
/// field (namespaces of Vowpal Wabbit's text), a row counts for each.
#[derive(Clone, Debug)]
pub struct SliceField {
    name: String,
    id: Field,
    /// Whether its keys stand for numbers as they are.
    raw: bool,
    /// Of the batch at hand: its keys' indices.
    ids: Range<u32>,
}

impl SliceField {
    /// The field, or cross, or namespace of this name.
    ///
    /// # Errors
    /// [`EvaluateError`] if there is none.
    pub fn new(schema: &Schema, name: &str) -> Result<Self, EvaluateError> {
        let Some(id) = schema.field_named(name) else {
            let (field, known) = (name.to_string(), schema.field_names());
            return Err(match known.is_empty() {
                true => EvaluateError::NoFields { field, format: format!("{:?}", schema.format).to_lowercase() },
                false => EvaluateError::Field { field, known: known.join(", ") },
            });
        };
        let raw = schema.field(id).is_some_and(|f| f.kind == FieldKind::Number);
        Ok(Self { name: name.to_string(), id, raw, ids: 0..0 })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field part of its keys.
    pub fn id(&self) -> Field {
        self.id
    }

    /// Finds the field's keys among the sorted keys of a batch.
    pub fn begin(&mut self, keys: &[Key]) {
        let begin = keys.partition_point(|k| key::field_of(*k) < self.id) as u32;
        let end = keys.partition_point(|k| key::field_of(*k) <= self.id) as u32;
        self.ids = begin..end;
    }

    /// The values that a row of the batch has: keys, or numbers that stand for a range.
    pub fn for_each_value(&self, ids: &[u32], values: Option<&[f32]>, keys: &[Key], mut visit: impl FnMut(u64)) {
        let begin = ids.partition_point(|&id| id < self.ids.start);
        let of_field = ids[begin..].iter().take_while(|&&id| id < self.ids.end);
        let mut any = false;
        for (j, &id) in of_field.enumerate() {
            any = true;
            let key = keys[id as usize];
            match self.raw && key::value_of(key) != MISSING {
                true => visit(key::compose(self.id, power_of(values.map_or(1.0, |v| v[begin + j])))),
                false => visit(key),
            }
        }
        if !any {
            // A raw number that is 0 has no key.
            visit(key::compose(self.id, if self.raw { ZERO } else { MISSING }));
        }
    }

    /// Whether a value stands for rows without the field.
    pub fn is_missing(&self, value: u64) -> bool {
        key::value_of(value) == MISSING
    }

    /// What a person reads for a value. `text`: what its key comes from, if that is known.
    pub fn name_of(&self, value: u64, schema: &Schema, text: Option<&str>) -> String {
        if self.is_missing(value) {
            return "(missing)".into();
        }
        if self.raw {
            return range_of(key::value_of(value));
        }
        let name = name_of_key(schema, value, text);
        match name.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix(['=', '^'])) {
            Some(value) => value.into(),
            None => name.into_owned(),
        }
    }
}

/// The number of the power of two that a number's magnitude is at least.
fn power_of(x: f32) -> u64 {
    match x {
        0.0 => ZERO,
        // Exact in f64, where no f32 is subnormal.
        _ => {
            let exponent = ((x.abs() as f64).to_bits() >> 52) as i64 - 1023;
            (ONE as i64 + 2 * exponent) as u64 + (x < 0.0) as u64
        }
    }
}

/// The range that such a number stands for.
fn range_of(power: u64) -> String {
    if power == ZERO {
        return "0".into();
    }
    let (exponent, negative) = ((power as i64 - ONE as i64).div_euclid(2), power % 2 == 1);
    let (low, high) = (2f64.powi(exponent as i32), 2f64.powi(exponent as i32 + 1));
    if negative { format!("(-{high}, -{low}]") } else { format!("[{low}, {high})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fall_into_powers_of_two() {
        for (x, range) in [
            (0.0, "0"),
            (1.0, "[1, 2)"),
            (1.99, "[1, 2)"),
            (2.0, "[2, 4)"),
            (0.3, "[0.25, 0.5)"),
            (-1.0, "(-2, -1]"),
            (-0.75, "(-1, -0.5]"),
            (-5000.0, "(-8192, -4096]"),
        ] {
            assert_eq!(range_of(power_of(x)), range, "{x}");
        }
        for x in [f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1), -f32::from_bits(1)] {
            assert!(power_of(x) > ZERO && key::value_of(key::compose(3, power_of(x))) != MISSING, "{x}");
        }
    }
}
