//! What parsing a chunk gives: rows as columns of tokens, or as lists of ids.

use crate::choose::Namespaces;
use crate::error::RowError;
use crate::names::Texts;
use crate::report::REASONS_MAX;

/// The token of "this row has no key of this field": only a raw number that is zero.
pub(crate) const ABSENT: u64 = u64::MAX;

/// The rows of one chunk.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub file: usize,
    /// Lines seen, good and bad: where the next chunk of the file begins.
    pub lines: u64,
    pub bytes: usize,
    pub rows: usize,
    /// Labels, or indices into `label_texts` if that is not empty. Empty if the input has no labels.
    pub labels: Vec<f32>,
    /// Distinct label texts of this chunk, each with the line of its first use.
    pub label_texts: Vec<(Vec<u8>, u64)>,
    pub weights: Option<Vec<f32>>,
    /// VW text: the namespaces, if the schema asks for some.
    pub namespaces: Namespaces,
    pub body: Body,
    /// The first bad rows.
    pub bad: Vec<RowError>,
    pub bad_rows: u64,
    /// The text that spans and starts point into; kept only where values need names.
    pub text: Vec<u8>,
}

/// Features of the rows.
#[derive(Debug)]
pub(crate) enum Body {
    Columns(Columns),
    Ragged(Ragged),
}

/// One token a field and row, field after field.
#[derive(Debug)]
pub(crate) struct Columns {
    /// Distance between fields in `tokens`; at least the number of rows.
    pub stride: usize,
    pub tokens: Vec<u64>,
    /// Per field: values, where they are not all 1.
    pub values: Vec<Option<Vec<f32>>>,
    /// Per field: where in the text the value stands, where names must be kept.
    pub spans: Vec<Option<Vec<(u32, u32)>>>,
}

/// Ids of each row, ascending within a row.
#[derive(Debug, Default)]
pub(crate) struct Ragged {
    pub lengths: Vec<u32>,
    pub ids: Ids,
    /// `None`: all 1.
    pub values: Option<Vec<f32>>,
}

/// Ids, as narrow as they allow: most files have ids of 32 bits.
#[derive(Debug)]
pub(crate) enum Ids {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
    /// Keys in the order of the text, with where in it each one's name begins; a row may have a key twice.
    AsRead {
        keys: Vec<u64>,
        starts: Vec<u32>,
    },
    /// Numbers of the chunk's own keys, counted from 1, ascending by key within a row; with the keys' names, if kept.
    Local {
        ids: Vec<u32>,
        keys: Vec<u64>,
        names: Texts,
    },
}

impl Default for Ids {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

impl Parsed {
    pub fn new(file: usize, bytes: usize, body: Body) -> Self {
        Self {
            file,
            lines: 0,
            bytes,
            rows: 0,
            labels: Vec::new(),
            label_texts: Vec::new(),
            weights: None,
            namespaces: Namespaces::default(),
            body,
            bad: Vec::new(),
            bad_rows: 0,
            text: Vec::new(),
        }
    }

    /// Notes a bad row on the current line.
    pub fn refuse(&mut self, mut error: RowError) {
        self.bad_rows += 1;
        if self.bad.len() < REASONS_MAX {
            error.line = self.lines;
            self.bad.push(error);
        }
    }

    /// The index of a label text.
    pub fn label_text(&mut self, text: &[u8]) -> f32 {
        let known = self.label_texts.iter().position(|(t, _)| t == text);
        known.unwrap_or_else(|| {
            self.label_texts.push((text.to_vec(), self.lines));
            self.label_texts.len() - 1
        }) as f32
    }
}

impl Columns {
    pub fn column(&self, field: usize, rows: usize) -> &[u64] {
        &self.tokens[field * self.stride..][..rows]
    }
}

/// Adds the weights of `rows` rows to those of the `before` rows before them; `None`: all 1.
pub(crate) fn append_weights(all: &mut Option<Vec<f32>>, more: Option<Vec<f32>>, before: usize, rows: usize) {
    if all.is_some() || more.is_some() {
        let all = all.get_or_insert_default();
        all.resize(before, 1.0);
        match more {
            Some(more) => all.extend(more),
            None => all.resize(before + rows, 1.0),
        }
    }
}

/// Lines of a chunk without their ends, blank ones included.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines_at(text).map(|(_, line)| line)
}

/// The same with where each begins.
pub(crate) fn lines_at(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut begin = 0;
    std::iter::from_fn(move || {
        if begin == text.len() {
            return None;
        }
        let (at, rest) = (begin, &text[begin..]);
        let line = match memchr::memchr(b'\n', rest) {
            Some(i) => &rest[..i],
            None => rest,
        };
        begin = (begin + line.len() + 1).min(text.len());
        Some((at, line.strip_suffix(b"\r").unwrap_or(line)))
    })
}
