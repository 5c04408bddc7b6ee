//! From inputs to packed data.

use crate::choose::Namespaces;
use crate::columns::ColumnsBuilder;
use crate::csv::Labels;
use crate::dataset::{Dataset, Packed};
use crate::error::{DataError, Result};
use crate::label::LabelKind;
use crate::options::{OnBadRow, ReadOptions};
use crate::par;
use crate::parsed::{Body, Parsed, append_weights};
use crate::ragged::RaggedBuilder;
use crate::report::{REASONS_MAX, ReadReport};
use crate::schema::{Format, Schema};
use crate::source::Input;
use crate::stream::{Stream, Want};
use std::sync::Arc;
use std::time::Instant;

/// Reads inputs: names, patterns, or `-` for standard input; gzip and zstd are told from the content. What is read comes
/// from the cache if the same inputs have been read the same way before, and goes there otherwise.
///
/// # Errors
/// Any [`DataError`]. A cache that cannot be written is no error; the report's notes say so.
pub fn read(inputs: &[String], options: &ReadOptions) -> Result<Dataset> {
    read_as(inputs, None, options)
}

/// As [`read`], with the columns of a schema: for data to evaluate a model on.
///
/// # Errors
/// Any [`DataError`].
pub fn read_with_schema(inputs: &[String], schema: &Schema, options: &ReadOptions) -> Result<Dataset> {
    read_as(inputs, Some(schema), options)
}

fn read_as(inputs: &[String], schema: Option<&Schema>, options: &ReadOptions) -> Result<Dataset> {
    let start = Instant::now();
    let inputs = crate::source::expand(inputs)?;
    let mut dataset = crate::cache::read(&inputs, schema, options)?;
    Arc::make_mut(&mut dataset.report).seconds = start.elapsed().as_secs_f64();
    Ok(dataset)
}

/// What one pass over the text gives.
pub(crate) struct Fresh {
    pub data: Packed,
    pub report: ReadReport,
    /// Hashes of the raw bytes of each input.
    pub hashes: Vec<u128>,
}

/// Reads and packs text, without a cache.
pub(crate) fn pack(inputs: &[Input], schema: Option<&Schema>, options: &ReadOptions) -> Result<Fresh> {
    let threads = options.thread_count();
    let mut stream = Stream::open(inputs, schema, options, Want::Labels)?;
    let mut rows = Rows::new(inputs, options.on_bad_row);
    let mut body = match stream.schema().by_field() {
        true => Builder::Columns(ColumnsBuilder::new(stream.schema())),
        false => Builder::Ragged(RaggedBuilder::default()),
    };
    // With a schema data is read to evaluate on: every row, and whatever namespaces there are.
    let negatives = options.negatives.filter(|_| schema.is_none());
    let (mut all_rows, mut namespaces) = (0, Namespaces::default());
    loop {
        let start = Instant::now();
        let Some(mut batch) = stream.next_batch()? else { break };
        rows.report.add("read, parse", start);
        let start = Instant::now();
        if let Some(negatives) = negatives {
            let numbered = batch.iter_mut().map(|parsed| {
                all_rows += parsed.rows as u64;
                (all_rows - parsed.rows as u64, parsed)
            });
            par::map(threads, numbered.collect(), |(first, parsed)| negatives.thin(parsed, first));
        }
        for parsed in &mut batch {
            rows.absorb(parsed)?;
            namespaces.join(std::mem::take(&mut parsed.namespaces), stream.schema());
        }
        match &mut body {
            Builder::Columns(c) => {
                c.absorb(&batch, stream.schema(), threads);
                stream.recycle(batch);
            }
            Builder::Ragged(r) => {
                for parsed in batch {
                    if let Body::Ragged(rows) = parsed.body {
                        r.push(rows);
                    }
                }
            }
        }
        rows.report.add("localise", start);
    }
    if schema.is_none() && stream.schema().format == Format::Vw {
        namespaces.check(stream.schema())?;
    }
    let mut schema = stream.schema().clone();
    let (hashes, labels) = (stream.hashes(), stream.labels().clone());
    let (labels, weights, mut report) = rows.finish(&labels, &mut schema)?;
    if let Some(negatives) = negatives {
        report.notes.push(negatives.note(&report, all_rows));
    }
    let start = Instant::now();
    let data = match body {
        Builder::Columns(c) => c.finish(&schema, labels, weights, threads),
        Builder::Ragged(r) => r.finish(&schema, labels, weights, threads),
    };
    report.add("pack", start);
    Ok(Fresh { data, report, hashes })
}

enum Builder {
    Columns(ColumnsBuilder),
    Ragged(RaggedBuilder),
}

/// Labels, weights and bad rows of the chunks so far.
pub(crate) struct Rows {
    names: Vec<String>,
    on_bad_row: OnBadRow,
    /// Lines of each file before the current chunk.
    lines: Vec<u64>,
    labels: Vec<f32>,
    weights: Option<Vec<f32>>,
    texts: Vec<Vec<u8>>,
    pub report: ReadReport,
}

