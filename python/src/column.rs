//! One column of a table, and what its cells are under a schema.

use crate::error::value;
use handcar_base::key;
use handcar_data::{FieldKind, FieldSpec, Schema, bucket};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use std::collections::HashMap;

/// One column: numbers (NaN: missing), or texts with a code into them for each row (negative: missing).
#[derive(FromPyObject)]
pub enum Column<'py> {
    /// `(name, numbers)`
    Numbers(String, PyReadonlyArray1<'py, f64>),
    /// `(name, codes, texts)`
    Texts(String, PyReadonlyArray1<'py, i32>, Vec<String>),
}

/// A column without Python.
pub enum View<'a> {
    /// Numbers; NaN is missing.
    Numbers { name: &'a str, rows: &'a [f64] },
    /// Codes into texts; negative is missing.
    Texts { name: &'a str, rows: &'a [i32], texts: &'a [String] },
}

/// What a cell adds to its row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// Nothing: a raw number that is zero.
    Absent,
    /// The value part of its key, and the key's value.
    Token(u64, f32),
}

/// The code of a cell without one.
const NO_CODE: usize = usize::MAX;
const MISSING: Cell = Cell::Token(bucket::MISSING, 1.0);

impl Column<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Numbers(name, _) | Self::Texts(name, ..) => name,
        }
    }

    /// The column without Python.
    pub fn view(&self) -> PyResult<View<'_>> {
        Ok(match self {
            Self::Numbers(name, rows) => View::Numbers { name, rows: rows.as_slice()? },
            Self::Texts(name, rows, texts) => View::Texts { name, rows: rows.as_slice()?, texts },
        })
    }
}

impl View<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Numbers { name, .. } | Self::Texts { name, .. } => name,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers { rows, .. } => rows.len(),
            Self::Texts { rows, .. } => rows.len(),
        }
    }

    /// How many texts there are; 0 for numbers.
    pub fn texts(&self) -> usize {
        match self {
            Self::Numbers { .. } => 0,
            Self::Texts { texts, .. } => texts.len(),
        }
    }

    /// Calls `visit(row, code, cell)` for every row; cells of one code below [`View::texts`] are equal, other codes say
    /// nothing. Each text is looked at once, however many rows have it.
    ///
    /// # Errors
    /// `ValueError` with column and row for a cell that its field cannot hold.
    pub fn for_each(
        &self,
        field: &FieldSpec,
        schema: &Schema,
        mut visit: impl FnMut(usize, usize, Cell),
    ) -> PyResult<()> {
        let refuse = |row: usize, (expected, got): Refusal| {
            Err(value(&format!("X: column {:?}, row {row}", self.name()), expected, got))
        };
        match self {
            Self::Numbers { rows, .. } => {
                let as_text = matches!(field.kind, FieldKind::Text | FieldKind::Raw | FieldKind::Hex);
                let mut known = HashMap::new();
                for (row, &x) in rows.iter().enumerate() {
                    let cell = match as_text {
                        // Few numbers are behind categories: each is written out and hashed once.
                        true => known.entry(x.to_bits()).or_insert_with(|| of_number_as_text(x, field, schema)).clone(),
                        false => of_number(x, field, schema),
                    };
                    match cell {
                        Ok(cell) => visit(row, NO_CODE, cell),
                        Err(refusal) => return refuse(row, refusal),
                    }
                }
            }
            Self::Texts { rows, texts, .. } => {
                let cells: Vec<Result<Cell, Refusal>> = texts.iter().map(|t| of_text(t, field, schema)).collect();
                for (row, &code) in rows.iter().enumerate() {
                    match cells.get(code as usize) {
                        _ if code < 0 => visit(row, NO_CODE, MISSING),
                        Some(Ok(cell)) => visit(row, code as usize, *cell),
                        Some(Err(refusal)) => return refuse(row, refusal.clone()),
                        None => return refuse(row, (format!("a code below {}", texts.len()), code.to_string())),
                    }
                }
            }
        }
        Ok(())
    }
}

/// Expected and got.
type Refusal = (String, String);

fn of_number_as_text(x: f64, field: &FieldSpec, schema: &Schema) -> Result<Cell, Refusal> {
    if x.is_nan() {
        return Ok(MISSING);
    }
    // Whole numbers are written as a CSV file would have them: 3, not 3.0.
    of_text(&x.to_string(), field, schema)
}

fn of_number(x: f64, field: &FieldSpec, schema: &Schema) -> Result<Cell, Refusal> {
    if x.is_nan() {
        return Ok(MISSING);
    }
    if x.is_infinite() {
        return Err(("finite numbers".into(), "infinity (inf)".into()));
    }
    let token = match &field.kind {
        // A fraction among integers counts as its integer part; the cast saturates.
        FieldKind::Integer => bucket::of_integer(x as i64),
        FieldKind::Bins { cuts } => 1 + cuts.partition_point(|&c| c <= x) as u64,
        _ => {
            let narrow = x as f32;
            return match narrow.is_finite() {
                false => Err(("numbers within f32 (±3.4e38)".into(), x.to_string())),
                true if narrow == 0.0 => Ok(Cell::Absent),
                true => Ok(Cell::Token(1, narrow)),
            };
        }
    };
    Ok(Cell::Token(narrow(token, field, schema), 1.0))
}

fn of_text(text: &str, field: &FieldSpec, schema: &Schema) -> Result<Cell, Refusal> {
    // What a CSV file would mean by it.
    if matches!(text, "" | "?") {
        return Ok(MISSING);
    }
    let got = || format!("{text:?}");
    match &field.kind {
        FieldKind::Text | FieldKind::Raw => {
            let token = key::value_of(key::of_text(field.id, text.as_bytes(), schema.seed, schema.bits)).max(1);
            Ok(Cell::Token(token, 1.0))
        }
        FieldKind::Hex => match u32::from_str_radix(text, 16) {
            Ok(v) if text.len() <= 8 && !text.starts_with('+') => {
                Ok(Cell::Token(narrow(v as u64 + 1, field, schema), 1.0))
            }
            _ => Err(("1 to 8 hexadecimal digits".into(), got())),
        },
        FieldKind::Integer => match text.parse::<i64>() {
            Ok(v) => Ok(Cell::Token(narrow(bucket::of_integer(v), field, schema), 1.0)),
            Err(_) => number(text).map_or(Err(("an integer".into(), got())), |x| of_number(x, field, schema)),
        },
        FieldKind::Bins { .. } | FieldKind::Number => {
            number(text).map_or(Err(("a finite number".into(), got())), |x| of_number(x, field, schema))
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|x: &f64| x.is_finite())
}

/// The value part of a token: itself, or its hash if the schema asks for a width.
fn narrow(token: u64, field: &FieldSpec, schema: &Schema) -> u64 {
    if schema.bits >= key::VALUE_BITS {
        return token;
    }
    key::value_of(key::of_text(field.id, &token.to_le_bytes(), schema.seed, schema.bits)).max(1)
}
