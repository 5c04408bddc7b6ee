//! Minibatches straight from text, in memory that does not depend on the input's size.

use crate::dataset::Csr;
use crate::error::{DataError, Result};
use crate::key_texts::KeyTexts;
use crate::options::ReadOptions;
use crate::parsed::{ABSENT, Body, Ids, Parsed, append_weights};
use crate::read::Rows;
use crate::report::ReadReport;
use crate::schema::Schema;
use crate::source;
use crate::stream::{Stream, Want};
use crate::table::Table;
use handcar_base::{Field, key};
use std::collections::VecDeque;

/// Some rows: CSR with ids local to the batch, and the sorted global keys the ids index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// One a row, of the schema's kind; `None` if the input has no labels.
    pub labels: Option<Vec<f32>>,
    /// Example weights; `None`: all 1.
    pub weights: Option<Vec<f32>>,
    /// `rows + 1` positions.
    pub offsets: Vec<u64>,
    /// Indices into `keys`, ascending in a row.
    pub ids: Vec<u32>,
    /// `None`: all 1.
    pub values: Option<Vec<f32>>,
    /// The distinct keys of the batch, strictly ascending.
    pub keys: Vec<u64>,
}

impl Batch {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The rows.
    pub fn csr(&self) -> Csr<'_> {
        Csr { offsets: &self.offsets, ids: &self.ids, values: self.values.as_deref() }
    }
}

/// Streams inputs in batches of `batch_rows` rows (the last may be shorter), read as the schema says. Labels are read
/// where there are any: a CSV file may lack the label column, a Criteo row may have 39 columns, a libsvm row may begin
/// with its first pair.
///
/// # Errors
/// Any [`DataError`]; errors of later rows come from the iterator, which ends with them.
pub fn batches(inputs: &[String], schema: &Schema, options: &ReadOptions, batch_rows: usize) -> Result<Batches> {
    if batch_rows == 0 {
        let (expected, got) = ("1 or more".into(), "0".into());
        return Err(DataError::Option { option: "batch_rows", expected, got });
    }
    let inputs = source::expand(inputs)?;
    let stream = Stream::open(&inputs, Some(schema), options, Want::LabelsIfAny)?;
    let rows = Rows::new(&inputs, options.on_bad_row);
    Ok(Batches {
        stream: Some(stream),
        rows,
        batch_rows,
        parsed: VecDeque::new(),
        pending: Pending::default(),
        texts: KeyTexts::default(),
    })
}

/// The batches of [`batches`].
pub struct Batches {
    stream: Option<Stream>,
    rows: Rows,
    batch_rows: usize,
    parsed: VecDeque<Parsed>,
    pending: Pending,
    texts: KeyTexts,
}

impl Batches {
    /// What has been read so far.
    pub fn report(&self) -> &ReadReport {
        &self.rows.report
    }

    /// Has the texts noted that keys of these fields come from, in bounded memory; before the first batch.
    pub fn note_texts(&mut self, fields: &[Field]) {
        self.texts = KeyTexts::new(fields);
        if let Some(stream) = &mut self.stream {
            stream.keep_names(!fields.is_empty());
        }
    }

    /// The text that a key of the batches so far comes from, if it was [noted](Self::note_texts).
    pub fn text_of(&self, key: u64) -> Option<&str> {
        self.texts.get(key)
    }

