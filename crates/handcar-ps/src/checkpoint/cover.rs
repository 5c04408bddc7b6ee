//! Coverage: whether pieces hold every position of every table exactly once.

use super::error::{Error, Result};
use super::piece::PieceRecord;
use super::table::TableRecord;

/// Checks pieces sorted by table and range against tables sorted by number.
///
/// # Errors
/// [`Error::Argument`] names the table and the first gap, overlap, or piece of no table.
pub(super) fn check(tables: &[TableRecord], pieces: &[PieceRecord]) -> Result<()> {
    let mut rest = pieces;
    for table in tables {
        let here = rest.iter().take_while(|p| p.id.table == table.id).count();
        let (of_table, after) = rest.split_at(here);
        rest = after;
        // The first position not yet covered; `None` after the last position there is.
        let mut next = Some(0u64);
        for piece in of_table {
            let range = piece.id.range;
            if next != Some(range.first()) {
                return Err(broken(table, next, &range.to_string()));
            }
            next = range.last().checked_add(1);
        }
        if next.is_some() {
            return Err(broken(table, next, "no further piece"));
        }
    }
    match rest.first() {
        None => Ok(()),
        Some(p) => Err(Error::argument(
            "checkpoint",
            "pieces of its tables, in the order of table and position",
            format!("{} of table {}", p.id.range, p.id.table),
        )),
    }
}

fn broken(table: &TableRecord, next: Option<u64>, got: &str) -> Error {
    let wanted = next.map_or("the end".into(), |n| format!("a piece from {n:016x}"));
    Error::argument("checkpoint", format!("table {} {:?}: {wanted}", table.id, table.name), got)
}
