//! The texts that keys of some fields came from, noted as batches come.

use crate::bucket::MISSING;
use crate::cross;
use crate::csv::unescape;
use crate::names::TEXT_BYTES_MAX;
use crate::parsed::{ABSENT, Body, Columns, Ids, Parsed, Ragged};
use crate::schema::Schema;
use handcar_base::{Field, key};
use std::collections::HashMap;

/// Texts by key, of the keys of some fields; none are taken once they no longer fit.
#[derive(Debug, Default)]
pub(crate) struct KeyTexts {
    fields: Vec<Field>,
    by_key: HashMap<u64, Box<str>>,
    bytes: usize,
}

impl KeyTexts {
    /// Of these fields, none so far.
    pub fn new(fields: &[Field]) -> Self {
        Self { fields: fields.to_vec(), ..Self::default() }
    }

    /// The text of a key, if it was noted.
    pub fn get(&self, key: u64) -> Option<&str> {
        self.by_key.get(&key).map(|text| &**text)
    }

    /// Notes the texts of a chunk's keys.
    pub fn note(&mut self, parsed: &Parsed, schema: &Schema) {
        match &parsed.body {
            _ if self.fields.is_empty() => {}
            Body::Columns(columns) => {
                for (f, id) in schema.columns().enumerate() {
                    if self.fields.contains(&id) {
                        self.note_column((f, id), columns, parsed, schema);
                    }
                }
            }
            Body::Ragged(Ragged { ids: Ids::Local { keys, names, .. }, .. }) => {
                for (i, &key) in keys.iter().enumerate() {
                    if self.fields.contains(&key::field_of(key)) && self.lacks(key) {
                        names.get(i).into_iter().for_each(|text| self.put(key, text));
                    }
                }
            }
            Body::Ragged(_) => {}
        }
    }

    fn note_column(&mut self, (f, id): (usize, Field), columns: &Columns, parsed: &Parsed, schema: &Schema) {
        let (cross, spans) = (f.checked_sub(schema.fields.len()).map(|c| &schema.crosses[c]), &columns.spans[f]);
        for (row, &token) in columns.column(f, parsed.rows).iter().enumerate() {
            if token == ABSENT || token == MISSING || !self.lacks(key::compose(id, token)) {
                continue;
            }
            match (cross, spans) {
                (Some(cross), _) => {
                    self.put(key::compose(id, token), &cross::text_of(cross, row, parsed, columns, schema));
                }
                (None, Some(spans)) => {
                    let (begin, len) = spans[row];
                    self.put(key::compose(id, token), &unescape(&parsed.text[begin as usize..][..len as usize]));
                }
                // What the token says needs no text.
                (None, None) => return,
            }
        }
    }

    fn lacks(&self, key: u64) -> bool {
        self.bytes < TEXT_BYTES_MAX && !self.by_key.contains_key(&key)
    }

    fn put(&mut self, key: u64, text: &[u8]) {
        self.bytes += text.len() + size_of::<(u64, Box<str>)>();
        self.by_key.insert(key, String::from_utf8_lossy(text).into());
    }
}