    fn fill(&mut self) -> Result<()> {
        while self.pending.rows() < self.batch_rows {
            if let Some(mut parsed) = self.parsed.pop_front() {
                self.rows.account(&mut parsed)?;
                let schema = self.stream.as_ref().map(Stream::schema);
                schema.into_iter().for_each(|schema| self.texts.note(&parsed, schema));
                self.pending.append(parsed, schema);
                continue;
            }
            let Some(stream) = &mut self.stream else { return Ok(()) };
            match stream.next_batch()? {
                Some(batch) => self.parsed.extend(batch),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;
    fn next(&mut self) -> Option<Self::Item> {
        self.stream.as_ref()?;
        if let Err(e) = self.fill() {
            self.stream = None;
            return Some(Err(e));
        }
        let rows = self.pending.rows().min(self.batch_rows);
        if rows == 0 {
            self.stream = None;
            return if self.rows.report.rows == 0 {
                Some(Err(DataError::Empty { file: "input".into() }))
            } else {
                None
            };
        }
        Some(Ok(self.pending.take(rows)))
    }
}

/// Rows not yet handed out, with global keys. `done` rows at the front have been.
#[derive(Default)]
struct Pending {
    done: usize,
    labels: Vec<f32>,
    /// Whether every row so far had a label.
    unlabelled: bool,
    weights: Option<Vec<f32>>,
    ends: Vec<usize>,
    keys: Vec<u64>,
    values: Option<Vec<f32>>,
}

impl Pending {
    fn rows(&self) -> usize {
        self.ends.len() - self.done
    }

    fn append(&mut self, parsed: Parsed, schema: Option<&Schema>) {
        self.compact();
        self.unlabelled |= parsed.labels.len() != parsed.rows;
        self.labels.extend_from_slice(&parsed.labels);
        self.labels.resize(self.ends.len() + parsed.rows, 0.0);
        append_weights(&mut self.weights, parsed.weights, self.ends.len(), parsed.rows);
        match parsed.body {
            Body::Ragged(r) => {
                if let (Some(_), _) | (_, Some(_)) = (&self.values, &r.values) {
                    let all = self.values.get_or_insert_default();
                    all.resize(self.keys.len(), 1.0);
                    match r.values {
                        Some(v) => all.extend(v),
                        None => all.resize(self.keys.len() + r.ids.len(), 1.0),
                    }
                }
                match r.ids {
                    Ids::Narrow(ids) => self.keys.extend(ids.iter().map(|&i| i as u64)),
                    Ids::Wide(ids) | Ids::AsRead { keys: ids, .. } => self.keys.extend(ids),
                    Ids::Local { ids, keys, .. } => self.keys.extend(ids.iter().map(|&i| keys[i as usize - 1])),
                }
                let mut end = self.ends.last().copied().unwrap_or(0);
                self.ends.extend(r.lengths.iter().map(|&l| {
                    end += l as usize;
                    end
                }));
            }
            Body::Columns(c) => {
                let fields: Vec<_> = schema.into_iter().flat_map(Schema::columns).collect();
                let any_values = c.values.iter().any(|v| v.is_some());
                for row in 0..parsed.rows {
                    for (f, &field) in fields.iter().enumerate() {
                        let token = c.tokens[f * c.stride + row];
                        if token != ABSENT {
                            self.keys.push(key::compose(field, token));
                            if any_values {
                                let value = c.values[f].as_ref().map_or(1.0, |v| v[row]);
                                self.values.get_or_insert_default().push(value);
                            }
                        }
                    }
                    self.ends.push(self.keys.len());
                }
            }
        }
    }

    /// Drops rows handed out: what is held stays within a batch and a few chunks.
    fn compact(&mut self) {
        if self.done == 0 {
            return;
        }
        let begin = self.ends[self.done - 1];
        self.labels.drain(..self.done);
        if let Some(w) = &mut self.weights {
            w.drain(..self.done);
        }
        self.ends.drain(..self.done);
        self.ends.iter_mut().for_each(|e| *e -= begin);
        self.keys.drain(..begin);
        if let Some(v) = &mut self.values {
            v.drain(..begin);
        }
        self.done = 0;
    }

    fn take(&mut self, rows: usize) -> Batch {
        let range = self.done..self.done + rows;
        let begin = if self.done == 0 { 0 } else { self.ends[self.done - 1] };
        let end = self.ends[range.end - 1];
        let mut table = Table::new();
        let mut ids: Vec<u32> = self.keys[begin..end].iter().map(|&k| table.number(k)).collect();
        let (keys, ranks) = table.into_ranks();
        ids.iter_mut().for_each(|id| *id = ranks[*id as usize] - 1);
        let mut offsets = vec![0];
        offsets.extend(self.ends[range.clone()].iter().map(|&e| (e - begin) as u64));
        let batch = Batch {
            labels: (!self.unlabelled).then(|| self.labels[range.clone()].to_vec()),
            weights: self.weights.as_ref().map(|w| w[range.clone()].to_vec()),
            offsets,
            ids,
            values: self.values.as_ref().map(|v| v[begin..end].to_vec()),
            keys,
        };
        self.done = range.end;
        batch
    }
}
