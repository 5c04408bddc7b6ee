//! Servers in small: tables as ordered maps, pieces as their entries, saved by n servers and restored by m.
#![allow(dead_code, reason = "each test file uses its part")]

use handcar_base::key::position;
use handcar_ps::checkpoint::{
    Blobs, Manifest, PieceId, PieceRecord, PositionRange, Reader, Result, ShapeRecord, TableRecord, Writer,
};
use std::collections::BTreeMap;

/// Keys and values of one table.
pub type Table = BTreeMap<u64, u64>;

/// Keys 0..n, spread over all positions.
pub fn table(keys: u64, salt: u64) -> Table {
    (0..keys).map(|k| (k, k.wrapping_mul(salt) ^ salt)).collect()
}

pub fn record(id: u32) -> TableRecord {
    let shape = ShapeRecord { push: "i64".into(), push_width: 1, pull: "i64".into(), pull_width: 1 };
    TableRecord { id, name: format!("table {id}"), updater: "assign.i64".into(), params: vec![id as u8], shape }
}

/// The entries of a range, as a server would write them: key and value, eight bytes each.
pub fn encode(table: &Table, range: PositionRange) -> (u64, Vec<u8>) {
    let inside = table.iter().filter(|&(&k, _)| range.contains(position(k)));
    let rows: Vec<[u8; 16]> = inside.map(|(k, v)| bytes_of(*k, *v)).collect();
    (rows.len() as u64, rows.concat())
}

fn bytes_of(key: u64, value: u64) -> [u8; 16] {
    (key as u128 | (value as u128) << 64).to_le_bytes()
}

fn decode(bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    let (rows, rest) = bytes.as_chunks::<16>();
    assert!(rest.is_empty(), "whole rows");
    rows.iter().map(|row| u128::from_le_bytes(*row)).map(|row| (row as u64, (row >> 64) as u64))
}

/// Every server writes its share of every table.
pub fn write_pieces(blobs: &dyn Blobs, tables: &[Table], servers: u32) -> Result<Vec<PieceRecord>> {
    let mut pieces = Vec::new();
    for server in 0..servers {
        let range = PositionRange::share(server, servers)?;
        for (id, table) in tables.iter().enumerate() {
            let (keys, bytes) = encode(table, range);
            let id = PieceId { table: id as u32, range };
            pieces.push(Writer::new(blobs).piece(id, keys, &bytes, format!("server {server}").as_bytes())?);
        }
    }
    Ok(pieces)
}

/// The manifest of these pieces, under the next free number.
pub fn manifest(blobs: &dyn Blobs, tables: &[Table], pieces: Vec<PieceRecord>, servers: u32) -> Result<Manifest> {
    let tables = (0..tables.len() as u32).map(record).collect();
    let sequence = Writer::new(blobs).next_sequence()?;
    let parent = sequence.checked_sub(1);
    let clocks = b"clocks".to_vec();
    Ok(Manifest { parent, epoch: 3, servers, clocks, tables, pieces, ..Manifest::new("job", sequence) })
}

/// Saves a checkpoint as `servers` servers and a coordinator do.
pub fn save(blobs: &dyn Blobs, tables: &[Table], servers: u32) -> Result<Manifest> {
    let pieces = write_pieces(blobs, tables, servers)?;
    Writer::new(blobs).commit(manifest(blobs, tables, pieces, servers)?)
}

/// Checks every byte, then restores onto `servers` servers; gives what all of them hold together.
pub fn restore(reader: &Reader, servers: u32) -> Result<Vec<Table>> {
    reader.verify_all()?;
    let mut tables = vec![Table::new(); reader.manifest().tables.len()];
    for server in 0..servers {
        let share = PositionRange::share(server, servers)?;
        for (id, table) in tables.iter_mut().enumerate() {
            for piece in reader.pieces(id as u32, share) {
                for (key, value) in decode(&reader.read(piece)?).filter(|(k, _)| share.contains(position(*k))) {
                    assert_eq!(table.insert(key, value), None, "key {key} restored twice");
                }
            }
        }
    }
    Ok(tables)
}
