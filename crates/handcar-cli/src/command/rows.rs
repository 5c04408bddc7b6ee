//! Rows streamed through a model, a batch at a time.

use crate::args::InputArgs;
use anyhow::{Result, ensure};
use handcar_base::{Field, Key};
use handcar_data::{Batch, Batches};
use handcar_train::model::{Model, Unseen};

/// Rows in memory at a time: some megabytes at a few dozen values a row.
const BATCH_ROWS: usize = 1 << 14;

/// Scored rows, in input order.
pub struct Rows<'a> {
    model: &'a Model,
    batches: Batches,
    batch: Option<Batch>,
    margins: Vec<f64>,
    unseen: Unseen,
    count: u64,
}

/// One scored batch.
pub struct ScoredBatch<'a> {
    /// The rows.
    pub batch: &'a Batch,
    /// A margin a row.
    pub margins: &'a [f64],
}

impl<'a> Rows<'a> {
    /// Opens the inputs, to be read the way the model's training data was.
    pub fn open(input: &InputArgs, model: &'a Model) -> Result<Self> {
        if let Some(format) = input.format() {
            let trained = model.schema.format;
            ensure!(format == trained, "--format: expected {trained:?} as the model was trained on, got {format:?}");
        }
        let batches = handcar_data::batches(&input.inputs, &model.schema, &input.options(), BATCH_ROWS)?;
        Ok(Self { model, batches, batch: None, margins: Vec::new(), unseen: Unseen::default(), count: 0 })
    }

    /// Has the texts noted that keys of these fields come from.
    pub fn note_texts(&mut self, fields: &[Field]) {
        self.batches.note_texts(fields);
    }

    /// The text that a key comes from, if it was noted.
    pub fn text_of(&self, key: Key) -> Option<&str> {
        self.batches.text_of(key)
    }

    /// Scores the next batch; `None` at the end.
    pub fn next_scored(&mut self) -> Result<Option<ScoredBatch<'_>>> {
        let Some(batch) = self.batches.next().transpose()? else { return Ok(None) };
        let b = self.batch.insert(batch);
        self.margins.clear();
        self.unseen += self.model.margins(&b.offsets, &b.ids, b.values.as_deref(), &b.keys, &mut self.margins);
        self.count += self.margins.len() as u64;
        Ok(Some(ScoredBatch { batch: b, margins: &self.margins }))
    }

    /// Rows scored so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What the model never saw.
    pub fn unseen(&self) -> Unseen {
        self.unseen
    }

    /// Rows left out because they could not be read.
    pub fn skipped(&self) -> u64 {
        self.batches.report().skipped
    }

    /// Warns of rows left out.
    pub fn warn_skipped(&self) {
        let r = self.batches.report();
        if r.skipped > 0 {
            tracing::warn!("skipped {} rows that could not be read; the first: {}", r.skipped, r.reasons.join("; "));
        }
    }
}
