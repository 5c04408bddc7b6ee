//! From columns of tokens to packed data: one table a field, then sorted keys, blocks and rows in one sweep each.

use crate::block::{BlockStore, EntryStore};
use crate::cross::text_of;
use crate::csv::unescape;
use crate::dataset::Packed;
use crate::names::{Names, TEXT_BYTES_MAX};
use crate::par;
use crate::parsed::{ABSENT, Body, Columns, Parsed};
use crate::row_store::RowStore;
use crate::schema::Schema;
use crate::section::Section;
use crate::table::Table;
use crate::transpose::width;
use handcar_base::key;

/// Collects chunks of columns.
pub(crate) struct ColumnsBuilder {
    fields: Vec<FieldColumn>,
}

/// One field: its distinct tokens so far, and every row's number in that table.
struct FieldColumn {
    table: Table,
    chunks: Vec<Numbers>,
    values: Vec<Option<Vec<f32>>>,
    names: FieldNames,
    any_absent: bool,
}

/// Texts of numbers 1, 2, …; ends early once the bound on text is met.
#[derive(Default)]
struct FieldNames {
    text: Vec<u8>,
    ends: Vec<u32>,
    /// A text did not fit: a shorter one after it would take its number.
    full: bool,
}

/// Numbers of a chunk, as narrow as the table's size was at the time: most fields stay small for long.
enum Numbers {
    One(Vec<u8>),
    Two(Vec<u16>),
    Four(Vec<u32>),
}

impl ColumnsBuilder {
    pub fn new(schema: &Schema) -> Self {
        let field = || FieldColumn {
            table: Table::new(),
            chunks: Vec::new(),
            values: Vec::new(),
            names: FieldNames::default(),
            any_absent: false,
        };
        Self { fields: schema.columns().map(|_| field()).collect() }
    }

    /// Adds parsed chunks in order, fields side by side on several threads.
    pub fn absorb(&mut self, batch: &[Parsed], schema: &Schema, threads: usize) {
        let chunks: Vec<(&Parsed, &Columns)> = batch
            .iter()
            .filter_map(|p| match &p.body {
                Body::Columns(c) => Some((p, c)),
                Body::Ragged(_) => None,
            })
            .collect();
        let fields: Vec<(usize, &mut FieldColumn)> = self.fields.iter_mut().enumerate().collect();
        par::map(threads, fields, |(f, field)| chunks.iter().for_each(|(p, c)| field.absorb(f, p, c, schema)));
    }

    /// Sorts keys and lays out blocks and rows.
    pub fn finish(self, schema: &Schema, labels: Vec<f32>, weights: Option<Vec<f32>>, threads: usize) -> Packed {
        let rows = labels.len();
        let fields: Vec<_> = self.fields.into_iter().zip(schema.columns()).collect();
        let done = par::map(threads, fields, |(field, id)| field.finish(rows, id));
        let mut keys = Vec::with_capacity(done.iter().map(|d| d.keys.len()).sum());
        let mut names = Vec::new();
        for d in &done {
            names.extend(d.names.iter().map(|(k, t)| (*k, &t[..])));
            keys.extend_from_slice(&d.keys);
        }
        let names = Names::new(names);
        let nonzeros: u64 = done.iter().map(|d| d.present(rows)).sum();
        let mut blocks = Vec::with_capacity(done.len());
        let mut at = 0;
        for (d, field) in done.into_iter().zip(schema.columns()) {
            let range = at..at + d.keys.len();
            at = range.end;
            // A column of nothing but raw zeros has no key, hence no block.
            if !range.is_empty() {
                let entries = entries(d.column, d.values);
                blocks.push(BlockStore { field, keys: range, max_row_nonzeros: 1, entries });
            }
        }
        Packed {
            schema: schema.clone(),
            labels: Section::Owned(labels),
            weights: weights.map(Section::Owned),
            keys: Section::Owned(keys),
            rows: RowStore::new(nonzeros),
            blocks,
            names,
        }
    }
}

impl FieldColumn {
    fn absorb(&mut self, f: usize, parsed: &Parsed, columns: &Columns, schema: &Schema) {
        let tokens = columns.column(f, parsed.rows);
        let spans = columns.spans[f].as_ref();
        let cross = f.checked_sub(schema.fields.len()).map(|c| &schema.crosses[c]);
        let has_absent = columns.values[f].is_some();
        let mut numbers = Vec::with_capacity(tokens.len());
        match spans {
            None if !has_absent && cross.is_none() => self.table.numbers(tokens, &mut numbers),
            _ => {
                for (row, &token) in tokens.iter().enumerate() {
                    if token == ABSENT {
                        self.any_absent = true;
                        numbers.push(0);
                        continue;
                    }
                    let known = self.table.values.len();
                    let number = self.table.number(token);
                    if let (true, Some(spans)) = (number as usize > known, spans) {
                        let (begin, len) = spans[row];
                        let missing = token == crate::bucket::MISSING;
                        let text = if missing { &[] } else { &parsed.text[begin as usize..][..len as usize] };
                        self.names.push(text);
                    } else if let (true, Some(cross)) = (number as usize > known && !self.names.full, cross) {
                        self.names.push_plain(&text_of(cross, row, parsed, columns, schema));
                    }
                    numbers.push(number);
                }
            }
        }
        self.chunks.push(match width(self.table.values.len()) {
            1 => Numbers::One(numbers.iter().map(|&n| n as u8).collect()),
            2 => Numbers::Two(numbers.iter().map(|&n| n as u16).collect()),
            _ => Numbers::Four(numbers),
        });
        self.values.push(columns.values[f].as_ref().map(|v| v[..parsed.rows].to_vec()));
    }