impl Rows {
    pub fn new(inputs: &[Input], on_bad_row: OnBadRow) -> Self {
        Self {
            names: inputs.iter().map(Input::name).collect(),
            on_bad_row,
            lines: vec![1; inputs.len()],
            labels: Vec::new(),
            weights: None,
            texts: Vec::new(),
            report: ReadReport::default(),
        }
    }

    /// The names of all inputs.
    pub fn files(&self) -> String {
        self.names.join(", ")
    }

    /// Accounts for a chunk's lines and bad rows.
    pub fn account(&mut self, parsed: &mut Parsed) -> Result<()> {
        let (name, first) = (&self.names[parsed.file], self.lines[parsed.file]);
        self.report.skipped += parsed.bad_rows;
        for bad in parsed.bad.drain(..) {
            let error = bad.place(name, first);
            if self.on_bad_row == OnBadRow::Fail {
                return Err(error);
            }
            if self.report.reasons.len() < REASONS_MAX {
                self.report.reasons.push(error.to_string());
            }
        }
        self.lines[parsed.file] += parsed.lines;
        self.report.text_bytes += parsed.bytes as u64;
        self.report.rows += parsed.rows as u64;
        if self.report.rows > u32::MAX as u64 {
            let (expected, got) = (format!("at most {} rows", u32::MAX), "more".to_string());
            return Err(DataError::Labels { file: name.clone(), expected, got });
        }
        Ok(())
    }

    fn absorb(&mut self, parsed: &mut Parsed) -> Result<()> {
        let first = self.lines[parsed.file];
        self.account(parsed)?;
        append_weights(&mut self.weights, parsed.weights.take(), self.labels.len(), parsed.rows);
        let mut map = Vec::new();
        for (text, line) in std::mem::take(&mut parsed.label_texts) {
            let known = self.texts.iter().position(|t| *t == text);
            if known.is_none() && self.texts.len() == 2 {
                let show = |t: &[u8]| String::from_utf8_lossy(t).into_owned();
                let two =
                    format!("{:?} or {:?} (or choose the positive one)", show(&self.texts[0]), show(&self.texts[1]));
                let column = Some("label".to_string());
                return Err(crate::error::RowError { line, ..crate::error::RowError::new(column, two, &text) }
                    .place(&self.names[parsed.file], first));
            }
            map.push(known.unwrap_or_else(|| {
                self.texts.push(text);
                self.texts.len() - 1
            }) as f32);
        }
        if map.is_empty() {
            self.labels.append(&mut parsed.labels);
        } else {
            self.labels.extend(parsed.labels.iter().map(|&l| map[l as usize]));
        }
        Ok(())
    }

    /// Decides what text labels mean.
    fn finish(self, labels: &Labels, schema: &mut Schema) -> Result<(Vec<f32>, Option<Vec<f32>>, ReadReport)> {
        let Self { names, labels: mut all, weights, texts, mut report, .. } = self;
        let file = names.join(", ");
        if all.is_empty() {
            return Err(DataError::Empty { file });
        }
        match (labels, &texts[..]) {
            (Labels::Text, [a, b]) => {
                let seconds = all.iter().filter(|&&l| l == 1.0).count();
                // The rarer is positive; of two equally rare ones the text that sorts later (yes before no).
                let second = match (2 * seconds).cmp(&all.len()) {
                    std::cmp::Ordering::Less => true,
                    std::cmp::Ordering::Greater => false,
                    std::cmp::Ordering::Equal => b > a,
                };
                let (positive, negative) = if second { (b, a) } else { (a, b) };
                all.iter_mut().for_each(|l| *l = if (*l == 1.0) == second { 1.0 } else { -1.0 });
                let show = |t: &[u8]| String::from_utf8_lossy(t).into_owned();
                schema.label.positive = Some(show(positive));
                schema.label.negative = Some(show(negative));
                let share = 100.0 * all.iter().filter(|&&l| l > 0.0).count() as f64 / all.len() as f64;
                report.notes.push(format!(
                    "label: took {:?} ({share:.1}% of rows, the rarer) as positive and {:?} as negative",
                    show(positive),
                    show(negative)
                ));
            }
            (Labels::Text, _) => {
                let expected = "two different labels".to_string();
                let got = texts.first().map_or("none".into(), |t| format!("only {:?}", String::from_utf8_lossy(t)));
                return Err(DataError::Labels { file, expected, got });
            }
            (Labels::Positive(p, _), _) if !all.contains(&1.0) => {
                let expected = format!("at least one row labelled {p:?}");
                return Err(DataError::Labels { file, expected, got: "none".into() });
            }
            _ => {}
        }
        if schema.label.kind != LabelKind::Binary {
            return Ok((all, weights, report));
        }
        report.positives = all.iter().filter(|&&l| l > 0.0).count() as u64;
        if report.positives == 0 || report.positives == report.rows {
            report.notes.push(format!("labels: all {} rows are of one class", report.rows));
        }
        Ok((all, weights, report))
    }
}
