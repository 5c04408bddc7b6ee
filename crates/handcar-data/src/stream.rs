//! Inputs as a stream of parsed chunks, parsed side by side, in order.

use crate::choose::choose;
use crate::csv::{self, CsvPlan, Labels};
use crate::error::{DataError, Result};
use crate::infer;
use crate::label::LabelKind;
use crate::options::ReadOptions;
use crate::par;
use crate::parsed::{Body, Parsed, lines};
use crate::schema::{Format, HashKind, Schema};
use crate::source::{Chunk, Chunks, Input};
use crate::stdin::Until;
use crate::{criteo, libsvm, vw};
use handcar_base::Field;
use std::sync::Arc;

/// Whether rows must have labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Want {
    /// They must.
    Labels,
    /// Labels are read where there are any.
    LabelsIfAny,
}

/// A stream of parsed chunks.
pub(crate) struct Stream {
    chunks: Chunks,
    /// Read ahead to infer the schema.
    ahead: Option<Chunk>,
    names: Vec<String>,
    schema: Arc<Schema>,
    labels: Labels,
    want: Want,
    delimiter: Option<u8>,
    plan: Option<Arc<Plan>>,
    /// Whether names of VW text are kept though no labels are needed.
    names_kept: bool,
    /// Whether features of VW text are left as they stand in it.
    as_read: bool,
    threads: usize,
    /// Token buffers to use again.
    spare: Vec<Vec<u64>>,
}

enum Plan {
    Libsvm { need: bool },
    Criteo { labelled: bool },
    Csv(CsvPlan),
    Vw { need: bool },
}

impl Stream {
    pub fn open(inputs: &[Input], schema: Option<&Schema>, options: &ReadOptions, want: Want) -> Result<Self> {
        Self::open_until(inputs, schema, options, want, None)
    }

