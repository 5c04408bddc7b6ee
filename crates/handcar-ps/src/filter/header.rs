//! The bytes around a block: version, spec, rows and notes.

use super::block::{Block, Payload};
use super::bytes::{Reader, put_varint};
use super::error::FilterError;
use super::planes;
use super::rows::Rows;
use crate::values::Dtype;
use handcar_base::KeyList;

/// Layout of an encoded message; a receiver refuses any other.
const VERSION: u8 = 1;
const NUMBERS: u8 = 0;
const BYTES: u8 = 1;
/// Added to the kind: filters that are not exact were left out.
const EXACT: u8 = 2;

/// Writes a message:
///
/// ```text
/// version u8 | payload kind u8 | hash of the spec u32 | rows | for each filter: length varint, note | payload
/// ```
///
/// `exact`: filters that are not exact were left out.
pub fn write(spec_hash: u32, block: &Block, notes: &[Vec<u8>], exact: bool) -> Vec<u8> {
    let beside: usize = notes.iter().map(|n| n.len() + 2).sum();
    let mut out = Vec::with_capacity(16 + beside + block.rows.len() / 8 + block.payload.bytes());
    out.push(VERSION);
    let kind = if matches!(block.payload, Payload::Numbers(_)) { NUMBERS } else { BYTES };
    out.push(if exact { kind | EXACT } else { kind });
    out.extend(spec_hash.to_le_bytes());
    block.rows.write(&mut out);
    for note in notes {
        put_varint(&mut out, note.len() as u64);
        out.extend_from_slice(note);
    }
    match &block.payload {
        Payload::Numbers(values) => planes::put(values, &mut out),
        Payload::Bytes(bytes) => out.extend_from_slice(bytes),
    }
    out
}

/// Reads a message over a known key list; returns the block, the notes of the filters in sending order, and whether
/// filters that are not exact were left out.
pub fn read<'a>(
    bytes: &'a [u8],
    spec_hash: u32,
    filters: usize,
    keys: &KeyList,
    (dtype, width): (Dtype, usize),
) -> Result<(Block, Vec<&'a [u8]>, bool), FilterError> {
    let mut r = Reader(bytes);
    let version = r.u8()?;
    if version != VERSION {
        return Err(FilterError::unfit(format!("a message of layout {VERSION}"), version.to_string()));
    }
    let (kind, exact) = match r.u8()? {
        plain @ (NUMBERS | BYTES) => (plain, false),
        kind => (kind ^ EXACT, true),
    };
    let theirs = u32::from_le_bytes(r.array()?);
    if theirs != spec_hash {
        return Err(FilterError::unfit(format!("filters with hash {spec_hash:08x}"), format!("{theirs:08x}")));
    }
    let rows = Rows::read(&mut r, keys.len())?;
    let mut notes = Vec::with_capacity(filters);
    for _ in 0..filters {
        let len = r.varint()?;
        notes.push(r.take(usize::try_from(len).unwrap_or(usize::MAX))?);
    }
    let payload = match kind {
        NUMBERS => Payload::Numbers(planes::get(r.0, dtype, rows.count() * width)?),
        BYTES => Payload::Bytes(r.0.to_vec()),
        other => return Err(FilterError::unfit("a payload of kind 0 to 3", (other ^ EXACT).to_string())),
    };
    Ok((Block { keys: keys.clone(), rows, dtype, width, payload }, notes, exact))
}