    fn finish(self, rows: usize, id: u16) -> Done {
        let Self { table, chunks, values, names, any_absent } = self;
        let names = names.with_keys(&table.values, id);
        let (sorted, ranks) = table.into_ranks();
        let column = match width(sorted.len()) {
            1 => Column::One(renumber(chunks, rows, &ranks, |r| r as u8)),
            2 => Column::Two(renumber(chunks, rows, &ranks, |r| r as u16)),
            _ => Column::Four(renumber(chunks, rows, &ranks, |r| r)),
        };
        let keys = sorted.into_iter().map(|v| key::compose(id, v)).collect();
        let values = values.iter().any(|v| v.is_some()).then(|| values.into_iter().flatten().flatten().collect());
        Done { keys, column, values, names, any_absent }
    }
}

impl FieldNames {
    /// Adds a text as it stands in a CSV cell.
    fn push(&mut self, raw: &[u8]) {
        match raw.windows(2).any(|w| w == b"\"\"") {
            true => self.push_plain(&unescape(raw)),
            false => self.push_plain(raw),
        }
    }

    fn push_plain(&mut self, text: &[u8]) {
        self.full |= self.text.len() + text.len() > TEXT_BYTES_MAX;
        if !self.full {
            self.text.extend_from_slice(text);
            self.ends.push(self.text.len() as u32);
        }
    }

    fn with_keys(self, values: &[u64], id: u16) -> Vec<(u64, Vec<u8>)> {
        let mut begin = 0;
        let mut pairs = Vec::with_capacity(self.ends.len());
        for (&value, &end) in values.iter().zip(&self.ends) {
            if end as usize > begin {
                pairs.push((key::compose(id, value), self.text[begin..end as usize].to_vec()));
            }
            begin = end as usize;
        }
        pairs
    }
}

struct Done {
    keys: Vec<u64>,
    column: Column,
    values: Option<Vec<f32>>,
    names: Vec<(u64, Vec<u8>)>,
    any_absent: bool,
}

impl Done {
    /// How many of the rows have an entry in this field.
    fn present(&self, rows: usize) -> u64 {
        let count = |c: &dyn Fn(usize) -> u32| (0..rows).filter(|&row| c(row) > 0).count() as u64;
        match self.any_absent || self.values.is_some() {
            true => count(&|row| self.column.rank(row)),
            false => rows as u64,
        }
    }
}

/// A field's ranks, one a row; 0 for none.
enum Column {
    One(Vec<u8>),
    Two(Vec<u16>),
    Four(Vec<u32>),
}

fn renumber<T>(chunks: Vec<Numbers>, rows: usize, ranks: &[u32], narrow: impl Fn(u32) -> T) -> Vec<T> {
    let mut out = Vec::with_capacity(rows);
    // Each chunk is freed once it is renumbered: the two forms are never whole side by side.
    for chunk in chunks {
        match chunk {
            Numbers::One(c) => out.extend(c.iter().map(|&n| narrow(ranks[n as usize]))),
            Numbers::Two(c) => out.extend(c.iter().map(|&n| narrow(ranks[n as usize]))),
            Numbers::Four(c) => out.extend(c.iter().map(|&n| narrow(ranks[n as usize]))),
        }
    }
    out
}

fn entries(column: Column, values: Option<Vec<f32>>) -> EntryStore {
    let Some(values) = values else {
        return match column {
            Column::One(c) => EntryStore::Dense8(Section::Owned(c)),
            Column::Two(c) => EntryStore::Dense16(Section::Owned(c)),
            Column::Four(c) => EntryStore::Dense32(Section::Owned(c)),
        };
    };
    let (mut rows, mut ids, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for (row, value) in values.into_iter().enumerate() {
        let rank = column.rank(row);
        if rank > 0 {
            rows.push(row as u32);
            ids.push(rank - 1);
            kept.push(value);
        }
    }
    EntryStore::Sparse { rows: Section::Owned(rows), ids: Section::Owned(ids), values: Some(Section::Owned(kept)) }
}

impl Column {
    #[inline]
    fn rank(&self, row: usize) -> u32 {
        match self {
            Self::One(c) => c[row] as u32,
            Self::Two(c) => c[row] as u32,
            Self::Four(c) => c[row],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_takes_the_number_of_one_that_did_not_fit() {
        let mut names = FieldNames::default();
        let long = vec![b'x'; TEXT_BYTES_MAX - 10];
        for text in [&long[..], b"ten letters", b"short"] {
            names.push(text);
        }
        let kept = names.with_keys(&[1, 2, 3], 4);
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].0, kept[0].1.len()), (key::compose(4, 1), long.len()));
    }
}
