//! The rows of one chunk as lists of keys, and the texts that the keys come from.

use crate::bucket::MISSING;
use crate::cross::text_of;
use crate::csv::unescape;
use crate::names::Texts;
use crate::parsed::{ABSENT, Body, Columns, Ids, Parsed, Ragged};
use crate::schema::Schema;
use crate::vw;
use handcar_base::key;

/// The rows of a chunk, in the order of the text.
pub(crate) struct ChunkRows {
    /// Entries of each row.
    pub lengths: Vec<u32>,
    /// Keys of the entries; a row may have one twice.
    pub keys: Vec<u64>,
    /// Values of the entries; `None`: all 1.
    pub values: Option<Vec<f32>>,
    texts: From,
}

/// Where the texts of keys are.
enum From {
    /// Keys have none.
    Nowhere,
    /// In VW text, where their names begin.
    Names(Vec<u32>),
    /// In a list of the chunk's own keys: the number of each entry's, counted from 1.
    List(Vec<u32>, Texts),
    /// In cells: the row and column of each entry.
    Cells(Vec<(u32, u32)>),
}

impl ChunkRows {
    /// Takes the rows out of a chunk that keeps what they refer to.
    pub fn take(parsed: &mut Parsed, schema: &Schema) -> Self {
        match &mut parsed.body {
            Body::Ragged(rows) => of_ragged(std::mem::take(rows)),
            Body::Columns(columns) => of_columns(columns, parsed.rows, schema),
        }
    }

    /// Adds the text that the key of an entry comes from to others; an empty one if there is none.
    pub fn note_text(&self, entry: usize, parsed: &Parsed, schema: &Schema, texts: &mut Texts) {
        match (&self.texts, &parsed.body) {
            (From::Names(starts), _) => texts.push(&vw::name_at(&parsed.text, starts[entry] as usize)),
            (From::List(ids, own), _) => texts.push(&[own.get(ids[entry] as usize - 1).unwrap_or_default()]),
            (From::Cells(cells), Body::Columns(columns)) => {
                texts.push(&[&text_of_cell(cells[entry], columns, parsed, schema)]);
            }
            _ => texts.push(&[]),
        }
    }
}

fn text_of_cell((row, f): (u32, u32), columns: &Columns, parsed: &Parsed, schema: &Schema) -> Vec<u8> {
    let (row, f) = (row as usize, f as usize);
    if let Some(cross) = f.checked_sub(schema.fields.len()) {
        return text_of(&schema.crosses[cross], row, parsed, columns, schema);
    }
    match &columns.spans[f] {
        Some(spans) if columns.tokens[f * columns.stride + row] != MISSING => {
            let (begin, len) = spans[row];
            unescape(&parsed.text[begin as usize..][..len as usize])
        }
        _ => Vec::new(),
    }
}

fn of_ragged(Ragged { lengths, ids, values }: Ragged) -> ChunkRows {
    let (keys, texts) = match ids {
        Ids::Narrow(ids) => (ids.into_iter().map(u64::from).collect(), From::Nowhere),
        Ids::Wide(keys) => (keys, From::Nowhere),
        Ids::AsRead { keys, starts } => (keys, From::Names(starts)),
        Ids::Local { ids, keys, names } => {
            (ids.iter().map(|&id| keys[id as usize - 1]).collect(), From::List(ids, names))
        }
    };
    ChunkRows { lengths, keys, values, texts }
}

fn of_columns(columns: &Columns, rows: usize, schema: &Schema) -> ChunkRows {
    let fields: Vec<_> = schema.columns().collect();
    let (mut lengths, mut keys) = (Vec::with_capacity(rows), Vec::with_capacity(rows * fields.len()));
    let mut values = columns.values.iter().any(Option::is_some).then(Vec::new);
    let texts = columns.spans.iter().any(Option::is_some) || !schema.crosses.is_empty();
    let mut cells = texts.then(Vec::new);
    for row in 0..rows {
        let before = keys.len();
        for (f, &field) in fields.iter().enumerate() {
            let token = columns.tokens[f * columns.stride + row];
            if token == ABSENT {
                continue;
            }
            keys.push(key::compose(field, token));
            if let Some(values) = &mut values {
                values.push(columns.values[f].as_ref().map_or(1.0, |v| v[row]));
            }
            if let Some(cells) = &mut cells {
                cells.push((row as u32, f as u32));
            }
        }
        lengths.push((keys.len() - before) as u32);
    }
    ChunkRows { lengths, keys, values, texts: cells.map_or(From::Nowhere, From::Cells) }
}
