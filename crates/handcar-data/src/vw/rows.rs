//! The rows of a chunk, one line after the other.

use super::cross::Crosser;
use super::hash::{Hasher, Namespace};
use super::line::{self, Sink, Words};
use super::numbers::Numbers;
use super::order::sort_by_key;
use super::{Wants, name_at};
use crate::choose::Namespaces;
use crate::error::RowError;
use crate::names::Texts;
use crate::parsed::{Body, Ids, Ragged};
use crate::schema::Schema;
use std::collections::HashMap;

/// Takes one row after the other.
pub(super) struct Rows<'a> {
    hasher: Hasher,
    schema: &'a Schema,
    /// The namespace being read, its name, and whether its features are any.
    space: (Namespace, &'a [u8], bool),
    crosser: Option<Crosser>,
    /// The namespaces there are, if it is asked whether some are.
    namespaces: Option<Namespaces>,
    /// The namespaces of the last row, as far as this row has the same, and how many of them have been read.
    last: Vec<Known>,
    spaces: usize,
    /// Where features are left as they stand in the text.
    as_read: Option<AsRead<'a>>,
    /// The row being read, where they are not.
    row: Vec<Entry<'a>>,
    /// The order of the last row by key: rows mostly have the same namespaces, and then it is this row's too.
    order: Vec<u32>,
    /// Keys with their places in the row, while they are sorted.
    packed: Vec<u64>,
    /// Numbers the keys of all rows.
    numbers: Numbers,
    names: Option<Texts>,
    ids: Vec<u32>,
    /// Empty while every value is 1.
    values: Vec<f32>,
    all_ones: bool,
}

/// Features as they stand in the text, and where the row being read begins among them.
struct AsRead<'a> {
    text: &'a [u8],
    keys: Vec<u64>,
    starts: Vec<u32>,
    begin: usize,
}

/// A feature of the row being read.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub key: u64,
    pub value: f32,
    pub space: &'a [u8],
    pub name: &'a [u8],
}

/// A namespace that is likely to come again.
struct Known {
    /// Its name and a blank, and the bytes that these are of eight. A longer name has a word that never comes.
    word: u64,
    mask: u64,
    len: usize,
    space: Namespace,
    kept: bool,
}

impl Known {
    fn new(name: &[u8], space: Namespace, kept: bool) -> Self {
        let len = name.len();
        if len > 7 {
            return Self { word: 1, mask: 0, len, space, kept };
        }
        let mut word = [0; 8];
        word[..len].copy_from_slice(name);
        word[len] = b' ';
        Self { word: u64::from_le_bytes(word), mask: u64::MAX >> (56 - 8 * len), len, space, kept }
    }
}

impl<'a> Sink<'a> for Rows<'a> {
    #[inline]
    fn known(&mut self, rest: &'a [u8]) -> Option<usize> {
        let known = self.last.get(self.spaces)?;
        if u64::from_le_bytes(*rest.first_chunk::<8>()?) & known.mask != known.word {
            return None;
        }
        self.spaces += 1;
        self.space = (known.space, &rest[..known.len], known.kept);
        Some(known.len)
    }

    #[inline]
    fn namespace(&mut self, name: &'a [u8]) {
        let kept = self.schema.select.has(name);
        self.space = (self.hasher.namespace(name), name, kept);
        if let Some(namespaces) = &mut self.namespaces {
            namespaces.see(name, self.schema);
        }
        self.last.truncate(self.spaces);
        self.last.push(Known::new(name, self.space.0, kept));
        self.spaces += 1;
    }

    #[inline]
    fn feature(&mut self, name: &'a [u8], value: f32) {
        let (space, space_name, kept) = self.space;
        if !kept {
            return;
        }
        let key = self.hasher.key(space, name);
        if let Some(as_read) = &mut self.as_read {
            as_read.keys.push(key);
            as_read.starts.push((name.as_ptr() as usize - as_read.text.as_ptr() as usize) as u32);
            self.put_value(value);
            return;
        }
        self.row.push(Entry { key, value, space: space_name, name });
    }
}

impl<'a> Rows<'a> {
    /// Of a chunk's text.
    pub fn new(schema: &'a Schema, text: &'a [u8], Wants { names, as_read, .. }: Wants) -> Self {
        let hasher = Hasher::new(schema);
        let asked = names && !(schema.select.is_all() && schema.crosses.is_empty());
        let crosser = Crosser::new(schema, &hasher);
        Self {
            hasher,
            schema,
            space: (Namespace::default(), b"", true),
            as_read: (as_read && crosser.is_none()).then(|| AsRead {
                text,
                keys: Vec::new(),
                starts: Vec::new(),
                begin: 0,
            }),
            crosser,
            namespaces: asked.then(Namespaces::default),
            last: Vec::new(),
            spaces: 0,
            row: Vec::new(),
            order: Vec::new(),
            packed: Vec::new(),
            numbers: Numbers::new(),
            names: names.then(Texts::default),
            ids: Vec::new(),
            values: Vec::new(),
            all_ones: true,
        }
    }