    /// As [`open`](Self::open); `until` tells standard input to end.
    pub fn open_until(
        inputs: &[Input],
        schema: Option<&Schema>,
        options: &ReadOptions,
        want: Want,
        until: Option<Until>,
    ) -> Result<Self> {
        let names: Vec<String> = inputs.iter().map(Input::name).collect();
        let mut chunks = Chunks::new(inputs, until);
        let known = schema.map(|s| s.format).or(options.format);
        chunks.quotes = known.map(|f| f == Format::Csv);
        let ahead = chunks.next().transpose()?.ok_or_else(|| DataError::Empty { file: names.join(", ") })?;
        let (schema, labels) = match schema {
            Some(schema) => (schema.clone(), labels_of(schema)),
            None => infer_schema(&names[ahead.file], &ahead.bytes, options)?,
        };
        chunks.quotes = Some(schema.format == Format::Csv);
        let threads = options.thread_count();
        let (schema, delimiter) = (Arc::new(schema), options.delimiter);
        let mut stream = Self {
            chunks,
            ahead: None,
            names,
            schema,
            labels,
            want,
            delimiter,
            plan: None,
            names_kept: false,
            as_read: false,
            threads,
            spare: Vec::new(),
        };
        // A header that does not fit should fail here, not at the first rows.
        stream.plan_for(&ahead)?;
        stream.ahead = Some(ahead);
        Ok(stream)
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Keeps the names of VW text, which prediction has no need of.
    pub fn keep_names(&mut self, yes: bool) {
        self.names_kept = yes;
    }

    /// Lets features stand in any order within their row, which is faster.
    pub fn as_read(&mut self) {
        self.as_read = true;
    }

    /// Content hashes of the inputs read to their end.
    pub fn hashes(&self) -> Vec<u128> {
        self.chunks.hashes.clone()
    }

    /// The next chunks, parsed; `None` at the end. How many there are does not change what they hold.
    pub fn next_batch(&mut self) -> Result<Option<Vec<Parsed>>> {
        let size = if self.threads == 1 { 1 } else { 4 * self.threads };
        let mut batch = Vec::with_capacity(size);
        while batch.len() < size {
            let next = match self.ahead.take() {
                Some(chunk) => Some(chunk),
                None => self.chunks.next().transpose()?,
            };
            let Some(chunk) = next else { break };
            let (plan, header) = self.plan_for(&chunk)?;
            batch.push((chunk, plan, header, self.spare.pop().unwrap_or_default()));
        }
        if batch.is_empty() {
            return Ok(None);
        }
        let (schema, names_kept, as_read) = (&*self.schema, self.names_kept, self.as_read);
        let parsed = par::map(self.threads, batch, |(chunk, plan, header, tokens)| match &*plan {
            Plan::Libsvm { need } => (libsvm::parse(chunk.file, &chunk.bytes, *need, schema), chunk.bytes),
            Plan::Criteo { labelled } => {
                (criteo::parse(chunk.file, &chunk.bytes, *labelled, schema, tokens), chunk.bytes)
            }
            // Prediction takes the names from the model, and needs no label.
            Plan::Vw { need } => {
                let wants = vw::Wants { labels: *need, names: *need || names_kept, as_read };
                let mut parsed = vw::parse(chunk.file, &chunk.bytes, wants, schema);
                let mut bytes = chunk.bytes;
                if as_read {
                    parsed.text = std::mem::take(&mut bytes);
                }
                (parsed, bytes)
            }
            Plan::Csv(p) => (csv::parse(chunk.file, chunk.bytes, header, p, schema), Vec::new()),
        });
        let (parsed, buffers): (Vec<Parsed>, Vec<Vec<u8>>) = parsed.into_iter().unzip();
        self.chunks.spare.extend(buffers.into_iter().filter(|b| b.capacity() > 0));
        Ok(Some(parsed))
    }

    /// Takes back what was read from a batch, for the next one.
    pub fn recycle(&mut self, batch: Vec<Parsed>) {
        for parsed in batch {
            if parsed.text.capacity() > 0 {
                self.chunks.spare.push(parsed.text);
            }
            if let Body::Columns(c) = parsed.body {
                self.spare.push(c.tokens);
            }
        }
    }

    /// How to parse a chunk, and the length of its header.
    fn plan_for(&mut self, chunk: &Chunk) -> Result<(Arc<Plan>, usize)> {
        if let (Some(plan), false) = (&self.plan, chunk.first) {
            return Ok((plan.clone(), 0));
        }
        let need = self.want == Want::Labels;
        let (plan, header) = match self.schema.format {
            Format::Libsvm | Format::Memory => (Plan::Libsvm { need }, 0),
            Format::Vw => (Plan::Vw { need }, 0),
            Format::Criteo => {
                let line = lines(&chunk.bytes).find(|l| !l.is_empty()).unwrap_or_default();
                let unlabelled = memchr::memchr_iter(b'\t', line).count() == criteo::FIELDS - 1;
                (Plan::Criteo { labelled: need || !unlabelled }, 0)
            }
            Format::Csv => {
                let name = &self.names[chunk.file];
                let (end, head) = csv::header(name, &chunk.bytes)?;
                let delimiter = self.delimiter.unwrap_or_else(|| infer::delimiter(head));
                let has_label =
                    self.schema.label.column.as_ref().is_some_and(|l| csv::header_names(head, delimiter).contains(l));
                let labels = if need || has_label { self.labels.clone() } else { Labels::Off };
                (Plan::Csv(CsvPlan::new(name, head, delimiter, &self.schema, labels)?), end)
            }
        };
        let plan = Arc::new(plan);
        self.plan = Some(plan.clone());
        Ok((plan, header))
    }
}

fn labels_of(schema: &Schema) -> Labels {
    match &schema.label.positive {
        Some(p) => Labels::Positive(p.clone(), schema.label.negative.clone()),
        None => Labels::Numeric(schema.label.kind),
    }
}

fn infer_schema(name: &str, text: &[u8], options: &ReadOptions) -> Result<(Schema, Labels)> {
    let format = options.format.unwrap_or_else(|| infer::format(text));
    let (bits, seed) = (options.bits.min(64), options.hash_seed);
    if bits == 0 {
        let (expected, got) = ("1 or more".into(), "0".into());
        return Err(DataError::Option { option: "bits", expected, got });
    }
    if options.hash != HashKind::Handcar && format != Format::Vw {
        let (expected, got) = ("handcar for all formats but vw".into(), format!("vw for {format:?}").to_lowercase());
        return Err(DataError::Option { option: "hash", expected, got });
    }
    if options.labels != LabelKind::Binary && options.positive.is_some() {
        let (expected, got) = ("none, as no class is positive".into(), format!("one with {} labels", options.labels));
        return Err(DataError::Option { option: "positive", expected, got });
    }
    let numeric = Labels::Numeric(options.labels);
    let (mut schema, labels, next) = match format {
        Format::Csv => infer::csv(name, text, options)?,
        Format::Vw => (Schema::vw(bits, seed, options.hash), numeric, 0),
        Format::Criteo => (Schema::criteo(bits, seed), numeric, criteo::FIELDS as Field + 1),
        Format::Libsvm | Format::Memory => (Schema::raw(Format::Libsvm, bits, seed, options.zero_based), numeric, 0),
    };
    schema.label.kind = options.labels;
    choose(&mut schema, options, next)?;
    if let Some(negatives) = options.negatives {
        negatives.check()?;
        let got = match labels {
            Labels::Text => "texts of which either may be (choose the positive one)".into(),
            _ if options.labels != LabelKind::Binary => format!("{} labels", options.labels),
            _ => return Ok((schema, labels)),
        };
        let expected = "labels of which it is known whether they are negative".into();
        return Err(DataError::Option { option: "negatives", expected, got });
    }
    Ok((schema, labels))
}
