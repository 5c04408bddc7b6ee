//! Values as filters made them, in the head of a parcel; plain values travel as values.

use super::parcel::{Fields, Reader};
use crate::carried::{Carried, Coded, Form};
use crate::filter::{Rows, TableFilters, bytes};
use crate::values::Values;
use std::sync::Arc;

const PLAIN: u8 = 0;
const CODED: u8 = 1;
const PART: u8 = 2;

/// Numbers a key of the values that travel as values.
pub(super) fn width(values: Option<&Carried>, keys: usize) -> usize {
    let (len, rows) = match values {
        Some(Carried::Plain(v)) => (v.len(), keys),
        Some(Carried::Part { rows, values }) => (values.len(), rows.count()),
        Some(Carried::Coded(_)) | None => (0, 0),
    };
    len.checked_div(rows).unwrap_or(1).max(1)
}

/// Writes what is no plain values; returns what is.
pub(super) fn put(carried: Option<Carried>, f: &mut Fields) -> Option<Values> {
    match carried {
        None => {
            f.u8(PLAIN);
            None
        }
        Some(Carried::Plain(values)) => {
            f.u8(PLAIN);
            Some(values)
        }
        Some(Carried::Coded(coded)) => {
            f.u8(CODED).u64(coded.number).bytes(&coded.bytes);
            None
        }
        Some(Carried::Part { rows, values }) => {
            let mut out = Vec::new();
            rows.write(&mut out);
            f.u8(PART).bytes(&out);
            Some(values)
        }
    }
}

/// Reads what [`put`] wrote, of a message of so many keys; `None` if the keys are not known here, and so what belongs to
/// which of them cannot be told.
pub(super) fn take(values: Option<Values>, keys: Option<usize>, r: &mut Reader<'_>) -> Result<Option<Carried>, String> {
    if let Some(keys) = keys
        && keys > u32::MAX as usize
    {
        return Err(format!("at most 2^32 keys, got {keys}"));
    }
    match (r.u8()?, values) {
        (PLAIN, values) => Ok(values.map(Carried::Plain)),
        (CODED, None) => {
            let (number, bytes) = (r.u64()?, Arc::new(r.bytes()?.to_vec()));
            Ok(Some(Carried::Coded(Coded { number, bytes })))
        }
        (PART, Some(values)) => {
            let mut of = bytes::Reader(r.bytes()?);
            let Some(keys) = keys else { return Ok(Some(Carried::Part { rows: Rows::all(0), values })) };
            let rows = Rows::read(&mut of, keys).and_then(|rows| of.end().map(|()| rows));
            Ok(Some(Carried::Part { rows: rows.map_err(|e| e.to_string())?, values }))
        }
        (kind, values) => {
            Err(format!("values in form 0, 1 or 2, got {kind} and {} numbers", values.map_or(0, |v| v.len())))
        }
    }
}

/// Reads a form.
pub(super) fn take_form(r: &mut Reader<'_>) -> Result<Form, String> {
    match r.u8()? {
        0 => Ok(Form::Plain),
        1 => Ok(Form::Coded),
        2 => Ok(Form::Whole),
        other => Err(format!("a form in 0..=2, got {other}")),
    }
}

/// Writes a table's filters as the texts that name them.
pub(super) fn put_filters(filters: &TableFilters, f: &mut Fields) {
    f.bytes(filters.push.to_string().as_bytes()).bytes(filters.pull.to_string().as_bytes());
}

/// Reads a table's filters.
pub(super) fn take_filters(r: &mut Reader<'_>) -> Result<TableFilters, String> {
    TableFilters::parse(&r.text()?, &r.text()?).map_err(|e| e.to_string())
}