    /// `None`: no row on this line, which begins at `begin`. What is read stays apart until it is stored.
    pub fn parse_row(
        &mut self,
        line: &'a [u8],
        begin: usize,
        need: bool,
        words: &mut Words<'a, '_>,
    ) -> Result<Option<line::Head>, RowError> {
        let Some(bar) = memchr::memchr(b'|', line) else {
            let text = line.trim_ascii();
            return if text.is_empty() { Ok(None) } else { Err(RowError::new(None, "| before the features", text)) };
        };
        let head = line::head(&line[..bar], need, self.schema.label.kind)?;
        self.row.clear();
        self.spaces = 0;
        let read = line::features(words, begin + bar + 1..begin + line.len(), self);
        if let Some(as_read) = &mut self.as_read {
            let begin = as_read.begin;
            let sound = read.and_then(|()| match self.all_ones {
                true => Ok(()),
                false => as_read.check_sums(&self.values[begin..]),
            });
            if sound.is_err() {
                as_read.keys.truncate(begin);
                as_read.starts.truncate(begin);
                self.values.truncate(begin);
            }
            return sound.map(|()| Some(head));
        }
        read?;
        match &mut self.crosser {
            Some(crosser) => crosser.cross(&self.row, &self.hasher)?,
            None => self.sort()?,
        }
        Ok(Some(head))
    }

    /// Makes `order` sort the row, and each of its keys occur once.
    fn sort(&mut self) -> Result<(), RowError> {
        let row = &mut self.row;
        let ascends = |row: &[Entry<'_>], order: &[u32]| {
            order.windows(2).all(|w| row[w[0] as usize].key < row[w[1] as usize].key)
        };
        if self.order.len() == row.len() && ascends(row, &self.order) {
            return Ok(());
        }
        sort_by_key(row, &mut self.packed, &mut self.order);
        if ascends(row, &self.order) {
            return Ok(());
        }
        row.sort_by_key(|e| e.key);
        row.dedup_by(|next, kept| {
            let same = next.key == kept.key;
            if same {
                kept.value += next.value;
            }
            same
        });
        self.order.clear();
        self.order.extend(0..row.len() as u32);
        match row.iter().find(|e| !e.value.is_finite()) {
            Some(e) => Err(RowError::new(line::show(e.space, e.name), "a finite sum of its values", b"inf")),
            None => Ok(()),
        }
    }

    /// Adds the row to the others and gives its length.
    pub fn store(&mut self) -> u32 {
        if let Some(as_read) = &mut self.as_read {
            let len = as_read.keys.len() - as_read.begin;
            as_read.begin = as_read.keys.len();
            return len as u32;
        }
        if let Some(crosser) = self.crosser.take() {
            for feature in &crosser.merged {
                let (known, number) = (self.numbers.keys.len(), self.numbers.of(feature.key));
                if self.put(number, feature.value) > known
                    && let Some(names) = &mut self.names
                {
                    names.push(&crosser.name(feature, &self.row));
                }
            }
            let len = crosser.merged.len() as u32;
            self.crosser = Some(crosser);
            return len;
        }
        for i in 0..self.order.len() {
            let e = self.row[self.order[i] as usize];
            let (known, number) = (self.numbers.keys.len(), self.numbers.of(e.key));
            if self.put(number, e.value) > known {
                self.name(e.space, e.name);
            }
        }
        self.order.len() as u32
    }

    /// All rows, given how many entries each has, and the namespaces seen, if it was asked for.
    pub fn finish(self, lengths: Vec<u32>) -> (Body, Namespaces) {
        let ids = match self.as_read {
            Some(AsRead { keys, starts, .. }) => Ids::AsRead { keys, starts },
            None => Ids::Local { ids: self.ids, keys: self.numbers.keys, names: self.names.unwrap_or_default() },
        };
        let values = (!self.all_ones).then_some(self.values);
        (Body::Ragged(Ragged { lengths, ids, values }), self.namespaces.unwrap_or_default())
    }

    /// Adds an entry of a key's number, and gives it back.
    #[inline]
    fn put(&mut self, number: u32, value: f32) -> usize {
        self.ids.push(number);
        self.put_value(value);
        number as usize
    }

    /// Adds the value of the entry that came last.
    #[inline]
    fn put_value(&mut self, value: f32) {
        if self.all_ones && value != 1.0 {
            self.all_ones = false;
            let entries = self.as_read.as_ref().map_or(self.ids.len(), |a| a.keys.len());
            self.values.resize(entries - 1, 1.0);
        }
        if !self.all_ones {
            self.values.push(value);
        }
    }

    /// Names the key that came last.
    #[inline]
    fn name(&mut self, space: &[u8], name: &[u8]) {
        if let Some(names) = &mut self.names {
            let bar: &[u8] = if space.is_empty() { b"" } else { b"^" };
            names.push(&[space, bar, name]);
        }
    }
}

impl AsRead<'_> {
    /// Refuses a row in which the values of one key have no finite sum.
    fn check_sums(&self, values: &[f32]) -> Result<(), RowError> {
        let largest = values.iter().fold(0f32, |most, v| most.max(v.abs()));
        if largest as f64 * values.len() as f64 <= f32::MAX as f64 {
            return Ok(());
        }
        let mut sums: HashMap<u64, f32> = HashMap::new();
        for (i, (&key, &value)) in self.keys[self.begin..].iter().zip(values).enumerate() {
            let sum = sums.entry(key).or_default();
            *sum += value;
            if !sum.is_finite() {
                let name = name_at(self.text, self.starts[self.begin + i] as usize).concat();
                return Err(RowError::new(
                    String::from_utf8_lossy(&name).into_owned(),
                    "a finite sum of its values",
                    b"inf",
                ));
            }
        }
        Ok(())
    }
}
